"""`last_did('login', before => date '2025-06-01')`: when somebody did something for the last time."""

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


@condition("last_did")
class LastDid(Behaviour):
    """The last of the user's events before as_of lies in the window; somebody who never did it does not match."""

    kind: Literal["last_did"] = "last_did"

    SHOWN: ClassVar[str] = "last_did('login', before => date '2025-06-01')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("last_did('buy', before => date '2025-02-28')", frozenset({"ann", "ben"}), USERS, ACTS),
        SetExample("last_did('buy', within => '30d')", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample(
            "last_did('buy', since => date '2025-02-10', before => date '2025-02-11')", frozenset(), USERS, ACTS
        ),
    )

    def users(self, scope: Scope) -> exp.Query:
        """Those whose last such event lies in the window: all before as_of are looked at."""
        start, end = self.span(scope)
        when = exp.Max(this=exp.column("time"))
        parts: list[exp.Expr] = [exp.LT(this=when, expression=instant(end))]
        if start is not None:
            parts.append(exp.GTE(this=when.copy(), expression=instant(start)))
        rows = rows_of(self.events, self.where, None, scope.as_of)
        return exp.select("user_id").from_("events").where(rows).group_by("user_id").having(exp.and_(*parts))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`did buy for the last time in the last 30 days`."""
        events, window = self.events_words(language), self.window_words(language)
        return f"did {events} for the last time{window}" if language == "en" else f"{window}最近一次 {events}"
