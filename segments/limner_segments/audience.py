"""Audiences: the users who match a segment in a snapshot; their size, and the tables that hold them.

Imports floor 1 and segment. One function gives the SQL of an audience, so that every surface counts alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlglot import exp

from limner_profile.catalog import Catalog
from limner_profile.errors import Issue, RefusedError
from limner_profile.predicates.base import Predicate
from limner_profile.schema import table
from limner_profile.snapshots import Snapshot, SnapshotWriter
from limner_segments.bitmaps import write_bitmaps
from limner_segments.conditions.base import user_sets
from limner_segments.conditions.scope import Scope, scope_of
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


def condition_sql(condition: Predicate, scope: Scope | None = None) -> exp.Expr:
    """The condition over the columns of `profiles`; one with calls (`user_sets`) takes the scope of the snapshot."""
    return condition.to_sql(scope or (lambda name: exp.column(name, quoted=True)))


def audience_query(condition: Predicate, scope: Scope | None = None) -> exp.Select:
    """The query for the `user_id` of everyone in `profiles` who matches, in order."""
    return exp.select("user_id").from_("profiles").where(condition_sql(condition, scope)).order_by("user_id")


def prepare(connection: duckdb.DuckDBPyConnection, *conditions: Predicate) -> Scope | None:
    """The scope in which the conditions' SQL runs on a snapshot's connection, with what it reads made; None where they need none.

    Raises RefusedError `events-gone` where behaviour is asked for and files that the snapshot read are no longer there.
    """
    calls = [call for condition in conditions for call in user_sets(condition)]
    if not calls:
        return None
    scope = scope_of(connection)
    for call in calls:
        call.prepare(scope, connection)
    return scope


def measure_audience(snapshot: Snapshot, condition: Predicate) -> AudienceSize:
    """The exact size of the audience in a snapshot; raises RefusedError for a tag that the snapshot lacks."""
    require_tags(snapshot, sorted(condition.fields()))
    return measure_on(snapshot.connection, condition)


def require_tags(snapshot: Snapshot, tags: Iterable[str]) -> None:
    """Nothing; raises RefusedError `not-built` where a tag came into the catalog after the snapshot was built."""
    columns = snapshot.columns("profiles")
    lacking = [tag for tag in tags if tag not in columns]
    if lacking:
        raise RefusedError(
            Issue(
                "not-built", "", f"snapshot {snapshot.id} has no tag {', '.join(lacking)}", "run 'limner build' first"
            )
        )


def measure_on(connection: duckdb.DuckDBPyConnection, condition: Predicate) -> AudienceSize:
    """The exact size of the audience in the `profiles` of an open connection."""
    scope = prepare(connection, condition)
    unknown = exp.or_(
        exp.Boolean(this=False),
        *(exp.Is(this=exp.column(name, quoted=True), expression=exp.Null()) for name in sorted(condition.fields())),
    )
    query = exp.select(
        exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition_sql(condition, scope))),
        exp.Count(this=exp.Star()),
        exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=unknown)),
    ).from_("profiles")
    with connection.cursor() as cursor:
        size, users, lacking = cursor.execute(query.sql(dialect="duckdb")).fetchall()[0]
    return AudienceSize(int(size), int(users), int(lacking))


def measure_many(connection: duckdb.DuckDBPyConnection, conditions: Sequence[Predicate]) -> list[int]:
    """The size of the audience of each condition, counted over `profiles` a hundred conditions at a time."""
    sizes: list[int] = []
    scope = prepare(connection, *conditions)
    for start in range(0, len(conditions), 100):
        counts = [
            exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition_sql(condition, scope)))
            for condition in conditions[start : start + 100]
        ]
        with connection.cursor() as cursor:
            row = cursor.execute(exp.select(*counts).from_("profiles").sql(dialect="duckdb")).fetchall()[0]
        sizes += [int(count) for count in row]
    return sizes


SEGMENTS_TABLE = table(
    "segments",
    "The segments that this snapshot materialised, with the definitions that it used.",
    [
        ("name", "VARCHAR", "The segment"),
        ("title_en", "VARCHAR", "Title in English"),
        ("title_zh", "VARCHAR", "Title in Chinese"),
        ("purpose", "VARCHAR", "What the audience is wanted for"),
        ("owner", "VARCHAR", "Who answers for it"),
        ("condition", "VARCHAR", "The where text in canonical form"),
        ("sentence_en", "VARCHAR", "The condition as an English sentence"),
        ("sentence_zh", "VARCHAR", "The condition as a Chinese sentence"),
        ("definition_hash", "VARCHAR", "Twelve hex digits that change with the definition"),
        ("size", "BIGINT", "How many users match"),
        ("share", "DOUBLE", "Their share of all users, 0 to 1"),
        ("unknown_share", "DOUBLE", "Share of users for whom a tag of the condition is unknown, 0 to 1"),
        ("insight", "VARCHAR", "The insight that it was saved from, if any"),
        ("promised_size", "BIGINT", "The size on that insight's card"),
    ],
)
AUDIENCES_TABLE = table(
    "audiences",
    "Who belongs to which audience.",
    [("segment", "VARCHAR", "The segment"), ("user_id", "VARCHAR", "A user who matches it")],
)
CHANGES_TABLE = table(
    "audience_changes",
    "Who joined or left an audience since the snapshot before.",
    [
        ("segment", "VARCHAR", "The segment"),
        ("user_id", "VARCHAR", "The user"),
        ("change", "VARCHAR", "joined or left"),
    ],
)


def write_audiences(
    writer: SnapshotWriter, segments: Sequence[NamedSegment], catalog: Catalog, previous: Path | None
) -> Mapping[str, int]:
    """Segment name to audience size; writes `segments`, `audiences` and `audience_changes` into a snapshot.

    `previous` is the snapshot file to compare with: users who joined or left since go into `audience_changes`.
    A segment that it does not hold has no changes.
    """
    connection = writer.connection
    for kind in (SEGMENTS_TABLE, AUDIENCES_TABLE, CHANGES_TABLE):
        kind.create(connection)
    sizes: dict[str, int] = {}
    with writer.run("audiences", f"{len(segments)} segments") as count:
        for named in segments:
            connection.execute("DELETE FROM audiences WHERE segment = ?", [named.name])
            connection.execute("DELETE FROM segments WHERE name = ?", [named.name])
            scope = prepare(connection, named.condition)
            query = audience_query(named.condition, scope).sql(dialect="duckdb")
            connection.execute(f"INSERT INTO audiences SELECT ?, user_id FROM ({query})", [named.name])
            measured = measure_on(connection, named.condition)
            origin = named.segment.origin
            row = {
                "name": named.name,
                "title_en": named.title("en"),
                "title_zh": named.title("zh"),
                "purpose": named.segment.purpose,
                "owner": named.segment.owner,
                "condition": named.segment.where.to_text(),
                "sentence_en": named.sentence("en", catalog),
                "sentence_zh": named.sentence("zh", catalog),
                "definition_hash": named.definition_hash,
                "size": measured.size,
                "share": measured.share,
                "unknown_share": measured.unknown_share,
                "insight": origin.insight if origin else None,
                "promised_size": origin.size if origin else None,
            }
            SEGMENTS_TABLE.insert(connection, [row])
            sizes[named.name] = measured.size
            count.rows += measured.size
        write_bitmaps(connection, {named.name: named.condition for named in segments})
        if previous is not None:
            _write_changes(connection, [named.name for named in segments], previous)
    return sizes


def forget_audiences(connection: duckdb.DuckDBPyConnection, keep: Sequence[str]) -> None:
    """Take the audiences of all segments but these out of a snapshot being written."""
    for kind, column in ((SEGMENTS_TABLE, "name"), (AUDIENCES_TABLE, "segment"), (CHANGES_TABLE, "segment")):
        kind.create(connection)
        connection.execute(f"DELETE FROM {kind.name} WHERE NOT list_contains(?, {column})", [list(keep)])


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
