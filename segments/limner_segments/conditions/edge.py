"""What `first_did` and `last_did` share: the first or last of a user's events lies in a window. Imports behaviour."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_profile.tags.expressions import instant
from limner_segments.conditions.behaviour import Behaviour, rows_of
from limner_segments.conditions.scope import Scope


class Edge(Behaviour):
    """One end of the user's events before as_of lies in the window."""

    # The aggregate of the times that is this end, and how it is said.
    END: ClassVar[type[exp.AggFunc]]
    WORDS: ClassVar[dict[Language, str]]

    def users(self, scope: Scope) -> exp.Query:
        """Those whose first or last such event lies in the window: all before as_of are looked at."""
        start, end = self.span(scope)
        when = self.END(this=exp.column("time"))
        parts: list[exp.Expr] = [exp.LT(this=when, expression=instant(end))]
        if start is not None:
            parts.append(exp.GTE(this=when.copy(), expression=instant(start)))
        rows = rows_of(scope, self.events, self.where, None, scope.as_of)
        return exp.select("user_id").from_("events").where(rows).group_by("user_id").having(exp.and_(*parts))

    def to_sentence(self, language: Language, words: Words) -> str:
        """`did buy for the first time in the last 30 days`."""
        events, window = self.events_words(language), self.window_words(language)
        if language == "en":
            return f"did {events} {self.WORDS[language]}{window}"
        return f"{window}{self.WORDS[language]} {events}"
