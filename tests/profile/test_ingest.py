"""Ingestion: dialects of CSV, Parquet, rejects with their exact lines, duplicates, time zones, and what is reused."""
# ruff: noqa: DTZ001  (stored instants are UTC without a zone, and so are the ones compared with them)

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile.errors import SourceError, UserError
from limner_profile.ingest import ingest, read_ingested
from limner_profile.manifest import Ingested
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

CONFIG = """name: t
timezone: Asia/Shanghai
sources:
  acts:
    type: events
    path: {path}
    user: u
    time: t
    event: e
{extra}"""


def config(extra: str = "", path: str = "acts.csv") -> str:
    return CONFIG.format(path=path, extra="".join(f"    {line}\n" for line in extra.splitlines()))


def run(root: Path) -> Ingested:
    (entry,) = ingest(open_workspace(root))
    return entry


def paths(root: Path, files: Sequence[str]) -> list[str]:
    return [str(root / ".limner" / file) for file in files]


def rows_of(root: Path, entry: Ingested, columns: str = "user_id, time, event") -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(f"SELECT {columns} FROM read_parquet(?)", [paths(root, entry.files)]).fetchall()


def rejects_of(root: Path, entry: Ingested) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        query = "SELECT line, field, value, reason FROM read_parquet(?)"
        return con.execute(query, [paths(root, entry.rejects_files)]).fetchall()


def counts(entry: Ingested) -> tuple[int, int, int]:
    return entry.rows, entry.duplicates, entry.rejected


ROWS = [["u", "t", "e", "p"], ["b", "2025-01-02 08:00:00", "read", "x y"], ["a", "2025-01-01", "read", ""]]


@pytest.mark.parametrize(
    ("delimiter", "end", "start", "suffix"),
    [(",", "\n", "", ".csv"), (";", "\r\n", "\ufeff", ".csv"), ("\t", "\n", "\ufeff", ".tsv"), ("|", "\r\n", "", ".csv"),
     (",", "\r\n", "\ufeff", ".csv.gz"), ("\t", "\n", "", ".csv.gz"), (";", "\n", "", ".txt")],
)  # fmt: skip
def test_dialects(lay: Lay, delimiter: str, end: str, start: str, suffix: str) -> None:
    content = (start + end.join(delimiter.join(row) for row in ROWS)).encode()
    name = "acts" + suffix
    content = gzip.compress(content) if suffix.endswith(".gz") else content
    root = lay({"limner.yaml": config("properties: [p]", name), name: content})
    entry = run(root)
    assert counts(entry) == (2, 0, 0)
    assert rows_of(root, entry, "user_id, time, event, p, source") == [
        ("a", datetime(2024, 12, 31, 16), "read", None, "acts"), ("b", datetime(2025, 1, 2), "read", "x y", "acts"),
    ]  # fmt: skip
    assert (entry.first_time, entry.last_time) == ("2024-12-31T16:00:00", "2025-01-02T00:00:00")


