"""`check` refuses to change or delete a tag in use, unless its version says that the change is meant; `build` tells."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from segments.small import TAGS, make_workspace

Run = Callable[..., tuple[int, str, str]]
SCENARIO = """
back:
  title: come back
  population: visits_all >= 1
  outcome: {kind: did, event: visit, title: comes back}
  label_window: 7d
"""
DERIVED = (
    TAGS
    + "often: {kind: sql, type: boolean, expression: visits_30d > 3}\nunused: {kind: count, event: visit, window: 9d}\n"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, run_once: Callable[..., object]) -> Path:
    root = tmp_path_factory.mktemp("built")
    make_workspace(root, tags=DERIVED, segments="north: {where: city = 'Oslo' or often = true}\n", scenarios=SCENARIO)
    run_once("check", "--dir", root)  # nothing was published that could be compared
    run_once("build", "--dir", root, "--as-of", "2025-02-03")
    return root


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")


def check(run_main: Run, root: Path, tags: str) -> tuple[int, list[dict[str, str]], str]:
    (root / "tags" / "tags.yaml").write_text(tags, encoding="utf-8")
    code, out, err = run_main("check", "--dir", root, "--format", "json")
    # The few days of data are too short for the scenario, which is told each time.
    kept = [line for line in err.splitlines(keepends=True) if "cannot be trained" not in line]
    return code, json.loads(out), "".join(kept)


def test_a_changed_tag_in_use_is_refused_until_its_version_says_so(shop: Path, run_main: Run) -> None:
    changed = DERIVED.replace("event: visit, window: 30d", "event: visit, window: 7d")
    assert changed != DERIVED
    code, (issue,), err = check(run_main, shop, changed)
    assert (code, err, issue["code"]) == (1, "", "tag-in-use")
    assert issue["where"].startswith("tags/tags.yaml:")
    assert issue["message"] == (
        "the tag 'visits_30d' has changed since snapshot 20250203-0001 (window 30d → 7d), and is used by the segment north (through often)"
    )
    assert issue["hint"] == "put it back, or say that the change is meant: 'version: 2'"
    meant = changed.replace("window: 7d", "version: 2, window: 7d")
    code, issues, err = check(run_main, shop, meant)
    assert (code, issues) == (0, [])
    assert "the tag 'visits_30d' goes from version 1 to 2 (window 30d → 7d); it is used by the segment north" in err
    code, _, err = run_main("build", "--dir", shop, "--as-of", "2025-02-03")
    assert code == 0
    with duckdb.connect(str(shop / ".limner" / "snapshots" / "20250203-0002.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT version FROM tags WHERE name = 'visits_30d'").fetchall() == [(2,)]
    assert check(run_main, shop, meant) == (0, [], "")
    # Back to what it was is a change, too, and an older version does not say that it is meant.
    code, (issue,), _ = check(run_main, shop, DERIVED)
    assert (code, issue["code"], issue["hint"][-11:]) == (1, "tag-in-use", "version: 3'")


def test_what_is_no_change_in_use(shop: Path, run_main: Run) -> None:
    assert check(run_main, shop, DERIVED.replace("event: visit, window: 9d", "event: visit, window: 8d")) == (0, [], "")
    worded = DERIVED.replace("unused: {", "unused: {version: 7, ").replace(
        "often: {", "often: {title: often here, owner: me, freshness: 9d, quality: {coverage_min: 0.1}, "
    )
    assert check(run_main, shop, worded) == (0, [], "")
    # A segment that was never published relies on nothing of before.
    (shop / "segments" / "more.yaml").write_text("fresh: {where: unused > 1}\n", encoding="utf-8")
    assert check(run_main, shop, DERIVED.replace("window: 9d", "window: 8d")) == (0, [], "")


def test_every_user_is_named(shop: Path, run_main: Run) -> None:
    model = shop / ".limner" / "models" / "back"
    (model / "abc").mkdir(parents=True)
    (model / "CURRENT").write_text("abc\n", encoding="utf-8")
    record = {"provenance": {"tags_hash": "unused:123456789abc last_city:123456789abc"}}
    (model / "abc" / "model.json").write_text(json.dumps(record), encoding="utf-8")
    changed = DERIVED.replace("window: 9d", "window: 8d").replace(
        "event: visit, window: all}", "event: [visit, login], window: all}"
    )
    code, issues, _ = check(run_main, shop, changed)
    assert code == 1
    used = {issue["message"].split("'")[1]: issue["message"].partition("used by ")[2] for issue in issues}
    assert used == {"unused": "the model of back", "visits_all": "the scenario back"}
    # A deleted tag that only a model uses is an issue of its own; what is merely at fault is not gone.
    gone = DERIVED[: DERIVED.index("unused:")]
    code, (issue,), _ = check(run_main, shop, gone)
    assert (code, issue["code"], issue["message"]) == (
        1, "tag-in-use", "the tag 'unused' of snapshot 20250203-0001 is gone, and used by the model of back",
    )  # fmt: skip
    code, issues, _ = check(run_main, shop, gone + "unused: {kind: count, evnt: visit}\n")
    assert "tag-in-use" not in {issue["code"] for issue in issues}
    (model / "abc" / "model.json").write_text("{", encoding="utf-8")  # a damaged model uses nothing that anybody knows
    assert check(run_main, shop, gone)[0] == 0


def test_an_export_is_a_use(shop: Path, run_main: Run) -> None:
    manifest = {
        "file": "list.csv", "sha256": "0", "rows": 3, "columns": ["user_id", "unused"], "segment": "north", "condition": "often",
        "definition_hash": "0", "snapshot": "20250203-0001", "as_of": "2025-02-03", "who": "me", "when": "2025-02-04",
    }  # fmt: skip
    (shop / "exports").mkdir()
    (shop / "exports" / "list.csv.manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (shop / "exports" / "torn.csv.manifest.json").write_text("{", encoding="utf-8")
    _, (issue,), _ = check(run_main, shop, DERIVED.replace("window: 9d", "window: 8d"))
    assert issue["message"].endswith("(window 9d → 8d), and is used by the export list.csv")


def test_a_build_tells_and_is_the_new_state(shop: Path, run_main: Run) -> None:
    changed = DERIVED.replace("event: visit, window: 30d", "event: visit, window: 7d")
    (shop / "tags" / "tags.yaml").write_text(changed, encoding="utf-8")
    code, _, err = run_main("build", "--dir", shop, "--as-of", "2025-02-03")
    assert (code, "the tag 'visits_30d' has changed since snapshot 20250203-0001" in err) == (0, True)
    assert check(run_main, shop, changed) == (0, [], "")


def test_a_definition_that_this_version_cannot_read_is_compared_by_its_hash(shop: Path, run_main: Run) -> None:
    path = shop / ".limner" / "snapshots" / "20250203-0001.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""UPDATE tags SET definition = '{"kind": "gone"}', kind = 'gone' WHERE name = 'often'""")
    assert check(run_main, shop, DERIVED)[0] == 0
    code, (issue,), _ = check(run_main, shop, DERIVED.replace("visits_30d > 3", "visits_30d > 2"))
    assert (code, "can no longer be read" in issue["message"]) == (1, True)
    (shop / ".limner" / "snapshots" / "20250203-0001.duckdb").unlink()
    assert check(run_main, shop, DERIVED.replace("visits_30d > 3", "visits_30d > 2"))[0] == 0


