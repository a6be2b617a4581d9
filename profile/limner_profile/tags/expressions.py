"""Pieces of SQL trees that the tag kinds build their values from. Pure; imports sqlglot, predicates and windows."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlglot import exp

from limner_profile.predicates.columns import instant as instant
from limner_profile.windows import offsets_before


def event_column(name: str) -> exp.Column:
    """The column of a field of events, quoted since properties have any name."""
    return exp.column(name, quoted=True)


def as_number(expression: exp.Expr) -> exp.Expr:
    """`expression` as DOUBLE, so that no decimal or huge integer reaches the model."""
    return exp.Cast(this=expression, to=exp.DataType.build("double"))


def is_known(expression: exp.Expr) -> exp.Expr:
    """The condition that `expression` has a value."""
    return exp.Not(this=exp.Is(this=expression.copy(), expression=exp.Null()))


def ordered(expression: exp.Expr, *, descending: bool) -> exp.Ordered:
    """The term of an ORDER BY, unknown values last in every engine."""
    return exp.Ordered(this=expression.copy(), desc=descending, nulls_first=False)


def row_of(*names: str) -> exp.Struct:
    """A struct of columns, which compares by the first, then the second, and so on."""
    fields = [exp.PropertyEQ(this=exp.to_identifier(name), expression=exp.column(name)) for name in names]
    return exp.Struct(expressions=fields)


def count_rows() -> exp.Expr:
    """COUNT(*)."""
    return exp.Count(this=exp.Star())


def seconds(length: timedelta) -> exp.Expr:
    """A length of time as an interval."""
    return exp.Interval(this=exp.Literal.string(str(int(length.total_seconds()))), unit=exp.var("second"))


def calendar_day(moment: exp.Expr, timezone: ZoneInfo) -> exp.Expr:
    """The local calendar day of any UTC instant."""
    return exp.Cast(this=_local(moment, timezone), to=exp.DataType.build("date"))


def local_day(moment: exp.Expr, as_of: datetime, timezone: ZoneInfo) -> exp.Expr:
    """The local calendar day of a UTC instant before as_of; of a later one `calendar_day`."""
    # Adding the offset that held is faster than the calendar of a zone, which is left for times long ago.
    spans = [
        exp.If(
            this=exp.GTE(this=moment.copy(), expression=instant(since)),
            true=exp.Add(this=moment.copy(), expression=seconds(offset)),
        )
        for since, offset in offsets_before(as_of, timezone)
    ]
    return exp.Cast(this=exp.Case(ifs=spans, default=_local(moment, timezone)), to=exp.DataType.build("date"))


def _local(moment: exp.Expr, timezone: ZoneInfo) -> exp.Expr:
    utc = exp.AtTimeZone(this=moment.copy(), zone=exp.Literal.string("UTC"))
    return exp.AtTimeZone(this=exp.Paren(this=utc), zone=exp.Literal.string(str(timezone)))
