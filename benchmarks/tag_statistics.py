"""Statistics and drift of 40 tags over half a million users: limner's one pass beside one query a tag.

    python benchmarks/tag_statistics.py --users 500000 --runs 5

Makes a table of profiles like that of a portrait (counts, sums, shares, categories, a flag, a date), runs the contenders in
turn, prints the medians as a Markdown table, and stops where they do not give the same numbers.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "profile"))

from limner_profile.distribution import read_distributions
from limner_profile.drift import compare_bins, population_stability
from limner_profile.sources import FieldType

SHAPES: dict[str, tuple[int, FieldType, str]] = {
    "count": (20, "number", "CASE WHEN random() < 0.9 THEN CAST(floor(-ln(random() + 1e-9) * (3 + 4 * {i})) AS BIGINT) END"),
    "sum": (8, "number", "CASE WHEN random() < 0.7 THEN round(random() * 1000, 2) END"),
    "share": (5, "number", "CASE WHEN random() < 0.7 THEN random() END"),
    "word": (4, "category", "CASE WHEN random() < 0.8 THEN 'v' || CAST(floor(random() * pow(12, {i} + 1)) AS INTEGER) END"),
    "flag": (1, "boolean", "random() < 0.3"),
    "day": (2, "date", "CASE WHEN random() < 0.8 THEN DATE '2025-01-01' - CAST(floor(random() * 900) AS INTEGER) END"),
}  # fmt: skip
TAGS: dict[str, FieldType] = {f"{word}_{i}": kind for word, (n, kind, _) in SHAPES.items() for i in range(n)}


def make(path: Path, users: int, seed: float) -> None:
    """A snapshot's tables `profiles` and `snapshot` in a file."""
    columns = [f"{sql.format(i=i)} AS {word}_{i}" for word, (n, _, sql) in SHAPES.items() for i in range(n)]
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET threads = 1")  # so that the seed decides
        connection.execute("SELECT setseed(?)", [seed])
        connection.execute("CREATE TABLE snapshot AS SELECT TIMESTAMP '2025-03-01' AS as_of")
        connection.execute(
            f"CREATE TABLE profiles AS SELECT 'u' || i AS user_id, {', '.join(columns)} FROM range({users}) AS t(i)"
        )


def one_pass(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """Limner's way where the snapshot before has no bins yet: each column of both is read once."""
    before = {name: found.bins for name, found in read_distributions(connection, "old.profiles", TAGS).items()}
    return _with_bins(connection, before)


def with_bins(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """Limner's way from the second build on: the bins of the snapshot before are kept in it."""
    return _with_bins(connection, KEPT)


KEPT: dict[str, Any] = {}


def _with_bins(connection: duckdb.DuckDBPyConnection, before: dict[str, Any]) -> dict[str, list[Any]]:
    found = read_distributions(connection, "new.profiles", TAGS, {name: bins.edges for name, bins in before.items()})
    drift = compare_bins(before, found)
    return {
        name: [one.users, one.distinct, list(one.points) or [count for _, count in one.common[:10]], drift[name]]
        for name, one in found.items()
    }


def one_query_a_tag(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """The plain way: for each tag its counts, its quartiles or top values, cut points of before, and the users in each bin twice."""
    answers = {}
    for name, kind in TAGS.items():
        users, distinct = connection.execute(
            f"SELECT count({name}), count(DISTINCT {name}) FROM new.profiles"
        ).fetchall()[0]
        spread: list[Any] = []
        if kind == "number":
            quartiles = f"quantile_cont(CAST({name} AS DOUBLE), [0, 0.25, 0.5, 0.75, 1])"
            spread = connection.execute(f"SELECT {quartiles} FROM new.profiles").fetchall()[0][0]
        elif kind != "date":
            top = f"SELECT count(*) AS n FROM new.profiles WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY n DESC, {name} LIMIT 10"
            spread = [count for (count,) in connection.execute(top).fetchall()]
        if kind in ("category", "boolean"):
            value = f"CAST({name} AS VARCHAR)"
            common = f"SELECT {value} AS v, count(*) AS n FROM old.profiles WHERE v IS NOT NULL GROUP BY v ORDER BY n DESC, v LIMIT 20"
            tests = [f"v = '{word}'" for word, _ in connection.execute(common).fetchall()]
        else:
            value = (
                f"CAST({name} AS DOUBLE)"
                if kind == "number"
                else f"epoch(TIMESTAMP '2025-03-01') - epoch({name}::TIMESTAMP)"
            )
            tenths = [tenth / 10 for tenth in range(1, 10)]
            cuts = connection.execute(f"SELECT quantile_disc({value}, {tenths}) FROM old.profiles").fetchall()[0][0]
            tests = [f"v <= {edge!r}::DOUBLE" for edge in sorted(set(cuts))]
        cases = " ".join(f"WHEN {test} THEN {number}" for number, test in enumerate(tests))
        counts = []
        for side in ("old", "new"):
            query = f"SELECT CASE WHEN v IS NULL THEN {len(tests) + 1} {cases} ELSE {len(tests)} END AS bin, count(*) FROM (SELECT {value} AS v FROM {side}.profiles) GROUP BY bin"
            rows = dict(connection.execute(query).fetchall())
            counts.append([rows.get(number, 0) for number in range(len(tests) + 2)])
        answers[name] = [users, distinct, spread, population_stability(*counts)]
    return answers


def same(one: Any, other: Any) -> bool:
    """Whether two answers are the same but for rounding."""
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def main() -> None:
    """Run the contest and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    contenders: dict[str, Callable[[duckdb.DuckDBPyConnection], dict[str, list[Any]]]] = {
        "limner, second build on": with_bins, "limner, against a snapshot without bins": one_pass, "one query a tag": one_query_a_tag,
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as folder, duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        for side, seed in (("old", 0.1), ("new", 0.2)):
            path = Path(folder) / f"{side}.duckdb"
            make(path, arguments.users, seed)
            connection.execute(f"ATTACH '{path}' AS {side} (READ_ONLY)")
        KEPT.update({name: found.bins for name, found in read_distributions(connection, "old.profiles", TAGS).items()})
        answers: dict[str, dict[str, list[Any]]] = {}
        for _ in range(arguments.runs):
            for name, run in contenders.items():
                started = time.perf_counter()
                answers[name] = run(connection)
                seconds[name].append(time.perf_counter() - started)
    expected = answers["one query a tag"]
    for name, found in answers.items():
        wrong = [tag for tag in TAGS if not same(found[tag], expected[tag])]
        if wrong:
            sys.exit(f"{name} gives other numbers: {', '.join(wrong)}")
    own = statistics.median(seconds["limner, second build on"])
    print(
        f"{arguments.users:,} users, {len(TAGS)} tags, median of {arguments.runs}; {platform.machine()}, 2 threads, duckdb {duckdb.__version__}\n"
    )
    print("| contender | seconds | times limner's |\n| --- | --- | --- |")
    for name, taken in seconds.items():
        print(f"| {name} | {statistics.median(taken):.2f} | {statistics.median(taken) / own:.1f} |")


if __name__ == "__main__":
    main()
