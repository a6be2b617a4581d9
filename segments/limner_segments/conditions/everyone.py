"""`everyone()`: every user. Imports the base."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import SetExample, UserSet, condition
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.scope import Scope


@condition("everyone")
class Everyone(UserSet):
    """Every user, somebody without any event or value included. The name `everyone` on the command line stands for it."""

    kind: Literal["everyone"] = "everyone"

    SHOWN: ClassVar[str] = "everyone()"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("everyone()", frozenset(USERS), USERS, ACTS),
        SetExample("everyone() and not (did('buy'))", frozenset({"dee", "eve"}), USERS, ACTS),
    )

    def in_scope(self, scope: Scope) -> exp.Expr:
        """True."""
        return exp.true()

    def to_sentence(self, language: Language, words: Words) -> str:
        """`everyone`."""
        return "everyone" if language == "en" else "所有用户"
