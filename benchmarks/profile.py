"""Profiles: 40 tags of all kinds, from stored events to a published snapshot, beside polars and plain SQL.

    python benchmarks/profile.py --events 10000000 --users 500000 --runs 5

Makes its workspace once, runs the contenders in turn so that a busy moment hits them all, prints the medians as a Markdown
table, and stops where they do not give the same profiles. All read the Parquet files that Limner's ingestion wrote: its order and its
encoding help every one of them. Two are told a second time with the events as they were delivered, in no order, which is what one has
without Limner. Needs the extra `bench`.
"""

from __future__ import annotations

import sys

# This folder holds a file called profile.py, which must not hide the standard library's: it comes last.
_here = [entry for entry in sys.path if entry.endswith("benchmarks")]
sys.path = [entry for entry in sys.path if entry not in _here] + _here

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import by_hand
import duckdb
from workload import TAGS, ZONE, ingested_project

from limner.project import Project
from limner_profile.builder import check_quality, default_as_of, write_profiles
from limner_profile.ingest import read_ingested
from limner_profile.windows import window_start

# mode() and arg_max() over one column break ties as they like, so of the naive query these are not compared.
NAIVE_TIES = frozenset({"genre", "second_genre", "first_product", "last_device"})


class Contest:
    """The contenders on one workspace. Each writes its result to a file and gives the path."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder
        self.as_of = default_as_of(project.workspace, datetime.now(UTC))
        starts = {
            days: window_start(f"{days}d", self.as_of, project.workspace.timezone) for days in (7, 30, 60, 90, 180)
        }
        self.starts = {days: start.astimezone(UTC).replace(tzinfo=None) for days, start in starts.items() if start}
        self.starts[0] = self.as_of.astimezone(UTC).replace(tzinfo=None)
        state = project.workspace.state
        entries = {
            entry.source: [str(state / file) for file in entry.files] for entry in read_ingested(project.workspace)
        }
        self.acts, self.people = entries["acts"], entries["people"]
        self.delivered = [str(project.workspace.root / "acts.parquet")]

    def limner(self) -> Path:
        """The whole way: lock, profiles, catalog, published snapshot; without the statistics that nobody else makes."""
        workspace, store = self.project.workspace, self.project.store
        with store.create(self.as_of, workspace.timezone, 2) as writer:
            write_profiles(writer, workspace, self.project.catalog)
        return store.folder / f"{writer.id}.duckdb"

    def limner_with_statistics(self) -> Path:
        """The same with the distribution of each tag, as `limner build` does."""
        workspace, store = self.project.workspace, self.project.store
        with store.create(self.as_of, workspace.timezone, 2) as writer:
            write_profiles(writer, workspace, self.project.catalog)
            check_quality(writer, self.project.catalog, None)
        return store.folder / f"{writer.id}.duckdb"

    def _write(self, name: str, query: str) -> Path:
        path = self.folder / f"{name}.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET threads = 2")
            connection.execute(f"CREATE TABLE profiles AS {query}")
        return path

    def naive(self, acts: list[str]) -> Path:
        """One GROUP BY with FILTER, count(DISTINCT) and mode, as one writes it first."""
        return self._write("naive", by_hand.naive_query(acts, self.people, self.starts, ZONE))

    def sql(self) -> Path:
        """The best SQL that we can write by hand."""
        return self._write("sql", by_hand.best_query(self.acts, self.people, self.starts, ZONE))

    def polars(self, acts: list[str]) -> Path:
        """polars, lazy, from Parquet to Parquet."""
        import by_polars

        path = self.folder / "polars.parquet"
        by_polars.write(acts, self.people, self.starts, ZONE, path)
        return path


def differences(made: Path, other: Path, but: frozenset[str]) -> list[str]:
    """The tags whose values differ for any user between a snapshot and another contender's result."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{made}' AS made (READ_ONLY)")
        relation = f"read_parquet('{other}')"
        if other.suffix == ".duckdb":
            connection.execute(f"ATTACH '{other}' AS other (READ_ONLY)")
            relation = "other.profiles"
        tests = []
        for name in TAGS:
            ours, theirs = f'a."{name}"', f'b."{name}"'
            kind = connection.execute(f'SELECT typeof("{name}") FROM made.profiles LIMIT 1').fetchall()[0][0]
            same = f"{ours} IS NOT DISTINCT FROM {theirs}"
            if kind in ("DOUBLE", "BIGINT"):
                near = f"abs({ours} - {theirs}) <= 1e-9 * greatest(1, abs({ours}))"
                same = f"coalesce({near}, {ours} IS NULL AND {theirs} IS NULL)"
            tests.append(f"count(*) FILTER (WHERE NOT {same})")
        counts = connection.execute(
            f"SELECT count(*) - count(b.user_id), {', '.join(tests)} FROM made.profiles a LEFT JOIN {relation} b USING (user_id)"
        ).fetchall()[0]
    return [
        f"{name} ({n:,} users)" for name, n in zip(("user_id", *TAGS), counts, strict=True) if n and name not in but
    ]


def main() -> None:
    """Run the contest and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", type=Path, default=None, help="where the workspace is, or is made")
    arguments = parser.parse_args()
    folder = arguments.dir or Path(tempfile.mkdtemp(prefix="limner-bench-"))
    contest = Contest(ingested_project(folder / "workspace", arguments.events, arguments.users), folder)
    contenders: dict[str, Callable[[], Path]] = {
        "limner": contest.limner,
        "limner, with the statistics of each tag": contest.limner_with_statistics,
        "polars, lazy": lambda: contest.polars(contest.acts),
        "polars, lazy, from the events as delivered": lambda: contest.polars(contest.delivered),
        "one naive GROUP BY": lambda: contest.naive(contest.acts),
        "one naive GROUP BY, from the events as delivered": lambda: contest.naive(contest.delivered),
        "SQL by hand": contest.sql,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    busy: dict[str, list[float]] = {name: [] for name in contenders}
    made: dict[str, Path] = {}
    for _ in range(arguments.runs):
        for name, run in contenders.items():
            started, worked = time.perf_counter(), time.process_time()
            made[name] = run()
            seconds[name].append(time.perf_counter() - started)
            busy[name].append(time.process_time() - worked)
    ours = made["limner, with the statistics of each tag"]
    for name, path in made.items():
        wrong = differences(ours, path, NAIVE_TIES if "naive" in name else frozenset()) if name != "limner" else []
        if wrong:
            sys.exit(f"{name} gives other values: {', '.join(wrong)}")
    own = statistics.median(seconds["limner"])
    print(
        f"{arguments.events:,} events, {arguments.users:,} users, {len(TAGS)} tags, median of {arguments.runs}; "
        f"{platform.machine()}, 2 threads, duckdb {duckdb.__version__}\n"
    )
    print("| contender | seconds | times limner's | seconds of both cores |\n| --- | --- | --- | --- |")
    for name, taken in seconds.items():
        print(
            f"| {name} | {statistics.median(taken):.2f} | {statistics.median(taken) / own:.2f} | {statistics.median(busy[name]):.2f} |"
        )


if __name__ == "__main__":
    main()
