"""limner users: merges that are seen, undone and redone, and profiles found by any id."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str, str]]

CONFIG = """name: t
timezone: UTC
sources:
  people: {type: users, path: people.csv, user: id, attributes: [city]}
  acts: {type: events, path: 'acts*.csv', user: u, time: t, event: e, properties: [p]}
  links: {type: identities, path: 'links*.csv', user: device, other: who, kind: kind}
settings: {max_identities: 3, as_of: 2025-02-01}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "limner.yaml": CONFIG,
        "tags/t.yaml": "acts: {kind: count, event: act, window: all}\ncity: {kind: attribute, attribute: city}\n",
        "people.csv": "id,city\nanna,Bonn\nbert,Ulm\n",
        "acts.csv": "u,t,e,p\nphone-1,2025-01-01,act,x\nanna,2025-01-02,act,y\nbert,2025-01-03,act,z\n",
        "links.csv": "device,who,kind\nphone-1,anna,account\n0,anna,account\n0,bert,account\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def rows(run: Run, *arguments: object) -> Any:
    code, out, err = run(*arguments, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def log(run: Run, root: Path, *more: object) -> list[tuple[str, str, str, str | None]]:
    found = rows(run, "users", "merges", *more, "--dir", root)
    return [(row["action"], row["id"], row["user_id"], row["before"]) for row in found]


def acts(run: Run, root: Path) -> dict[str, int]:
    assert run("build", "--dir", root)[0] == 0
    found = rows(run, "sql", "select user_id, acts from profiles order by 1", "--dir", root)
    return {row["user_id"]: row["acts"] for row in found}


def test_merges_are_told_logged_undone_and_redone(root: Path, run_main: Run) -> None:
    code, _, err = run_main("sync", "--dir", root)
    assert code == 0
    assert "identities: 1 id merged; see 'limner users merges'" in err
    assert "identities: 1 id is not merged; see 'limner users merges --refused'" in err
    assert rows(run_main, "users", "merges", "--refused", "--dir", root) == [
        {"id": "0", "reason": "placeholder", "ids": 2}
    ]
    assert log(run_main, root) == [("merged", "phone-1", "anna", None)]
    assert acts(run_main, root) == {"anna": 2, "bert": 1}
    assert run_main("sync", "--dir", root)[2].count("1 id merged") == 0, "nothing new was merged"

    assert rows(run_main, "users", "unmerge", "phone-1", "--note", "lent", "--dir", root)["unmerged"] == 1
    assert "note: lent" in (root / "identities.yaml").read_text(encoding="utf-8")
    assert acts(run_main, root) == {"anna": 1, "bert": 1, "phone-1": 1}
    assert log(run_main, root)[0] == ("unmerged", "phone-1", "phone-1", "anna")

    assert rows(run_main, "users", "unmerge", "phone-1", "--undo", "--dir", root)["merged"] == 1
    assert not (root / "identities.yaml").exists()
    assert acts(run_main, root) == {"anna": 2, "bert": 1}

    (root / "links2.csv").write_text("device,who,kind\nphone-1,anna-new,phone\n", encoding="utf-8")
    assert acts(run_main, root) == {"anna": 2, "bert": 1}
    (root / "links.csv").write_text("device,who,kind\nq,bert,account\n", encoding="utf-8")
    assert acts(run_main, root) == {"phone-1": 1, "anna": 1, "bert": 1}
    assert log(run_main, root)[:4] == [
        ("leads", "phone-1", "phone-1", "anna"),
        ("merged", "anna-new", "phone-1", "anna"),
        ("merged", "q", "bert", None),
        ("merged", "anna-new", "anna", None),
    ]
    assert log(run_main, root, "bert") == [("merged", "q", "bert", None)]
    assert len(log(run_main, root, "anna-new")) == 6


def test_a_profile_is_found_by_any_id(root: Path, run_main: Run) -> None:
    assert run_main("build", "--dir", root)[0] == 0
    found = rows(run_main, "profile", "show", "phone-1", "--dir", root)
    assert (found["user_id"], found["ids"]) == ("anna", ["anna", "phone-1"])
    assert [act["properties"]["p"] for act in found["acts"]] == ["y", "x"]
    assert [value["events"] for value in found["profile"]] == [2, None]
    _, out, _ = run_main("profile", "show", "phone-1", "--dir", root)
    assert out.startswith("anna (asked for as phone-1) as of 2025-02-01, merged from anna, phone-1")
    assert rows(run_main, "profile", "show", "bert", "--dir", root)["ids"] == ["bert"]
    table = rows(run_main, "sql", "select id, user_id, kind, source, since from identities order by 1", "--dir", root)
    assert table == [
        {"id": "anna", "user_id": "anna", "kind": "account", "source": "links", "since": None},
        {"id": "phone-1", "user_id": "anna", "kind": None, "source": "links", "since": None},
    ]
    assert rows(run_main, "sql", "select * from identity_refusals", "--dir", root)[0]["reason"] == "placeholder"


def test_slips_of_the_pen_are_told(root: Path, run_main: Run) -> None:
    assert run_main("sync", "--dir", root)[0] == 0
    code, _, err = run_main("users", "unmerge", "phone1", "--dir", root)
    assert (code, "unknown id 'phone1'" in err, "did you mean 'phone-1'?" in err) == (1, True, True)
    code, _, err = run_main("users", "unmerge", "phone-1", "--undo", "--dir", root)
    assert (code, "[unknown-unmerged-id]" in err) == (1, True)
    (root / "identities.yaml").write_text("unmergd: []\n", encoding="utf-8")
    code, _, err = run_main("check", "--dir", root)
    assert (code, "identities.yaml:1:1  unknown field 'unmergd'" in err, "did you mean 'unmerged'?" in err) == (
        1,
        True,
        True,
    )
