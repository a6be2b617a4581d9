"""A number from 0 to 1 for each user, from the salted hash of the id: what samples, splits and hold-outs are drawn by. Pure."""

from __future__ import annotations

import hashlib

from sqlglot import exp

_DIGITS = 13  # 52 bits, which a DOUBLE holds exactly
_SCALE = 1 << 4 * _DIGITS


def share_of(salt: str) -> exp.Expr:
    """The number of a row's `user_id`: SHA-256 of `salt:user_id`, its first 13 hex digits divided by 16^13."""
    text = exp.Concat(expressions=[exp.Literal.string(f"{salt}:"), exp.column("user_id")], safe=False, coalesce=False)
    digits = exp.Substring(
        this=exp.Anonymous(this="SHA256", expressions=[text]),
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
