"""`field is known` and `field is unknown`. Imports the base and wording beside it."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import PREDICATES, Column, Example, OnField, Words, field_text, operand
from limner_profile.predicates.words import Language

_ROWS = ({"gender": "f"}, {"gender": None}, {"gender": "m"})


@PREDICATES.kind("known")
class Known(OnField):
    """The field has a value, or, with `known=False`, it has none."""

    kind: Literal["known"] = "known"
    known: bool

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("gender is known", _ROWS, frozenset({0, 2})),
        Example("gender is unknown", _ROWS, frozenset({1})),
    )

    def to_sql(self, column: Column) -> exp.Expression:
        """`column IS NULL`, or its negation: never NULL itself."""
        test = exp.Is(this=operand(column(self.field)), expression=exp.Null())
        return exp.Not(this=test) if self.known else test

    def to_text(self) -> str:
        """`field is known` or `field is unknown`."""
        return f"{field_text(self.field)} is {'known' if self.known else 'unknown'}"

    def to_sentence(self, language: Language, words: Words) -> str:
        """`gender is unknown`."""
        title = words(self.field).title
        if language == "en":
            return f"{title} is {'known' if self.known else 'unknown'}"
        return f"{title} {'已知' if self.known else '未知'}"
