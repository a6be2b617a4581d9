"""The tables of a snapshot that hold audiences: `segments`, `audiences` and `audience_changes`, and writing them.

Imports floor 1, membership, bitmaps and audience_changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.catalog import Catalog
from limner_profile.errors import UserError
from limner_profile.schema import table
from limner_profile.snapshots import SnapshotWriter
from limner_profile.sql_text import text_of
from limner_segments.audience import AudienceSize, prepare
from limner_segments.audience_changes import CHANGES_TABLE, Before, previous_audiences
from limner_segments.bitmaps import BITMAPS_TABLE, put_bitmap
from limner_segments.membership import AT_ONCE, find_members
from limner_segments.segment import NamedSegment

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

_TABLES = (
    (SEGMENTS_TABLE, "name"),
    (AUDIENCES_TABLE, "segment"),
    (CHANGES_TABLE, "segment"),
    (BITMAPS_TABLE, "segment"),
)


def write_audiences(
    writer: SnapshotWriter,
    segments: Sequence[NamedSegment],
    catalog: Catalog,
    previous: Path | None,
    on_failure: Callable[[NamedSegment, UserError], None] | None = None,
) -> Mapping[str, int]:
    """Segment name to audience size; writes `segments`, `audiences`, `bitmaps` and `audience_changes` into a snapshot.

    `previous` is the snapshot file to compare with: users who joined or left since go into `audience_changes`.
    A segment that it does not hold has no changes. One that cannot be made (its list is gone, its seed too small) is told to
    `on_failure` and left out; without that the error is raised.
    """
    connection = writer.connection
    for kind, column in _TABLES:
        kind.create(connection)
        connection.execute(
            f"DELETE FROM {kind.name} WHERE list_contains(?, {column})", [[one.name for one in segments]]
        )
    sizes: dict[str, int] = {}
    segments = list(_preparable(connection, segments, on_failure))
    with (
        writer.run("audiences", f"{len(segments)} segments") as count,
        previous_audiences(connection, previous) as before,
    ):
        for start in range(0, len(segments), AT_ONCE):
            measured = _write_some(connection, segments[start : start + AT_ONCE], before)
            rows = [
                _row(named, size, catalog)
                for named, size in zip(segments[start : start + AT_ONCE], measured, strict=True)
            ]
            SEGMENTS_TABLE.insert(connection, rows)
            sizes |= {row["name"]: row["size"] for row in rows}
        count.rows = sum(sizes.values())
    return sizes


def _preparable(
    connection: duckdb.DuckDBPyConnection,
    segments: Sequence[NamedSegment],
    on_failure: Callable[[NamedSegment, UserError], None] | None,
) -> Iterator[NamedSegment]:
    for named in segments:
        try:
            prepare(connection, named.condition)
        except UserError as error:
            if on_failure is None:
                raise
            on_failure(named, error)
            continue
        yield named


def _write_some(
    connection: duckdb.DuckDBPyConnection, segments: Sequence[NamedSegment], before: Before | None
) -> tuple[AudienceSize, ...]:
    with find_members(connection, [named.condition for named in segments]) as found:
        # One statement for all: each would be a transaction of its own, written to the disk twice.
        parts = [f"SELECT {text_of(named.name)}, {found.members(number)}" for number, named in enumerate(segments)]
        connection.execute(f"INSERT INTO audiences {' UNION ALL '.join(parts)}")
        for number, named in enumerate(segments):
            positions = found.positions(number)
            put_bitmap(connection, named.name, named.condition, found.sizes[number].users, positions)
            if before is not None:
                before.write_changes(named.name, positions)
        return found.sizes


def _row(named: NamedSegment, measured: AudienceSize, catalog: Catalog) -> dict[str, Any]:
    origin = named.segment.origin
    return {
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


def forget_audiences(connection: duckdb.DuckDBPyConnection, keep: Sequence[str]) -> None:
    """Take the audiences of all segments but these out of a snapshot being written."""
    for kind, column in _TABLES:
        kind.create(connection)
        connection.execute(f"DELETE FROM {kind.name} WHERE NOT list_contains(?, {column})", [list(keep)])
