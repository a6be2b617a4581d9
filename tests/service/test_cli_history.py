"""`limner profile show`, `sync`, `build --as-of` and `tags lineage` where attributes carry updated_at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

RunMain = Callable[..., tuple[int, str, str]]

FILES = {
    "limner.yaml": """name: t
timezone: Asia/Shanghai
sources:
  people: {type: users, path: 'p*.csv', user: u, updated_at: t, attributes: {city: c, level: {column: n, type: number}}}
  acts: {type: events, path: a.csv, user: u, time: t, event_name: go}
""",
    "p1.csv": "u,t,c,n\nanna,2025-01-01 08:00,Oslo,1\nben,2025-01-02,Bonn,1\nanna,2025-01-05,Rome,1\n",
    "p2.csv": "u,t,c,n\nanna,2025-01-09,,1\n",
    "a.csv": "u,t\nanna,2025-01-03\nben,2025-01-10\n",
    "tags/t.yaml": "town: {kind: attribute, attribute: city}\nlevel: {kind: attribute, attribute: level}\ngone: {kind: count, event: go}\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_a_profile_says_since_when_and_what_was_before(root: Path, run_main: RunMain) -> None:
    assert run_main("build", "--dir", root, "--as-of", "2025-01-08")[0] == 0
    code, out, _ = run_main("profile", "show", "anna", "--dir", root, "--format", "json")
    assert code == 0
    shown = json.loads(out)
    assert {it["tag"]: (it["value"], it["valid_from"]) for it in shown["profile"]} == {
        "town": ("Rome", "2025-01-05 00:00"), "level": (1, "2025-01-01 08:00"), "gone": (1, None)
    }  # fmt: skip
    assert shown["history"] == [
        {"source": "people", "attribute": "city", "value": "Oslo", "valid_from": "2025-01-01 08:00", "valid_to": "2025-01-05 00:00"},
        {"source": "people", "attribute": "city", "value": "Rome", "valid_from": "2025-01-05 00:00", "valid_to": None},
        {"source": "people", "attribute": "level", "value": 1, "valid_from": "2025-01-01 08:00", "valid_to": None},
    ]  # fmt: skip
    code, out, _ = run_main("profile", "show", "anna", "--dir", root)
    assert (code, "history of attributes" in out, "Oslo" in out, "valid_from" in out) == (0, True, True, True)
    assert "history of attributes" not in run_main("profile", "show", "ben", "--dir", root)[1]


def test_builds_at_several_as_of(root: Path, run_main: RunMain) -> None:
    towns = {}
    for as_of in ("2025-01-02", "2025-01-06", "2025-01-11"):
        assert run_main("build", "--dir", root, "--as-of", as_of)[0] == 0
        code, out, _ = run_main(
            "sql", "select user_id, town from profiles order by 1", "--dir", root, "--format", "json"
        )
        assert code == 0
        towns[as_of] = {row["user_id"]: row["town"] for row in json.loads(out)}
    assert towns == {
        "2025-01-02": {"anna": "Oslo"},
        "2025-01-06": {"anna": "Rome", "ben": "Bonn"},
        "2025-01-11": {"anna": None, "ben": "Bonn"},
    }
    query = "select value, valid_to is null as still from attribute_history where user_id = 'anna' order by valid_from"
    code, out, _ = run_main("sql", query, "--dir", root, "--format", "json")
    assert (code, json.loads(out)) == (
        0, [{"value": "Oslo", "still": False}, {"value": "Rome", "still": False}, {"value": None, "still": True}]
    )  # fmt: skip


def test_sync_says_what_it_keeps(root: Path, run_main: RunMain) -> None:
    code, out, _ = run_main("sync", "--dir", root, "--format", "json")
    assert (code, [(row["rows"], row["duplicates"]) for row in json.loads(out)]) == (0, [(4, 0), (2, 0)])
    (root / "p2.csv").unlink()
    (root / "p3.csv").write_text("u,t,c,n\nben,2025-01-02,Bern,1\nben,2025-01-03,Bern,1\n", encoding="utf-8")
    code, out, _ = run_main("sync", "--dry-run", "--dir", root, "--format", "json")
    assert (code, json.loads(out)[0]["new"], json.loads(out)[0]["gone"]) == (0, ["p3.csv"], ["p2.csv"])
    code, out, err = run_main("sync", "--dir", root, "--format", "json")
    assert (code, json.loads(out)[0]["rows"], json.loads(out)[0]["duplicates"]) == (0, 4, 2)
    words = " ".join(err.split())
    assert "p2.csv is gone; the rows stay, being history" in words
    assert "1 row of a user and an updated_at that come again with other values; the last counts" in words


def test_lineage_names_the_column(root: Path, run_main: RunMain) -> None:
    code, out, _ = run_main("tags", "lineage", "town", "--dir", root, "--format", "json")
    assert code == 0
    assert "updated_at" in out
