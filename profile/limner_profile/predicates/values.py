"""Literal values of the predicate language: what is allowed, and how each is written in text, SQL and JSON.

A value is true/false, a number, a date or a string. Imports pydantic and sqlglot only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import PlainSerializer, PlainValidator
from sqlglot import exp

ValueType = Literal["boolean", "number", "date", "text"]

# Digits that survive DuckDB's DECIMAL -> DOUBLE conversion exactly; longer numbers are written as DOUBLE at once.
_EXACT_DIGITS = 15
_INT64 = 2**63
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_date(text: str) -> date:
    """The day written as YYYY-MM-DD; raises ValueError for any other form (`date.fromisoformat` takes more)."""
    if not _ISO_DATE.fullmatch(text):
        raise ValueError(f"{text!r} is not a date of the form YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a day of the calendar") from None


def read_value(raw: object) -> bool | int | float | date | str:
    """The canonical value: 12.0 becomes 12, numpy numbers become Python's, {'date': …} becomes a date.

    Raises ValueError for anything that is not a literal, for numbers that are not finite or beyond 64 bits, and
    for text that no engine can hold (NUL, lone surrogates).
    """
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, Integral):
        if not -_INT64 < int(raw) < _INT64:
            raise ValueError("the number is too large for 64 bits")
        return int(raw)
    if isinstance(raw, Real):
        number = float(raw)
        if not math.isfinite(number):
            raise ValueError("the number is not finite")
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return raw
    if isinstance(raw, Mapping) and set(raw) == {"date"}:
        return read_date(str(raw["date"]))
    if isinstance(raw, str):
        if "\x00" in raw or any("\ud800" <= letter <= "\udfff" for letter in raw):
            raise ValueError("text may not contain NUL or half of a surrogate pair")
        return str(raw)
    raise ValueError(f"{raw!r} is not text, a number, a date, true or false")


def _write_value(value: object) -> object:
    """The form for dictionaries and JSON: a date carries its type, so that it does not come back as text."""
    return {"date": value.isoformat()} if isinstance(value, date) else value


Value: TypeAlias = Annotated[
    bool | int | float | date | str, PlainValidator(read_value), PlainSerializer(_write_value, return_type=Any)
]


def type_of(value: Value) -> ValueType:
    """Which of the four types of literal `value` is."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "date" if isinstance(value, date) else "text"


def require_one_type(values: Iterable[Value]) -> None:
    """Nothing; raises ValueError where values of several types stand together."""
    types = sorted({type_of(value) for value in values})
    if len(types) > 1:
        raise ValueError(f"the values must be of one type, not {' and '.join(types)}")


def value_text(value: Value) -> str:
    """The literal as the language writes it.

    >>> value_text("it's"), value_text(True), value_text(date(2025, 1, 31)), value_text(-1.5)
    ("'it''s'", 'true', "date '2025-01-31'", '-1.5')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"


def value_sql(value: Value) -> exp.Expression:
    """The literal as a node of the SQL tree: quoting is left to the generator of each engine."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float):
        digits = repr(abs(value))
        if isinstance(value, float) and "e" not in digits and len(digits.strip("0.")) > _EXACT_DIGITS:
            digits += "e0"
        literal = exp.Literal.number(digits)
        return exp.Neg(this=literal) if value < 0 else literal
    if isinstance(value, date):
        return exp.Cast(this=exp.Literal.string(value.isoformat()), to=exp.DataType.build("DATE"))
    return exp.Literal.string(value)
