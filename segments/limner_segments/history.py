"""The history of a segment: its size at each kept snapshot, who joined and left, and which condition moved them.

Imports floor 1 and audience, leaves and expectation. The definitions are those that the snapshots stored, so edits are seen as
well; where one was edited, the old definition on the new profiles tells what the edit moved from what the users did.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from limner_profile.difference import both_attached
from limner_profile.errors import UserError
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_profile.sql_text import text_of
from limner_segments.conditions import parse_condition
from limner_segments.conditions.linking import full_text, link
from limner_segments.expectation import STALE, Alert, Expectation, size_alerts
from limner_segments.leaves import Leaf, holds, leaves_of, truths_of
from limner_segments.segment import NamedSegment

_STUCK_AFTER = 3  # snapshots in which nobody moved


@dataclass(frozen=True)
class Mover:
    """One test that `count` of those who joined or left have begun or ceased to fulfil; for `alone` of them it was the only one."""

    change: str
    place: str
    test: str
    condition: Predicate
    count: int
    alone: int


@dataclass(frozen=True)
class Moves:
    """Who moved from one snapshot to the next: all, those whom their own values moved, and those whom the edit of the definition moved.

    `new` of those who joined had no profile before, `gone` of those who left have none now; they have no test that moved them.
    Of users whom an edit moved, no test is told. `note` says why a part is not known (None).
    """

    joined: int
    left: int
    joined_by_users: int | None
    left_by_users: int | None
    joined_by_definition: int | None
    left_by_definition: int | None
    new: int
    gone: int
    movers: tuple[Mover, ...]
    redefined_tags: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class HistoryPoint:
    """A segment in one snapshot. `change` is first, same or redefined; `moves` are those since the snapshot before, if there is one."""

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


def segment_history(
    store: SnapshotStore, name: str, expected: Expectation | None = None, *, explain: bool = True
) -> list[HistoryPoint]:
    """The points of a segment in every kept snapshot that holds it, oldest first; without `explain` no tests are looked for."""
    points: list[HistoryPoint] = []
    previous: Snapshot | None = None
    try:
        for snapshot_id in store.ids():
            snapshot = store.open(snapshot_id)
            found = _stored(snapshot).get(name)
            if found is None:
                snapshot.close()
                continue
            points.append(_point(snapshot, name, found, previous, points[-1] if points else None, expected, explain))
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
    found: _Stored,
    previous: Snapshot | None,
    last: HistoryPoint | None,
    expected: Expectation | None,
    explain: bool,
) -> HistoryPoint:
    built = snapshot.value("SELECT created_at FROM snapshot")
    point = HistoryPoint(
        snapshot.id, snapshot.as_of_text, built, found.size, found.share, found.text, "first", None, None, None,
        tuple(size_alerts(expected, found.size)),
    )  # fmt: skip
    if previous is None or last is None:
        return point
    earlier = _stored(previous)[name]
    same = _meaning(earlier) == _meaning(found)
    moves = _moves(previous, snapshot, name, earlier, same, explain)
    # Of an edited segment the earlier size is no measure.
    alerts = size_alerts(expected, found.size, earlier.size if same else None)
    return replace(
        point, change="same" if same else "redefined", before=previous.id, condition_before=earlier.text, moves=moves,
        alerts=tuple(alerts),
    )  # fmt: skip


def _meaning(stored: _Stored) -> str:
    return full_text(stored.condition) if stored.condition is not None else stored.text


def _moves(before: Snapshot, after: Snapshot, name: str, old: _Stored, same: bool, explain: bool) -> Moves:
    joined, left, new, gone = _moved(before, after, name)
    fields = old.condition.fields() if old.condition is not None else frozenset[str]()
    # Without an edit, or without anybody who moved, there is nothing to part.
    known = same or not (joined or left)
    moves = Moves(
        len(joined), len(left), len(joined) if known else None, len(left) if known else None, 0 if known else None, 0 if known else None,
        len(new), len(gone), (), _redefined(before, after, fields),
    )  # fmt: skip
    if not (joined or left):
        return moves
    if not explain:
        return moves if same else replace(moves, note="not asked for")
    if old.condition is None:
        return replace(moves, note="the definition of before can no longer be read")
    movers = sorted(joined | left)
    try:
        was = truths_of(before, old.condition, movers)
        now = truths_of(after, old.condition, movers)
    except (UserError, duckdb.Error) as error:
        cause = error.issues[0].message if isinstance(error, UserError) else str(error).splitlines()[0]
        return replace(moves, note=f"which condition moved them cannot be told: {cause}")
    if not same:
        in_by_old = {user for user, truths in now.items() if holds(old.condition, truths)}
        moves = replace(
            moves,
            joined_by_users=len(joined & in_by_old),
            left_by_users=len(left - in_by_old),
            joined_by_definition=len(joined - in_by_old),
            left_by_definition=len(left & in_by_old),
        )
        joined, left = joined & in_by_old, left - in_by_old
    return replace(moves, movers=tuple(find_movers(leaves_of(old.condition), joined, left, was, now)))


def find_movers(
    leaves: Sequence[Leaf],
    joined: Collection[str],
    left: Collection[str],
    was: Mapping[str, tuple[bool, ...]],
    now: Mapping[str, tuple[bool, ...]],
) -> list[Mover]:
    """Each test that has begun (of those who joined) or ceased (of those who left) to be as membership would have it, most first.

    `was` and `now` are the truths of the leaves; users who are not in both are passed over. A user counts for every test that
    turned, so that counts may add up to more than the users.
    """
    movers = []
    for change, users, helps in (("joined", joined, True), ("left", left, False)):
        counts, alone = [0] * len(leaves), [0] * len(leaves)
        for user in users:
            if user not in was or user not in now:
                continue
            turned = [
                leaf.number
                for leaf, before, after in zip(leaves, was[user], now[user], strict=True)
                if before != after and (after == leaf.wanted) == helps
            ]
            for number in turned:
                counts[number] += 1
            if len(turned) == 1:
                alone[turned[0]] += 1
        found = [
            Mover(change, leaf.place, leaf.text, leaf.condition, counts[leaf.number], alone[leaf.number])
            for leaf in leaves
            if counts[leaf.number]
        ]
        movers += sorted(found, key=lambda mover: -mover.count)
    return movers


def _moved(before: Snapshot, after: Snapshot, name: str) -> tuple[set[str], set[str], set[str], set[str]]:
    """Who joined, who left, which of the first have no profile in `before`, and which of the second none in `after`."""
    with both_attached(before, after) as connection:
        connection.execute(
            "CREATE TEMP TABLE moved AS SELECT coalesce(o.user_id, n.user_id) AS user_id, o.user_id IS NULL AS joined "
            f"FROM (SELECT user_id FROM before.audiences WHERE segment = {text_of(name)}) AS o "
            f"FULL JOIN (SELECT user_id FROM after.audiences WHERE segment = {text_of(name)}) AS n USING (user_id) "
            "WHERE o.user_id IS NULL OR n.user_id IS NULL"
        )
        rows = connection.execute(
            "SELECT user_id, joined, user_id NOT IN (SELECT user_id FROM before.profiles), "
            "user_id NOT IN (SELECT user_id FROM after.profiles) FROM moved"
        ).fetchall()
    joined = {user for user, is_in, _, _ in rows if is_in}
    left = {user for user, is_in, _, _ in rows if not is_in}
    return (
        joined,
        left,
        {row[0] for row in rows if row[1] and row[2]},
        {row[0] for row in rows if not row[1] and row[3]},
    )


def _redefined(before: Snapshot, after: Snapshot, tags: Collection[str]) -> tuple[str, ...]:
    """The tags among these that the two snapshots define in different ways."""
    if not (before.columns("tags") and after.columns("tags")):
        return ()
    query = "SELECT name, definition_hash FROM tags"
    old, new = ({row["name"]: row["definition_hash"] for row in each.rows(query)} for each in (before, after))
    return tuple(name for name in sorted(tags) if name in old and name in new and old[name] != new[name])


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
