"""Funnels: how many of an audience take step after step. Imports floor 1, occurrences and intervals.

What counts: every act of the first step begins an attempt. In an attempt each further step is taken at its earliest act later than the
step before, and only inside its window, which is counted from the attempt's first step: `7d` is 168 hours, to the instant. Acts of one
instant have no order, so none follows the other. The attempt of a user that counts is the one that gets farthest, and the earliest of
those. With strict order an attempt ends where the user takes any step but the one just taken before the next. All this is as in
the condition `sequence(…)`: a funnel of two steps without strict order counts in its second those who match it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_profile.tags.acts import Acts
from limner_profile.tags.expressions import instant, is_known, ordered, seconds
from limner_segments.conditions.scope import Scope
from limner_segments.conditions.windowed import duration
from limner_segments.intervals import wilson_interval
from limner_segments.occurrences import AUDIENCE, known_acts, prepared, with_audience


@dataclass(frozen=True)
class Step:
    """One step: its name, the acts that take it, and how long after the first step it may happen (`7d`, `24h`; None: any time)."""

    name: str
    acts: Acts
    within: str | None = None


@dataclass(frozen=True)
class FunnelStep:
    """How many users took a step, the share of those of the step before and of the first step that did, with 95 % intervals.

    `share` of the first step is that of the audience. `median_hours` is the median time since the step before. What would tell of a small
    group is None (`suppressed`).
    """

    name: str
    users: int | None
    share: float | None
    share_low: float | None
    share_high: float | None
    cumulative: float | None
    cumulative_low: float | None
    cumulative_high: float | None
    median_hours: float | None
    suppressed: bool


@dataclass(frozen=True)
class FunnelTable:
    """The steps of a funnel for an audience of `users`; `open` of them have not finished, but could: windows are not over at as_of."""

    users: int
    open: int | None
    steps: tuple[FunnelStep, ...]


def measure_funnel(
    snapshot: Snapshot,
    condition: Predicate,
    steps: Sequence[Step],
    *,
    strict_order: bool = False,
    since: datetime | None = None,
    min_group: int = 10,
) -> FunnelTable:
    """How an audience goes through the steps in a snapshot; first steps before `since` begin nothing.

    A count is suppressed where it, or the difference to the last count shown, is a group below `min_group`.
    """
    scope = prepared(snapshot, condition)
    query = funnel_query(condition, steps, scope, strict_order=strict_order, since=since)
    row = snapshot.rows(query.sql(dialect="duckdb"))[0]
    users, open_users = int(row["users"]), int(row["open"])
    counts = [int(row[f"users_{number}"]) for number in range(1, len(steps) + 1)]
    shown: list[int | None] = []
    last = users
    for count in counts:
        if 0 < count < min_group or 0 < last - count < min_group:
            shown.append(None)
        else:
            shown.append(count)
            last = count
    told = []
    for number, (step, seen) in enumerate(zip(steps, shown, strict=True)):
        base = users if number == 0 else shown[number - 1]
        share, cumulative = _share(seen, base), _share(seen, shown[0])
        median = row[f"median_{number + 1}"] if number and seen else None
        hours = float(median) / 3_600_000_000 if median is not None else None
        told.append(FunnelStep(step.name, seen, *share, *cumulative, hours, seen is None))
    return FunnelTable(users, None if 0 < open_users < min_group else open_users, tuple(told))


def _share(count: int | None, base: int | None) -> tuple[float | None, float | None, float | None]:
    if count is None or not base:
        return None, None, None
    share, low, high = (float(bound) for bound in wilson_interval(count, base))
    return share, low, high


def funnel_query(
    condition: Predicate,
    steps: Sequence[Step],
    scope: Scope,
    *,
    strict_order: bool = False,
    since: datetime | None = None,
) -> exp.Select:
    """The query for one row over `profiles` and `events`: `users`, `open`, of each step `users_1` … and `median_2` … in microseconds."""
    total = len(steps)
    query = exp.select(
        exp.alias_(exp.select(exp.Count(this=exp.Star())).from_(AUDIENCE).subquery(), "users"),
        exp.alias_(_count_if(exp.column("open")), "open"),
        *(exp.alias_(_count_if(is_known(_at(number))), f"users_{number}") for number in range(1, total + 1)),
        *(exp.alias_(_median(number), f"median_{number}") for number in range(2, total + 1)),
    ).from_("attempts_of_users")
    attempts = attempts_query(steps, scope, strict_order=strict_order, since=since)
    return with_audience(query, condition, scope).with_("attempts_of_users", attempts)


def attempts_query(
    steps: Sequence[Step], scope: Scope, *, strict_order: bool = False, since: datetime | None = None
) -> exp.Select:
    """The query for the attempt of each user that counts: `number`, the instants `t1` …, and whether the user may still finish (`open`).

    It is over `events` and the relation `audience`, a row for each user who took the first step.
    """
    total = len(steps)
    relations: list[tuple[str, exp.Query]] = []
    for number, step in enumerate(steps, 1):
        acts = known_acts(step.acts, scope)
        if number == 1 and since is not None:
            acts = acts.where(exp.GTE(this=exp.column("time", "acted"), expression=instant(since)))
        relations.append((f"step{number}", acts))
    first = exp.select("number", exp.alias_(exp.column("time"), "t1"), exp.alias_(exp.false(), "ended")).from_("step1")
    relations.append(("attempt1", first))
    for number in range(2, total + 1):
        if strict_order:
            relations.append((f"other{number}", _others(number, total)))
        relations += _taken(number, steps[number - 1].within, strict_order=strict_order)
    depth: exp.Expr = exp.Literal.number(1)
    for number in range(2, total + 1):
        depth = exp.Add(this=depth, expression=exp.Cast(this=is_known(_at(number)), to=exp.DataType.build("int")))
    order = exp.Order(expressions=[ordered(exp.Paren(this=depth), descending=True), ordered(_at(1), descending=False)])
    place = exp.Window(this=exp.RowNumber(), partition_by=[exp.column("number")], order=order)
    hopeful = exp.Window(this=exp.LogicalOr(this=_may_finish(steps, scope)), partition_by=[exp.column("number")])
    times = [f"t{number}" for number in range(1, total + 1)]
    placed = exp.select("number", *times, exp.alias_(place, "place"), exp.alias_(hopeful, "hopeful"))
    open_ = exp.and_(exp.Is(this=_at(total), expression=exp.Null()), exp.column("hopeful"))
    query = (
        exp.select("number", *times, exp.alias_(open_, "open"))
        .from_(placed.from_(f"attempt{total}").subquery("placed"))
        .where("place = 1")
    )
    for name, relation in relations:
        query = query.with_(name, relation)
    return query


def _taken(number: int, within: str | None, *, strict_order: bool) -> list[tuple[str, exp.Query]]:
    """The relations that add the instant of a step to the attempts so far: the earliest act that follows, if it lies in the window."""
    source = f"found{number}"
    relations: list[tuple[str, exp.Query]] = [
        (source, _next_of(f"attempt{number - 1}", f"step{number}", number - 1, "found"))
    ]
    found = exp.column("found")
    taken = [is_known(found) if within is None else exp.LTE(this=found, expression=_deadline(within))]
    ended: exp.Expr = exp.column("ended")
    if strict_order:
        relations.append((f"crossed{number}", _next_of(source, f"other{number}", number - 1, "other")))
        source = f"crossed{number}"
        interrupted = exp.Coalesce(
            this=exp.LT(this=exp.column("other"), expression=exp.column("found")), expressions=[exp.false()]
        )
        taken.append(exp.Not(this=exp.Paren(this=interrupted)))
        # Something else was done after the last step taken: nothing can follow it any more.
        not_found = exp.Is(this=exp.column("found"), expression=exp.Null())
        ended = exp.or_(ended, exp.and_(is_known(exp.column("other")), not_found), interrupted)
    moment = exp.Case(ifs=[exp.If(this=exp.and_(*taken), true=exp.column("found"))])
    before = [f"t{each}" for each in range(1, number)]
    attempt = exp.select("number", *before, exp.alias_(moment, f"t{number}"), exp.alias_(ended, "ended"))
    relations.append((f"attempt{number}", attempt.from_(source)))
    return relations


def _next_of(source: str, relation: str, after: int, name: str) -> exp.Select:
    """The rows of the source with, as a column of that name, the user's earliest act of the relation later than a step."""
    same = exp.EQ(this=exp.column("number", source), expression=exp.column("number", relation))
    later = exp.LT(this=exp.column(f"t{after}", source), expression=exp.column("time", relation))
    join = exp.Join(this=exp.to_table(relation), method="ASOF", side="LEFT", on=exp.and_(same, later))
    rows = exp.Column(this=exp.Star(), table=exp.to_identifier(source))
    return exp.select(rows, exp.alias_(exp.column("time", relation), name)).from_(source).join(join)


