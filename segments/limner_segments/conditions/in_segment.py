"""`in_segment('x')`: the users of another segment, by its own condition. Imports the base; linking is the matter of `linking`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from limner_profile.errors import InternalError, Issue, did_you_mean
from limner_profile.predicates.base import Part, Predicate, Words
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, SetExample, UserSet, Vocabulary, condition
from limner_segments.conditions.scope import Scope


@condition("in_segment")
class InSegment(UserSet):
    """The user belongs to another segment of the workspace. Union, intersection and difference are `or`, `and` and `and not`.

    `inner` is the condition of that segment, once it is linked; it decides who matches and is no part of the text.
    """

    kind: Literal["in_segment"] = "in_segment"
    segment: str
    inner: Part | None = Field(default=None, exclude=True, repr=False)

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("segment", "text", "the name of a segment", positional=True),
    )
    SHOWN: ClassVar[str] = "in_segment('regulars')"

    SET_EXAMPLES: ClassVar[
        tuple[SetExample, ...]
    ] = ()  # it takes a workspace: tests/segments/conditions/test_linking.py

    @model_validator(mode="before")
    @classmethod
    def _check_inner(cls, raw: Any) -> Any:
        # The condition of the other segment comes by linking; one that is written into a tree would stand instead of it.
        if isinstance(raw, Mapping) and "inner" in raw:
            raise ValueError(f"unknown argument 'inner' of {cls.model_fields['kind'].default}()")
        return raw

    def children(self) -> tuple[Predicate, ...]:
        """The condition of the other segment, once it is linked."""
        return (self.inner,) if self.inner is not None else ()

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The condition of the other segment; its unknowns do not match, so that this is never unknown."""
        if self.inner is None:
            raise InternalError(f"{self.to_text()} was not linked")
        return exp.Coalesce(this=exp.Paren(this=self.inner.to_sql(scope)), expressions=[exp.Boolean(this=False)])

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """`unknown-segment` where there is none of that name."""
        if self.inner is not None or self.segment in vocabulary.segments:
            return []
        known = sorted(vocabulary.segments)
        hint = did_you_mean(self.segment, known, f"known: {', '.join(known[:8])}" if known else "there are no segments")
        return [Issue("unknown-segment", where, f"unknown segment {self.segment!r}", hint)]

    def to_sentence(self, language: Language, words: Words) -> str:
        """`in the segment regulars`."""
        return f"in the segment {self.segment}" if language == "en" else f"属于人群 {self.segment}"
