"""What the kinds that rank users by a tag share: one order, places in it, and their complaints. Imports the base.

The order is by value and, where values are equal, by user_id, so that every place holds one user and every size is exact. Users
without a value have no place. The i-th of n users, counted from 0, stands at the percentile 100 × (i + ½) ÷ n (Hazen 1914).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator
from sqlglot import exp

from limner_profile.errors import Issue
from limner_profile.predicates.base import unknown_field_issue
from limner_profile.predicates.values import read_value
from limner_segments.conditions.base import UserSet, Vocabulary
from limner_segments.conditions.scope import Scope


def _whole(raw: object) -> object:
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 < raw < 2**53:
        raise ValueError(f"how many users is a whole number above 0, not {raw}")
    return raw


def _percent(value: Any) -> Any:
    if not 0 <= value <= 100:
        raise ValueError(f"a percentage lies from 0 to 100, not {value}")
    return read_value(value)


Count = Annotated[int, BeforeValidator(_whole)]
Percent = Annotated[float | int, AfterValidator(_percent)]


class Ranked(UserSet):
    """Users by their place in the order of one tag: a number, a date or a time."""

    tag: str

    ORDERED: ClassVar[frozenset[str]] = frozenset({"number", "date", "time"})
    FROM_TOP: ClassVar[bool] = False

    def fields(self) -> frozenset[str]:
        """The tag."""
        return frozenset({self.tag})

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """An unknown tag, or one whose values have no order."""
        if self.tag not in vocabulary.tags:
            return [unknown_field_issue(self.tag, vocabulary.tags, where, "tag")]
        found = vocabulary.tags[self.tag]
        if found in self.ORDERED:
            return []
        message = f"{self.tag!r} is a {found}, which has no order: {self.to_text()}"
        return [Issue("wrong-type", where, message, "name a tag that is a number, a date or a time")]

    @abstractmethod
    def ends(self, users: int) -> tuple[int, int]:
        """The first and the last place that is in, from 1, where so many users have a value; the first is the highest if FROM_TOP."""

    def places(self, scope: Scope, from_top: bool = False) -> exp.Select:
        """The query for the users with a value, in order; whoever asks adds LIMIT and OFFSET."""
        value = scope(self.tag)
        return (
            exp.select("user_id")
            .from_("profiles")
            .where(exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null())), copy=False)
            .order_by(
                exp.Ordered(this=value.copy(), desc=from_top),
                exp.Ordered(this=exp.column("user_id"), desc=from_top),
                copy=False,
            )
        )

    def between_percentiles(self, scope: Scope, low: float, high: float) -> exp.Expr:
        """Whether the user's percentile is at least `low` and below `high`."""
        value = scope(self.tag)
        tests: list[exp.Expression] = [exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))]
        own = _place(value, exp.column("user_id", table="profiles"))
        if high < 100:
            tests.append(exp.LTE(this=own.copy(), expression=_last_below(value, high)))
        if low > 0:
            tests.append(exp.GT(this=own.copy(), expression=_last_below(value, low)))
        return exp.paren(exp.and_(*tests), copy=False)


def places_below(users: int, percent: float) -> int:
    """How many of the places of so many users lie below a percentile.

    >>> [places_below(4, percent) for percent in (0, 12.5, 12.6, 50, 100)]
    [0, 0, 1, 2, 4]
    """
    return math.ceil(users * float(percent) / 100 - 0.5)


def _last_below(value: exp.Expression, percent: float) -> exp.Expr:
    """A subquery for the last place below a percentile: where nobody is below, an empty user_id, which comes before all.

    Ordering everybody takes several times as long as finding the value that stands there. It is that of the place ⌈n × percent ÷ 100⌉,
    which is the last one below or the one after it, so only the users who have this very value need to be put in order.
    """
    middle, everybody, user = exp.to_table("middle"), exp.to_table("profiles"), exp.column("user_id")
    share = exp.Literal.number(repr(float(percent) / 100))
    found = exp.select(
        exp.alias_(exp.Anonymous(this="QUANTILE_DISC", expressions=[value.copy(), share]), "v"),
        exp.alias_(exp.Cast(this=_below(exp.Count(this=value.copy()), percent), to=exp.DataType.build("bigint")), "p"),
    ).from_(everybody.copy())
    cut, places = (exp.select(name).from_(middle.copy()).subquery(copy=False) for name in ("v", "p"))
    lower = exp.select(exp.Sub(this=places, expression=exp.Count(this=exp.Star()))).from_(everybody.copy())
    lower = lower.where(exp.LT(this=value.copy(), expression=cut.copy()), copy=False)
    equal = exp.select(user.copy()).from_(everybody.copy()).where(exp.EQ(this=value.copy(), expression=cut.copy()))
    equal = equal.order_by(user.copy(), copy=False)
    equal.set("limit", exp.Limit(expression=lower.subquery(copy=False)))
    last = exp.select(exp.Max(this=user.copy())).from_(equal.subquery("equal", copy=False)).subquery(copy=False)
    place = _place(cut, exp.Coalesce(this=last, expressions=[exp.Literal.string("")]))
    return exp.select(place).with_("middle", as_=found, materialized=True, copy=False).subquery(copy=False)


def _place(value: exp.Expression, user: exp.Expression) -> exp.Struct:
    """A place in the order, as SQL that can be compared with others."""
    pairs = {"v": value, "u": user}
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name), expression=each.copy()) for name, each in pairs.items()
        ]
    )


def _below(count: exp.Expression, percent: float) -> exp.Expr:
    """CEIL(n × percent ÷ 100 − ½): the places i with 100 × (i + ½) ÷ n below the percentile."""
    share = exp.Cast(this=exp.Literal.number(repr(percent)), to=exp.DataType.build("double"))
    part = exp.Div(this=exp.Mul(this=count.copy(), expression=share), expression=exp.Literal.number("100"))
    return exp.Ceil(this=exp.Sub(this=part, expression=exp.Literal.number("0.5")))


def ordinal(number: float, language: str) -> str:
    """`21st` in English, the bare number in Chinese.

    >>> [ordinal(n, "en") for n in (1, 12, 22, 99.5, 103)]
    ['1st', '12th', '22nd', '99.5th', '103rd']
    """
    text = f"{number:g}"
    if language == "zh":
        return text
    plain = text.isdigit() and text[-2:] not in {"11", "12", "13"}
    return text + ({"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th") if plain else "th")
