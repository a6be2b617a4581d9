"""The funnel of a condition: how many users are left after each rule, and for how many its tags are unknown, in one scan.

Imports floor 1, and audience. A rule is a part of the outermost `and`; the branches of an `or` are
steps of their own below their rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from limner_profile.predicates.all_of import AllOf
from limner_profile.predicates.any_of import AnyOf
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_segments.audience import condition_sql, prepare, require_tags

_USERS = "users_alike"


@dataclass(frozen=True)
class FunnelStep:
    """One rule: `alone` users fulfil it, `count` are left after it and the rules before it, which takes `change` of them away.

    `step` is its place, such as `2`, or `2.1` for a branch of an `or`: then `count` is with this branch and those before it, and
    `change` what it adds. `unknown` users have no value for one of its tags; `unknown_lost` of those who stood before it do not
    get through, and have no value.
    """

    step: str
    rule: str
    condition: Predicate
    alone: int
    count: int
    change: int
    unknown: int
    unknown_share: float
    unknown_lost: int


@dataclass(frozen=True)
class _Planned:
    """A step before it is counted: who stood before it, and who is left after it, as conditions over the part's columns."""

    step: str
    rule: str
    condition: Predicate
    before: exp.Expr
    after: exp.Expr
    alone: exp.Expr
    adds: bool


def measure_funnel(snapshot: Snapshot, condition: Predicate) -> list[FunnelStep]:
    """The steps in the order of the rules; the last rule leaves the audience. Raises RefusedError for a tag that the snapshot lacks."""
    require_tags(snapshot, sorted(condition.fields()))
    scope = prepare(snapshot.connection, condition)
    parts: list[Predicate] = []
    plan = list(_plan(condition, parts))
    columns = [exp.alias_(_or_false(condition_sql(part, scope)), f"part_{n}") for n, part in enumerate(parts)]
    unknowns = [exp.alias_(_unknown(step.condition), f"unknown_{n}") for n, step in enumerate(plan)]
    inner = exp.select(*columns, *unknowns).from_("profiles")
    # Users who are alike in every rule are counted together first, so that the sums below are over a few rows.
    names = [exp.column(each.alias) for each in (*columns, *unknowns)]
    alike = exp.select(*names, exp.alias_(exp.Count(this=exp.Star()), _USERS)).from_(
        inner.subquery("rules", copy=False)
    )
    alike = alike.group_by(*(name.copy() for name in names))
    counts: list[exp.Expr] = [_count(exp.true())]
    for number, step in enumerate(plan):
        unknown = exp.column(f"unknown_{number}")
        lost = exp.and_(step.before.copy(), exp.not_(step.alone.copy()), unknown.copy())
        counts += [_count(step.alone), _count(step.after), _count(step.before), _count(unknown), _count(lost)]
    query = exp.select(*counts).from_(alike.subquery("alike", copy=False))
    with snapshot.connection.cursor() as cursor:
        users, *found = cursor.execute(query.sql(dialect="duckdb")).fetchall()[0]
    return _steps(plan, [int(each) for each in found], int(users))


def _steps(plan: Sequence[_Planned], found: Sequence[int], users: int) -> list[FunnelStep]:
    steps = []
    counted = 0  # with the branches of this `or` so far
    for number, step in enumerate(plan):
        alone, after, before, unknown, lost = found[5 * number : 5 * number + 5]
        first = step.step.endswith(".1") or step.step == "1"
        change = after - (0 if first else counted) if step.adds else after - before
        counted = after
        steps.append(
            FunnelStep(
                step.step, step.rule, step.condition, alone, after, change, unknown, unknown / users if users else 0.0, lost
            )
        )  # fmt: skip
    return steps


def _plan(condition: Predicate, parts: list[Predicate]) -> Iterator[_Planned]:
    """The steps of a condition; `parts` gets what has to be computed once a user."""
    before: exp.Expr = exp.true()
    if isinstance(condition, AnyOf):
        yield from _branches(condition, "", before, parts)
        return
    rules = condition.parts if isinstance(condition, AllOf) else (condition,)
    for number, rule in enumerate(rules, 1):
        start = len(parts)
        if isinstance(rule, AnyOf):
            branches = list(_branches(rule, f"{number}.", before, parts))
            alone: exp.Expr = exp.or_(*(exp.column(f"part_{n}") for n in range(start, len(parts))))
        else:
            branches = []
            parts.append(rule)
            alone = exp.column(f"part_{start}")
        after = exp.and_(before.copy(), alone.copy())
        yield _Planned(str(number), "and" if len(rules) > 1 else "only", rule, before, after, alone, False)
        yield from branches
        before = after


def _branches(rule: AnyOf, prefix: str, before: exp.Expr, parts: list[Predicate]) -> Iterator[_Planned]:
    any_so_far: list[exp.Expr] = []
    for number, branch in enumerate(rule.parts, 1):
        alone = exp.column(f"part_{len(parts)}")
        parts.append(branch)
        any_so_far.append(alone)
        after = exp.and_(before.copy(), exp.or_(*(each.copy() for each in any_so_far)))
        yield _Planned(f"{prefix}{number}", "or", branch, before, after, alone, True)


def _or_false(test: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=exp.Paren(this=test), expressions=[exp.false()])


def _unknown(condition: Predicate) -> exp.Expr:
    """Whether a tag of the condition has no value."""
    fields = sorted(condition.fields())
    return (
        exp.or_(*(exp.Is(this=exp.column(name, quoted=True), expression=exp.Null()) for name in fields))
        if fields
        else exp.false()
    )


def _count(test: exp.Expr) -> exp.Expr:
    """How many users are in the rows of users who are alike for which the test holds."""
    total = exp.Filter(this=exp.Sum(this=exp.column(_USERS)), expression=exp.Where(this=test.copy()))
    return exp.Coalesce(this=total, expressions=[exp.Literal.number(0)])
