"""limner users erase: gone from everything under .limner, proven here by looking for oneself, and never brought back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

Run = Callable[..., tuple[int, str, str]]

CONFIG = """name: t
timezone: UTC
sources:
  people: {type: users, path: people.csv, user: id, attributes: [city]}
  acts:
    {type: events, path: 'acts*.csv', user: u, time: t, event: e, event_id: i, amount: price, properties: [friend]}
  links: {type: identities, path: links.csv, user: device, other: who, kind: kind}
settings: {min_export: 1}
"""
FILES = {
    "limner.yaml": CONFIG,
    "tags/t.yaml": """
acts: {kind: count, event: act, window: all}
city: {kind: attribute, attribute: city}
friend: {kind: last, event: act, of: friend, window: all}
""",
    "segments/s.yaml": "active: {where: acts >= 1}\n",
    "people.csv": "id,city\nanna-4711,Bonn\nbert,Ulm\ncora,Ulm\n",
    "acts1.csv": "u,t,e,i,friend,price\nanna-4711,2025-01-01,act,1,bert,1\nphone-0815,2025-01-02,act,2,,1\n"
    "bert,2025-01-02,act,3,anna-4711,1\nbert,2025-01-03,act,4,cora,cheap for anna-4711\ncora,2025-01-03,act,5,,2\n",
    "acts2.csv": "u,t,e,i,friend,price\nbert,2025-01-02,act,3,anna-4711,1\nphone-0815,2025-02-05,act,9,,3\n",
    "links.csv": "device,who,kind\nphone-0815,anna-4711,account\n",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, run_once: Callable[..., object]) -> Path:
    """A workspace with two snapshots, audiences with changes, rejects, merged ids and an export."""
    root = tmp_path_factory.mktemp("built")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    run_once("build", "--dir", root, "--as-of", "2025-01-01")
    run_once("build", "--dir", root)
    run_once("segments", "export", "active", "--dir", root)
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")


def occurrences(state: Path, *ids: str) -> list[str]:
    """Every place under .limner where an id stands: all columns of all tables as text, text files, and raw bytes."""
    found = []
    for path in sorted(state.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        found += [f"{path.name}: bytes" for id_ in ids if id_.encode() in content]
        if path.suffix not in (".parquet", ".duckdb"):
            continue
        with duckdb.connect() as connection:
            relations = [f"'{path}'"]
            if path.suffix == ".duckdb":
                connection.execute(f"ATTACH '{path}' AS kept (READ_ONLY)")
                names = connection.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'kept'"
                ).fetchall()
                relations = [f'kept."{name}"' for (name,) in names]
            for relation in relations:
                for row in connection.execute(f"SELECT * FROM {relation}").fetchall():
                    found += [f"{relation}: {row}" for id_ in ids if id_ in repr(row)]
    return found


def rows(run: Run, *arguments: object) -> Any:
    code, out, err = run(*arguments, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_person_is_gone_with_all_merged_ids(root: Path, run_main: Run) -> None:
    state = root / ".limner"
    assert len({place.split(":")[0] for place in occurrences(state, "anna-4711", "phone-0815")}) >= 8
    ids = sorted(path.stem for path in state.glob("snapshots/*.duckdb"))
    found = rows(run_main, "users", "erase", "phone-0815", "--yes", "--dir", root)
    assert (found["ids"], found["asked"]) == (["phone-0815", "anna-4711"], ["phone-0815"])
    assert occurrences(state, "anna-4711", "phone-0815") == []
    assert found["left"] == 0
    assert found["files_scanned"] == len([path for path in state.rglob("*") if path.is_file() and path.name != "lock"])
    removed = {place["place"]: (place["rows"], place["values"]) for place in found["places"]}
    assert removed[f"snapshots/{ids[1]}.duckdb profiles"] == (1, 1)  # Bert's last friend was Anna
    assert removed[f"snapshots/{ids[1]}.duckdb audience_changes"] == (1, 0)
    assert removed[f"snapshots/{ids[1]}.duckdb rejects"] == (1, 0)
    assert removed["merges/log.parquet"] == (1, 0)
    assert found["exports"] == ["exports/active.csv"]
    assert found["sources"] == [
        {"source": "acts", "origin": "acts1.csv", "rows": 3},  # two acts, and the row that could not be read
        {"source": "acts", "origin": "acts2.csv", "rows": 1},
        {"source": "links", "origin": "links.csv", "rows": 1},
        {"source": "people", "origin": "people.csv", "rows": 1},
    ]
    # The same snapshots with everybody else as they were, except for what named the person.
    assert sorted(path.stem for path in state.glob("snapshots/*.duckdb")) == ids
    assert (state / "snapshots" / "CURRENT").read_text(encoding="utf-8").strip() == ids[1]
    profiles = rows(run_main, "sql", "select * from profiles order by 1", "--dir", root)
    assert profiles == [
        {"user_id": "bert", "acts": 1, "city": "Ulm", "friend": None},
        {"user_id": "cora", "acts": 1, "city": "Ulm", "friend": None},
    ]
    comments = rows(
        run_main,
        "sql",
        "select count(*) n from duckdb_columns() where table_name = 'audiences' and comment is not null",
        "--dir",
        root,
    )
    assert comments == [{"n": 2}]


def test_a_sync_does_not_bring_anybody_back(root: Path, run_main: Run) -> None:
    assert run_main("users", "erase", "anna-4711", "--yes", "--dir", root)[0] == 0
    sources = {row["source"]: row for row in rows(run_main, "sync", "--dir", root)}
    assert {name: (row["rows"], row["rejected"], row["erased"], row["reused"]) for name, row in sources.items()} == {
        "people": (2, 0, 1, True), "acts": (2, 0, 4, True), "links": (0, 0, 1, True),
    }  # fmt: skip
    for name in ("people.csv", "acts1.csv", "acts2.csv", "links.csv"):
        (root / name).touch()
    (root / "acts3.csv").write_text(
        "u,t,e,i,friend,price\nphone-0815,2025-03-01,act,10,,3\nbert,2025-03-02,act,11,,for anna-4711\n",
        encoding="utf-8",
    )
    sources = {row["source"]: row for row in rows(run_main, "sync", "--dir", root)}
    assert (sources["acts"]["rows"], sources["acts"]["erased"]) == (2, 4)
    assert (sources["links"]["rows"], sources["people"]["rows"]) == (0, 2)
    total = sum(sources["acts"][key] for key in ("rows", "duplicates", "rejected", "erased"))
    assert total == 5 + 2 + 2
    assert run_main("build", "--dir", root)[0] == 0
    found = rows(run_main, "sql", "select user_id, friend from profiles order by 1", "--dir", root)
    assert found == [{"user_id": "bert", "friend": None}, {"user_id": "cora", "friend": None}]
    rejects = rows(run_main, "sql", "select file, line, value, reason from rejects order by all", "--dir", root)
    assert {"file": "acts3.csv", "line": None, "value": None, "reason": "erased: 1 rows"} in rejects
    assert not any("anna" in str(row["value"]) for row in rejects)
    assert "anna" not in (root / "erased.txt").read_text(encoding="utf-8")


def test_one_who_signs_up_anew_can_come_back(root: Path, run_main: Run) -> None:
    assert run_main("users", "erase", "anna-4711", "--yes", "--dir", root)[0] == 0
    assert rows(run_main, "users", "unerase", "anna-4711", "--dir", root)["read_anew"] == ["people", "acts", "links"]
    assert run_main("build", "--dir", root)[0] == 0
    found = rows(run_main, "sql", "select user_id, acts from profiles order by 1", "--dir", root)
    assert found[0] == {"user_id": "anna-4711", "acts": 1}
    code, _, err = run_main("users", "unerase", "anna-4711", "--dir", root)
    assert (code, "[not-erased]" in err) == (1, True)


def test_a_dry_run_changes_no_byte(root: Path, run_main: Run) -> None:
    before = digests(root)
    found = rows(run_main, "users", "erase", "anna-4711", "--dry-run", "--dir", root)
    assert found["dry_run"]
    assert sum(place["rows"] for place in found["places"]) > 8
    assert digests(root) == before


def test_unknown_people_are_told_and_old_ones_found(root: Path, run_main: Run) -> None:
    before = digests(root)
    code, _, err = run_main("users", "erase", "anna-4712", "nobody", "--yes", "--dir", root)
    assert (code, "did you mean 'anna-4711'?" in err, "no user 'nobody'" in err) == (1, True, True)
    code, _, err = run_main("users", "erase", "bert", "--dir", root)
    assert (code, "[not-confirmed]" in err) == (1, True)
    assert run_main("users", "erase", "--yes", "--dir", root)[0] == 1
    assert digests(root) == before
    # Cora leaves the sources, and stands in the older snapshots only.
    for name in ("people.csv", "acts1.csv"):
        path = root / name
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith("cora")), encoding="utf-8")
    assert run_main("build", "--dir", root)[0] == 0
    (root / "list.txt").write_text("cora\n", encoding="utf-8")
    found = rows(run_main, "users", "erase", "--file", root / "list.txt", "--yes", "--dir", root)
    assert (found["ids"], found["sources"], found["ambiguous"]) == (["cora"], [], ["cora"])
    for path in (root / ".limner" / "snapshots").glob("*.duckdb"):
        with duckdb.connect(str(path), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM profiles WHERE user_id = 'cora'").fetchall() == [(0,)]


def test_words_are_blanked_elsewhere_only_when_asked(root: Path, run_main: Run) -> None:
    kept = "select count(*) n from profiles where friend = 'cora'"
    assert rows(run_main, "sql", kept, "--dir", root) == [{"n": 0}]
    events = next((root / ".limner" / "events").glob("acts-*.parquet"))
    assert run_main("users", "erase", "bert", "--yes", "--dir", root)[0] == 0
    files = str(events.parent / "*.parquet")
    with duckdb.connect() as connection:
        count = f"SELECT count(*) FROM read_parquet('{files}') WHERE friend = 'bert'"
        assert connection.execute(count).fetchall() == [(1,)]
        assert run_main("users", "erase", "bert", "--everywhere", "--yes", "--dir", root)[0] == 0
        assert connection.execute(count).fetchall() == [(0,)]


def test_what_cannot_be_erased_is_left_and_told(root: Path, run_main: Run) -> None:
    model = root / ".limner" / "models" / "churn" / "m" / "model.json"
    model.parent.mkdir(parents=True)
    model.write_text('{"categories": ["anna-4711", "bert"]}', encoding="utf-8")
    code, out, err = run_main("users", "erase", "anna-4711", "--yes", "--dir", root, "--format", "json")
    found = json.loads(out)
    assert (code, found["left"], "trained again" in err) == (1, 1, True)
    assert {"place": "models/churn/m/model.json", "rows": 0, "values": 1, "left": 1} in found["places"]


def test_leftovers_of_killed_runs_go_and_files_outside_are_named(root: Path, run_main: Run) -> None:
    state = root / ".limner"
    (state / "snapshots" / "20250301-0009.duckdb.tmp").write_bytes(b"anna-4711")
    spilled = state / "tmp" / "duckdb_temp_storage-0.tmp"
    spilled.parent.mkdir(exist_ok=True)
    spilled.write_bytes(b"anna-4711")
    (root / "gifts.csv").write_text("id,gift\nanna-4711,mug\n", encoding="utf-8")
    tags = root / "tags" / "t.yaml"
    text = "gift: {kind: imported, path: gifts.csv, user: id, column: gift, type: category}\n"
    tags.write_text(tags.read_text(encoding="utf-8") + text, encoding="utf-8")
    (root / "tags" / "u.yaml").write_text(
        "annas: {kind: count, event: act, where: friend = 'anna-4711'}\n", encoding="utf-8"
    )
    (root / "lists").mkdir()
    (root / "lists" / "vip.txt").write_text("bert\n anna-4711 \n", encoding="utf-8")
    (root / "lists" / "calm.csv").write_text("user_id;why\nanna-47110;x\nbert;anna-4711x\n", encoding="utf-8")
    (root / "lists" / "loud.csv").write_text("user_id;why\nbert;x\nphone-0815;y\n", encoding="utf-8")
    found = rows(run_main, "users", "erase", "anna-4711", "--yes", "--dir", root)
    assert found["lists"] == ["lists/loud.csv", "lists/vip.txt"]
    assert {"place": "leftovers of killed runs", "rows": 2, "values": 0, "left": 0} in found["places"]
    assert occurrences(state, "anna-4711", "phone-0815") == []
    assert (found["values"], found["definitions"]) == (["gifts.csv"], ["tags/u.yaml"])
    (root / "erased.txt").write_text("anna\n", encoding="utf-8")
    code, _, err = run_main("check", "--dir", root)
    assert (code, "erased.txt:1:1  this line is no digest" in err) == (1, True)


def test_the_history_of_attributes_goes(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "limner.yaml").write_text(
        "name: t\ntimezone: UTC\nsources:\n  people: {type: users, path: p.csv, user: id, updated_at: at, attributes: [city]}\n"
        "settings: {as_of: 2025-02-01}\n",
        encoding="utf-8",
    )
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags" / "t.yaml").write_text("city: {kind: attribute, attribute: city}\n", encoding="utf-8")
    begun = "id,city,at\nanna-4711,Bonn,2025-01-01\nbert,Ulm,2025-01-01\n"
    (tmp_path / "p.csv").write_text(begun, encoding="utf-8")
    assert run_main("build", "--dir", tmp_path)[0] == 0
    (tmp_path / "p.csv").write_text("id,city,at\nanna-4711,Ulm,2025-01-05\nbert,Kiel,2025-01-05\n", encoding="utf-8")
    assert run_main("build", "--dir", tmp_path)[0] == 0
    found = rows(run_main, "users", "erase", "anna-4711", "--yes", "--dir", tmp_path)
    assert any("attribute_history" in place["place"] for place in found["places"])
    assert occurrences(tmp_path / ".limner", "anna-4711") == []
    (row,) = rows(run_main, "sync", "--dir", tmp_path)
    assert (row["rows"], row["rejected"], row["reused"]) == (2, 0, True)
    (tmp_path / "p.csv").write_text(begun + "bert,Rom,2025-01-09\n", encoding="utf-8")
    assert run_main("build", "--dir", tmp_path)[0] == 0
    assert occurrences(tmp_path / ".limner", "anna-4711") == []
    history = rows(
        run_main, "sql", "select user_id, value from attribute_history order by valid_from", "--dir", tmp_path
    )
    assert history == [{"user_id": "bert", "value": city} for city in ("Ulm", "Kiel", "Rom")]


def test_a_database_with_a_cursor_brings_nobody_back(tmp_path: Path, run_main: Run) -> None:
    import sqlite3

    (tmp_path / "limner.yaml").write_text(
        f"name: t\ntimezone: UTC\nsources:\n  acts: {{type: events, url: 'sqlite:///{tmp_path}/s.db', table: acts, "
        "user: u, time: t, event: e, event_id: i, cursor: i}\n",
        encoding="utf-8",
    )
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute("CREATE TABLE acts (u TEXT, t TEXT, e TEXT, i INTEGER)")
        database.execute(
            "INSERT INTO acts VALUES ('anna-4711', '2025-01-01', 'act', 1), ('bert', '2025-01-01', 'act', 2)"
        )
    assert run_main("sync", "--dir", tmp_path)[0] == 0
    assert run_main("users", "erase", "anna-4711", "--yes", "--dir", tmp_path)[0] == 0
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute(
            "INSERT INTO acts VALUES ('anna-4711', '2025-01-03', 'act', 3), ('bert', '2025-01-03', 'act', 4)"
        )
    (row,) = rows(run_main, "sync", "--dir", tmp_path)
    assert (row["rows"], row["erased"]) == (2, 2)
    assert occurrences(tmp_path / ".limner", "anna-4711") == []
    assert rows(run_main, "users", "unerase", "anna-4711", "--dir", tmp_path)["read_anew"] == ["acts"]
    (row,) = rows(run_main, "sync", "--dir", tmp_path)
    assert (row["rows"], row["erased"]) == (4, 0)


SLOW = """
import sys, time
import limner_profile.erasure_rewrite as rewriting
put = rewriting.put
def slowly(temporary, path):
    time.sleep(0.15)
    put(temporary, path)
