"""The history of a segment: its size at each kept snapshot, who joined and left, and which condition moved them.

Imports floor 1 and conditions, moves and expectation. The definitions are those that the snapshots stored, so edits are seen as
well, those of the segments that one asks for too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from limner_profile.errors import UserError
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_profile.sql_text import text_of
from limner_segments.conditions import parse_condition
from limner_segments.conditions.in_segment import InSegment
from limner_segments.conditions.like_segment import LikeSegment
from limner_segments.conditions.linking import full_text, link
from limner_segments.expectation import STALE, Alert, Expectation, size_alerts
from limner_segments.moves import Moves, find_moves
from limner_segments.segment import NamedSegment

_STUCK_AFTER = 3  # snapshots in which nobody moved


@dataclass(frozen=True)
class HistoryPoint:
    """A segment in one snapshot. `change` is first, same or redefined; `moves` are those since the snapshot before, if there is one.

    `redefined_segments` are the segments that it asks for, themselves or through others, whose own conditions were edited.
    """

    snapshot: str
    as_of: str
    built_at: datetime
    size: int
    share: float
    condition: str
    change: str
    before: str | None
    condition_before: str | None
    moves: Moves | None
    alerts: tuple[Alert, ...] = ()
    redefined_segments: tuple[str, ...] = ()


def segment_history(
    store: SnapshotStore, name: str, expected: Expectation | None = None, *, explain: bool = True
) -> list[HistoryPoint]:
    """The points of a segment in every kept snapshot that holds it, oldest first; without `explain` no tests are looked for."""
    points: list[HistoryPoint] = []
    previous: Snapshot | None = None
    try:
        for snapshot_id in store.ids():
            snapshot = store.open(snapshot_id)
            stored = _stored(snapshot)
            if name not in stored:
                snapshot.close()
                continue
            points.append(_point(snapshot, name, stored, previous, points[-1] if points else None, expected, explain))
            if previous is not None:
                previous.close()
            previous = snapshot
    finally:
        if previous is not None:
            previous.close()
    if points and is_stuck(points):
        words = f"nobody joined or left in the last {_STUCK_AFTER} snapshots"
        points[-1] = replace(points[-1], alerts=(*points[-1].alerts, Alert(STALE, words)))
    return points


def is_stuck(points: Sequence[HistoryPoint]) -> bool:
    """Whether nobody has moved for some snapshots, though time has gone on and the definition is the same."""
    last = points[-_STUCK_AFTER - 1 :]
    if len(last) <= _STUCK_AFTER:
        return False
    pairs = itertools.pairwise(last)
    return all(
        new.moves is not None
        and new.change == "same"
        and (new.moves.joined, new.moves.left) == (0, 0)
        and new.as_of > old.as_of
        for old, new in pairs
    )


@dataclass(frozen=True)
class _Stored:
    """What a snapshot stores of a segment: its condition as written and linked (None where it can no longer be read)."""

    text: str
    size: int
    share: float
    definition_hash: str
    condition: Predicate | None


def _stored(snapshot: Snapshot) -> dict[str, _Stored]:
    if not snapshot.columns("segments"):
        return {}
    rows = snapshot.rows("SELECT name, condition, size, share, definition_hash FROM segments")
    read: dict[str, Predicate] = {}
    for row in rows:
        try:
            read[row["name"]] = parse_condition(row["condition"])
        except UserError:
            continue  # written by another version of Limner
    return {
        row["name"]: _Stored(
            row["condition"], row["size"], row["share"], row["definition_hash"],
            link(read[row["name"]], read) if row["name"] in read else None,
        )
        for row in rows
    }  # fmt: skip


def _point(
    snapshot: Snapshot,
    name: str,
    stored: Mapping[str, _Stored],
    previous: Snapshot | None,
    last: HistoryPoint | None,
    expected: Expectation | None,
    explain: bool,
) -> HistoryPoint:
    found = stored[name]
    built = snapshot.value("SELECT created_at FROM snapshot")
    point = HistoryPoint(
        snapshot.id, snapshot.as_of_text, built, found.size, found.share, found.text, "first", None, None, None,
        tuple(size_alerts(expected, found.size)),
    )  # fmt: skip
    if previous is None or last is None:
        return point
    stored_before = _stored(previous)
    earlier = stored_before[name]
    same = _meaning(earlier) == _meaning(found)
    moves = find_moves(previous, snapshot, name, earlier.condition, same, explain)
    # Of an edited segment the earlier size is no measure.
    alerts = size_alerts(expected, found.size, earlier.size if same else None)
    return replace(
        point, change="same" if same else "redefined", before=previous.id, condition_before=earlier.text, moves=moves,
        alerts=tuple(alerts), redefined_segments=() if same else _edited_inside(name, stored_before, stored),
    )  # fmt: skip


def _edited_inside(name: str, before: Mapping[str, _Stored], after: Mapping[str, _Stored]) -> tuple[str, ...]:
    """The segments that a segment asks for, then or now, whose text is not the same in both; one of them may be missing."""
    asked: set[str] = set()
    for stored in (before, after):
        condition = stored[name].condition
        if condition is not None:
            asked |= {node.segment for node in condition.walk() if isinstance(node, InSegment | LikeSegment)}
    return tuple(
        one
        for one in sorted(asked)
        if (before[one].text if one in before else None) != (after[one].text if one in after else None)
    )


def _meaning(stored: _Stored) -> str:
    return full_text(stored.condition) if stored.condition is not None else stored.text


def build_alerts(
    connection: duckdb.DuckDBPyConnection, segments: Sequence[NamedSegment], previous: Path | None
) -> dict[str, list[Alert]]:
    """Segment to the alerts of its size in a snapshot that was just written, against the file `previous`; those without are left out."""
    expecting = [named for named in segments if named.segment.expect is not None]
    if not expecting:
        return {}
    query = "SELECT name, size, condition, definition_hash FROM {}segments"
    sizes = {row[0]: row for row in connection.execute(query.format("")).fetchall()}
    before: dict[str, tuple[str, int, str, str]] = {}
    if previous is not None:
        connection.execute(f"ATTACH {text_of(str(previous))} AS earlier (READ_ONLY)")
        try:
            known = connection.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'earlier' AND table_name = 'segments'"
            ).fetchall()[0][0]
            if known:
                before = {row[0]: row for row in connection.execute(query.format("earlier.")).fetchall()}
        finally:
            connection.execute("DETACH earlier")
    alerts = {}
    for named in expecting:
        if named.name not in sizes:
            continue  # it could not be made, which was said
        _, size, text, digest = sizes[named.name]
        earlier = before.get(named.name)
        # The hash changes with titles as well, and the text does not with the segments that it asks for.
        alike = earlier is not None and (earlier[3] == digest if named.linked is not None else earlier[2] == text)
        alerts[named.name] = size_alerts(named.segment.expect, size, earlier[1] if earlier and alike else None)
    return {name: found for name, found in alerts.items() if found}
