"""Profiles: 40 tags over ten million events, from stored events to a published snapshot, beside polars and plain SQL.

    python benchmarks/profile.py --users 190000 --runs 5

Makes its workspace once (`limner sample`), runs the contenders in turn so that a busy moment hits them all, prints the
medians as a Markdown table, and checks that all give the same numbers. Needs the extra `bench`.
"""

from __future__ import annotations

import sys

# This folder holds a file called profile.py, which must not hide the standard library's.
sys.path = [entry for entry in sys.path if not entry.endswith("benchmarks")]

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml

from limner.project import Project, Silent, open_project, sync
from limner_profile.builder import default_as_of, write_profiles
from limner_profile.ingest import read_ingested
from limner_profile.windows import window_start
from limner_samples.workspaces import write_reading

EVENTS = ("login", "read", "search", "share", "comment", "add_to_shelf")


def definitions() -> dict[str, dict[str, Any]]:
    """Forty tags of the kinds that read events."""
    tags: dict[str, dict[str, Any]] = {
        f"{event}_count_{window}": {"kind": "count", "event": event, "window": window}
        for event in EVENTS
        for window in ("7d", "30d", "90d")
    }
    tags |= {
        f"minutes_{window}": {"kind": "sum", "event": "read", "of": "minutes", "window": window}
        for window in ("7d", "30d", "90d")
    }
    tags |= {f"spend_{window}": {"kind": "sum", "event": "order", "window": window} for window in ("90d", "all")}
    tags |= {f"days_since_{event}": {"kind": "recency", "event": event} for event in (*EVENTS, "order")}
    tags["large_share"] = {"kind": "share", "event": "order", "of": "amount", "part": "amount >= 100"}
    tags["fantasy_share"] = {"kind": "share", "event": "read", "part": "genre = '玄幻'", "window": "90d"}
    tags["genre"] = {"kind": "preference", "event": "read", "by": "genre", "window": "90d"}
    tags["genres_90d"] = {"kind": "distinct", "event": "read", "of": "genre", "window": "90d"}
    tags |= {
        f"active_days_{window}": {"kind": "active_days", "event": "login", "window": window}
        for window in ("30d", "90d")
    }
    tags["mean_minutes_90d"] = {"kind": "mean", "event": "read", "of": "minutes", "window": "90d"}
    tags["max_amount"] = {"kind": "max", "event": "order", "of": "amount"}
    tags["min_amount"] = {"kind": "min", "event": "order", "of": "amount"}
    tags["membership_count_90d"] = {
        "kind": "count",
        "event": "order",
        "where": "product = 'membership'",
        "window": "90d",
    }
    return tags


def make_project(folder: Path, users: int) -> Project:
    """The workspace with so many generated users and the forty tags, ingested."""
    if not (folder / "limner.yaml").exists():
        write_reading(folder, users)
        for part in ("tags", "segments", "scenarios"):
            for file in (folder / part).glob("*.yaml"):
                file.unlink()
        (folder / "tags" / "forty.yaml").write_text(yaml.safe_dump(definitions(), allow_unicode=True), encoding="utf-8")
    project = open_project(folder)
    sync(project, Silent())
    return project


