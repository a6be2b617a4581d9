"""The `default` of a tag: one value as YAML gives it, whether it fits the tag's type, and its SQL. Registers no kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlglot import exp

from limner_profile.errors import Issue
from limner_profile.sources import FieldType

_HOW_TO_WRITE: Mapping[FieldType, str] = {
    "number": "write a number without quotes, such as 0",
    "category": "write a text, such as none",
    "boolean": "write true or false",
    "date": "write a day, such as 2025-12-31",
    "time": "write an instant in UTC, such as 2025-12-31 08:00:00",
}


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("expected one number, text, true or false")
    return value


# Told apart before pydantic tries each type, so that there is one complaint.
Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]


def default_issue(value: bool | float | str, kind: FieldType, whole: bool) -> Issue | None:
    """The issue of a default that is no value of the type (`whole`: no whole number); None where it is one."""
    if _fits(value, kind, whole):
        return None
    thing = "whole number" if kind == "number" and whole else kind
    return Issue("wrong-type", "", f"'default': the tag is a {thing}, and {value!r} is none", _HOW_TO_WRITE[kind])


def default_sql(value: bool | float | str, kind: FieldType) -> exp.Expr:
    """A default that fits the type as a literal of that type."""
    if kind == "number":
        return exp.Literal.number(value)
    if kind == "boolean":
        return exp.Boolean(this=value)
    text = exp.Literal.string(str(value))
    if kind == "category":
        return text
    return exp.Cast(this=text, to=exp.DataType.build("date" if kind == "date" else "timestamp"))


def _fits(value: bool | float | str, kind: FieldType, whole: bool) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and (not whole or value == int(value))
    if not isinstance(value, str) or kind == "category":
        return isinstance(value, str)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return False
    return moment.tzinfo is None and (kind == "time" or len(value) == len("2025-12-31"))