def test_every_reject_has_its_line_value_and_reason(lay: Lay) -> None:
    text = (
        "u,t,e,a,d,f\n"  # line 1
        "a,2025-01-01,read,1.5,2025-01-01,true\n"
        'b,2025-01-01,"two\nlines",2,,\n'  # lines 3 and 4
        ",2025-01-01,read,1,,\n"  # 5: no user
        "  ,2025-01-01,read,1,,\n"  # 6: a user of blanks
        "c,,read,1,,\n"  # 7: no time
        "c,2025-02-30,read,1,,\n"  # 8: not a day
        "c,infinity,read,1,,\n"  # 9
        "c,20250-01-01,read,1,,\n"  # 10
        "c,2025-01-01,,1,,\n"  # 11: no event
        "c,2025-01-01,read,12 Euro,,\n"  # 12
        "c,2025-01-01,read,NaN,,\n"  # 13
        "c,2025-01-01,read,inf,,\n"  # 14
        "c,2025-01-01,read,1e999,,\n"  # 15
        "c,2025-01-01,read,1,someday,\n"  # 16
        "c,2025-01-01,read,1,,perhaps\n"  # 17
        "c,2025-01-01,read\n"  # 18: too few columns
        "c,2025-01-01,read,1,,,more\n"  # 19: too many
        "\n"  # 20: nothing at all
        'c,2025-01-01,"two more\nlines",x,,\n'  # 21 and 22
        "d,2025-01-01,read,3,,\n"  # 23
    )
    extra = "amount: a\nproperties: {d: {column: d, type: date}, f: {column: f, type: boolean}}"
    root = lay({"limner.yaml": config(extra), "acts.csv": text})
    entry = run(root)
    assert counts(entry) == (3, 0, 16)
    found = rejects_of(root, entry)
    assert [row for row in found if not row[3].startswith("broken-row")] == [
        (5, "u", None, "missing-user"), (6, "u", "  ", "missing-user"), (7, "t", None, "missing-time"),
        (8, "t", "2025-02-30", "bad-time"), (9, "t", "infinity", "bad-time"), (10, "t", "20250-01-01", "bad-time"),
        (11, "e", None, "missing-event"), (12, "a", "12 Euro", "bad-number"), (13, "a", "NaN", "bad-number"),
        (14, "a", "inf", "bad-number"), (15, "a", "1e999", "bad-number"), (16, "d", "someday", "bad-date"),
        (17, "f", "perhaps", "bad-boolean"), (21, "a", "x", "bad-number"),
    ]  # fmt: skip
    broken = [row for row in found if row[3].startswith("broken-row")]
    assert [(row[0], row[2]) for row in broken] == [(18, "c,2025-01-01,read"), (19, "c,2025-01-01,read,1,,,more")]
    assert sorted(row[0] for row in rows_of(root, entry)) == ["a", "b", "d"]


def test_a_reject_after_a_very_long_value_has_its_line(lay: Lay) -> None:
    text = f'u,t,e\na,2025-01-01,"{"long " * 60_000}\n"\nb,never,x\n'
    root = lay({"limner.yaml": config(), "acts.csv": text})
    entry = run(root)
    assert counts(entry) == (1, 0, 1)
    assert rejects_of(root, entry) == [(4, "t", "never", "bad-time")]


def test_rejects_name_their_source_and_file(lay: Lay) -> None:
    root = lay(
        {"limner.yaml": config(path="a*.csv"), "a1.csv": "u,t,e\na,x,y\n", "a2.csv": "u,t,e\na,2025-01-01,y\na,z,y\n"}
    )
    entry = run(root)
    with duckdb.connect() as con:
        found = con.execute("SELECT * FROM read_parquet(?)", [paths(root, entry.rejects_files)]).fetchall()
    assert found == [("acts", "a1.csv", 2, "t", "x", "bad-time"), ("acts", "a2.csv", 3, "t", "z", "bad-time")]


def test_text_that_is_not_utf8_is_rejected_by_row(lay: Lay) -> None:
    root = lay(
        {"limner.yaml": config("properties: [p]"), "acts.csv": b"u,t,e,p\na,2025-01-01,x,caf\xe9\nb,2025-01-01,x,y\n"}
    )
    entry = run(root)
    assert counts(entry) == (1, 0, 1)
    assert rejects_of(root, entry)[0][0] == 2
    assert rejects_of(root, entry)[0][3].startswith("broken-row")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("u,t,e\n", "empty-source"),
        ("", "empty-source"),
        ("\n", "empty-source"),
        ("\ufeff", "empty-source"),
        ("u,t,e\nx,yesterday,e\n,2025-01-01,e\n", "nothing-readable"),
    ],
)
def test_sources_without_a_readable_row(lay: Lay, text: str, code: str) -> None:
    root = lay({"limner.yaml": config(), "acts.csv": text})
    with pytest.raises(SourceError) as caught:
        run(root)
    assert (caught.value.code, caught.value.issues[0].where) == (code, "limner.yaml:6:5")
    if code == "nothing-readable":
        assert "line 2: bad-time, t = 'yesterday'" in caught.value.issues[0].hint
    assert read_ingested(open_workspace(root)) == []


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2025-01-01 10:00:00", "", "2025-01-01T02:00:00"),
        ("2025-01-01T10:00:00.250", "", "2025-01-01T02:00:00.250000"),
        ("2025-01-01T10:00:00Z", "", "2025-01-01T10:00:00"),
        ("2025-01-01 10:00:00+05:30", "", "2025-01-01T04:30:00"),
        ("2025-01-01", "", "2024-12-31T16:00:00"),
        ("2025-07-01 10:00:00", "timezone: America/New_York", "2025-07-01T14:00:00"),
        ("2025-01-01 10:00:00", "timezone: America/New_York", "2025-01-01T15:00:00"),
        ("2025-01-01 10:00:00", "timezone: Australia/Lord_Howe", "2024-12-31T23:00:00"),
        ("2025-06-01 10:00:00", "timezone: Australia/Lord_Howe", "2025-05-31T23:30:00"),
        ("2025-03-30 03:00:00", "timezone: Europe/Berlin", "2025-03-30T01:00:00"),
        ("2025-03-30 01:59:59", "timezone: Europe/Berlin", "2025-03-30T00:59:59"),
        ("31.12.2024 10:05", 'time_format: "%d.%m.%Y %H:%M"', "2024-12-31T02:05:00"),
        ("31.12.2024 10:05 +0000", 'time_format: "%d.%m.%Y %H:%M %z"', "2024-12-31T10:05:00"),
    ],
)
def test_times_become_utc(lay: Lay, text: str, zone: str, utc: str) -> None:
    root = lay({"limner.yaml": config(zone), "acts.csv": f"u,t,e\na,{text},x\n"})
    entry = run(root)
    assert rows_of(root, entry, "time") == [(datetime.fromisoformat(utc),)]
    assert entry.first_time == entry.last_time == utc


