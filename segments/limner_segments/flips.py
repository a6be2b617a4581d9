"""The fewest facts that must change for a condition to say the opposite of one user: an exact search over its tree. Pure.

A fact is the value of a tag, or the membership in a user set; leaves over one tag hang together, since one value decides them
all. Imports floor 1's tree and leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limner_profile.predicates.all_of import AllOf
from limner_profile.predicates.any_of import AnyOf
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.negation import Not
from limner_segments.conditions.in_segment import InSegment
from limner_segments.leaves import leaves_of

_MOST_STEPS = 20_000
_MOST_WAYS = 12


@dataclass(frozen=True)
class World:
    """A value that a fact may take, and whether each of the fact's leaves holds then. `beyond` is above or below: past `limit`."""

    value: Any
    truths: Mapping[int, bool]
    limit: Any = None
    beyond: str = ""


@dataclass(frozen=True)
class Fact:
    """A tag (or, by its text, a user set), the numbers of the leaves over it, and the worlds in which it may be, nearest first."""

    key: str
    leaves: tuple[int, ...]
    worlds: tuple[World, ...]


Way = Mapping[str, Mapping[int, bool]]
"""Fact to what its leaves must be: together they turn the condition round."""


@dataclass(frozen=True)
class Flips:
    """The ways with the fewest facts; none where no values can turn the condition. `exact` unless the search was cut short."""

    ways: tuple[Way, ...]
    exact: bool
    more: bool = False


def smallest_flips(condition: Predicate, truths: Sequence[bool], facts: Sequence[Fact], member: bool) -> Flips:
    """The ways to turn `member` round by changing the fewest facts; `truths` are those of the leaves, in reading order.

    Every leaf belongs to one fact. The search is exhaustive but for conditions far beyond what people write.
    """
    numbers = iter(range(len(leaves_of(condition))))
    owners = {leaf: fact for fact in facts for leaf in fact.leaves}
    tree = _normal(condition, not member, numbers, truths, owners)
    search = _Search(truths, owners)
    for allowed in range(tree.bound, len(facts) + 1):
        search.allowed, search.found = allowed, {}
        complete = search.run(tree)
        if search.found:
            return Flips(tuple(search.found.values()), True, not complete)
        if not complete:
            break
    else:
        return Flips((), True)
    # Too wide to be exhausted: any way, by the cheapest branch of each `or`.
    search.allowed, search.found, search.most, search.steps = len(facts), {}, 1, 0
    search.run(tree)
    return Flips(tuple(search.found.values()), False, True)


@dataclass(frozen=True)
class _Node:
    """A node without `not`: a leaf that must be `want`, or all or any of the parts; `bound` facts must change at least."""

    kind: str
    bound: int
    facts: frozenset[str]
    parts: tuple[_Node, ...] = ()
    leaf: int = -1
    want: bool = True


def _normal(
    node: Predicate, want: bool, numbers: Iterator[int], truths: Sequence[bool], owners: Mapping[int, Fact]
) -> _Node:
    if isinstance(node, Not):
        return _normal(node.part, not want, numbers, truths, owners)
    if isinstance(node, InSegment) and node.inner is not None:
        return _normal(node.inner, want, numbers, truths, owners)
    if not isinstance(node, AllOf | AnyOf):
        leaf = next(numbers)
        return _Node("leaf", int(truths[leaf] != want), frozenset({owners[leaf].key}), (), leaf, want)
    parts = tuple(_normal(part, want, numbers, truths, owners) for part in node.parts)
    facts = frozenset[str]().union(*(part.facts for part in parts))
    if isinstance(node, AllOf) == want:
        return _Node("all", _together(parts, frozenset()), facts, parts)
    return _Node("any", min(part.bound for part in parts), facts, tuple(sorted(parts, key=lambda part: part.bound)))


def _together(parts: Sequence[_Node], changed: frozenset[str]) -> int:
    """At least so many facts beside those changed must change for all parts: parts that share a fact count once."""
    total, seen = 0, changed
    for part in sorted(parts, key=lambda part: -part.bound):
        if part.bound and seen.isdisjoint(part.facts):
            total += part.bound
            seen |= part.facts
    return total


class _Search:
    """Depth first over the branches, with no more than `allowed` facts changed."""

    def __init__(self, truths: Sequence[bool], owners: Mapping[int, Fact]) -> None:
        self.truths, self.owners = truths, owners
        self.allowed, self.steps, self.most = 0, 0, _MOST_WAYS
        self.found: dict[frozenset[tuple[str, frozenset[tuple[int, bool]]]], Way] = {}

    def run(self, tree: _Node) -> bool:
        """Whether every way was looked at; fills `found`."""
        return self._visit((tree,), {}, frozenset())

    def _visit(self, open_: tuple[_Node, ...], given: Mapping[int, bool], changed: frozenset[str]) -> bool:
        """Whether every way that fulfils all of `open_` was looked at; what must hold anyway is settled before a branch is chosen."""
        self.steps += 1
        if self.steps > _MOST_STEPS:
            return False
        now, left, branching = dict(given), list(open_), []
        while left:
            node = left.pop()
            if node.kind == "all":
                left += node.parts
            elif node.kind == "any":
                branching.append(node)
            else:
                changed_now = self._settle(node, now)
                if changed_now is None:
                    return True
                changed |= changed_now
        if len(changed) + _together(branching, changed) > self.allowed:
            return True
        if not branching:
            return self._keep(now, changed)
        node, *others = sorted(branching, key=lambda node: len(node.parts))
        return all(self._visit((part, *others), now, changed) for part in node.parts)

    def _settle(self, node: _Node, now: dict[int, bool]) -> frozenset[str] | None:
        """The fact that a leaf changes, if any, None where it cannot be as wanted; `now` gets the leaf."""
        if now.setdefault(node.leaf, node.want) != node.want:
            return None
        fact = self.owners[node.leaf]
        asked = {leaf: now[leaf] for leaf in fact.leaves if leaf in now}
        if all(self.truths[leaf] == want for leaf, want in asked.items()):
            return frozenset()
        return frozenset({fact.key}) if any(_fits(world, asked) for world in fact.worlds) else None

    def _keep(self, given: Mapping[int, bool], changed: frozenset[str]) -> bool:
        way: dict[str, dict[int, bool]] = {}
        for leaf in sorted(given):
            key = self.owners[leaf].key
            if key in changed:
                way.setdefault(key, {})[leaf] = given[leaf]
        self.found.setdefault(frozenset((key, frozenset(asked.items())) for key, asked in way.items()), way)
        return len(self.found) < self.most


def _fits(world: World, asked: Mapping[int, bool]) -> bool:
    return all(world.truths[leaf] == want for leaf, want in asked.items())


def nearest(fact: Fact, asked: Mapping[int, bool]) -> World:
    """The nearest world of a fact in which its leaves are as asked."""
    return next(world for world in fact.worlds if _fits(world, asked))
