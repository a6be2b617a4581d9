"""Sync by file: what is read again, what is removed, rows that two files have, new, missing and retyped columns."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile.errors import SourceError
from limner_profile.ingest import ingest, read_ingested
from limner_profile.manifest import Ingested
from limner_profile.sync_plan import plan_sync
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

EVENTS = "name: t\ntimezone: UTC\nsources:\n  acts: {type: events, path: 'a*.csv', user: u, time: t, event: e, properties: [p]%s}\n"
USERS = "name: t\ntimezone: UTC\nsources:\n  people: {type: users, path: 'a*.csv', user: u, attributes: [p]}\n"
HEAD = "u,t,e,i,p\n"


def run(root: Path) -> Ingested:
    (entry,) = ingest(open_workspace(root))
    return entry


def rows_of(root: Path, entry: Ingested, columns: str = "user_id, p") -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        files = [str(root / ".limner" / file) for file in entry.files]
        return sorted(
            con.execute(f"SELECT {columns} FROM read_parquet(?, union_by_name=true)", [files]).fetchall(), key=repr
        )


def content(root: Path) -> dict[str, bytes]:
    state = root / ".limner"
    return {str(path.relative_to(state)): path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file()}


def counts(entry: Ingested) -> tuple[int, int, int]:
    return entry.rows, entry.duplicates, entry.rejected


def test_only_new_and_changed_files_are_read(lay: Lay) -> None:
    rows = {f"a{n}.csv": f"{HEAD}u{n},2025-01-0{n},x,{n},{n}\n" for n in (1, 2, 3)}
    root = lay({"limner.yaml": EVENTS % "", **rows})
    first = run(root)
    assert (first.read, first.gone, counts(first)) == (("a1.csv", "a2.csv", "a3.csv"), (), (3, 0, 0))
    stamps = {path: path.stat().st_mtime_ns for path in (root / ".limner").rglob("*.parquet")}
    before = content(root)
    again = run(root)
    assert (again.reused, again.read) == (True, ())
    assert content(root) == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps

    lay({"a2.csv": f"{HEAD}u2,2025-01-02,x,2,20\nu2,late,x,2,1\n", "a4.csv": f"{HEAD}u4,2024-12-31,x,4,4\n"})
    (root / "a3.csv").unlink()
    (plan,) = plan_sync(open_workspace(root))
    assert (plan.new, plan.changed, plan.gone, plan.unchanged) == (("a4.csv",), ("a2.csv",), ("a3.csv",), 1)
    assert content(root) == before  # a plan writes nothing
    entry = run(root)
    assert (entry.read, entry.gone, counts(entry)) == (("a4.csv", "a2.csv"), ("a3.csv",), (3, 0, 1))
    assert "a3.csv is gone" in entry.notes[0]
    assert entry.parts[0] == first.parts[0]
    assert rows_of(root, entry) == [("u1", 1.0), ("u2", 20.0), ("u4", 4.0)]
    assert (entry.first_time, entry.last_time) == ("2024-12-31T00:00:00", "2025-01-02T00:00:00")
    in_use = {file for file in content(root) if file.endswith(".parquet")}
    assert in_use == set(entry.paths)


def test_a_file_rewritten_from_scratch_gives_the_same_bytes(lay: Lay) -> None:
    rng = random.Random(5)
    lines = [f"u{rng.randrange(50)},2025-01-{rng.randrange(1, 29):02},x,,{rng.randrange(5)}\n" for _ in range(3000)]
    root = lay(
        {"limner.yaml": EVENTS % "", "a1.csv": HEAD + "".join(lines[:2000]), "a2.csv": HEAD + "".join(lines[1000:])}
    )
    run(root)
    before = content(root)
    (root / ".limner" / "ingested.json").unlink()
    run(root)
    assert content(root) == before


def test_rows_that_two_files_have_are_one(lay: Lay) -> None:
    files = {
        "a1.csv": HEAD + "u,2025-01-01,x,1,1\nv,2025-01-02,x,2,2\n",
        "a2.csv": HEAD + "v,2025-01-02,x,2,2\nv,2025-01-02,x,2,2\nw,2025-01-03,x,3,3\n",
        "a3.csv": HEAD + "w,2025-01-03,x,9,3\nz,2025-02-01,x,5,5\n",
    }
    root = lay({"limner.yaml": EVENTS % "", **files})
    entry = run(root)
    assert counts(entry) == (4, 3, 0)
    assert rows_of(root, entry) == [("u", 1.0), ("v", 2.0), ("w", 3.0), ("z", 5.0)]
    assert [part.repeated for part in entry.parts] == [0, 1, 1]
    (root / "a1.csv").unlink()  # its row comes back from the second file, which is not read again
    after = run(root)
    assert (after.read, counts(after)) == ((), (3, 2, 0))
    assert rows_of(root, after) == [("v", 2.0), ("w", 3.0), ("z", 5.0)]
    lay({"limner.yaml": EVENTS % ", keep_duplicates: true"})
    assert counts(run(root)) == (5, 0, 0)


def test_an_event_id_counts_once_over_files_and_the_first_stays(lay: Lay) -> None:
    files = {
        "a2.csv": HEAD + "v,2025-03-01,x,7,2\nv,2025-03-01,x,,2\n",
        "a3.csv": HEAD + "z,2025-06-01,x,7,3\nv,2025-03-01,x,,2\n",
    }
    root = lay({"limner.yaml": EVENTS % ", event_id: i", **files})
    entry = run(root)
    assert counts(entry) == (3, 1, 0)
    assert entry.last_time == "2025-03-01T00:00:00"  # of the rows that count
    lay({"a1.csv": HEAD + "late,2024-01-01,x,7,9\n"})
    entry = run(root)
    assert (entry.read, counts(entry)) == (("a1.csv",), (3, 2, 0))
    assert rows_of(root, entry) == [("late", 9.0), ("v", 2.0), ("v", 2.0)]


def test_the_last_file_of_a_user_counts_and_a_gone_one_gives_way(lay: Lay) -> None:
    root = lay({"limner.yaml": USERS, "a1.csv": "u,p\na,1\nb,1\n", "a2.csv": "u,p\nb,2\n", "a3.csv": "u,p\nc,3\nb,3\n"})
    entry = run(root)
    assert (counts(entry), rows_of(root, entry)) == ((3, 2, 0), [("a", 1.0), ("b", 3.0), ("c", 3.0)])
    (root / "a3.csv").unlink()
    entry = run(root)
    assert (counts(entry), rows_of(root, entry)) == ((2, 1, 0), [("a", 1.0), ("b", 2.0)])


def test_new_columns_are_told_once(lay: Lay) -> None:
    root = lay({"limner.yaml": EVENTS % "", "a1.csv": HEAD + "u,2025-01-01,x,1,1\n"})
    assert run(root).notes == ()
    lay({"a2.csv": "p,device,u,t,e,os\n1,phone,u,2025-01-02,x,y\n"})
    (plan,) = plan_sync(open_workspace(root))
    assert (plan.new_columns, plan.issues) == (("device", "os"), ())
    assert run(root).notes == ("acts: new columns that are not mapped: device, os",)
    assert run(root).notes == ()


def test_a_missing_column_and_a_retyped_one_are_named(lay: Lay) -> None:
    root = lay({"limner.yaml": EVENTS % "", "a1.csv": HEAD + "u,2025-01-01,x,1,1.5\n"})
    entry = run(root)
    before = content(root)
    lay({"a2.csv": "u,t,e\nu,2025-01-01,x\n", "a3.csv": HEAD + "u,2025-01-01,x,1,low\nu,2025-01-01,x,1,high\n"})
    (plan,) = plan_sync(open_workspace(root))
    assert (plan.missing_columns, plan.retyped_columns) == (("p",), ("p",))
    with pytest.raises(SourceError) as caught:
        run(root)
    assert [issue.code for issue in caught.value.issues] == ["unknown-column", "retyped-column"]
    assert caught.value.issues[1].where.startswith("limner.yaml:4:")
    assert "a3.csv: 'p' was a number" in caught.value.issues[1].message
    assert content(root) == before
    assert [kept.files for kept in read_ingested(open_workspace(root))] == [entry.files]
    (root / "a2.csv").unlink()
    stated = (EVENTS % "").replace("[p]", "{p: {column: p, type: category}}")
    lay({"limner.yaml": stated})
    assert rows_of(root, run(root)) == [("u", "1.5"), ("u", "high"), ("u", "low")]


def test_one_odd_value_is_a_reject_and_not_another_type(lay: Lay) -> None:
    root = lay({"limner.yaml": EVENTS % "", "a1.csv": HEAD + "u,2025-01-01,x,1,1\nv,2025-01-01,x,1,2\n"})
    run(root)
    lay({"a1.csv": HEAD + "u,2025-01-01,x,1,1\nv,2025-01-01,x,1,two\n"})
    workspace = open_workspace(root)
    assert workspace.schema.event_fields["p"] == "number"
    assert counts(run(root)) == (1, 0, 1)


def test_a_column_that_was_empty_takes_its_type_later(lay: Lay) -> None:
    root = lay({"limner.yaml": EVENTS % "", "a1.csv": HEAD + "u,2025-01-01,x,1,\n"})
    run(root)
    lay({"a1.csv": HEAD + "u,2025-01-01,x,1,4\n"})
    assert rows_of(root, run(root)) == [("u", 4.0)]


def test_files_of_one_name_in_two_folders(lay: Lay) -> None:
    config = (EVENTS % "").replace("a*.csv", "**/day.csv")
    root = lay(
        {"limner.yaml": config, "x/day.csv": HEAD + "u,2025-01-01,x,1,1\n", "y/day.csv": HEAD + "v,2025-01-01,x,1,1\n"}
    )
    entry = run(root)
    assert [part.origin for part in entry.parts] == ["x/day.csv", "y/day.csv"]
    assert len(rows_of(root, entry)) == 2


cell = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from(["2025-01-01", "2025-01-02", "2025-02-01", "never"]),
    st.sampled_from(["", "1", "2"]),
)
# A file of two rows and more none of whose times can be read is refused as retyped, and another test's matter.
rows_of_a_file = st.lists(cell, min_size=1, max_size=4).filter(
    lambda rows: len(rows) == 1 or any(time != "never" for _, time, _ in rows)
)
steps = st.lists(
    st.tuples(st.sampled_from(["a1.csv", "a2.csv", "a3.csv"]), st.none() | rows_of_a_file),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.sampled_from(["", ", event_id: i", ", keep_duplicates: true"]), st.booleans())
def test_step_by_step_is_the_same_as_at_once(
    lay: Lay, work: list[tuple[str, list[tuple[str, str, str]] | None]], extra: str, people: bool
) -> None:
    config = USERS if people else EVENTS % extra
    sound = HEAD + "z,2025-01-01,x,99,1\n"
    root = lay({"limner.yaml": config, "a0.csv": sound})
    for name in ("a1.csv", "a2.csv", "a3.csv"):
        (root / name).unlink(missing_ok=True)
    texts: dict[str, int] = {}
    for number, (name, rows) in enumerate(work):
        if rows is None:
            (root / name).unlink(missing_ok=True)
            texts.pop(name, None)
        else:
            lay({name: HEAD + "".join(f"{u},{t},x,{i},{number}\n" for u, t, i in rows)})
            texts[name] = len(rows)
        entry = run(root)
        assert sum(counts(entry)) == 1 + sum(texts.values())
    stepwise, kept = content(root), rows_of(root, entry, "*")
    assert len(kept) == entry.rows
    (root / ".limner" / "ingested.json").unlink()
    fresh = run(root)
    assert rows_of(root, fresh, "*") == kept
    assert content(root).keys() == stepwise.keys()
    assert all(content(root)[file] == stepwise[file] for file in stepwise if file.endswith(".parquet"))
    assert [replace(part) for part in fresh.parts] == list(entry.parts)


def test_a_sync_of_overlapping_files_killed_at_any_moment_counts_nothing_twice(lay: Lay) -> None:
    lines = [f"u{n % 97},2025-01-01 00:{n % 60:02}:{n // 60:02},x,{n},{n}\n" for n in range(3000)]
    files = {f"a{part}.csv": HEAD + "".join(lines[part * 500 : part * 500 + 1500]) for part in range(4)}
    root = lay({"limner.yaml": EVENTS % ", event_id: i", **files})
    run(root)
    script = f"""
