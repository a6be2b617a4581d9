"""A number from 0 to 1 for each user, from the salted hash of the id: what samples, splits and hold-outs are drawn by. Pure."""

from __future__ import annotations

import hashlib
import math
from typing import Annotated

from pydantic import AfterValidator
from sqlglot import exp

from limner_profile.predicates.values import read_value

_DIGITS = 13  # 52 bits, which a DOUBLE holds exactly
_SCALE = 1 << 4 * _DIGITS


def _check_salt(salt: str) -> str:
    if not salt:
        raise ValueError("the salt is empty | give it a word of its own, such as the campaign's name")
    return str(read_value(salt))


Salt = Annotated[str, AfterValidator(_check_salt)]


def share_of(salt: str) -> exp.Expr:
    """The number of a row's `user_id`: SHA-256 of `salt:user_id`, its first 13 hex digits divided by 16^13."""
    digits = exp.Substring(
        this=_digest(salt),
        start=exp.Literal.number(1),
        length=exp.Literal.number(_DIGITS),
    )
    number = exp.Cast(
        this=exp.Concat(expressions=[exp.Literal.string("0x"), digits], safe=False, coalesce=False),
        to=exp.DataType.build("bigint"),
    )
    return exp.Div(
        this=exp.Cast(this=number, to=exp.DataType.build("double")), expression=exp.Literal.number(f"{_SCALE}.0")
    )


def share_of_user(salt: str, user_id: str) -> float:
    """The same number in Python.

    >>> round(share_of_user("spring", "u1"), 6)
    0.43884
    """
    return int(hashlib.sha256(f"{salt}:{user_id}".encode()).hexdigest()[:_DIGITS], 16) / _SCALE


def within(salt: str, low: float, high: float) -> exp.Expr:
    """Whether a user's number is at least `low` and below `high`; an end at 0 or 1 needs no test, so nobody falls out of it.

    Hex digits of one length sort as the numbers that they write, so digests are compared as text: a third faster.
    """
    ends: list[exp.Expression] = []
    if low > 0:
        ends.append(exp.GTE(this=_digest(salt), expression=exp.Literal.string(_digits(low))))
    if math.ceil(high * _SCALE) < _SCALE:
        ends.append(exp.LT(this=_digest(salt), expression=exp.Literal.string(_digits(high))))
    return exp.and_(*ends) if ends else exp.Boolean(this=True)


def _digits(number: float) -> str:
    """The first 13 hex digits from which on a digest is at least `number`; a product with a power of two is exact."""
    return f"{math.ceil(number * _SCALE):0{_DIGITS}x}"


def _digest(salt: str) -> exp.Expression:
    text = exp.Concat(expressions=[exp.Literal.string(f"{salt}:"), exp.column("user_id")], safe=False, coalesce=False)
    return exp.Anonymous(this="SHA256", expressions=[text])
