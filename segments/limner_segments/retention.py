"""Retention: which share of those who began together came back, period by period. Imports floor 1, audience and intervals.

A user's start is the first act of the start event, the first act of any kind, or the date in a tag; users who started on the same local
day, in the same week (from Monday) or month form a cohort. Period k of a user is counted from the user's own first day: with days it is
the k-th day after it, with weeks the days 7k to 7k + 6 after it, with months those from the same day of the month k months later (the
last day of a shorter month) to the day before the next. A return is an act of the event later than the start: period 0 tells who came
back within the first one. Days are local days, whatever their length.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

from sqlglot import exp

from limner_profile.errors import Issue, UserError, did_you_mean
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_profile.tags.acts import Acts
from limner_profile.tags.expressions import instant, is_known
from limner_segments.audience import measure_audience
from limner_segments.conditions.scope import Scope
from limner_segments.intervals import wilson_interval
from limner_segments.occurrences import days_between, known_acts, local_day, of_audience, prepared, with_audience

Period = Literal["day", "week", "month"]
Variant = Literal["on", "after"]
PERIODS: tuple[Period, ...] = get_args(Period)
VARIANTS: Mapping[Variant, str] = {
    "on": "on: acted in that period",
    "after": "after: acted in that period or later, up to as_of",
}


@dataclass(frozen=True)
class StartTag:
    """A tag that holds when each user began: a local date, or an instant."""

    tag: str
    kind: Literal["date", "time"]


@dataclass(frozen=True)
class Retention:
    """What is asked: who came back (`event`) after which start, in periods of which length, by which variant.

    `start` is the acts whose first one counts (Acts of no names: of any act), or a tag that holds it.
    """

    event: Acts
    start: Acts | StartTag
    by: Period = "week"
    periods: int = 8
    variant: Variant = "on"


@dataclass(frozen=True)
class RetentionCell:
    """How many of a cohort came back in a period, and their share (0 to 1) with its 95 % interval.

    A period that is not over at as_of for everyone in the cohort is not `complete`; of one that has begun for nobody there are no counts.
    Counts that would tell of a small group are None (`suppressed`).
    """

    period: int
    returned: int | None
    share: float | None
    low: float | None
    high: float | None
    complete: bool
    suppressed: bool


@dataclass(frozen=True)
class Cohort:
    """Those who started in the day, week or month that begins on `start`; `size` is None where it is a small group."""

    start: date
    size: int | None
    cells: tuple[RetentionCell, ...]


@dataclass(frozen=True)
class RetentionTable:
    """The cohorts, oldest first, and of each period the average over those for which it is complete, weighted by size.

    `users` is the size of the audience and `started` how many of them have a start before as_of. Cohorts that are small groups are in no
    average.
    """

    users: int
    started: int
    cohorts: tuple[Cohort, ...]
    average: tuple[RetentionCell, ...]


def check_choice(value: str, known: Sequence[str], option: str) -> str:
    """`value` itself when it is one of the words; raises UserError otherwise."""
    if value not in known:
        hint = did_you_mean(value, known, f"{', '.join(known[:-1])} or {known[-1]}")
        raise UserError(Issue("bad-value", option, f"{value!r} is not one of the words for {option}", hint))
    return value


def measure_retention(
    snapshot: Snapshot, condition: Predicate, asked: Retention, *, min_group: int = 10, cohorts: int | None = None
) -> RetentionTable:
    """The retention of an audience in a snapshot, of the newest `cohorts` only where a number is given.

    Counts below `min_group` are suppressed: of cohorts, of those who returned, and of those who did not; by the variant `after`, too,
    those whose difference to the last count shown tells of so few.
    """
    tags = [] if isinstance(asked.start, Acts) else [asked.start.tag]
    scope = prepared(snapshot, condition, tags)
    rows = snapshot.rows(retention_query(condition, asked, scope).sql(dialect="duckdb"))
    users = measure_audience(snapshot, condition).size
    counts: dict[date, dict[int, tuple[int, int]]] = {}
    for row in rows:
        counts.setdefault(row["cohort"], {})[int(row["period"])] = (int(row["returned"]), int(row["size"]))
    sizes = {start: cells[0][1] for start, cells in sorted(counts.items())}
    started = sum(sizes.values())
    if cohorts is not None:
        sizes = dict(list(sizes.items())[-cohorts:])
    hidden = _hidden_cohorts(sizes, min_group)
    today = scope.as_of.astimezone(scope.timezone).date()
    table = []
    totals: dict[int, list[tuple[int, int, int, bool]]] = {}
    for start, size in sizes.items():
        cells = []
        around = size
        for period in range(asked.periods + 1):
            if period_begin(start, asked.by, period) > _last_day(scope):
                cells.append(RetentionCell(period, None, None, None, None, complete=False, suppressed=False))
                continue
            returned = counts[start][period][0]
            complete = period_end(start, asked.by, period) <= today
            suppressed = start in hidden or _small(returned, min_group) or _small(around - returned, min_group)
            cells.append(_cell(period, returned, size, complete=complete, suppressed=suppressed))
            if complete and start not in hidden:
                totals.setdefault(period, []).append((returned, size, around, suppressed))
            if asked.variant == "after" and not suppressed:
                around = returned  # whoever comes back later is among those who came back by then
        table.append(Cohort(start, None if start in hidden else size, tuple(cells)))
    average = [_average(period, totals.get(period, []), min_group) for period in range(asked.periods + 1)]
    return RetentionTable(users, started, tuple(table), tuple(average))


def period_begin(cohort: date, by: Period, period: int) -> date:
    """The first local day of the period, for whoever started on the cohort's first day."""
    if by == "month":
        return add_months(cohort, period)
    return cohort + timedelta(days=period * (7 if by == "week" else 1))


