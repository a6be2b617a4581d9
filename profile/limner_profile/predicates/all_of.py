"""`… and …`. Imports the base and wording beside it, and the one kind that needs a comma in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, cast

from pydantic import BeforeValidator, field_validator
from sqlglot import exp

from limner_profile.predicates.base import PREDICATES, Column, Example, Part, Predicate, Words, as_tuple
from limner_profile.predicates.one_of import OneOf
from limner_profile.predicates.words import Language, bracketed

_ROWS = ({"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": None, "b": 1}, {"a": None, "b": None})


@PREDICATES.kind("all_of")
class AllOf(Predicate):
    """Every part holds. Parts that are `all_of` themselves are flattened, so one meaning has one tree."""

    BINDING: ClassVar[Literal[1, 2, 3]] = 2
    kind: Literal["all_of"] = "all_of"
    parts: Annotated[tuple[Part, ...], BeforeValidator(as_tuple)]

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("a = 1 and b = 1", _ROWS, frozenset({0})),
        Example("(a = 1 or a is unknown) and b = 1", _ROWS, frozenset({0, 3})),
    )

    @field_validator("parts")
    @classmethod
    def _flatten(cls, parts: tuple[Predicate, ...]) -> tuple[Predicate, ...]:
        if len(parts) < 2:
            raise ValueError("all_of needs at least two parts")
        return tuple(inner for part in parts for inner in (part.parts if isinstance(part, AllOf) else (part,)))

    def children(self) -> tuple[Predicate, ...]:
        """The parts."""
        return self.parts

    def to_sql(self, column: Column) -> exp.Expression:
        """The parts joined by AND."""
        return cast("exp.Expression", exp.and_(*(part.to_sql(column) for part in self.parts), copy=False))

    def to_text(self) -> str:
        """The parts joined by `and`, with brackets around an `or`."""
        texts = ((part, part.to_text()) for part in self.parts)
        return " and ".join(f"({text})" if part.BINDING < self.BINDING else text for part, text in texts)

    def to_sentence(self, language: Language, words: Words) -> str:
        """The parts joined by "and"; a comma stands before it where a part itself says "a or b"."""
        texts = [
            bracketed(sentence, language) if part.BINDING < self.BINDING else sentence
            for part in self.parts
            for sentence in [part.to_sentence(language, words)]
        ]
        comma = any(isinstance(part, OneOf) and len(part.values) > 1 for part in self.parts)
        joint = {"en": ", and " if comma else " and ", "zh": "，且 " if comma else " 且 "}[language]
        return joint.join(texts)


def all_of(parts: Sequence[Predicate]) -> Predicate:
    """The conjunction of the parts; a single part is given back as it is. Raises ValueError for no part."""
    return parts[0] if len(parts) == 1 else AllOf(parts=tuple(parts))