import os
from pathlib import Path
from limner_profile.ingest import ingest
from limner_profile.workspace import open_workspace
root = Path({str(root)!r})
print("ready", flush=True)
while True:
    for number in range(4):  # a file goes, and comes again with another time
        aside, path = root / "aside", root / f"a{{number}}.csv"
        path.rename(aside)
        ingest(open_workspace(root))
        aside.rename(path)
        os.utime(path)
        ingest(open_workspace(root))
"""
    source = str(Path(sys.modules["limner_profile.ingest"].__file__ or "").parents[1])
    rng = random.Random(4)
    for _ in range(4):
        environment = {**os.environ, "PYTHONPATH": source}
        running = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)
        assert running.stdout is not None
        assert running.stdout.readline().strip() == b"ready"
        time.sleep(rng.uniform(0.02, 0.8))
        running.kill()
        running.wait()
        running.stdout.close()
        (entry,) = read_ingested(open_workspace(root))
        kept = rows_of(root, entry)
        assert len(kept) == len(set(kept)) == entry.rows
        assert sum(counts(entry)) == 1500 * len(entry.parts)
        if (root / "aside").exists():
            (missing,) = set(files) - {path.name for path in root.glob("a?.csv")}
            (root / "aside").rename(root / missing)
    entry = run(root)
    assert counts(entry) == (3000, 3000, 0)
    assert {file for file in content(root) if file.endswith(".parquet")} == set(entry.paths)


def test_values_that_differ_in_blanks_only_are_told_of_what_was_read(lay: Lay) -> None:
    values = ["beijing", "beijing ", "beijing ", " beijing", "a b", "alone ", "", " "]
    rows = "".join(f"u{n},2025-01-01,x,{n},{value}\n" for n, value in enumerate(values))
    root = lay({"limner.yaml": EVENTS % "", "a1.csv": HEAD + rows})
    told = (
        "acts: 2 values of p (3 rows, such as 'beijing ') differ from another only in blanks at the ends, and count for themselves",
    )
    assert run(root).notes == told
    assert run(root).reused
    lay({"a2.csv": f"{HEAD}u9,2025-01-02,x,1,plain\n"})
    assert run(root).notes == ()
    people = "".join(f"u{n},{value}\n" for n, value in enumerate(["x ", " x", "y"]))
    root = lay({"limner.yaml": USERS, "a1.csv": f"u,p\n{people}", "a2.csv": "u,p\nu7,y\n"})
    (note,) = run(root).notes
    assert note.startswith("people: 2 values of p (2 rows, such as ")