def test_a_time_format_that_means_nothing(lay: Lay) -> None:
    root = lay({"limner.yaml": config('time_format: "%Q"'), "acts.csv": "u,t,e\na,2025-01-01,x\n"})
    with pytest.raises(SourceError) as caught:
        run(root)
    assert caught.value.code == "bad-time-format"


def test_parquet_types(lay: Lay) -> None:
    shanghai_midnight = datetime(2025, 1, 1)
    table = pa.table(
        {
            "u": pa.array([2**62, 7, None]),
            "t": pa.array([shanghai_midnight, datetime(2025, 1, 2, 12), shanghai_midnight]),
            "e": pa.array(["x", "y", "z"]).dictionary_encode(),
            "n": pa.array([2**53 + 1, None, 3]),
            "big": pa.array(["170141183460469231731687303715884105727", "", "x"]),
            "tags": pa.array([["a", "b"], [], None]),
            "seen": pa.array([datetime(2025, 1, 1, tzinfo=UTC), None, None]),
        }
    )
    root = lay({"limner.yaml": config("amount: n\nproperties: [big, tags, seen]", "acts.parquet")})
    pq.write_table(table, root / "acts.parquet")
    entry = run(root)
    assert counts(entry) == (2, 0, 1)
    assert rows_of(root, entry, "user_id, time, event, amount, big, tags, seen") == [
        (str(2**62), datetime(2024, 12, 31, 16), "x", float(2**53), "170141183460469231731687303715884105727", "[a, b]",
         datetime(2025, 1, 1)),
        ("7", datetime(2025, 1, 2, 4), "y", None, "", "[]", None),
    ]  # fmt: skip
    assert rejects_of(root, entry) == [(3, "u", None, "missing-user")]


def test_whole_numbers_stored_as_floats_are_the_same_user(lay: Lay) -> None:
    table = pa.table({"u": [7.0, None, 7.5], "t": ["2025-01-01"] * 3, "e": ["x"] * 3, "p": ["1.0", None, None]})
    root = lay({"limner.yaml": config("properties: [p]", "acts.parquet")})
    pq.write_table(table, root / "acts.parquet")
    entry = run(root)
    assert counts(entry) == (2, 0, 1)
    assert rows_of(root, entry, "user_id, p") == [("7", "1.0"), ("7.5", None)]


def test_parquet_times_with_a_zone_and_days(lay: Lay) -> None:
    for column, utc in (
        (pa.array([datetime(2025, 1, 1, 5, tzinfo=UTC)]), datetime(2025, 1, 1, 5)),
        (pa.array([datetime(2025, 1, 1).date()]), datetime(2024, 12, 31, 16)),
    ):
        root = lay({"limner.yaml": config(path="acts.parquet")})
        pq.write_table(pa.table({"u": ["a"], "t": column, "e": ["x"]}), root / "acts.parquet")
        assert rows_of(root, run(root), "time") == [(utc,)]


