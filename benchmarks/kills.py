"""Kills: `sync` and `build` are killed with SIGKILL at random moments, and what is left is looked at each time.

    python benchmarks/kills.py --times 200

After each kill the workspace must open, CURRENT must name a snapshot that opens and holds what the files held before or after
the step, and the ingested rows must be those of the files before or after it, none twice. At the end a last sync and build must
give what a workspace made afresh from the same files gives. Exits with 1 at the first damage.
"""

from __future__ import annotations

import sys

_here = [entry for entry in sys.path if entry.endswith("benchmarks")]
sys.path = [entry for entry in sys.path if entry not in _here] + _here

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from limner.project import build, open_project, sync
from limner.steps import Silent
from limner_profile.ingest import read_ingested

CONFIG = """name: kills
timezone: UTC
settings: {as_of: 2025-03-01, keep_snapshots: 3}
sources:
  acts: {type: events, path: acts/*.csv, user: user, time: time, event: event, event_id: id, amount: amount}
"""
TAGS = """acts: {kind: count, event: [a, b, c]}
amount: {kind: sum, event: [a, b, c]}
days: {kind: active_days, event: [a, b], window: 90d}
since: {kind: recency, event: a}
"""


def write_file(folder: Path, number: int, rows: int) -> None:
    """One more file of events. A tenth of its rows stands in the file before, too, and must not count twice."""
    first = number * (rows - rows // 10)
    lines = ["id,user,time,event,amount"]
    for row in range(first, first + rows):
        dice = random.Random(row)
        day = f"2025-{1 + dice.randrange(2):02}-{1 + dice.randrange(28):02} {dice.randrange(24):02}:00:00"
        lines.append(f"e{row},u{dice.randrange(2000)},{day},{dice.choice('abc')},{dice.randrange(400) / 4}")
    temporary = folder / "next"
    temporary.write_text("\n".join(lines) + "\n")
    temporary.rename(folder / "acts" / f"{number:04}.csv")


def forked(work: Callable[[], Any]) -> tuple[int, int]:
    """The process id of a child that does `work`, and the pipe to which it writes the result as JSON.

    A fork begins with everything imported, so that a kill hits the work and not the start of Python.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 1
        try:
            text = json.dumps(work())
            os.write(writer, text.encode())
            code = 0
        except BaseException as error:  # the parent tells of it
            os.write(writer, json.dumps({"error": repr(error)}).encode())
        finally:
            os._exit(code)
    os.close(writer)
    return child, reader


def result_of(work: Callable[[], Any]) -> Any:
    """What `work` gives in a child: this process opens no DuckDB, whose threads would not survive a fork."""
    child, reader = forked(work)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    found = json.loads(text)
    if isinstance(found, dict) and "error" in found:
        sys.exit(f"damaged: {found['error']}")
    return found


def timed(work: Callable[[], Any]) -> float:
    """The seconds that `work` takes in a child that nobody kills."""
    started = time.perf_counter()
    result_of(work)
    return time.perf_counter() - started


def state_of(folder: Path) -> dict[str, Any]:
    """What is there: the rows ingested, and the id and contents of the current snapshot."""
    project = open_project(folder)
    entries = read_ingested(project.workspace)
    files = [str(project.workspace.state / file) for entry in entries for file in entry.files]
    with duckdb.connect() as connection:
        query = "SELECT count(*), count(DISTINCT event_id), sum(amount) FROM read_parquet(?, union_by_name = true)"
        rows = connection.execute(query, [files]).fetchall()[0] if files else (0, 0, 0)
    snapshot = project.store.open()
    contents = snapshot.rows(
        "SELECT count(*) AS users, sum(acts) AS acts, sum(amount) AS amount, sum(days) AS days, sum(since) AS since FROM profiles"
    )
    return {"rows": list(rows), "id": snapshot.id, "snapshot": contents[0]}


def main() -> None:
    """Kill, look, and print how often the kill came when."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="limner-kills-"))
    folder = root / "workspace"
    (folder / "acts").mkdir(parents=True)
    (folder / "tags").mkdir()
    (folder / "limner.yaml").write_text(CONFIG)
    (folder / "tags" / "tags.yaml").write_text(TAGS)
    dice = random.Random(arguments.seed)

    def steps() -> dict[str, Callable[[], Any]]:
        return {
            "sync": lambda: len(sync(open_project(folder), Silent())),
            "build": lambda: build(open_project(folder), None, Silent()).users,
        }

    files = 1
    write_file(folder, 0, arguments.rows)
    lengths = {name: timed(steps()[name]) for name in ("sync", "build")}
    before = result_of(lambda: state_of(folder))
    told: Counter[str] = Counter()
    for number in range(arguments.times):
        name = "sync" if number % 2 == 0 else "build"
        if number % 4 == 0:
            write_file(folder, files, arguments.rows)
            files += 1
        if number % 20 in (2, 3):
            lengths[name] = timed(steps()[name])  # the data has grown; between kills a step must end well
            before = result_of(lambda: state_of(folder))
        child, reader = forked(steps()[name])
        time.sleep(dice.uniform(0, 1.1 * lengths[name]))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(reader)
        done = os.WIFEXITED(status)
        after = result_of(lambda: state_of(folder))
        rows, different, _ = after["rows"]
        if rows != different:
            sys.exit(f"kill {number}: {rows - different} events are counted twice")
        if rows not in (before["rows"][0], *_totals(files, arguments.rows)):
            sys.exit(f"kill {number}: {rows} rows are ingested")
        if after["id"] == before["id"] and after["snapshot"] != before["snapshot"]:
            sys.exit(f"kill {number}: the published snapshot has changed")
        if after["snapshot"]["acts"] not in (before["snapshot"]["acts"], rows):
            sys.exit(f"kill {number}: a published snapshot counts {after['snapshot']['acts']} acts of {rows}")
        moved = " and published" if after["id"] != before["id"] else ""
        told[f"{name}: {'ended before the kill' if done else 'killed'}{moved}"] += 1
        before = after
    result_of(steps()["build"])
    last = result_of(lambda: state_of(folder))
    shutil.rmtree(folder / ".limner")
    result_of(steps()["build"])
    afresh = result_of(lambda: state_of(folder))
    if (last["rows"], last["snapshot"]) != (afresh["rows"], afresh["snapshot"]):
        sys.exit(f"after all kills {last} is left, and afresh it is {afresh}")
    shutil.rmtree(root)
    print(
        f"{arguments.times} kills, {files} files of {arguments.rows:,} rows, {last['rows'][0]:,} events at the end: nothing damaged\n"
    )
    print("| moment | times |\n| --- | --- |")
    for words, times in sorted(told.items()):
        print(f"| {words} | {times} |")


def _totals(files: int, rows: int) -> tuple[int, ...]:
    """The numbers of different events in the first so many files, for all counts of files up to `files`."""
    return tuple(number * (rows - rows // 10) + rows // 10 for number in range(1, files + 1))


if __name__ == "__main__":
    main()
