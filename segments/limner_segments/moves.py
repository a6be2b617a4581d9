"""Who moved into an audience and out of it from one snapshot to the next, and what an edit of its definition moved.

Imports floor 1 and audience, leaves and movers. The old definition on the new profiles tells what the edit moved from what the
users did.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import duckdb

from limner_profile.difference import both_attached
from limner_profile.errors import UserError
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_profile.sql_text import text_of
from limner_segments.audience import audience_query, prepare, require_tags
from limner_segments.leaves import leaves_of, truths_of
from limner_segments.movers import Mover, Truths, changed_lists, find_movers, with_lists


@dataclass(frozen=True)
class Moves:
    """Who moved from one snapshot to the next: all, those whom their own values moved, and those whom the edit of the definition moved.

    After an edit there are two steps. By users: from the audience of before to whom the definition of before finds in the new
    profiles, `size_by_old_definition` many (None without an edit). By definition: from these to the audience of now. So the size
    before + joined_by_users - left_by_users = size_by_old_definition, and that + joined_by_definition - left_by_definition = the
    size now. Whom the one step brings in and the other takes out is in both and not in `joined` or `left`; without an edit,
    joined_by_users is joined and left_by_users is left.

    `new` of those who joined had no profile before, `gone` of those who left have none now; they have no test that moved them.
    Of users whom an edit moved, no test is told. `changed_lists` are lists whose users are others than at the snapshot before,
    where that moved somebody. `note` says so, or why a part is not known (None).
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
    size_by_old_definition: int | None = None
    changed_lists: tuple[str, ...] = ()


def find_moves(
    before: Snapshot, after: Snapshot, name: str, old: Predicate | None, same: bool, explain: bool = True
) -> Moves:
    """The moves of a segment between two snapshots that hold it, by its condition `old` in the first (None: it cannot be read).

    `same` says that its definition is the same in both. Without `explain` only the audiences are compared.
    """
    joined, left, new, gone = _moved(before, after, name)
    fields = old.fields() if old is not None else frozenset[str]()
    # Without an edit there is nothing to part.
    moves = Moves(
        len(joined), len(left), len(joined) if same else None, len(left) if same else None, 0 if same else None, 0 if same else None,
        len(new), len(gone), (), _redefined(before, after, fields),
    )  # fmt: skip
    if same and not (joined or left):
        return moves
    if not explain:
        return moves if same else replace(moves, note="not asked for")
    if old is None:
        return replace(moves, note="the definition of before can no longer be read")
    was_in = _members(before, name)
    now_in = was_in - left | joined
    by_old = now_in
    if not same:
        try:
            by_old = _matching(after, old)
        except (UserError, duckdb.Error) as error:
            return replace(moves, note=f"what the definition before would give cannot be told: {_cause(error)}")
        moves = replace(
            moves,
            joined_by_users=len(by_old - was_in),
            left_by_users=len(was_in - by_old),
            joined_by_definition=len(now_in - by_old),
            left_by_definition=len(by_old - now_in),
            size_by_old_definition=len(by_old),
        )
    joined, left = by_old - was_in, was_in - by_old
    if not (joined or left):
        return moves
    movers = sorted(joined | left)
    try:
        was, was_by_list = with_lists(before, old, truths_of(before, old, movers), was_in)
        now: Truths = truths_of(after, old, movers)
        now_by_list = set[str]()
        if same:
            now, now_by_list = with_lists(after, old, now, now_in)
    except (UserError, duckdb.Error) as error:
        return replace(moves, note=f"which condition moved them cannot be told: {_cause(error)}")
    leaves = leaves_of(old)
    lists = changed_lists(leaves, was, now, was_by_list | now_by_list)
    words = [f"the list {one} changed ({count:,} user{'' if count == 1 else 's'})" for one, count in lists.items()]
    return replace(
        moves,
        movers=tuple(find_movers(leaves, joined, left, was, now)),
        changed_lists=tuple(lists),
        note="; ".join(words),
    )


def _cause(error: UserError | duckdb.Error) -> str:
    return error.issues[0].message if isinstance(error, UserError) else str(error).splitlines()[0]


def _members(snapshot: Snapshot, name: str) -> set[str]:
    with snapshot.connection.cursor() as cursor:
        rows = cursor.execute("SELECT user_id FROM audiences WHERE segment = ?", [name]).fetchall()
    return {row[0] for row in rows}


def _matching(snapshot: Snapshot, condition: Predicate) -> set[str]:
    """Who matches a condition in a snapshot; raises RefusedError for a tag that it lacks."""
    require_tags(snapshot, sorted(condition.fields()))
    query = audience_query(condition, prepare(snapshot.connection, condition))
    with snapshot.connection.cursor() as cursor:
        return {row[0] for row in cursor.execute(query.sql(dialect="duckdb")).fetchall()}


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