def period_end(cohort: date, by: Period, period: int) -> date:
    """The first local day after the period, for whoever started on the cohort's last day.

    >>> period_end(date(2025, 2, 1), "month", 0), period_end(date(2025, 2, 3), "week", 1)
    (datetime.date(2025, 3, 28), datetime.date(2025, 2, 23))
    """
    if by == "day":
        return cohort + timedelta(days=period + 1)
    if by == "week":
        return cohort + timedelta(days=6 + 7 * (period + 1))
    last = cohort.replace(day=calendar.monthrange(cohort.year, cohort.month)[1])
    return add_months(last, period + 1)


def add_months(day: date, months: int) -> date:
    """The same day of the month so many months later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def retention_query(condition: Predicate, asked: Retention, scope: Scope) -> exp.Select:
    """The query for `cohort`, `size`, `period` and `returned`, a row a cohort and period, over `profiles` and `events`."""
    dated = (
        exp.select("number", "start", "day", exp.alias_(_cohort_day(asked.by), "cohort"))
        .from_("starts")
        .where(is_known(exp.column("day")))
    )
    sizes = exp.select("cohort", exp.alias_(exp.Count(this=exp.Star()), "size")).from_("dated").group_by("cohort")
    numbers = [exp.Tuple(expressions=[exp.Literal.number(period)]) for period in range(asked.periods + 1)]
    alias = exp.TableAlias(this=exp.to_identifier("numbers"), columns=[exp.to_identifier("period")])
    periods = exp.select("period").from_(exp.Values(expressions=numbers, alias=alias))
    on = exp.EQ if asked.variant == "on" else exp.GTE
    counted = (
        exp.select("returns.cohort", "periods.period", exp.alias_(exp.Count(this=exp.Star()), "returned"))
        .from_("returns")
        .join("periods", on=on(this=exp.column("period", "returns"), expression=exp.column("period", "periods")))
        .group_by("returns.cohort", "periods.period")
    )
    returned = exp.Coalesce(this=exp.column("returned", "counted"), expressions=[exp.Literal.number(0)])
    query = (
        exp.select("sizes.cohort", "sizes.size", "periods.period", exp.alias_(returned, "returned"))
        .from_("sizes")
        .join("periods", join_type="cross")
        .join("counted", on="counted.cohort = sizes.cohort AND counted.period = periods.period", join_type="left")
        .order_by("sizes.cohort", "periods.period")
    )
    relations = {"starts": _starts(asked.start, scope), "dated": dated, "sizes": sizes, "periods": periods}
    query = with_audience(query, condition, scope)
    for name, relation in {**relations, "returns": _returns(asked, scope), "counted": counted}.items():
        query = query.with_(name, relation)
    return query


def _starts(start: Acts | StartTag, scope: Scope) -> exp.Select:
    """A row a user: the instant of the start (NULL where only its day is known) and its local day."""
    moment = exp.column("start")
    if isinstance(start, Acts):
        first = exp.alias_(exp.Min(this=exp.column("time")), "start")
        starts = exp.select("number", first).from_(known_acts(start, scope).subquery("acts")).group_by("number")
    else:
        dates = exp.select("user_id", exp.alias_(scope(start.tag), "start")).from_("profiles")
        starts = of_audience(dates, "start")
    known = exp.select("number").from_(starts.subquery("starting"))
    if isinstance(start, Acts) or start.kind == "time":
        known = known.select("start", exp.alias_(local_day(moment, scope), "day"))
        return known.where(exp.LT(this=moment.copy(), expression=instant(scope.as_of)))
    # A day that has not begun at as_of was not known to come.
    literal = exp.Cast(this=exp.Literal.string(_last_day(scope).isoformat()), to=exp.DataType.build("date"))
    nothing = exp.Cast(this=exp.Null(), to=exp.DataType.build("timestamp"))
    return known.select(exp.alias_(nothing, "start"), exp.alias_(moment, "day")).where(
        exp.LTE(this=exp.column("start", "starting"), expression=literal)
    )


def _last_day(scope: Scope) -> date:
    """The local day of the last instant before as_of."""
    return (scope.as_of - timedelta(microseconds=1)).astimezone(scope.timezone).date()


def _cohort_day(by: Period) -> exp.Expr:
    """The first day of the period that the start lies in; weeks begin on Monday."""
    day = exp.column("day")
    if by == "day":
        return day
    return exp.Cast(this=exp.TimestampTrunc(this=day, unit=exp.var(by)), to=exp.DataType.build("date"))


def _returns(asked: Retention, scope: Scope) -> exp.Select:
    """A row a user and period of a return, or, where a later one counts as well, a user and the last such period."""
    acted = local_day(exp.column("time"), scope)
    later = exp.or_(
        exp.Is(this=exp.column("start"), expression=exp.Null()),
        exp.GT(this=exp.column("time"), expression=exp.column("start")),
    )
    acts = known_acts(asked.event, scope).subquery("acts")
    days = (
        exp.select("acts.number", "dated.cohort", exp.alias_(exp.column("day", "dated"), "first_day"))
        .select(exp.alias_(acted, "day"))
        .distinct()
        .from_(acts)
        .join("dated", on="acts.number = dated.number")
        .where(later)
        .subquery("days")
    )
    period = exp.alias_(_period(asked.by), "period")
    counted = exp.select("number", "cohort", period).from_(days).where("day >= first_day").subquery("counted_days")
    if asked.variant == "on":
        return exp.select("number", "cohort", "period").distinct().from_(counted)
    last = exp.alias_(exp.Max(this=exp.column("period")), "period")
    return exp.select("number", "cohort", last).from_(counted).group_by("number", "cohort")


def _period(by: Period) -> exp.Expr:
    """The number of the period that `day` lies in, counted from `first_day`."""
    first, day = exp.column("first_day"), exp.column("day")
    if by != "month":
        days = days_between(first, day)
        if by == "day":
            return days
        return exp.IntDiv(this=days, expression=exp.Literal.number(7))
    months = exp.DateDiff(this=day, expression=first, unit=exp.var("month"))
    reached = exp.DateAdd(this=first.copy(), expression=months.copy(), unit=exp.var("month"))
    early = exp.If(
        this=exp.LT(this=day.copy(), expression=reached), true=exp.Literal.number(1), false=exp.Literal.number(0)
    )
    return exp.Sub(this=months, expression=exp.Case(ifs=[early], default=exp.Literal.number(0)))


def _small(count: int, min_group: int) -> bool:
    return 0 < count < min_group


def _hidden_cohorts(sizes: Mapping[date, int], min_group: int) -> set[date]:
    """The cohorts that are small groups, and as many more, smallest first, as keep the difference to the whole from telling one."""
    hidden = {start for start, size in sizes.items() if _small(size, min_group)}
    for start in sorted(sizes, key=lambda each: sizes[each]):
        if not _small(sum(sizes[each] for each in hidden), min_group):
            break
        hidden.add(start)
    return hidden


def _cell(period: int, returned: int, size: int, *, complete: bool, suppressed: bool) -> RetentionCell:
    if suppressed or size == 0:
        return RetentionCell(period, None, None, None, None, complete, suppressed)
    share, low, high = (float(bound) for bound in wilson_interval(returned, size))
    return RetentionCell(period, returned, share, low, high, complete, suppressed=False)


def _average(period: int, cells: Sequence[tuple[int, int, int, bool]], min_group: int) -> RetentionCell:
    """The average over complete periods; hidden where it would tell the small number that one of them hides.

    A cell is who returned, of how many, the last count shown of users whom those are among, and whether it is suppressed.
    """
    returned, size = sum(cell[0] for cell in cells), sum(cell[1] for cell in cells)
    unseen = [cell for cell in cells if cell[3]]
    hidden = sum(cell[0] for cell in unseen)
    rest = sum(cell[2] for cell in unseen) - hidden
    suppressed = _small(hidden, min_group) or _small(rest, min_group)
    return _cell(period, returned, size, complete=bool(cells), suppressed=suppressed)
