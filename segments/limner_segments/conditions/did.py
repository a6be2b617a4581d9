"""`did('purchase', at_least => 2, within => '30d', where => amount >= 300)`: how often somebody did something."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_profile.tags.expressions import count_rows
from limner_segments.conditions.base import SetExample, condition, members
from limner_segments.conditions.behaviour import Measured
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.scope import Scope


@condition("did")
class Did(Measured):
    """The user did one of the events in the window as often as the limits say: at least once, where they say nothing.

    Somebody who never did it does not match, whatever `at_most` says: that is `did_not(…)`.
    """

    kind: Literal["did"] = "did"
    at_least: int = 1
    at_most: int | None = None

    SHOWN: ClassVar[str] = "did('purchase', at_least => 2, within => '30d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("did('buy')", frozenset({"ann", "ben", "chen"}), USERS, ACTS),
        SetExample("did('buy', at_least => 2)", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample("did('buy', at_most => 1)", frozenset({"ben"}), USERS, ACTS),
        SetExample("did('buy', within => '7d')", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample("did('buy', within => '24h')", frozenset({"chen"}), USERS, ACTS),
        SetExample("did('buy', where => amount >= 300)", frozenset({"chen"}), USERS, ACTS),
        SetExample("did('buy', 'view', at_least => 3)", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample("did('buy', within => '30d', ending => '30d')", frozenset({"ben"}), USERS, ACTS),
        SetExample(
            "did('buy', since => date '2025-02-22', before => date '2025-02-28')", frozenset({"ann"}), USERS, ACTS
        ),
        SetExample("not (did('buy'))", frozenset({"dee", "eve"}), USERS, ACTS),
    )

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.at_least < 1:
            raise ValueError("at_least is 1 or more | those who never did it are did_not(…)")
        return self

    def measure(self, scope: Scope) -> exp.Expr:
        """How many rows."""
        return count_rows()

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The user is among those who did it; once is found without counting."""
        if self.at_least == 1 and self.at_most is None:
            return members(exp.select("user_id").from_("events").where(self.rows(scope)))
        return members(self.users(scope))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`did buy at least 2 times in the last 30 days`."""
        events, window = self.events_words(language), self.window_words(language)
        once = self.at_least == 1 and self.at_most is None
        if language == "en":
            times = "" if once else f" {self.limit_words(language)} {self.counted('time', 'times')}"
            return f"did {events}{times}{window}"
        return f"{window}做过 {events}" + ("" if once else f" {self.limit_words(language)} 次")