def test_a_parquet_number_is_no_time(lay: Lay) -> None:
    root = lay({"limner.yaml": config(path="acts.parquet")})
    pq.write_table(pa.table({"u": ["a"], "t": [1_700_000_000], "e": ["x"]}), root / "acts.parquet")
    with pytest.raises(SourceError) as caught:
        run(root)
    assert caught.value.code == "nothing-readable"


def test_rows_alike_in_every_mapped_column_are_one(lay: Lay) -> None:
    text = "u,t,e,p,other\na,2025-01-01,x,,1\na,2025-01-01,x,,2\na,2025-01-01,x,q,1\na,2025-01-01 00:00,x,q,1\n"
    assert counts(run(lay({"limner.yaml": config("properties: [p]"), "acts.csv": text}))) == (2, 2, 0)
    kept = lay({"limner.yaml": config("properties: [p]\nkeep_duplicates: true")})
    assert counts(run(kept)) == (4, 0, 0)


def test_one_event_id_is_one_event_and_the_first_counts(lay: Lay) -> None:
    files = {
        "limner.yaml": config("event_id: i\nproperties: [p]", "a*.csv"),
        "a1.csv": "u,t,e,i,p\na,2025-01-01,x,1,first\na,2025-01-01,x,,no id\na,2025-01-01,x,row 2,\n",
        "a2.csv": "u,t,e,i,p\nb,2025-01-02,y,1,second\na,2025-01-01,x,,no id\na,2025-01-01,x, ,no id\n",
    }
    root = lay(files)
    entry = run(root)
    assert counts(entry) == (5, 1, 0)  # rows without an id are never taken for another's
    assert rows_of(root, entry, "p") == [("first",), ("no id",), (None,), ("no id",), ("no id",)]


def test_the_last_row_of_a_user_wins_even_over_files(lay: Lay) -> None:
    people = "name: t\ntimezone: UTC\nsources:\n  people: {type: users, path: 'p*.csv', user: u, attributes: [c]}\n"
    files = {"limner.yaml": people, "p1.csv": "u,c\nz,9\ny,8\na,1\na,2\n", "p2.csv": "u,c\na,3\n"}
    root = lay(files)
    entry = run(root)
    assert counts(entry) == (3, 2, 0)
    assert sorted(rows_of(root, entry, "user_id, c")) == [("a", 3), ("y", 8), ("z", 9)]
    assert entry.first_time is None


def test_events_are_sorted_by_name_user_and_time(lay: Lay) -> None:
    text = "u,t,e,p\nb,2025-01-01,y,1\na,2025-01-02,y,2\nb,2024-01-01,y,3\na,2025-01-01,y,4\na,2025-01-01,y,5\nb,2025-01-01,x,6\n"
    root = lay({"limner.yaml": config("properties: [p]"), "acts.csv": text})
    assert [row[0] for row in rows_of(root, run(root), "p")] == [6, 4, 5, 2, 3, 1]


def test_files_of_a_pattern_are_one_source(lay: Lay) -> None:
    header, other = "u,t,e,p\n", "e,p,t,u\n"
    root = lay({"limner.yaml": config("properties: [p]", "d/*"), "d/1.csv": header + "a,2025-01-01,x,1\n"})
    lay(
        {"d/2.csv": other + "x,2,2025-01-02,b\n", "d/3.csv.gz": gzip.compress((header + "c,2025-01-03,x,3\n").encode())}
    )
    pq.write_table(pa.table({"u": ["d"], "t": ["2025-01-04"], "e": ["x"], "p": ["4"]}), root / "d" / "4.parquet")
    assert rows_of(root, run(root), "user_id, p") == [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)]


def test_a_later_file_without_a_column(lay: Lay) -> None:
    files = {"a1.csv": "u,t,e,p\na,2025-01-01,x,1\n", "a2.csv": "u,t,e,q\na,2025-01-01,x,1\n"}
    root = lay({"limner.yaml": config("properties: [p]", "a*.csv"), **files})
    with pytest.raises(SourceError) as caught:
        run(root)
    assert caught.value.code == "unknown-column"
    assert caught.value.issues[0].message == "a2.csv has no column 'p'"