def _others(number: int, total: int) -> exp.Query:
    """The acts of every step but the one just taken and the next."""
    names = [f"step{each}" for each in range(1, total + 1) if each not in (number - 1, number)]
    parts: list[exp.Query] = [exp.select("number", "time").from_(name) for name in names]
    if not parts:
        return exp.select("number", "time").from_("step1").where(exp.false())
    union = parts[0]
    for part in parts[1:]:
        union = exp.union(union, part, distinct=False)
    return union


def _may_finish(steps: Sequence[Step], scope: Scope) -> exp.Expr:
    """The condition that all steps which an attempt lacks can still be taken at as_of or later."""
    parts: list[exp.Expr] = [exp.Not(this=exp.column("ended"))]
    for number, step in enumerate(steps[1:], 2):
        if step.within is not None:
            in_time = exp.GTE(this=_deadline(step.within), expression=instant(scope.as_of))
            parts.append(exp.or_(is_known(_at(number)), in_time))
    return exp.and_(*parts)


def _deadline(within: str) -> exp.Expr:
    return exp.Add(this=_at(1), expression=seconds(duration(within)))


def _at(number: int) -> exp.Column:
    return exp.column(f"t{number}")


def _median(number: int) -> exp.Expr:
    length = exp.DateDiff(this=_at(number), expression=_at(number - 1), unit=exp.var("microsecond"))
    return exp.Median(this=length)


def _count_if(condition: exp.Expr) -> exp.Expr:
    return exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition))
