"""`did_not('login', within => '14d')`: nobody's events of these names in the window; the exact complement of `did`."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import SetExample, condition
from limner_segments.conditions.behaviour import Behaviour
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.scope import Scope


@condition("did_not")
class DidNot(Behaviour):
    """The user did none of the events in the window; somebody without any event matches, too."""

    kind: Literal["did_not"] = "did_not"

    SHOWN: ClassVar[str] = "did_not('login', within => '14d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("did_not('buy')", frozenset({"dee", "eve"}), USERS, ACTS),
        SetExample("did_not('buy', within => '7d')", frozenset({"ben", "dee", "eve"}), USERS, ACTS),
        SetExample("did_not('buy', 'view')", frozenset({"eve"}), USERS, ACTS),
        SetExample("did_not('buy', where => amount >= 300)", frozenset({"ann", "ben", "dee", "eve"}), USERS, ACTS),
        SetExample("did_not()", frozenset({"eve"}), USERS, ACTS),
    )

    def users(self, scope: Scope) -> exp.Query:
        """Those who did it, whom `in_scope` leaves out."""
        return exp.select("user_id").from_("events").where(self.rows(scope))

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The user is not among those who did it."""
        return exp.Not(this=super().in_scope(scope))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`did not buy in the last 30 days`."""
        events, window = self.events_words(language), self.window_words(language)
        if not self.events:
            events = events.removeprefix({"en": "anything", "zh": "任意事件"}[language])
            return f"did nothing{events}{window}" if language == "en" else f"{window}没有任何事件{events}"
        return f"did not {events}{window}" if language == "en" else f"{window}没有 {events}"
