"""`not ( … )`, the exact complement. Imports the base and wording beside it."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import PREDICATES, Column, Example, Part, Predicate, Words
from limner_profile.predicates.words import Language, bracketed

_ROWS = ({"city": "北京", "n": 1}, {"city": "上海", "n": None}, {"city": None, "n": 3})


@PREDICATES.kind("not")
class Not(Predicate):
    """Every row that the part does not match, those with unknown values included.

    A condition and its negation add up to everyone, which `city != '北京'` and `city = '北京'` do not.
    """

    kind: Literal["not"] = "not"
    part: Part

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("not (city = '北京')", _ROWS, frozenset({1, 2})),
        Example("not (city != '北京')", _ROWS, frozenset({0, 2})),
        Example("not (city = '北京' or n = 3)", _ROWS, frozenset({1})),
        Example("not (n between 1 and 2)", _ROWS, frozenset({1, 2})),
    )

    def children(self) -> tuple[Predicate, ...]:
        """The part."""
        return (self.part,)

    def to_sql(self, column: Column) -> exp.Expression:
        """`NOT COALESCE(part, FALSE)`: SQL's own NOT would drop the unknowns on both sides."""
        return exp.Not(this=exp.Coalesce(this=self.part.to_sql(column), expressions=[exp.Boolean(this=False)]))

    def to_text(self) -> str:
        """`not (part)`, always with brackets: they are what tells it from `!=`."""
        return f"not ({self.part.to_text()})"

    def to_sentence(self, language: Language, words: Words) -> str:
        """`not (city is 北京)`."""
        inner = bracketed(self.part.to_sentence(language, words), language)
        return f"not {inner}" if language == "en" else f"不满足{inner}"
