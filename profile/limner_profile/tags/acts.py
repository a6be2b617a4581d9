"""Acts: which of the events a value is made from, and the relations that reduce them to one row a user. Pure.

Aggregates are gathered by the events that they look at, so that each relation reads the rows of its own events only: stored
events lie together by name, and one pass over all of them with a filter in each aggregate is slower. What
needs the different values of a property (the commonest, how many) is counted over pairs of user and value first: with
COUNT(DISTINCT) or mode() a set would be kept for each user, which is slower still (both in `benchmarks/by_hand.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from sqlglot import exp

from limner_profile.predicates.base import Column, Predicate
from limner_profile.tags.expressions import (
    as_number,
    count_rows,
    event_column,
    instant,
    is_known,
    ordered,
    row_of,
)

Give = Literal["value", "share", "runner_up", "distinct"]
# The greatest weight first; of equal ones the value acted on last, then the last by name: the same events give the same value.
_ORDER = ("weight", "last_time", "value")


@dataclass(frozen=True)
class Acts:
    """Rows of events: one of these names, in [start, end) where they are given (end is never after as_of), and `where`.

    The filter finds its fields through `columns`.
    """

    events: tuple[str, ...]
    where: Predicate | None = None
    start: datetime | None = None
    end: datetime | None = None
    columns: Column = event_column

    @property
    def whenever(self) -> Acts:
        """The same acts without a beginning or an end."""
        return replace(self, start=None, end=None)

    def named(self) -> exp.Expr:
        """The condition on the name."""
        names = [exp.Literal.string(name) for name in self.events]
        column = event_column("event")
        return exp.EQ(this=column, expression=names[0]) if len(names) == 1 else exp.In(this=column, expressions=names)

    def narrowed(self, since: datetime | None) -> list[exp.Expr]:
        """The conditions beside the name, on rows that are known to be not before `since`."""
        parts: list[exp.Expr] = []
        if self.start is not None and self.start != since:
            parts.append(exp.GTE(this=exp.column("time"), expression=instant(self.start)))
        if self.end is not None:
            parts.append(exp.LT(this=exp.column("time"), expression=instant(self.end)))
        if self.where is not None:
            parts.append(self.where.to_sql(self.columns))
        return parts

    def condition(self) -> exp.Expr:
        """The whole condition on a row of events."""
        return exp.and_(self.named(), *self.narrowed(None))


@dataclass
class Reduction:
    """Aggregates over the same events: a relation with a row for each user who acted, `user_id` and a column an aggregate."""

    events: tuple[str, ...]
    aggregates: dict[str, tuple[exp.Expr, Acts, exp.Expr | None]] = field(default_factory=dict)

    def add(self, function: exp.Expr, acts: Acts, also: exp.Expr | None) -> str:
        """The name of the column that holds `function` over the acts that fulfil `also`, too."""
        condition = exp.and_(acts.condition(), also) if also is not None else acts.condition()
        key = exp.Filter(this=function, expression=exp.Where(this=condition)).sql(dialect="duckdb")
        self.aggregates.setdefault(key, (function, acts, also))
        return f"a{list(self.aggregates).index(key)}"

    def query(self, known: exp.Expr) -> exp.Select:
        """The relation, over the events that fulfil `known`."""
        since = earliest([acts.start for _, acts, _ in self.aggregates.values()])
        columns = []
        for index, (function, acts, also) in enumerate(self.aggregates.values()):
            parts = [*acts.narrowed(since), *([also] if also is not None else [])]
            columns.append(exp.alias_(filtered(function, parts), f"a{index}"))
        rows = exp.and_(known, Acts(self.events, None, since).condition())
        return exp.select("user_id", *columns).from_("events").where(rows).group_by("user_id")


@dataclass
class Tally:
    """Acts by user and value of an expression, and what is chosen among a user's values, for one filter and any windows."""

    value: exp.Expr
    acts: Acts
    starts: list[datetime | None] = field(default_factory=list)
    weights: dict[str, tuple[exp.Expr, datetime | None]] = field(default_factory=dict)
    choices: dict[tuple[Give, str], datetime | None] = field(default_factory=dict)

    def add(self, give: Give, weight: exp.Expr, start: datetime | None) -> str:
        """The name of the column that holds the choice by this weight among the values since `start`."""
        key = f"{weight.sql(dialect='duckdb')} since {start}" if give != "distinct" else f"since {start}"
        if give != "distinct":
            self.weights.setdefault(key, (weight, start))
        self.starts.append(start)
        self.choices.setdefault((give, key), start)
        return f"c{list(self.choices).index((give, key))}"

    def pairs(self, known: exp.Expr) -> exp.Select:
        """A row for each user and value, over the events that fulfil `known`: the last time and the weights."""
        since = earliest(self.starts)
        weights = []
        for index, (weight, start) in enumerate(self.weights.values()):
            parts = Acts(self.acts.events, None, start).narrowed(since)
            weights.append(exp.alias_(_weighed(weight, parts), f"w{index}"))
        parts = [known, replace(self.acts, start=since).condition()]
        if isinstance(self.value, exp.Column):
            parts.append(is_known(self.value))  # a property may be missing, a day is not
        rows = exp.and_(*parts)
        columns = [
            exp.column("user_id"),
            exp.alias_(self.value.copy(), "value"),
            exp.alias_(exp.Max(this=exp.column("time")), "last_time"),
        ]
        return (
            exp.select(*columns, *weights)
            .from_("events")
            .where(rows)
            .group_by(exp.Literal.number(1), exp.Literal.number(2))
        )

    def chosen(self, pairs: str) -> exp.Select:
        """A row a user over the relation of that name, a column a choice."""
        since = earliest(self.starts)
        columns: list[exp.Expr] = []
        # Where the second is asked for, values have places, and the one at the first place need not be looked for again.
        ranked = [key for give, key in self.choices if give == "runner_up"]
        places: dict[str, exp.Expr] = {}
        for index, ((give, key), start) in enumerate(self.choices.items()):
            # A value is in the window when it was acted on last in the window: windows end at as_of.
            inside: list[exp.Expr] = []
            if start is not None and start != since:
                inside.append(exp.GTE(this=exp.column("last_time"), expression=instant(start)))
            weight = exp.column(f"w{list(self.weights).index(key)}") if key in self.weights else None
            if weight is None:
                column = filtered(count_rows(), inside)
            elif give == "share":
                total = filtered(exp.Sum(this=as_number(weight)), inside)
                column = exp.Div(
                    this=as_number(filtered(exp.Max(this=weight.copy()), inside)),
                    expression=exp.Nullif(this=total, expression=exp.Literal.number(0)),
                )
            elif key in ranked:
                partition = [exp.column("user_id"), *(condition.copy() for condition in inside)]
                order = [ordered(exp.column(name), descending=True) for name in (weight.name, *_ORDER[1:])]
                place = exp.Window(this=exp.RowNumber(), partition_by=partition, order=exp.Order(expressions=order))
                name = f"place{ranked.index(key)}"
                places[name] = exp.alias_(place, name)
                number = exp.Literal.number(2 if give == "runner_up" else 1)
                at_place = exp.EQ(this=exp.column(name), expression=number)
                column = filtered(exp.Max(this=exp.column("value")), [*inside, at_place])
            else:
                best = exp.ArgMax(this=exp.column("value"), expression=row_of(weight.name, *_ORDER[1:]))
                column = filtered(best, inside)
            columns.append(exp.alias_(column, f"c{index}"))
        source: exp.Expr = exp.Table(this=exp.to_identifier(pairs))
        if places:
            source = exp.select("*", *places.values()).from_(source).subquery("placed")
        return exp.select("user_id", *columns).from_(source).group_by("user_id")


def earliest(starts: Sequence[datetime | None]) -> datetime | None:
    """The earliest beginning, None where one has none."""
    known = [start for start in starts if start is not None]
    return min(known) if known and len(known) == len(starts) else None


def filtered(function: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Expr:
    """The aggregate over the rows that fulfil all conditions."""
    if not conditions:
        return function.copy()
    return exp.Filter(this=function.copy(), expression=exp.Where(this=exp.and_(*(part.copy() for part in conditions))))


def _weighed(weight: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Expr:
    # The filter belongs to the aggregate, which may stand inside another function, such as coalesce.
    return (
        weight.copy()
        if not conditions
        else weight.transform(lambda node: filtered(node, conditions) if isinstance(node, exp.AggFunc) else node)
    )
