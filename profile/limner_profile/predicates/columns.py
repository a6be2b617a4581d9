"""Where predicates find their fields in SQL, and how a date stands beside a time. Imports windows, values and wording; pure.

A time is compared with a date by the local calendar day that it lies on, as a reader would: `signed_up <= date '2025-01-31'`
holds to the last instant of that day in the workspace's zone. The SQL compares instants and no days: when a day begins is known as
soon as it is compiled, and a stored time is compared as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, TypeAlias, cast, runtime_checkable
from zoneinfo import ZoneInfo

from sqlglot import exp

from limner_profile.predicates.values import Value
from limner_profile.predicates.words import FieldType, Operator
from limner_profile.windows import midnight

Column: TypeAlias = Callable[[str], exp.Expression]
"""Gives a field's expression. A plain function says that no field is a time; `Columns` knows which are."""


@runtime_checkable
class Timed(Protocol):
    """A Column that knows which fields are times (UTC instants), and in which zone their days are counted."""

    @property
    def times(self) -> frozenset[str]:
        """The fields of type `time`."""
        raise NotImplementedError

    @property
    def timezone(self) -> ZoneInfo:
        """The zone of their days."""
        raise NotImplementedError

    def __call__(self, name: str) -> exp.Expression:
        """The expression of a field."""
        raise NotImplementedError


@dataclass(frozen=True)
class Columns:
    """A Column made of a function, the names of the fields that are times, and their zone."""

    find: Column
    times: frozenset[str]
    timezone: ZoneInfo

    @classmethod
    def of(cls, find: Column, types: Mapping[str, FieldType], timezone: ZoneInfo) -> Columns:
        """The Column made of a function and the types of all fields."""
        return cls(find, frozenset(name for name, type_ in types.items() if type_ == "time"), timezone)

    def __call__(self, name: str) -> exp.Expression:
        """The expression of a field."""
        return self.find(name)


def instant(moment: datetime) -> exp.Expr:
    """A UTC instant as a literal of the type that stored events have (TIMESTAMP, in UTC)."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("timestamp"))


def day_start(day: date, timezone: ZoneInfo) -> datetime:
    """The UTC instant at which a local day begins; the end of the calendar for the first and the last day that it has."""
    try:
        return midnight(day, timezone)
    except OverflowError:  # it begins in the year 0 or 10000 of UTC
        return datetime(1, 1, 1, tzinfo=UTC) if day.year == 1 else datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def zone_of(column: Column, field: str, values: Iterable[Value]) -> ZoneInfo | None:
    """The zone whose days count where `field` is a time and the values are dates; None for everything else."""
    if not isinstance(column, Timed) or field not in column.times:
        return None
    return column.timezone if all(isinstance(value, date) for value in values) else None


def on_days(moment: exp.Expression, first: Value, last: Value, zone: ZoneInfo) -> exp.Expression:
    """Whether an instant lies on a day from `first` to `last`, both dates and both included; NULL for an unknown one."""
    begin, end = _begin(first, zone), _end(last, zone)
    return exp.Paren(
        this=exp.And(
            this=exp.GTE(this=moment.copy(), expression=instant(begin)),
            expression=exp.LT(this=moment.copy(), expression=instant(end)),
        )
    )


def by_day(moment: exp.Expression, operator: Operator, day: Value, zone: ZoneInfo) -> exp.Expression:
    """Whether the day of an instant stands in this relation to `day`, a date; NULL for an unknown one."""
    if operator in ("=", "!="):
        same = on_days(moment, day, day, zone)
        return same if operator == "=" else exp.Not(this=same)
    # To the end of a day is before the next one begins, and after a day is from there on.
    edge = _begin(day, zone) if operator in ("<", ">=") else _end(day, zone)
    kind = exp.LT if operator in ("<", "<=") else exp.GTE
    return kind(this=moment.copy(), expression=instant(edge))


def _begin(day: Value, zone: ZoneInfo) -> datetime:
    return day_start(cast("date", day), zone)


def _end(day: Value, zone: ZoneInfo) -> datetime:
    last = cast("date", day)
    return day_start(last + timedelta(days=1), zone) if last < date.max else datetime.max.replace(tzinfo=UTC)
