"""`total(amount, 'purchase', at_least => 1000, within => '90d')`: the sum of a field over events."""

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


@condition("total")
class Total(OfField):
    """The sum of a number over the user's events in the window keeps the limits; somebody without such a number does not match."""

    kind: Literal["total"] = "total"
    TYPES: ClassVar[frozenset[str]] = frozenset({"number"})

    SHOWN: ClassVar[str] = "total(amount, 'purchase', at_least => 1000, within => '90d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("total(amount, 'buy', at_least => 60)", frozenset({"ben", "chen"}), USERS, ACTS),
        SetExample("total(amount, 'buy', at_most => 60)", frozenset({"ann"}), USERS, ACTS),
        SetExample(
            "total(amount, 'buy', at_least => 10, at_most => 60, within => '7d')", frozenset({"ann"}), USERS, ACTS
        ),
    )

    def measure(self, scope: Scope) -> exp.Expr:
        """The sum as DOUBLE."""
        return exp.Sum(this=as_number(event_column(self.field)))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`amount of buy adds up to at least 60`."""
        events, window = self.events_words(language), self.window_words(language)
        if language == "en":
            return f"{self.field} of {events} adds up to {self.limit_words(language)}{window}"
        return f"{window}{events} 的 {self.field} 合计{self.limit_words(language)}"
