"""What `in_segment` and `like_segment` share: another segment, whose condition comes by linking. Imports the base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from limner_profile.errors import InternalError, Issue, did_you_mean
from limner_profile.predicates.base import Part, Predicate
from limner_segments.conditions.base import UserSet, Vocabulary


class OfSegment(UserSet):
    """A set of users that is made from another segment; `inner` is its condition once it is linked, and no part of the text."""

    segment: str
    inner: Part | None = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _check_inner(cls, raw: Any) -> Any:
        # The condition of the other segment comes by linking; one that is written into a tree would stand instead of it.
        if isinstance(raw, Mapping) and "inner" in raw:
            raise ValueError(f"unknown argument 'inner' of {cls.model_fields['kind'].default}()")
        return raw

    @property
    def linked(self) -> Predicate:
        """The condition of the other segment; raises InternalError before linking."""
        if self.inner is None:
            raise InternalError(f"{self.to_text()} was not linked")
        return self.inner

    def children(self) -> tuple[Predicate, ...]:
        """The condition of the other segment, once it is linked."""
        return (self.inner,) if self.inner is not None else ()

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """`unknown-segment` where there is none of that name."""
        if self.inner is not None or self.segment in vocabulary.segments:
            return []
        known = sorted(vocabulary.segments)
        hint = did_you_mean(self.segment, known, f"known: {', '.join(known[:8])}" if known else "there are no segments")
        return [Issue("unknown-segment", where, f"unknown segment {self.segment!r}", hint)]
