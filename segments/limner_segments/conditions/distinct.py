"""`distinct(product, 'view', at_least => 3)`: how many different values a field had."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_profile.tags.expressions import event_column
from limner_segments.conditions.base import SetExample, condition
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.of_field import OfField
from limner_segments.conditions.scope import Scope


@condition("distinct")
class Distinct(OfField):
    """How many different known values a field has over the user's events in the window keeps the limits."""

    kind: Literal["distinct"] = "distinct"

    SHOWN: ClassVar[str] = "distinct(product, 'view', at_least => 3, within => '7d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("distinct(product, 'view', at_least => 2)", frozenset({"ann"}), USERS, ACTS),
        SetExample("distinct(product, 'view', 'buy', at_most => 1)", frozenset({"ben", "chen", "dee"}), USERS, ACTS),
    )

    def measure(self, scope: Scope) -> exp.Expr:
        """The number of different values."""
        return exp.Count(this=exp.Distinct(expressions=[event_column(self.field)]))

    def limits(self, measure: exp.Expr) -> exp.Expr:
        """The limits, and at least one known value: without one there is no number."""
        return exp.and_(exp.GTE(this=measure.copy(), expression=exp.Literal.number(1)), super().limits(measure))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`view with at least 2 different product`."""
        events, window = self.events_words(language), self.window_words(language)
        if language == "en":
            return f"{self.limit_words(language)} different {self.counted('value', 'values')} of {self.field} in {events}{window}"
        return f"{window}{events} 的不同 {self.field} {self.limit_words(language)} 个"
