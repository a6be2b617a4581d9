"""`average(amount, 'purchase', at_least => 50)`: the mean of a field over events."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_profile.tags.expressions import as_number, event_column
from limner_segments.conditions.base import SetExample, condition
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.of_field import OfField
from limner_segments.conditions.scope import Scope


@condition("average")
class Average(OfField):
    """The mean of a number over the user's events in the window keeps the limits; somebody without such a number does not match."""

    kind: Literal["average"] = "average"
    TYPES: ClassVar[frozenset[str]] = frozenset({"number"})

    SHOWN: ClassVar[str] = "average(amount, 'purchase', at_least => 50)"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("average(amount, 'buy', at_least => 100)", frozenset({"ben", "chen"}), USERS, ACTS),
        SetExample("average(amount, 'buy', at_most => 20)", frozenset({"ann"}), USERS, ACTS),
    )

    def measure(self, scope: Scope) -> exp.Expr:
        """The mean as DOUBLE."""
        return exp.Avg(this=as_number(event_column(self.field)))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`amount of buy is at least 100 on average`."""
        events, window = self.events_words(language), self.window_words(language)
        if language == "en":
            return f"{self.field} of {events} is {self.limit_words(language)} on average{window}"
        return f"{window}{events} 的 {self.field} 平均{self.limit_words(language)}"
