"""Segments on behaviour on every surface: one number in the CLI, in SQL, in Python and in the snapshot, whatever is synced after."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., tuple[int, str, str]]

FILES = {
    "limner.yaml": """name: t
timezone: Asia/Shanghai
sources:
  acts: {type: events, path: acts.csv, user: u, time: t, event: e, amount: price, properties: [product]}
  links: {type: identities, path: links.csv, user: device, other: who, kind: kind}
settings: {min_export: 1}
""",
    "tags/t.yaml": "acts: {kind: count, event: [buy, view], window: all}\n",
    "segments/s.yaml": """
buyers: {where: "did('buy', at_least => 2, within => '30d')"}
lookers: {where: "did('view') and not (in_segment('buyers'))"}
either:
  where:
    kind: any_of
    parts:
      - {kind: in_segment, segment: buyers}
      - {kind: did, events: [view], where: product = 'b'}
""",
    # phone is ann's: only together they bought twice
    "links.csv": "device,who,kind\nphone,ann,account\n",
    "acts.csv": "u,t,e,price,product\nann,2025-02-27 10:00,buy,10,a\nphone,2025-02-28 10:00,buy,20,a\n"
    "ben,2025-02-28 11:00,buy,5,b\nben,2025-02-28 12:00,view,,b\nchen,2025-02-28 13:00,view,,a\n",
}


def result(run_main: Run, root: Path, *words: str) -> Any:
    """What a command prints as JSON."""
    code, out, err = run_main(*words, "--dir", str(root), "--format", "json")
    assert code == 0, err
    return json.loads(out)


def users(run_main: Run, root: Path, name: str) -> list[str]:
    """The users whom the printed SQL of a segment finds."""
    _, sql, _ = run_main("segments", "sql", name, "--dir", str(root))
    return [row["user_id"] for row in result(run_main, root, "sql", sql)]


EXPECTED = {"buyers": ["ann"], "lookers": ["ben", "chen"], "either": ["ann", "ben"]}


def test_one_number_in_the_cli_in_sql_in_the_table_and_in_the_export(root: Path, run_main: Run) -> None:
    for name, expected in EXPECTED.items():
        assert users(run_main, root, name) == expected
        assert result(run_main, root, "segments", "size", name)["size"] == len(expected)
        table = f"SELECT user_id FROM audiences WHERE segment = '{name}' ORDER BY user_id"
        assert [row["user_id"] for row in result(run_main, root, "sql", table)] == expected
        out = root / "out" / f"{name}.csv"
        assert result(run_main, root, "segments", "export", name, "--out", str(out))["rows"] == len(expected)
        assert [line.split(",")[0] for line in out.read_text(encoding="utf-8").splitlines()[1:]] == expected
    listed = {row["name"]: row["size"] for row in result(run_main, root, "segments", "list")}
    assert listed == {name: len(expected) for name, expected in EXPECTED.items()}


def test_a_sync_changes_no_number_of_the_snapshot_that_was_there(root: Path, run_main: Run) -> None:
    with (root / "acts.csv").open("a", encoding="utf-8") as file:
        file.write("ben,2025-02-20 10:00,buy,7,a\n")  # late: it happened before as_of
    assert run_main("sync", "--dir", str(root))[0] == 0
    for name, expected in EXPECTED.items():
        assert users(run_main, root, name) == expected
        assert result(run_main, root, "segments", "size", name)["size"] == len(expected)
    assert run_main("build", "--dir", str(root), "--as-of", "2025-03-01")[0] == 0
    assert users(run_main, root, "buyers") == ["ann", "ben"]
    assert users(run_main, root, "lookers") == ["chen"]


def test_an_older_snapshot_says_when_its_behaviour_has_gone(root: Path, run_main: Run) -> None:
    first = result(run_main, root, "snapshots", "list")[0]["id"]
    (root / "acts.csv").write_text(FILES["acts.csv"] + "dee,2025-02-28 09:00,buy,1,a\n", encoding="utf-8")
    assert run_main("build", "--dir", str(root), "--as-of", "2025-03-01")[0] == 0
    assert run_main("sync", "--dir", str(root))[0] == 0
    (root / "acts.csv").write_text(FILES["acts.csv"] + "dee,2025-02-28 09:30,buy,1,a\n", encoding="utf-8")
    assert run_main("sync", "--dir", str(root))[0] == 0  # now nothing needs the first file any more
    code, _, err = run_main("segments", "size", "buyers", "--snapshot", first, "--dir", str(root))
    assert (code, "events-gone" in err, "limner build" in err) == (1, True, True)
    assert result(run_main, root, "segments", "size", "buyers")["size"] == 1
    assert result(run_main, root, "sql", "SELECT size FROM segments WHERE name = 'buyers'", "--snapshot", first) == [
        {"size": 1}
    ]


def test_erasing_somebody_takes_them_out_of_behaviour_too(root: Path, run_main: Run) -> None:
    assert run_main("users", "erase", "ben", "--yes", "--dir", str(root))[0] == 0
    assert users(run_main, root, "lookers") == ["chen"]
    assert result(run_main, root, "sql", "SELECT count(*) AS n FROM events WHERE user_id = 'ben'") == [{"n": 0}]


def test_the_view_of_events_is_what_the_build_saw(root: Path, run_main: Run) -> None:
    assert run_main("build", "--dir", str(root), "--as-of", "2025-02-28")[0] == 0
    assert result(run_main, root, "sql", "SELECT user_id, event, amount FROM events") == [
        {"user_id": "ann", "event": "buy", "amount": 10.0}
    ]
    comments = "SELECT comment FROM duckdb_columns() WHERE table_name = 'events'"
    assert all(row["comment"] for row in result(run_main, root, "sql", comments))
    code, _, err = run_main("sql", f"SELECT * FROM read_csv('{root}/acts.csv')", "--dir", str(root))
    assert (code, "not-allowed" in err) == (1, True)


def test_segments_are_checked_and_materialised_without_a_build(root: Path, run_main: Run) -> None:
    (root / "segments" / "s.yaml").write_text("buyers: {where: did('buy')}\n", encoding="utf-8")
    (root / "segments" / "n.yaml").write_text("new: {where: did('vew')}\n", encoding="utf-8")
    code, out, err = run_main("segments", "check", "--dir", str(root))
    assert (code, "sound" in out) == (0, True)
    assert "no event is called 'vew'; did you mean 'view'?" in err
    before = result(run_main, root, "segments", "size", "buyers")
    assert before["size"] == 2
    built = {row["name"]: row["size"] for row in result(run_main, root, "segments", "build")}
    assert built == {"buyers": 2, "new": 0}
    names = [row["name"] for row in result(run_main, root, "sql", "SELECT name FROM segments ORDER BY name")]
    assert names == ["buyers", "new"]
    changes = result(run_main, root, "sql", "SELECT user_id, change FROM audience_changes WHERE segment = 'buyers'")
    assert changes == [{"user_id": "ben", "change": "joined"}]
    assert run_main("segments", "build", "byers", "--dir", str(root))[0] == 1


def test_circles_and_unknown_segments_are_refused_with_the_path(root: Path, run_main: Run) -> None:
    text = "a: {where: in_segment('b')}\nb: {where: in_segment('c') or acts > 3}\nc: {where: not (in_segment('a'))}\n"
    (root / "segments" / "circle.yaml").write_text(text + "d: {where: in_segment('byers')}\n", encoding="utf-8")
    code, _, err = run_main("segments", "check", "--dir", str(root))
    assert code == 1
    assert "a → b → c → a" in err
    assert "segment-circle" in err
    assert "did you mean 'buyers'?" in err