rewriting.put = slowly
from limner.cli import main
sys.argv = ["limner", "users", "erase", "anna-4711", "--yes", "--dir", sys.argv[1]]
main()
"""


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_an_erasure_that_was_killed_is_finished(root: Path, run_main: Run, seconds: float) -> None:
    state = root / ".limner"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(root)], env=environment, stderr=subprocess.DEVNULL)
    while not (state / "erasing.json").exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (state / "erasing.json").exists()
    assert occurrences(state, "anna-4711", "phone-0815")
    assert "an erasure was interrupted" in run_main("sync", "--dir", root)[2]
    # Everything that is there can be read, and the current snapshot is what it was.
    assert run_main("sql", "select count(*) from profiles", "--dir", root)[0] == 0
    found = rows(run_main, "users", "erase", "--yes", "--dir", root)  # without a name: finish what was begun
    assert set(found["ids"]) == {"anna-4711", "phone-0815"}
    assert occurrences(state, "anna-4711", "phone-0815") == []
    assert found["left"] == 0
    sources = {row["source"]: row for row in rows(run_main, "sync", "--dir", root)}
    assert (sources["acts"]["rows"], sources["acts"]["erased"]) == (2, 4)


def test_scores_and_reasons_go_and_the_model_stays(copied: Path, run_main: Run) -> None:
    assert run_main("build", "--dir", copied)[0] == 0
    user = rows(run_main, "sql", "select min(user_id) as u from scores", "--dir", copied)[0]["u"]
    everyone = rows(run_main, "sql", "select count(*) as n from profiles", "--dir", copied)[0]["n"]
    before = digests(copied / ".limner" / "models")
    found = rows(run_main, "users", "erase", user, "--yes", "--dir", copied)
    tables = {place["place"].split(" ")[-1] for place in found["places"]}
    assert {"profiles", "scores", "reasons", "audiences"} <= tables
    assert occurrences(copied / ".limner", user) == []
    assert rows(run_main, "sql", "select count(*) as n from profiles", "--dir", copied)[0]["n"] == everyone - 1
    assert digests(copied / ".limner" / "models") == before
    assert found["left"] == 0
    assert run_main("insights", "list", "churn", "--dir", copied)[0] == 0
