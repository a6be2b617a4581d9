"""The tests that moved users from one snapshot to the next, lists that changed among them. Imports floor 1, leaves and in_list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import compress

from limner_profile.errors import UserError
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_segments.conditions.in_list import InList
from limner_segments.conditions.lists import list_path
from limner_segments.conditions.scope import scope_of
from limner_segments.leaves import Leaf, holds, leaves_of

Truths = Mapping[str, tuple[bool, ...]]
"""User to whether each leaf holds, in reading order."""


@dataclass(frozen=True)
class Mover:
    """One test that `count` of those who joined or left have begun or ceased to fulfil; for `alone` of them it was the only one."""

    change: str
    place: str
    test: str
    condition: Predicate
    count: int
    alone: int


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


def with_lists(
    snapshot: Snapshot, condition: Predicate, truths: Truths, members: Collection[str]
) -> tuple[Truths, set[str]]:
    """The truths with those of `in_list` as they were when the snapshot was built, and the users for whom that is not as it is now.

    A snapshot keeps its `members` and not the lists. Where a list was written since the build, and a user was a member (or not)
    though the tests now say otherwise, the list is taken to have been otherwise: the first one alone that explains it, or all.
    """
    groups = _lists_written_since(snapshot, leaves_of(condition))
    if len(groups) > 1:
        groups.append(frozenset().union(*groups))
    found, turned = dict(truths), set[str]()
    for user, now in truths.items():
        if not groups or holds(condition, now) == (user in members):
            continue
        for group in groups:
            then = tuple(truth != (number in group) for number, truth in enumerate(now))
            if holds(condition, then) == (user in members):
                found[user] = then
                turned.add(user)
                break
    return found, turned


def _lists_written_since(snapshot: Snapshot, leaves: Sequence[Leaf]) -> list[frozenset[int]]:
    """The numbers of the leaves over each list whose file was written after the snapshot was begun."""
    lists: dict[str, set[int]] = {}
    for leaf in leaves:
        if isinstance(leaf.condition, InList):
            lists.setdefault(leaf.condition.name, set()).add(leaf.number)
    state = scope_of(snapshot.connection).state if lists else None
    if state is None:
        return []
    begun = snapshot.value("SELECT created_at FROM snapshot").replace(tzinfo=UTC).timestamp()
    written = []
    for name in lists:
        try:
            status = list_path(state.parent, name).stat()
        except (UserError, OSError):
            written.append(True)  # gone since
            continue
        # A file that was copied here may carry the time of its original.
        written.append(max(status.st_mtime, status.st_ctime) > begun)
    return [frozenset(numbers) for numbers in compress(lists.values(), written)]


def changed_lists(leaves: Sequence[Leaf], was: Truths, now: Truths, turned: Collection[str]) -> dict[str, int]:
    """List to how many of the users `turned` it has taken in or out, in the order of the condition; lists without any are left out."""
    found: dict[str, set[str]] = {}
    for leaf in leaves:
        if isinstance(leaf.condition, InList):
            users = found.setdefault(leaf.condition.name, set())
            users |= {
                user
                for user in turned
                if user in was and user in now and was[user][leaf.number] != now[user][leaf.number]
            }
    return {name: len(users) for name, users in found.items() if users}