def test_check_and_build_name_the_place_of_an_event_that_no_source_has(tmp_path: Path, run_main: Run) -> None:
    misspelt = (
        "typo: {kind: count, event: vist}\n"
        "several:\n  kind: count\n  event: [visit, visitt]\n"
        "asked:\n  kind: sql\n  query: >-\n    SELECT user_id, count(*) AS n FROM events AS e\n"
        "    WHERE e.event = 'vsit' OR event IN ('visit', 'order') GROUP BY user_id\n"
    )
    make_workspace(tmp_path, tags=TAGS + misspelt, scenarios=SCENARIO.replace("event: visit", "event: wisit"))
    assert run_main("check", "--dir", tmp_path)[2] == ""  # nobody knows yet which events there are
    built = run_main("build", "--dir", tmp_path, "--as-of", "2025-02-03")[2]
    code, out, err = run_main("check", "--dir", tmp_path)
    assert (code, "no issues" in out) == (0, True)
    assert [line for line in err.splitlines() if "visit'?" in line] == [
        "tags/tags.yaml:7:21 the tag 'typo' asks for events called 'vist', and there are none; did you mean 'visit'?",
        "tags/tags.yaml:10:18 the tag 'several' asks for events called 'visitt', and there are none; did you mean 'visit'?",
        "tags/tags.yaml:13:3 the tag 'asked' asks for events called 'vsit', and there are none; did you mean 'visit'?",
        "scenarios/some.yaml:5:24 the scenario 'back' asks for events called 'wisit', and there are none; did you mean 'visit'?",
    ]
    assert "'order'" in err
    assert all(line in built for line in err.splitlines() if "cannot be trained" not in line)
