"""`… or …`. Imports the base and wording beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, cast

from pydantic import BeforeValidator, field_validator
from sqlglot import exp

from limner_profile.predicates.base import PREDICATES, Column, Example, Part, Predicate, Words, as_tuple
from limner_profile.predicates.words import Language, bracketed

_ROWS = ({"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}, {"a": None, "b": 1}, {"a": None, "b": None})


@PREDICATES.kind("any_of")
class AnyOf(Predicate):
    """At least one part holds. Parts that are `any_of` themselves are flattened, so one meaning has one tree."""

    BINDING: ClassVar[Literal[1, 2, 3]] = 1
    kind: Literal["any_of"] = "any_of"
    parts: Annotated[tuple[Part, ...], BeforeValidator(as_tuple)]

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("a = 1 or b = 1", _ROWS, frozenset({0, 1, 3})),
        Example("a = 1 and b = 1 or a = 2", _ROWS, frozenset({0, 2})),
    )

    @field_validator("parts")
    @classmethod
    def _flatten(cls, parts: tuple[Predicate, ...]) -> tuple[Predicate, ...]:
        if len(parts) < 2:
            raise ValueError("any_of needs at least two parts")
        return tuple(inner for part in parts for inner in (part.parts if isinstance(part, AnyOf) else (part,)))

    def children(self) -> tuple[Predicate, ...]:
        """The parts."""
        return self.parts

    def to_sql(self, column: Column) -> exp.Expression:
        """The parts joined by OR."""
        return cast("exp.Expression", exp.or_(*(part.to_sql(column) for part in self.parts), copy=False))

    def to_text(self) -> str:
        """The parts joined by `or`; `and` binds tighter and needs no brackets."""
        return " or ".join(part.to_text() for part in self.parts)

    def to_sentence(self, language: Language, words: Words) -> str:
        """The parts joined by "or", with brackets around an "and": readers do not know which binds tighter."""
        joint = {"en": " or ", "zh": " 或 "}[language]
        return joint.join(
            bracketed(sentence, language) if part.BINDING == 2 else sentence
            for part in self.parts
            for sentence in [part.to_sentence(language, words)]
        )


def any_of(parts: Sequence[Predicate]) -> Predicate:
    """The disjunction of the parts; a single part is given back as it is. Raises ValueError for no part."""
    return parts[0] if len(parts) == 1 else AnyOf(parts=tuple(parts))
