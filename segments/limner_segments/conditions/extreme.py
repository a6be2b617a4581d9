"""What `in_top` and `in_bottom` share: a number of users, or a percentage, from one end of the order. Imports the ranking."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import model_validator
from sqlglot import exp

from limner_profile.predicates.base import Words, field_text
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, members
from limner_segments.conditions.ranked import Count, Percent, Ranked, places_below
from limner_segments.conditions.scope import Scope

PARAMETERS = (
    Parameter("tag", "tag", "the tag whose values rank the users", positional=True),
    Parameter("count", "number", "how many users", positional=True),
    Parameter("percent", "number", "instead of a number of users: how many per cent of those who have a value"),
)


class Extreme(Ranked):
    """The users at one end of the order of a tag."""

    count: Count | None = None
    percent: Percent | None = None

    @model_validator(mode="after")
    def _check_one_of_both(self) -> Self:
        if (self.count is None) == (self.percent is None):
            raise ValueError(
                f"{self.kind}() takes a number of users or percent => …, one of the two | "
                f"for example {self.kind}({field_text(self.tag)}, 1000)"
            )
        if self.percent is not None and not 0 < self.percent < 100:
            raise ValueError(f"percent lies above 0 and below 100, not {self.percent} | write 10 for 10 %")
        return self

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The user is among the first so many, or so many per cent, from this end."""
        if self.count is not None:
            return members(self.places(scope, self.FROM_TOP).limit(self.count, copy=False))
        assert self.percent is not None
        return (
            self.between_percentiles(scope, _rest(self.percent), 100)
            if self.FROM_TOP
            else self.between_percentiles(scope, 0, self.percent)
        )

    def ends(self, users: int) -> tuple[int, int]:
        """From the first place to that of the last of so many, or so many per cent."""
        if self.percent is None:
            return 1, min(self.count or 0, users)
        if self.FROM_TOP:
            return 1, users - places_below(users, _rest(self.percent))
        return 1, places_below(users, self.percent)

    def to_sentence(self, language: Language, words: Words) -> str:
        """`among the 1,000 users with the highest spend`."""
        title = words(self.tag).title
        if self.count is not None:
            if language == "zh":
                return f"属于 {title} 最{'高' if self.FROM_TOP else '低'}的 {self.count:,} 位用户"
            number = "user" if self.count == 1 else f"{self.count:,} users"
            return f"among the {number} with the {'highest' if self.FROM_TOP else 'lowest'} {title}"
        if language == "zh":
            return f"属于 {title} {'最高' if self.FROM_TOP else '最低'}的 {self.percent:g}% 用户"
        return f"in the {'top' if self.FROM_TOP else 'bottom'} {self.percent:g} % by {title}"


def _rest(percent: float) -> float:
    # By decimals: 100 - 99.9 is 0.09999999999999432 in floating point.
    return float(100 - Decimal(repr(percent)))
