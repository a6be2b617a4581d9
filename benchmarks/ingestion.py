"""Ingestion: `limner sync` of a CSV file beside DuckDB's own COPY of the same file to sorted Parquet.

    python benchmarks/ingestion.py --events 10000000 --users 500000 --runs 3

DuckDB only reads, sorts and writes. Limner also checks every value, keeps unreadable rows aside with their lines, finds repeated
events by their id, and notes since when each user is known. Both sort by event, user and time.
"""

from __future__ import annotations

import sys

_here = [entry for entry in sys.path if entry.endswith("benchmarks")]
sys.path = [entry for entry in sys.path if entry not in _here] + _here

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
from workload import make_project

from limner.project import sync
from limner.steps import Silent
from limner_profile.ingest import read_ingested


def main() -> None:
    """Run both in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=None, help="where the workspace is, or is made")
    arguments = parser.parse_args()
    folder = arguments.dir or Path(tempfile.mkdtemp(prefix="limner-bench-"))
    project = make_project(folder / "workspace", arguments.events, arguments.users, "acts.csv")
    own: list[float] = []
    copied: list[float] = []
    for _ in range(arguments.runs):
        shutil.rmtree(project.workspace.state, ignore_errors=True)
        started = time.perf_counter()
        sync(project, Silent())
        own.append(time.perf_counter() - started)
        started = time.perf_counter()
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2")
            connection.execute(
                f"COPY (SELECT * FROM read_csv('{folder / 'workspace' / 'acts.csv'}') ORDER BY event, user_id, time) "
                f"TO '{folder / 'copy.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
            )
        copied.append(time.perf_counter() - started)
    rows = next(entry.rows for entry in read_ingested(project.workspace) if entry.source == "acts")
    ours, theirs = statistics.median(own), statistics.median(copied)
    print(f"{rows:,} events, median of {arguments.runs}; duckdb {duckdb.__version__}, 2 threads\n")
    print("| contender | seconds | times COPY's |\n| --- | --- | --- |")
    print(f"| limner sync | {ours:.1f} | {ours / theirs:.2f} |\n| DuckDB's COPY, sorted | {theirs:.1f} | 1.00 |")


if __name__ == "__main__":
    main()
