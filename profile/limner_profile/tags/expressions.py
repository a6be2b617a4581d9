"""Pieces of SQL trees that the tag kinds build their values from. Pure; imports sqlglot only."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlglot import exp


def event_column(name: str) -> exp.Column:
    """The column of a field of events, quoted since properties have any name."""
    return exp.column(name, quoted=True)


def instant(moment: datetime) -> exp.Expr:
    """A UTC instant as a literal of the type that stored events have (TIMESTAMP, in UTC)."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("timestamp"))


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
