"""Audiences: the users who match a segment in a snapshot; their size, and the tables that hold them.

Imports floor 1 and segment. One function gives the SQL of an audience, so that every surface counts alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlglot import exp

from limner_profile.catalog import Catalog
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot, SnapshotWriter
from limner_segments.segment import NamedSegment


@dataclass(frozen=True)
class AudienceSize:
    """How many users match, of how many; and for how many a value that the condition asks for is unknown."""

    size: int
    users: int
    unknown: int

    @property
    def share(self) -> float:
        """The audience's share of all users, 0 to 1."""
        return self.size / self.users if self.users else 0.0

    @property
    def unknown_share(self) -> float:
        """The share of users with an unknown value among the tags of the condition, 0 to 1."""
        return self.unknown / self.users if self.users else 0.0


def condition_sql(condition: Predicate) -> exp.Expr:
    """The condition over the columns of `profiles`."""
    return condition.to_sql(lambda name: exp.column(name, quoted=True))


def audience_query(condition: Predicate) -> exp.Select:
    """The query for the `user_id` of everyone in `profiles` who matches, in order."""
    return exp.select("user_id").from_("profiles").where(condition_sql(condition)).order_by("user_id")


def measure_audience(snapshot: Snapshot, condition: Predicate) -> AudienceSize:
    """The exact size of the audience in a snapshot."""
    return measure_on(snapshot.connection, condition)


def measure_on(connection: duckdb.DuckDBPyConnection, condition: Predicate) -> AudienceSize:
    """The exact size of the audience in the `profiles` of an open connection."""
    unknown = exp.or_(
        *(exp.Is(this=exp.column(name, quoted=True), expression=exp.Null()) for name in sorted(condition.fields()))
    )
    query = exp.select(
        exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition_sql(condition))),
        exp.Count(this=exp.Star()),
        exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=unknown)),
    ).from_("profiles")
    with connection.cursor() as cursor:
        size, users, lacking = cursor.execute(query.sql(dialect="duckdb")).fetchall()[0]
    return AudienceSize(int(size), int(users), int(lacking))


def measure_many(connection: duckdb.DuckDBPyConnection, conditions: Sequence[Predicate]) -> list[int]:
    """The size of the audience of each condition, counted over `profiles` a hundred conditions at a time."""
    sizes: list[int] = []
    for start in range(0, len(conditions), 100):
        counts = [
            exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition_sql(condition)))
            for condition in conditions[start : start + 100]
        ]
        with connection.cursor() as cursor:
            row = cursor.execute(exp.select(*counts).from_("profiles").sql(dialect="duckdb")).fetchall()[0]
        sizes += [int(count) for count in row]
    return sizes


_TABLES = """
CREATE TABLE IF NOT EXISTS segments (name VARCHAR, title_en VARCHAR, title_zh VARCHAR, purpose VARCHAR, owner VARCHAR, condition VARCHAR,
    sentence_en VARCHAR, sentence_zh VARCHAR, definition_hash VARCHAR, size BIGINT, share DOUBLE, unknown_share DOUBLE,
    insight VARCHAR, promised_size BIGINT);
CREATE TABLE IF NOT EXISTS audiences (segment VARCHAR, user_id VARCHAR);
CREATE TABLE IF NOT EXISTS audience_changes (segment VARCHAR, user_id VARCHAR, change VARCHAR);
"""


def write_audiences(
    writer: SnapshotWriter, segments: Sequence[NamedSegment], catalog: Catalog, previous: Path | None
) -> Mapping[str, int]:
    """Segment name to audience size; writes `segments`, `audiences` and `audience_changes` into a snapshot.

    `previous` is the snapshot file to compare with: users who joined or left since go into `audience_changes`.
    A segment that it does not hold has no changes.
    """
    connection = writer.connection
    connection.execute(_TABLES)
    sizes: dict[str, int] = {}
    with writer.run("audiences", f"{len(segments)} segments") as count:
        for named in segments:
            connection.execute("DELETE FROM audiences WHERE segment = ?", [named.name])
            connection.execute("DELETE FROM segments WHERE name = ?", [named.name])
            query = audience_query(named.condition).sql(dialect="duckdb")
            connection.execute(f"INSERT INTO audiences SELECT ?, user_id FROM ({query})", [named.name])
            measured = measure_on(connection, named.condition)
            origin = named.segment.origin
            connection.execute(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    named.name, named.title("en"), named.title("zh"), named.segment.purpose, named.segment.owner,
                    named.condition.to_text(), named.sentence("en", catalog), named.sentence("zh", catalog), named.segment.digest(),
                    measured.size, measured.share, measured.unknown_share,
                    origin.insight if origin else None, origin.size if origin else None,
                ],
            )  # fmt: skip
            sizes[named.name] = measured.size
            count.rows += measured.size
        if previous is not None:
            _write_changes(connection, [named.name for named in segments], previous)
    return sizes


def _write_changes(connection: duckdb.DuckDBPyConnection, names: Sequence[str], previous: Path) -> None:
    escaped = str(previous).replace("'", "''")
    connection.execute(f"ATTACH '{escaped}' AS previous (READ_ONLY)")
    try:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'previous'"
        ).fetchall()
        if ("audiences",) not in tables:
            return
        for name in names:
            known = connection.execute("SELECT count(*) FROM previous.segments WHERE name = ?", [name]).fetchall()[0][0]
            connection.execute("DELETE FROM audience_changes WHERE segment = ?", [name])
            if not known:
                continue
            for change, now, before in (
                ("joined", "audiences", "previous.audiences"),
                ("left", "previous.audiences", "audiences"),
            ):
                connection.execute(
                    f"INSERT INTO audience_changes SELECT segment, user_id, '{change}' FROM {now} WHERE segment = $name "
                    f"AND user_id NOT IN (SELECT user_id FROM {before} WHERE segment = $name) ORDER BY user_id",
                    {"name": name},
                )
    finally:
        connection.execute("DETACH previous")