def test_names_of_one_event_and_orders(lay: Lay) -> None:
    text = "u,t,a\nb,2025-01-01,5\nb,2025-01-02,\n"
    named = CONFIG.replace("    event: e\n", "    event_name: it's\n").format(path="acts.csv", extra="")
    root = lay({"limner.yaml": named, "acts.csv": text})
    assert [row[0] for row in rows_of(root, run(root), "event")] == ["it's", "it's"]
    orders = named.replace("event_name: it's", "amount: a").replace("type: events", "type: orders")
    root = lay({"limner.yaml": orders})
    entry = run(root)
    assert rows_of(root, entry, "event, amount") == [("order", 5.0)]
    assert rejects_of(root, entry) == [(3, "a", None, "missing-amount")]  # an order has an amount


def test_what_has_not_changed_is_reused(lay: Lay) -> None:
    root = lay({"limner.yaml": config(), "acts.csv": "u,t,e,p\na,2025-01-01,x,1\n"})
    first = run(root)
    path = root / ".limner" / first.files[0]
    stamp = path.stat().st_mtime_ns
    again = run(root)
    assert (first.reused, again.reused) == (False, True)
    assert (again.files, path.stat().st_mtime_ns) == (first.files, stamp)
    for change in (
        {"acts.csv": "u,t,e,p\na,2025-01-01,x,1\nb,2025-01-01,x,1\n"},
        {"limner.yaml": config("properties: [p]")},
        {"limner.yaml": config("properties: [p]").replace("Asia/Shanghai", "UTC")},
    ):
        before, after = read_ingested(open_workspace(root))[0], run(lay(change))
        assert not after.reused
        assert after.files != before.files
        assert not (root / ".limner" / before.files[0]).exists()  # what is no longer in use goes
        assert run(root).reused
    # A touched file is read again: its size alone does not tell that it is the same.
    later = (root / "acts.csv").stat().st_mtime + 5
    os.utime(root / "acts.csv", (later, later))
    assert not run(root).reused


@pytest.mark.parametrize("lost", ["files", "rejects_files"])
def test_what_was_lost_or_damaged_is_made_anew(lay: Lay, lost: str) -> None:
    root = lay({"limner.yaml": config(), "acts.csv": "u,t,e\na,2025-01-01,x\n"})
    (root / ".limner" / getattr(run(root), lost)[0]).unlink()
    entry = run(root)
    assert not entry.reused
    assert (root / ".limner" / entry.files[0]).exists()
    assert (root / ".limner" / entry.rejects_files[0]).exists()
    for text in ("{", '[{"source": "acts"}]'):
        (root / ".limner" / "ingested.json").write_text(text, encoding="utf-8")
        assert not run(root).reused


def test_a_source_that_fails_leaves_the_last_ingestion_in_use(lay: Lay) -> None:
    root = lay({"limner.yaml": config(), "acts.csv": "u,t,e\na,2025-01-01,x\n"})
    entry = run(root)
    lay({"acts.csv": "u,t,e\na,never,x\n"})
    with pytest.raises(UserError):
        run(root)
    assert [kept.files for kept in read_ingested(open_workspace(root))] == [entry.files]
    assert rows_of(root, entry)


users = st.sampled_from(["a", "b", "", " ", "c d", "用户"])
times = st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1)).map(lambda t: t.isoformat(" ", "seconds"))
cells = st.tuples(
    users, times | st.sampled_from(["2025-01-01", "2025-01-01", "x", ""]), st.sampled_from(["x", "", 'q"\n,'])
)
broken = st.sampled_from([("a", "2025-01-01"), ("a", "2025-01-01", "x", "1", "2")])
lines = st.lists(
    st.one_of(
        st.tuples(cells, st.sampled_from(["1", "", "nan", "2", "abc"])).map(lambda pair: (*pair[0], pair[1])), broken
    ),
    max_size=12,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, min_size=1, max_size=2), st.booleans())
