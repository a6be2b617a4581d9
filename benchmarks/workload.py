"""What the benchmarks work on: generated behaviour of any size, and forty tags of all kinds that read it.

The same numbers give the same rows. Few users act much and many act little. Amounts and minutes are
quarters, so that every order of adding them gives the same sum to the last bit. The year before 1 March 2025 has seven kinds of events.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import yaml

from limner.project import Project, open_project, sync
from limner.steps import Silent

AS_OF = "2025-03-01"
ZONE = "Asia/Shanghai"
_SETTINGS: dict[str, Any] = {
    "name": "benchmark",
    "timezone": ZONE,
    "settings": {"as_of": AS_OF},
    "sources": {
        "people": {
            "type": "users",
            "path": "people.parquet",
            "user": "user_id",
            "attributes": {"gender": "gender", "city": "city"},
        },
        "acts": {
            "type": "events",
            "path": "acts.parquet",
            "timezone": "UTC",
            "user": "user_id",
            "time": "time",
            "event": "event",
            "event_id": "event_id",
            "amount": "amount",
            "properties": {"genre": "genre", "minutes": "minutes", "product": "product", "device": "device"},
        },
    },
}
TAGS: dict[str, dict[str, Any]] = {
    "logins_7d": {"kind": "count", "event": "login", "window": "7d"},
    "logins_30d": {"kind": "count", "event": "login", "window": "30d"},
    "logins_90d": {"kind": "count", "event": "login", "window": "90d"},
    "reads_30d": {"kind": "count", "event": "read", "window": "30d"},
    "reads_90d": {"kind": "count", "event": "read", "window": "90d"},
    "searches_30d": {"kind": "count", "event": "search", "window": "30d"},
    "shares_90d": {"kind": "count", "event": "share", "window": "90d"},
    "orders": {"kind": "count", "event": "order"},
    "minutes_7d": {"kind": "sum", "event": "read", "of": "minutes", "window": "7d"},
    "minutes_30d": {"kind": "sum", "event": "read", "of": "minutes", "window": "30d"},
    "minutes_90d": {"kind": "sum", "event": "read", "of": "minutes", "window": "90d"},
    "spend_90d": {"kind": "sum", "event": "order", "window": "90d"},
    "spend": {"kind": "sum", "event": "order"},
    "mean_minutes": {"kind": "mean", "event": "read", "of": "minutes", "window": "90d"},
    "max_amount": {"kind": "max", "event": "order"},
    "min_amount": {"kind": "min", "event": "order"},
    "genres_90d": {"kind": "distinct", "event": "read", "of": "genre", "window": "90d"},
    "products": {"kind": "distinct", "event": "order", "of": "product"},
    "active_days_30d": {"kind": "active_days", "event": "login", "window": "30d"},
    "active_days_90d": {"kind": "active_days", "event": "login", "window": "90d"},
    "days_since_login": {"kind": "recency", "event": "login"},
    "days_since_read": {"kind": "recency", "event": "read"},
    "days_since_order": {"kind": "recency", "event": "order"},
    "first_product": {"kind": "first", "event": "order", "of": "product"},
    "last_device": {"kind": "last", "event": "login", "of": "device"},
    "large_share": {"kind": "share", "event": "order", "of": "amount", "part": "amount >= 200"},
    "fantasy_share": {"kind": "share", "event": "read", "part": "genre = '玄幻'", "window": "90d"},
    "genre": {"kind": "preference", "event": "read", "by": "genre", "window": "90d"},
    "genre_share": {"kind": "preference", "event": "read", "by": "genre", "window": "90d", "give": "share"},
    "second_genre": {"kind": "preference", "event": "read", "by": "genre", "window": "90d", "give": "runner_up"},
    "order_gap": {"kind": "interval", "event": "order"},
    "reads_trend": {"kind": "trend", "event": "read", "window": "30d", "as": "difference"},
    "spend_trend": {"kind": "trend", "event": "order", "of": "amount", "window": "90d", "as": "ratio"},
    "gender": {"kind": "attribute", "attribute": "gender"},
    "city": {"kind": "attribute", "attribute": "city"},
    "spend_band": {"kind": "band", "of": "spend_90d", "cuts": [1, 100, 500], "labels": ["none", "low", "middle", "high"]},
    "spend_percentile": {"kind": "rank", "of": "spend"},
    "rfm": {"kind": "rfm", "recency": "days_since_order", "frequency": "orders", "monetary": "spend"},
    "stage": {
        "kind": "lifecycle",
        "stages": [
            {"name": "potential", "where": "orders = 0"},
            {"name": "new", "where": "orders = 1 and days_since_order <= 30"},
            {"name": "active", "where": "days_since_order <= 60"},
            {"name": "at_risk", "where": "days_since_order <= 180"},
            {"name": "lapsed", "where": "days_since_order > 180"},
        ],
    },
    "minutes_per_read": {"kind": "sql", "expression": "minutes_90d / nullif(reads_90d, 0)"},
}  # fmt: skip


def write_people(folder: Path, users: int) -> None:
    """Write `people.parquet`: so many users with gender and city, one in ten unknown."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT 'u' || lpad(CAST(i AS VARCHAR), 7, '0') AS user_id,
                CASE WHEN hash(i) % 10 > 0 THEN ['female', 'male'][1 + CAST(hash(i * 3) % 2 AS INT)] END AS gender,
                CASE WHEN hash(i * 5) % 10 > 0 THEN 'city ' || CAST(hash(i * 7) % 30 AS VARCHAR) END AS city
                FROM range({users}) AS t(i)) TO '{folder / "people.parquet"}' (FORMAT parquet)"""
        )


def write_acts(target: Path, events: int, users: int) -> None:
    """Write so many events, in no order, as Parquet or CSV by the name of the file."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute("SET memory_limit = '3GB'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET temp_directory = ?", [str(target.parent / "tmp")])
        connection.execute(
            f"""COPY (
                WITH dice AS (SELECT i, hash(i) AS a, hash(i * 7 + 1) AS b, hash(i * 13 + 5) AS c, hash(i * 31 + 7) AS d
                    FROM range({events}) AS t(i)),
                drawn AS (SELECT i, d, c,
                    'u' || lpad(CAST(CAST(floor({users} * pow((a % 1000003) / 1000003.0, 1.6)) AS BIGINT) AS VARCHAR), 7, '0') AS user_id,
                    TIMESTAMP '2024-03-01' + to_seconds(CAST(b % 31500000 AS BIGINT)) AS time,
                    CASE WHEN c % 100 < 35 THEN 'login' WHEN c % 100 < 65 THEN 'read' WHEN c % 100 < 75 THEN 'search'
                        WHEN c % 100 < 80 THEN 'share' WHEN c % 100 < 85 THEN 'comment' WHEN c % 100 < 90 THEN 'add_to_shelf'
                        ELSE 'order' END AS event
                    FROM dice)
                SELECT 'e' || CAST(i AS VARCHAR) AS event_id, user_id, time, event,
                    CASE WHEN event IN ('read', 'add_to_shelf') THEN ['玄幻', '言情', '科幻', '历史', '悬疑', '都市', '武侠', '游戏',
                        '军事', '轻小说', 'fantasy', 'biography'][1 + CAST(d % 12 AS INT)] END AS genre,
                    CASE WHEN event = 'read' THEN (d % 240) / 4.0 END AS minutes,
                    CASE WHEN event = 'order' THEN (d % 1200) / 4.0 END AS amount,
                    CASE WHEN event = 'order' THEN ['membership', 'book', 'coin', 'gift'][1 + CAST((d // 100) % 4 AS INT)] END AS product,
                    ['ios', 'android', 'web'][1 + CAST((c // 100) % 3 AS INT)] AS device
                FROM drawn) TO '{target}' (FORMAT {"csv" if target.suffix == ".csv" else "parquet"})"""
        )


def make_project(folder: Path, events: int, users: int, acts: str = "acts.parquet") -> Project:
    """The workspace with so many generated events and users and the forty tags; not ingested yet."""
    if not (folder / "limner.yaml").exists():
        (folder / "tags").mkdir(parents=True, exist_ok=True)
        write_people(folder, users)
        write_acts(folder / acts, events, users)
        (folder / "tags" / "forty.yaml").write_text(yaml.safe_dump(TAGS, allow_unicode=True, sort_keys=False), "utf-8")
        settings = {**_SETTINGS, "sources": {**_SETTINGS["sources"]}}
        settings["sources"]["acts"] = {**settings["sources"]["acts"], "path": acts}
        (folder / "limner.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), "utf-8")
    return open_project(folder)


def ingested_project(folder: Path, events: int, users: int) -> Project:
    """The same, ingested."""
    project = make_project(folder, events, users)
    sync(project, Silent())
    return project
