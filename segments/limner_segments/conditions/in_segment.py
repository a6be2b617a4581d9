"""`in_segment('x')`: the users of another segment, by its own condition. Imports the base; linking is the matter of `linking`."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, SetExample, condition
from limner_segments.conditions.of_segment import OfSegment
from limner_segments.conditions.scope import Scope


@condition("in_segment")
class InSegment(OfSegment):
    """The user belongs to another segment of the workspace. Union, intersection and difference are `or`, `and` and `and not`."""

    kind: Literal["in_segment"] = "in_segment"

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("segment", "text", "the name of a segment", positional=True),
    )
    SHOWN: ClassVar[str] = "in_segment('regulars')"

    SET_EXAMPLES: ClassVar[
        tuple[SetExample, ...]
    ] = ()  # it takes a workspace: tests/service/test_behaviour_segments.py

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The condition of the other segment; its unknowns do not match, so that this is never unknown."""
        return exp.Coalesce(this=exp.Paren(this=self.linked.to_sql(scope)), expressions=[exp.Boolean(this=False)])

    def to_sentence(self, language: Language, words: Words) -> str:
        """`in the segment regulars`."""
        return f"in the segment {self.segment}" if language == "en" else f"属于人群 {self.segment}"
