"""`in_percentile(spend, 10, 20)`: the users within a range of percentiles of a tag. Imports the ranking."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, SetExample, condition
from limner_segments.conditions.ranked import Percent, Ranked, ordinal, places_below
from limner_segments.conditions.scope import Scope

_AGES: dict[str, dict[str, int | None]] = {
    "ann": {"age": 20}, "bob": {"age": 30}, "cyd": {"age": 30}, "dan": {"age": 60}, "eve": {"age": None},
}  # fmt: skip


@condition("in_percentile")
class InPercentile(Ranked):
    """The user's percentile in a tag is at least `low` and below `high`.

    The users with a value stand in the order of their values, equal ones in that of their user_id; the i-th of n, counted from 0,
    has the percentile 100 × (i + ½) ÷ n. So ranges that adjoin, from 0 to 100, hold every user with a value exactly once, and
    nobody without one.
    """

    kind: Literal["in_percentile"] = "in_percentile"
    low: Percent
    high: Percent

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("tag", "tag", "the tag whose values rank the users", positional=True),
        Parameter("low", "number", "the percentile from which the range goes, 0 for the lowest value", positional=True),
        Parameter("high", "number", "the percentile below which the range ends, 100 for the highest", positional=True),
    )
    SHOWN: ClassVar[str] = "in_percentile(spend, 90, 100)"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("in_percentile(age, 0, 25)", frozenset({"ann"}), _AGES),
        SetExample("in_percentile(age, 25, 50)", frozenset({"bob"}), _AGES),
        SetExample("in_percentile(age, 50, 100)", frozenset({"cyd", "dan"}), _AGES),
        SetExample("in_percentile(age, 0, 12.5)", frozenset(), _AGES),
        SetExample("in_percentile(age, 12.5, 12.6)", frozenset({"ann"}), _AGES),
        SetExample("in_percentile(age, 0, 100)", frozenset({"ann", "bob", "cyd", "dan"}), _AGES),
    )

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        if self.low >= self.high:
            raise ValueError(
                f"the lower percentile comes first, not {self.low:g} and then {self.high:g} | 0 stands for the lowest value"
            )
        return self

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The user is among the places of the range."""
        return self.between_percentiles(scope, self.low, self.high)

    def ends(self, users: int) -> tuple[int, int]:
        """The places of the range, from the lowest value."""
        return places_below(users, self.low) + 1, places_below(users, self.high)

    def to_sentence(self, language: Language, words: Words) -> str:
        """`from the 10th to below the 20th percentile of spend`."""
        title = words(self.tag).title
        low, high = ordinal(self.low, language), ordinal(self.high, language)
        if language == "zh":
            return f"{title} 处于第 {low} 至第 {high} 百分位"
        return f"between the {low} and the {high} percentile of {title}"
