"""`active_days('login', at_least => 5, within => '7d')`: on how many local days somebody did something."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_profile.tags.expressions import local_day
from limner_segments.conditions.base import SetExample, condition
from limner_segments.conditions.behaviour import Measured
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.scope import Scope


@condition("active_days")
class ActiveDays(Measured):
    """The number of days, in the workspace's time zone, on which the user did one of the events keeps the limits."""

    kind: Literal["active_days"] = "active_days"

    SHOWN: ClassVar[str] = "active_days('login', at_least => 5, within => '7d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("active_days('view', at_least => 2)", frozenset({"ann"}), USERS, ACTS),
        SetExample("active_days(at_least => 2)", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample("active_days('view', at_most => 1)", frozenset({"dee"}), USERS, ACTS),
    )

    def measure(self, scope: Scope) -> exp.Expr:
        """The number of different local days."""
        return exp.Count(this=exp.Distinct(expressions=[local_day(exp.column("time"), scope.as_of, scope.timezone)]))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`did login on at least 5 days in the last 7 days`."""
        events, window = self.events_words(language), self.window_words(language)
        if language == "en":
            return f"did {events} on {self.limit_words(language)} {self.counted('day', 'days')}{window}"
        return f"{window}做过 {events} 的天数{self.limit_words(language)}"