def test_every_row_is_kept_merged_or_rejected(lay: Lay, contents: list[list[tuple[str, ...]]], keep: bool) -> None:
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if set(cell) & set('",\n') else cell

    texts = [
        "".join(
            ",".join(map(quoted, row)) + "\n" for row in [("u", "t", "e", "a"), ("z", "2025-01-01", "e", "1"), *rows]
        )
        for rows in contents
    ]
    root = lay({f"a{index}.csv": text for index, text in enumerate(["", *texts]) if index})
    for stale in root.glob("a*.csv"):
        if int(stale.stem[1:]) > len(texts):
            stale.unlink()
    duplicates = "keep_duplicates: true" if keep else ""
    entry = run(lay({"limner.yaml": config(f"amount: a\n{duplicates}", "a*.csv")}))
    total = sum(len(rows) + 1 for rows in contents)
    assert entry.rows + entry.duplicates + entry.rejected == total
    assert len(rows_of(root, entry)) == entry.rows
    rejects = rejects_of(root, entry)
    assert len(rejects) == entry.rejected

    def sound(row: tuple[str, ...]) -> bool:
        readable = len(row) == 4 and bool(row[0].strip()) and row[1] not in ("x", "") and bool(row[2])
        return readable and row[3] in ("1", "2", "")

    kept = [row for rows in contents for row in [("z", "2025-01-01", "e", "1"), *rows] if sound(row)]
    alike = {(row[0], datetime.fromisoformat(row[1]), row[2], row[3]) for row in kept}
    assert entry.rows == (len(kept) if keep else len(alike))
    instants = [datetime.fromisoformat(row[1]) - timedelta(hours=8) for row in kept]
    assert entry.first_time == min(instants).isoformat()
    assert entry.last_time == max(instants).isoformat()


def test_an_ingestion_killed_at_any_moment_leaves_files_that_fit_together(lay: Lay) -> None:
    rows = "".join(f"user{index % 97},2025-01-01 00:00:{index % 60:02},x{index}\n" for index in range(3000))
    root = lay({"limner.yaml": config(), "acts.csv": "u,t,e\n" + rows})
    run(root)
    script = f"""
import sys
from pathlib import Path
from limner_profile.ingest import ingest
from limner_profile.workspace import open_workspace
root = Path({str(root)!r})
path, text = root / "limner.yaml", (root / "limner.yaml").read_text()
print("ready", flush=True)
while True:
    for zone in ("UTC", "Asia/Shanghai"):
        path.with_suffix(".new").write_text(text.replace("Asia/Shanghai", zone).replace("UTC", zone))
        path.with_suffix(".new").replace(path)
        ingest(open_workspace(root))
"""
    source = str(Path(sys.modules["limner_profile.ingest"].__file__ or "").parents[1])
    rng = random.Random(3)
    for _ in range(4):
        running = subprocess.Popen(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.PIPE
        )
        assert running.stdout is not None
        assert running.stdout.readline().strip() == b"ready"
        time.sleep(rng.uniform(0.02, 0.3))
        running.kill()
        running.wait()
        running.stdout.close()
        (entry,) = read_ingested(open_workspace(root))
        assert len(rows_of(root, entry)) == entry.rows == 3000
        assert rejects_of(root, entry) == []
        assert entry.first_time in ("2025-01-01T00:00:00", "2024-12-31T16:00:00")
        assert rows_of(root, entry, "min(time)") == [(datetime.fromisoformat(entry.first_time),)]
    run(root)
    kept = [path.name for folder in ("events", "rejects") for path in (root / ".limner" / folder).iterdir()]
    assert len(kept) == 2  # what the killed ones left is gone


@pytest.mark.parametrize(
    ("amount", "remedy"),
    [("6,83", "for a decimal comma, add 'decimal_comma: true' to the source"), ("six", "is the column mapped right?")],
)
def test_numbers_with_a_decimal_comma_are_told_how_to_be_read(lay: Lay, amount: str, remedy: str) -> None:
    text = "u;t;e;a\nx;2025-01-01;e;" + amount + "\n"
    root = lay({"limner.yaml": config("amount: a"), "acts.csv": text})
    with pytest.raises(SourceError) as caught:
        run(root)
    assert caught.value.issues[0].hint == f"line 2: bad-number, a = {amount!r}: {remedy}"


def test_local_times_that_come_twice_or_never(lay: Lay) -> None:
    """As docs/sources.md says: the second of the two, and an hour later than written."""
    text = "u,t,e\ntwice,2025-10-26 02:30,e\nnever,2025-03-30 02:30,e\n"
    root = lay({"limner.yaml": config().replace("Asia/Shanghai", "Europe/Berlin"), "acts.csv": text})
    assert dict(rows_of(root, run(root), "user_id, time")) == {
        "twice": datetime(2025, 10, 26, 1, 30),  # 02:30+01:00
        "never": datetime(2025, 3, 30, 1, 30),  # 03:30+02:00
    }
