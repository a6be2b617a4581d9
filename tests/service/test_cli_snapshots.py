"""limner snapshots diff, rollback and prune on a shop of two people, against what was written into it."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from segments.small import ACTS, PEOPLE, TAGS, make_workspace

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, run_once: Callable[..., object]) -> Path:
    """Built on 3 February, then on 5 March with one more user, one tag redefined, one added and one removed."""
    root = tmp_path_factory.mktemp("built")
    make_workspace(root, segments="visitors: {where: visits_30d >= 1}\nnorth: {where: city = 'Oslo'}\n")
    run_once("build", "--dir", root, "--as-of", "2025-02-03")
    make_workspace(
        root,
        people=PEOPLE + "u3,2025-02-20,Oslo\n",
        acts=ACTS + "u2,2025-03-02 10:00,visit,,1,book\nu3,2025-03-02 10:00,visit,,1,book\n",
        tags=TAGS.replace("window: all", "window: 60d").replace("last_city:", "liked:") + "\n",
        segments="visitors: {where: visits_30d >= 1}\nnorth: {where: city != 'Rome'}\nnew: {where: liked = 'book'}\n",
    )
    run_once("build", "--dir", root, "--as-of", "2025-03-05")
    return root


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")


def test_diff_says_what_changed(shop: Path, run_main: Run) -> None:
    code, out, err = run_main("snapshots", "diff", "--dir", shop, "--format", "json")
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert list(content) == ["before", "after", "joined", "left", "tags", "audiences"]
    assert content["before"] == {"snapshot": "20250203-0001", "as_of": "2025-02-03", "users": 2}
    assert (content["joined"], content["left"]) == (["u3"], [])
    tags = {row["tag"]: row for row in content["tags"]}
    assert {name: row["change"] for name, row in tags.items()} == {
        "visits_30d": "same", "visits_all": "redefined", "days_since_visit": "same", "city": "same", "liked": "added",
        "last_city": "removed",
    }  # fmt: skip
    assert (tags["visits_30d"]["before"], tags["visits_30d"]["after"]) == (0.5, pytest.approx(2 / 3))
    assert tags["city"]["before"] == "Oslo"  # as common as 上海: the first by letters
    assert (tags["days_since_visit"]["coverage_before"], tags["days_since_visit"]["coverage_after"]) == (0.5, 1.0)
    assert tags["visits_30d"]["psi"] > 0
    assert tags["visits_all"]["psi"] is tags["liked"]["psi"] is None
    assert content["audiences"] == [
        {"segment": "new", "change": "added", "size_before": None, "size_after": 3, "joined": None, "left": None},
        {"segment": "north", "change": "redefined", "size_before": 1, "size_after": 3, "joined": 2, "left": 0},
        {"segment": "visitors", "change": "same", "size_before": 1, "size_after": 2, "joined": 2, "left": 1},
    ]


def test_diff_the_other_way_round_and_as_csv_and_table(shop: Path, run_main: Run) -> None:
    arguments = ("snapshots", "diff", "20250305-0002", "20250203-0001", "--dir", shop)
    content = json.loads(run_main(*arguments, "--format", "json")[1])
    assert (content["joined"], content["left"]) == ([], ["u3"])
    rows = list(csv.DictReader(io.StringIO(run_main(*arguments, "--format", "csv")[1])))
    assert [row["tag"] for row in rows] == [row["tag"] for row in content["tags"]]
    code, out, _ = run_main(*arguments)
    assert code == 0
    assert "0 joined, 1 left" in out
    same = ("snapshots", "diff", "20250203-0001", "20250203-0001", "--dir", shop)
    assert "5 of 5 did not change" in run_main(*same)[1]
    assert all(tag["psi"] == 0 for tag in json.loads(run_main(*same, "--format", "json")[1])["tags"])


def test_rollback_and_prune(shop: Path, run_main: Run) -> None:
    code, out, _ = run_main("snapshots", "rollback", "--dir", shop, "--format", "json")
    assert code == 0
    moved = json.loads(out)
    assert (moved["current"], moved["before"]) == ("20250203-0001", "20250305-0002")
    assert json.loads(run_main("sql", "select count(*) n from profiles", "--dir", shop, "--format", "json")[1]) == [
        {"n": 2}
    ]
    assert run_main("snapshots", "rollback", "--dir", shop)[0] == 1
    code, _, err = run_main("snapshots", "diff", "--dir", shop)
    assert (code, "no snapshot before 20250203-0001 is kept  [no-earlier-snapshot]" in err) == (1, True)
    pruned = json.loads(run_main("snapshots", "prune", "--keep", 1, "--dir", shop, "--format", "json")[1])
    assert pruned == {"removed": [], "kept": ["20250203-0001", "20250305-0002"], "dry_run": False}
    assert run_main("snapshots", "rollback", "20250305-0002", "--dir", shop)[0] == 0
    dry = ("snapshots", "prune", "--keep", 1, "--dry-run", "--dir", shop, "--format", "json")
    assert json.loads(run_main(*dry)[1])["removed"] == ["20250203-0001"]
    assert json.loads(run_main(*dry)[1])["removed"] == ["20250203-0001"]
    run_main("snapshots", "prune", "--keep", 1, "--dir", shop)
    listed = json.loads(run_main("snapshots", "list", "--dir", shop, "--format", "json")[1])
    assert [row["id"] for row in listed] == ["20250305-0002"]


def test_a_profile_says_where_its_values_come_from_and_what_changed(shop: Path, run_main: Run) -> None:
    content = json.loads(run_main("profile", "show", "u2", "--dir", shop, "--format", "json")[1])
    values = {value["tag"]: value for value in content["profile"]}
    assert {name: (value["events"], value["sources"]) for name, value in values.items()} == {
        "visits_30d": (1, ["acts"]), "visits_all": (1, ["acts"]), "days_since_visit": (1, ["acts"]), "city": (None, ["people"]),
        "liked": (1, ["acts"]),
    }  # fmt: skip
    assert content["since"] == "20250203-0001"
    assert [(change["tag"], change["before"], change["after"], change["redefined"]) for change in content["changes"]] == [
        ("visits_30d", 0, 1, False), ("visits_all", 0, 1, True), ("days_since_visit", None, 3, False),
    ]  # fmt: skip
    nobody = json.loads(run_main("profile", "show", "u1", "--dir", shop, "--format", "json")[1])
    quiet = {value["tag"]: (value["value"], value["events"]) for value in nobody["profile"]}
    assert quiet["visits_30d"] == (0, 0)  # 1 February lies 32 days before 5 March
    assert quiet["visits_all"] == (1, 1)
    same = json.loads(
        run_main("profile", "show", "u2", "--since", "20250305-0002", "--dir", shop, "--format", "json")[1]
    )
    assert (same["since"], same["changes"]) == ("20250305-0002", [])
    new = json.loads(run_main("profile", "show", "u3", "--dir", shop, "--format", "json")[1])
    assert ("city", None, "Oslo") in {(change["tag"], change["before"], change["after"]) for change in new["changes"]}
    code, out, _ = run_main("profile", "show", "u2", "--dir", shop)
    assert (code, "changed since 20250203-0001" in out) == (0, True)
    assert run_main("profile", "show", "u2", "--since", "20250305-0009", "--dir", shop)[0] == 1


def test_a_build_as_of_the_past_says_that_it_is_current_and_gives_no_drift(shop: Path, run_main: Run) -> None:
    """What was known later is no measure of what was known earlier; the drift against the first build is kept."""
    psi = "select count(psi) n, min(compared_with) parent from tag_statistics"
    ask = ("sql", psi, "--dir", shop, "--format", "json")
    (before,) = json.loads(run_main(*ask)[1])
    assert (before["n"] > 0, before["parent"]) == (True, "20250203-0001")
    code, _, err = run_main("build", "--dir", shop, "--as-of", "2025-02-20")
    assert code == 0
    told = "20250220-0003, as of 2025-02-20, is now current; back to 20250305-0002: 'limner snapshots rollback'"
    assert told in err
    assert json.loads(run_main(*ask)[1]) == [{"n": 0, "parent": None}]
    assert json.loads(run_main("snapshots", "rollback", "--dir", shop, "--format", "json")[1])["current"] == (
        "20250305-0002"
    )
    assert "now current" not in run_main("build", "--dir", shop)[2]  # as of the end of the data, as always


def test_a_build_after_the_current_snapshot_was_removed_by_hand(shop: Path, run_main: Run) -> None:
    (shop / ".limner" / "snapshots" / "20250305-0002.duckdb").unlink()
    code, _, err = run_main("build", "--dir", shop, "--as-of", "2025-03-06")
    assert code == 0, err
    code, out, err = run_main("segments", "size", "visitors", "--dir", shop, "--format", "json")
    assert (code, json.loads(out)["users"]) == (0, 3), err
