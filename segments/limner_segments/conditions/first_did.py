"""`first_did('purchase', within => '30d')`: when somebody did something for the first time."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_profile.tags.expressions import instant
from limner_segments.conditions.base import SetExample, condition
from limner_segments.conditions.behaviour import Behaviour, rows_of
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.scope import Scope


@condition("first_did")
class FirstDid(Behaviour):
    """The first of the user's events before as_of lies in the window; somebody who never did it does not match."""

    kind: Literal["first_did"] = "first_did"

    SHOWN: ClassVar[str] = "first_did('purchase', within => '30d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("first_did('buy', within => '30d')", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample("first_did('buy', before => date '2025-02-01')", frozenset({"ben"}), USERS, ACTS),
        SetExample("first_did('buy', within => '7d', where => amount >= 20)", frozenset({"ann"}), USERS, ACTS),
    )

    def users(self, scope: Scope) -> exp.Query:
        """Those whose first such event lies in the window: all before as_of are looked at."""
        start, end = self.span(scope)
        when = exp.Min(this=exp.column("time"))
        parts: list[exp.Expr] = [exp.LT(this=when, expression=instant(end))]
        if start is not None:
            parts.append(exp.GTE(this=when.copy(), expression=instant(start)))
        rows = rows_of(self.events, self.where, None, scope.as_of)
        return exp.select("user_id").from_("events").where(rows).group_by("user_id").having(exp.and_(*parts))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`did buy for the first time in the last 30 days`."""
        events, window = self.events_words(language), self.window_words(language)
        return f"did {events} for the first time{window}" if language == "en" else f"{window}首次 {events}"
