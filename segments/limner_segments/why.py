"""Why a user is in an audience or not: each test with the user's value, and the smallest change that would turn it round.

Imports floor 1, and audience, leaves and flips. The values and truths come from the snapshot's own SQL; words for people are
made in `why_words`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlglot import exp

from limner_profile.lookup import find_user, read_profile
from limner_profile.predicates.base import OnField, Predicate
from limner_profile.predicates.between import Between
from limner_profile.predicates.compare import Compare
from limner_profile.predicates.known import Known
from limner_profile.predicates.one_of import OneOf
from limner_profile.snapshots import Snapshot
from limner_profile.sql_text import quoted
from limner_profile.tags.expressions import count_rows
from limner_segments.conditions.behaviour import Measured
from limner_segments.conditions.did_not import DidNot
from limner_segments.conditions.ranked import Ranked
from limner_segments.conditions.scope import scope_of
from limner_segments.flips import Fact, Flips, World, smallest_flips
from limner_segments.leaves import Leaf, holds, leaves_of, truths_of
from limner_segments.standing import Standing, standing_of

OTHER = "\0other"
"""Stands for any text but those that a condition names, and for any known value where it names none."""

_WHOLE = ("BIGINT", "INTEGER", "HUGEINT", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER")
# Tags of these kinds are never below zero.
_COUNTING = frozenset({"count", "distinct", "active_days", "recency"})


@dataclass(frozen=True)
class Test:
    """A leaf and the user: the values of its tags (None is unknown), and whether it holds.

    `measured` is the number that a test on behaviour compares, such as how often; None for other tests, and where there is none.
    `standing` is the place of the user that a test on ranks compares.
    """

    __test__ = False

    leaf: Leaf
    values: Mapping[str, Any]
    met: bool
    measured: float | int | None = None
    standing: Standing | None = None

    @property
    def unknown(self) -> bool:
        """Whether a tag of it has no value."""
        return any(value is None for value in self.values.values())

    @property
    def helps(self) -> bool:
        """Whether it is as membership would have it."""
        return self.met == self.leaf.wanted


@dataclass(frozen=True)
class Why:
    """A user (by the id in profiles) and a condition: membership, the tests in reading order, the facts, and the smallest changes.

    `values` are those of the tags as facts tell them apart: of a time the local day that it lies on.
    """

    user_id: str
    member: bool
    tests: tuple[Test, ...]
    values: Mapping[str, Any]
    facts: Mapping[str, Fact]
    flips: Flips


def explain_membership(snapshot: Snapshot, condition: Predicate, user: str) -> Why:
    """Why `user` (any id of it) matches the condition or does not; raises UnknownNameError for a user without a profile."""
    user_id = find_user(snapshot, user).user_id
    truths = truths_of(snapshot, condition, [user_id])
    if user_id not in truths:
        read_profile(snapshot, user_id)  # raises, with the nearest id
    columns, fields = snapshot.columns("profiles"), sorted(condition.fields())
    listed = ", ".join(["user_id", *(quoted(name) for name in fields)])
    values = snapshot.rows(f"SELECT {listed} FROM profiles WHERE user_id = ?", [user_id])[0]
    del values["user_id"]
    kinds: dict[str, str] = {}
    if snapshot.columns("tags"):
        kinds = {row["name"]: row["kind"] for row in snapshot.rows("SELECT name, kind FROM tags")}
    counting = [name for name in fields if kinds.get(name) in _COUNTING]
    types = {name: columns[name] for name in fields}
    zone = scope_of(snapshot.connection).timezone if any(map(_is_time, types.values())) else None
    found = explain(condition, truths[user_id], values, types, user_id, counting, zone)
    tests = tuple(
        replace(
            test,
            measured=_measured(snapshot, test.leaf.condition, user_id),
            standing=_standing(snapshot, test.leaf.condition, user_id),
        )
        for test in found.tests
    )
    return replace(found, tests=tests)


def _measured(snapshot: Snapshot, test: Predicate, user_id: str) -> float | int | None:
    """The number that a test on behaviour compares, for one user; of what should not be done, how often it was."""
    if not isinstance(test, Measured | DidNot):
        return None
    scope = scope_of(snapshot.connection)
    query = (
        exp.select(test.measure(scope) if isinstance(test, Measured) else count_rows())
        .from_("events")
        .where(test.rows(scope))
        .where("user_id = ?")
    )
    value = snapshot.value(query.sql(dialect="duckdb"), [user_id])
    return float(value) if isinstance(value, Decimal) else value


def _standing(snapshot: Snapshot, test: Predicate, user_id: str) -> Standing | None:
    return standing_of(snapshot, test, user_id) if isinstance(test, Ranked) else None


def explain(
    condition: Predicate,
    truths: Sequence[bool],
    values: Mapping[str, Any],
    types: Mapping[str, str],
    user_id: str = "",
    counting: Iterable[str] = (),
    timezone: ZoneInfo | None = None,
) -> Why:
    """The same from the truth of each leaf, and each tag's value and DuckDB type; tags of `counting` are never below zero.

    Times lie on days of `timezone`, UTC where it is not said.
    """
    leaves = leaves_of(condition)
    plain = {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}
    compared = {name: _day_of(value, timezone) for name, value in plain.items()}
    facts = facts_of(leaves, truths, compared, types, counting)
    member = holds(condition, truths)
    tests = tuple(
        Test(leaf, {name: plain[name] for name in sorted(leaf.condition.fields())}, truths[leaf.number])
        for leaf in leaves
    )
    flips = smallest_flips(condition, truths, facts, member)
    return Why(user_id, member, tests, compared, {fact.key: fact for fact in facts}, flips)


def _is_time(type_: str) -> bool:
    return type_.startswith("TIMESTAMP")


def _day_of(value: Any, timezone: ZoneInfo | None) -> Any:
    """The local day of a time, which is what a date is compared with; anything else as it is."""
    if not isinstance(value, datetime):
        return value
    moment = value.replace(tzinfo=UTC)
    try:
        return moment.astimezone(timezone or UTC).date()
    except OverflowError:  # a day that no calendar has
        return moment.date()


def facts_of(
    leaves: Sequence[Leaf],
    truths: Sequence[bool],
    values: Mapping[str, Any],
    types: Mapping[str, str],
    counting: Iterable[str] = (),
) -> list[Fact]:
    """What the leaves are about: a fact for each tag whose values can be reasoned about, and one for each other test."""
    groups: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        test = leaf.condition
        # What we say of a value must be what SQL says of it, or we say nothing about values.
        if (
            isinstance(test, Compare | Between | OneOf | Known)
            and not _is_beyond(values[test.field], types[test.field])
            and _fulfils(test, values[test.field]) == truths[leaf.number]
        ):
            groups.setdefault(test.field, []).append(leaf)
        else:
            groups.setdefault(f"({test.to_text()})", []).append(leaf)
    facts = []
    for key, group in groups.items():
        numbers = tuple(leaf.number for leaf in group)
        if key not in types:
            worlds = [World(flag, dict.fromkeys(numbers, flag)) for flag in (True, False)]
        else:
            worlds = _worlds(group, values[key], types[key], key in set(counting))
        facts.append(Fact(key, numbers, tuple(worlds)))
    return facts


def _is_beyond(value: Any, type_: str) -> bool:
    """Whether it is a day or a time that our calendar does not have, such as of the year 10000: it comes as a text."""
    return isinstance(value, str) and (_is_time(type_) or type_ == "DATE")


def _worlds(group: Sequence[Leaf], value: Any, type_: str, counting: bool) -> list[World]:
    """A world for each kind of value that the tests tell apart, the nearest first, and unknown last."""
    found: dict[tuple[bool, ...], World] = {}
    for candidate, limit, beyond in _candidates(group, value, type_, counting):
        truths = {leaf.number: _fulfils(leaf.condition, candidate) for leaf in group}
        found.setdefault(tuple(truths.values()), World(candidate, truths, limit, beyond))
    return list(found.values())


def _candidates(group: Sequence[Leaf], value: Any, type_: str, counting: bool) -> list[tuple[Any, Any, str]]:
    literals: list[Any] = []
    for leaf in group:
        if isinstance(leaf.condition, OnField):
            literals += [each for each in leaf.condition.literals if each not in literals]
    if not literals:
        # Only known and unknown are told apart, of whatever type.
        return [(OTHER, None, ""), (None, None, "")]
    if type_ == "BOOLEAN":
        return [(True, None, ""), (False, None, ""), (None, None, "")]
    if type_ == "VARCHAR" or isinstance(literals[0], str):
        return [*((each, None, "") for each in literals), (OTHER, None, ""), (None, None, "")]
    found: list[tuple[Any, Any, str]] = []
    for each in literals:
        if isinstance(each, date):
            near = [each.toordinal() + days for days in (0, -1, 1)]
            found += [(date.fromordinal(day), None, "") for day in near if 0 < day <= date.max.toordinal()]
        elif type_ in _WHOLE:
            found += [
                (whole, None, "")
                for whole in {math.floor(each), math.ceil(each), math.ceil(each) - 1, math.floor(each) + 1}
            ]
        else:
            found += [
                (float(each), None, ""),
                (math.nextafter(float(each), math.inf), each, "above"),
                (math.nextafter(float(each), -math.inf), each, "below"),
            ]
    if counting:
        found = [one for one in found if one[0] >= 0]
    return [*sorted(found, key=lambda one: _distance(one[0], value, bool(one[2]))), (None, None, "")]


def _distance(candidate: Any, value: Any, beyond: bool) -> tuple[float, bool, float]:
    if value is None or isinstance(candidate, date) != isinstance(value, date):
        size = candidate.toordinal() if isinstance(candidate, date) else candidate
        return (0.0, beyond, abs(size))
    gap = (candidate - value).days if isinstance(candidate, date) else candidate - value
    return (abs(gap), beyond, 0.0)


def _fulfils(test: Predicate, value: Any) -> bool:
    """Whether a value fulfils a simple test, as its SQL says."""
    if isinstance(test, Known):
        return (value is not None) == test.known
    if not isinstance(test, Compare | Between | OneOf):
        return False
    if value is None:
        return test.include_unknown
    if isinstance(test, Compare):
        other: Any = test.value
        return bool(
            {
                "=": lambda: value == other, "!=": lambda: value != other, "<": lambda: value < other,
                "<=": lambda: value <= other, ">": lambda: value > other, ">=": lambda: value >= other,
            }[test.operator]()
        )  # fmt: skip
    if isinstance(test, Between):
        low, high = test.low, test.high
        return bool(low <= value <= high)
    return (value in test.values) != test.negated
