"""The leaves of a condition: its single tests with their place in the tree, and whether they hold for given users.

Imports floor 1 and audience. `and`, `or` and `not` are the tree, and so are
segments that it asks for; everything else, a user set too, is a leaf. A leaf whose
value is unknown does not hold, which is what SQL makes of it as well, so the tree needs two truth values only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from limner_profile.predicates.all_of import AllOf
from limner_profile.predicates.any_of import AnyOf
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.negation import Not
from limner_profile.snapshots import Snapshot
from limner_segments.audience import condition_sql, prepare, require_tags
from limner_segments.conditions.in_segment import InSegment

_MOST_AT_ONCE = 50_000  # ids in one query


@dataclass(frozen=True)
class Leaf:
    """One test: its number in reading order, its place such as `2.1`, and the words above it, outermost first.

    `wanted` is what it should be for a user to be in: true, or false below an odd number of `not`.
    """

    number: int
    place: str
    under: tuple[str, ...]
    wanted: bool
    condition: Predicate

    @property
    def text(self) -> str:
        """The test as text, with `not` where it should fail."""
        text = self.condition.to_text()
        return text if self.wanted else f"not ({text})"


def leaves_of(condition: Predicate) -> list[Leaf]:
    """The leaves in reading order.

    >>> from limner_profile.predicates import parse
    >>> [(leaf.place, leaf.under, leaf.text) for leaf in leaves_of(parse("a = 1 and not (b = 2 or c = 3)"))][1:]
    [('2.1', ('and', 'not', 'or'), 'not (b = 2)'), ('2.2', ('and', 'not', 'or'), 'not (c = 3)')]
    """
    return [
        Leaf(number, ".".join(place) or "1", under, wanted, leaf)
        for number, (place, under, wanted, leaf) in enumerate(_walk(condition, (), (), True))
    ]


def _walk(
    node: Predicate, place: tuple[str, ...], under: tuple[str, ...], wanted: bool
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], bool, Predicate]]:
    if isinstance(node, AllOf | AnyOf):
        word = "and" if isinstance(node, AllOf) else "or"
        for number, part in enumerate(node.parts, 1):
            yield from _walk(part, (*place, str(number)), (*under, word), wanted)
    elif isinstance(node, Not):
        yield from _walk(node.part, place, (*under, "not"), not wanted)
    elif isinstance(node, InSegment) and node.inner is not None:
        yield from _walk(node.inner, place, (*under, f"segment {node.segment}"), wanted)
    else:
        yield place, under, wanted, node


def holds(condition: Predicate, truths: Sequence[bool]) -> bool:
    """Whether the condition holds where its leaves, in reading order, hold or not as `truths` say."""
    return _holds(condition, iter(truths))


def _holds(node: Predicate, truths: Iterator[bool]) -> bool:
    if isinstance(node, AllOf | AnyOf):
        found = [_holds(part, truths) for part in node.parts]  # a list: every leaf must take its truth
        return all(found) if isinstance(node, AllOf) else any(found)
    if isinstance(node, Not):
        return not _holds(node.part, truths)
    if isinstance(node, InSegment) and node.inner is not None:
        return _holds(node.inner, truths)
    return next(truths)


def truths_of(snapshot: Snapshot, condition: Predicate, users: Sequence[str]) -> dict[str, tuple[bool, ...]]:
    """User to whether each leaf holds in the snapshot; users without a profile in it are left out.

    Raises RefusedError for a tag that the snapshot lacks.
    """
    require_tags(snapshot, sorted(condition.fields()))
    scope = prepare(snapshot.connection, condition)
    tests = [
        exp.Coalesce(this=exp.Paren(this=condition_sql(leaf.condition, scope)), expressions=[exp.false()])
        for leaf in leaves_of(condition)
    ]
    wanted = exp.In(
        this=exp.column("user_id", table="profiles"),
        query=exp.select(exp.Explode(this=exp.cast(exp.Placeholder(), "varchar[]"))).subquery(copy=False),
    )
    query = exp.select(exp.column("user_id", table="profiles"), *tests).from_("profiles").where(wanted)
    text = query.sql(dialect="duckdb")
    found: dict[str, tuple[bool, ...]] = {}
    with snapshot.connection.cursor() as cursor:
        for start in range(0, len(users), _MOST_AT_ONCE):
            rows = cursor.execute(text, [list(users[start : start + _MOST_AT_ONCE])]).fetchall()
            found |= {row[0]: tuple(row[1:]) for row in rows}
    return found
