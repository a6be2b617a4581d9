"""A comparison of an audience over 60 tags of a million users: seconds on the clock and of the processors.

    python benchmarks/comparison.py --users 1000000 --runs 5

Makes a table of profiles (44 numbers, of which half are counts with many zeros, 6 categories, one of 100,000 values, 6 flags, 4 dates),
compares an audience of five nested conditions with everyone, its complement and another audience, and checks that the counts of every
tag add up. One untimed run goes first.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "profile"), str(ROOT / "segments")]

from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.definitions import Title
from limner_profile.predicates.parser import parse
from limner_profile.readers import READ_CONFIG
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.comparison import Against, compare_audience

SHAPES: dict[str, tuple[int, FieldType, str]] = {
    "count": (22, "number", "CASE WHEN random() < 0.9 THEN CAST(if(random() < 0.4, 0, exp(random() * 5)) AS BIGINT) END"),
    "sum": (22, "number", "CASE WHEN random() < 0.85 THEN round(exp(random() * 7), 2) END"),
    "word": (6, "category", "CASE WHEN random() < 0.9 THEN 'v' || CAST(floor(random() * random() * pow(10, {i})) AS INTEGER) END"),
    "flag": (6, "boolean", "CASE WHEN random() < 0.9 THEN random() < 0.3 END"),
    "day": (4, "date", "DATE '2020-01-01' + CAST(random() * 1800 AS INTEGER)"),
}  # fmt: skip
TAGS: dict[str, FieldType] = {f"{word}_{i}": kind for word, (n, kind, _) in SHAPES.items() for i in range(n)}
WHERE = "(sum_0 > 20 and count_1 < 50 or word_1 = 'v1') and not (flag_0 = true and sum_3 is unknown)"
OTHER = "sum_1 > 50"


def make(path: Path, users: int) -> None:
    columns = [f"{sql.format(i=i)} AS {word}_{i}" for word, (n, _, sql) in SHAPES.items() for i in range(n)]
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET threads = 1")  # so that the seed decides
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            f"CREATE TABLE profiles AS SELECT 'u' || lpad(CAST(i AS VARCHAR), 8, '0') AS user_id, {', '.join(columns)} FROM range({users}) AS t(i)"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profiles.duckdb"
        make(path, arguments.users)
        catalog = Catalog(
            {name: CatalogTag(name, "count", kind, Title(en=name, zh=name)) for name, kind in TAGS.items()}
        )
        print(
            f"{arguments.users:,} users, {len(TAGS)} tags, {platform.python_version()}, DuckDB {duckdb.__version__}\n"
        )
        print("| against | differences | seconds, median | fastest | processor seconds |\n|---|---|---|---|---|")
        with Snapshot("bench", path, duckdb.connect(str(path), read_only=True, config=dict(READ_CONFIG))) as snapshot:
            bases: dict[str, Against] = {
                "everyone": "everyone",
                "complement": "complement",
                "another audience": parse(OTHER),
            }
            for name, against in bases.items():
                clock: list[float] = []
                worked: list[float] = []
                for _ in range(arguments.runs + 1):
                    started, before = time.perf_counter(), time.process_time()
                    found = compare_audience(snapshot, parse(WHERE), catalog, min_group=1, against=against)
                    clock.append(time.perf_counter() - started)
                    worked.append(time.process_time() - before)
                for tag in TAGS:
                    counts = [(trait.audience_count, trait.base_count) for trait in found.traits if trait.tag == tag]
                    sums = [sum(count or 0 for count in side) for side in zip(*counts, strict=True)]
                    assert sums == [found.size, found.base_size], tag
                print(
                    f"| {name} | {len(found.differences)} | {statistics.median(clock[1:]):.2f} | {min(clock[1:]):.2f} "
                    f"| {statistics.median(worked[1:]):.2f} |"
                )


if __name__ == "__main__":
    main()