class Contest:
    """The contenders on one workspace. Each writes its result to a file and gives the path."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder
        self.as_of = default_as_of(project.workspace, datetime.now(UTC))
        self.zone = str(project.workspace.timezone)
        self.bounds = {
            window: window_start(window, self.as_of, project.workspace.timezone) for window in ("7d", "30d", "90d")
        }
        state = project.workspace.state
        self.files = [
            str(state / file)
            for entry in read_ingested(project.workspace)
            if entry.type != "users"
            for file in entry.files
        ]

    def limner(self) -> Path:
        """The whole way: lock, profiles and catalog, statistics of tags left out, published snapshot."""
        workspace, store = self.project.workspace, self.project.store
        with store.create(self.as_of, workspace.timezone, 2) as writer:
            write_profiles(writer, workspace, self.project.catalog)
        return store.folder / f"{writer.id}.duckdb"

    def _stamp(self, moment: datetime) -> str:
        return f"TIMESTAMP '{moment.astimezone(UTC).replace(tzinfo=None)}'"

    def _filters(self, tag: dict[str, Any]) -> str:
        parts = [f"event = '{tag['event']}'"]
        bound = self.bounds.get(tag.get("window", "all"))
        if bound:
            parts.append(f"time >= {self._stamp(bound)}")
        if "where" in tag:
            parts.append(tag["where"])
        return " AND ".join(parts)

    def _aggregates(self, *, naive: bool) -> list[str]:
        local = f"CAST(time AT TIME ZONE 'UTC' AT TIME ZONE '{self.zone}' AS DATE)"
        today = f"DATE '{self.as_of.astimezone(self.project.workspace.timezone).date()}'"
        columns = []
        for name, tag in definitions().items():
            kind, where = tag["kind"], self._filters(tag)
            of = f"CAST({tag.get('of', 'amount')} AS DOUBLE)"
            text = {
                "count": f"count(*) FILTER (WHERE {where})",
                "sum": f"coalesce(sum({of}) FILTER (WHERE {where}), 0)",
                "mean": f"avg({of}) FILTER (WHERE {where})",
                "max": f"max({of}) FILTER (WHERE {where})",
                "min": f"min({of}) FILTER (WHERE {where})",
                "recency": f"{today} - CAST(max(time) FILTER (WHERE {where}) AT TIME ZONE 'UTC' AT TIME ZONE '{self.zone}' AS DATE)",
                "share": f"sum({of if 'of' in tag else '1.0'}) FILTER (WHERE {where} AND {tag.get('part')}) / sum({of if 'of' in tag else '1.0'}) FILTER (WHERE {where})",
            }.get(kind)
            if kind in ("preference", "distinct", "active_days"):
                if not naive:
                    continue
                text = {
                    "preference": f"mode(genre) FILTER (WHERE {where})",
                    "distinct": f"count(DISTINCT genre) FILTER (WHERE {where})",
                    "active_days": f"count(DISTINCT {local}) FILTER (WHERE {where})",
                }[kind]
            columns.append(f'{text} AS "{name}"')
        return columns

    def _seen(self) -> str:
        cut = self._stamp(self.as_of)
        return (
            f"SELECT * FROM read_parquet({self.files}, union_by_name = true) "
            f"WHERE time < {cut} AND (received IS NULL OR received < {cut})"
        )

    def _write(self, name: str, query: str) -> Path:
        path = self.folder / f"{name}.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET threads = 2")
            connection.execute(f"CREATE TABLE profiles AS {query}")
        return path

    def naive(self) -> Path:
        """One GROUP BY with FILTER, count(DISTINCT) and mode, as one writes it first."""
        return self._write(
            "naive", f"SELECT user_id, {', '.join(self._aggregates(naive=True))} FROM ({self._seen()}) GROUP BY user_id"
        )

    def by_hand(self) -> Path:
        """The best SQL that we can write: algebraic aggregates in one pass, the holistic ones counted apart and joined."""
        since = {window: self._stamp(bound) for window, bound in self.bounds.items() if bound}
        local = f"CAST(time AT TIME ZONE 'UTC' AT TIME ZONE '{self.zone}' AS DATE)"
        query = f"""
            WITH seen AS ({self._seen()}),
            acts AS (SELECT user_id, {", ".join(self._aggregates(naive=False))} FROM seen GROUP BY user_id),
            genre_counts AS (SELECT user_id, genre, count(*) AS n, max(time) AS last FROM seen
                WHERE event = 'read' AND time >= {since["90d"]} AND genre IS NOT NULL GROUP BY user_id, genre),
            genres AS (SELECT user_id, arg_max(genre, {{'n': n, 'last': last, 'genre': genre}}) AS genre, count(*) AS genres_90d
                FROM genre_counts GROUP BY user_id),
            day_counts AS (SELECT user_id, {local} AS day, max(time) AS last FROM seen
                WHERE event = 'login' AND time >= {since["90d"]} GROUP BY user_id, day),
            days AS (SELECT user_id, count(*) AS active_days_90d, count(*) FILTER (WHERE last >= {since["30d"]}) AS active_days_30d
                FROM day_counts GROUP BY user_id)
            SELECT acts.*, genres.genre, coalesce(genres.genres_90d, 0) AS genres_90d,
                coalesce(active_days_30d, 0) AS active_days_30d, coalesce(active_days_90d, 0) AS active_days_90d
            FROM acts LEFT JOIN genres USING (user_id) LEFT JOIN days USING (user_id) ORDER BY user_id"""
        return self._write("by_hand", query)

    def polars(self) -> Path:
        """polars, lazy, from the same Parquet files, to Parquet."""
        import polars as pl

        cut = self.as_of.astimezone(UTC).replace(tzinfo=None)
        bounds = {window: bound.astimezone(UTC).replace(tzinfo=None) for window, bound in self.bounds.items() if bound}
        seen = pl.concat([pl.scan_parquet(file) for file in self.files], how="diagonal").filter(
            (pl.col("time") < cut) & (pl.col("received").is_null() | (pl.col("received") < cut))
        )
        today = self.as_of.astimezone(self.project.workspace.timezone).date()
        local = pl.col("time").dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone).dt.date()

        def where(tag: dict[str, Any]) -> Any:
            condition = pl.col("event") == tag["event"]
            if tag.get("window") in bounds:
                condition &= pl.col("time") >= bounds[tag["window"]]
            return condition & (pl.col("product") == "membership") if "where" in tag else condition

        columns = []
        for name, tag in definitions().items():
            kind, own, of = tag["kind"], where(tag), pl.col(tag.get("of", "amount"))
            if kind == "count":
                columns.append(own.sum().alias(name))
            elif kind in ("sum", "mean", "max", "min"):
                columns.append(getattr(of.filter(own), kind)().alias(name))
            elif kind == "recency":
                columns.append((pl.lit(today) - local.filter(own).max()).dt.total_days().alias(name))
            elif kind == "share":
                part = (pl.col("amount") >= 100) if name == "large_share" else (pl.col("genre") == "玄幻")
                whole = pl.col("amount") if "of" in tag else pl.lit(1.0)
                columns.append((pl.when(own & part).then(whole).sum() / pl.when(own).then(whole).sum()).alias(name))
            elif kind == "distinct":
                columns.append(of.filter(own).drop_nulls().n_unique().alias(name))
            elif kind == "active_days":
                columns.append(local.filter(own).n_unique().alias(name))
        reads = seen.filter(
            (pl.col("event") == "read") & (pl.col("time") >= bounds["90d"]) & pl.col("genre").is_not_null()
        )
        counted = reads.group_by("user_id", "genre").agg(pl.len().alias("n"), pl.col("time").max().alias("last"))
        top = counted.sort("n", "last", "genre").group_by("user_id").agg(pl.col("genre").last())
        path = self.folder / "polars.parquet"
        seen.group_by("user_id").agg(columns).join(top, on="user_id", how="left").sort("user_id").sink_parquet(path)
        return path


def digest(path: Path) -> dict[str, float | None]:
    """The sum of each number over the users who acted, and of the lengths of the preferred genre: equal for equal profiles."""
    with duckdb.connect() as connection:
        if path.suffix == ".parquet":
            relation = f"read_parquet('{path}')"
        else:
            connection.execute(f"ATTACH '{path}' AS made (READ_ONLY)")
            relation = "made.profiles"
        names = [name for name, tag in definitions().items() if tag["kind"] != "preference"]
        sums = ", ".join(f'round(sum(CAST("{name}" AS DOUBLE)), 3)' for name in names)
        row = connection.execute(f"SELECT {sums} FROM {relation} WHERE days_since_login IS NOT NULL").fetchall()[0]
    return dict(zip(names, row, strict=True))


def main() -> None:
    """Run the contest and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=190_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", type=Path, default=None)
    arguments = parser.parse_args()
    folder = arguments.dir or Path(tempfile.mkdtemp(prefix="limner-bench-"))
    contest = Contest(make_project(folder / "workspace", arguments.users), folder)
    contenders: dict[str, Callable[[], Path]] = {
        "limner": contest.limner, "polars, lazy": contest.polars, "one naive GROUP BY": contest.naive, "SQL by hand": contest.by_hand,
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    made: dict[str, Path] = {}
    for _ in range(arguments.runs):
        for name, run in contenders.items():
            started = time.perf_counter()
            made[name] = run()
            seconds[name].append(time.perf_counter() - started)
    expected = digest(made["limner"])
    for name, path in made.items():
        wrong = [
            tag
            for tag, value in digest(path).items()
            if abs((value or 0) - (expected[tag] or 0)) > 1e-6 * abs(expected[tag] or 1)
        ]
        if wrong:
            sys.exit(f"{name} gives other numbers: {', '.join(wrong)}")
    own = statistics.median(seconds["limner"])
    events = sum(entry.rows for entry in read_ingested(contest.project.workspace) if entry.type != "users")
    print(
        f"{events:,} events, {arguments.users:,} users, {len(definitions())} tags, median of {arguments.runs}; {platform.machine()}, 2 threads, duckdb {duckdb.__version__}\n"
    )
    print("| contender | seconds | times limner's |\n| --- | --- | --- |")
    for name, taken in seconds.items():
        print(f"| {name} | {statistics.median(taken):.2f} | {statistics.median(taken) / own:.2f} |")


if __name__ == "__main__":
    main()
