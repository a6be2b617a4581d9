"""`like_segment('seed', top => 10000)`: the users most like those of a segment. Imports the base and the lookalikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from limner_profile.errors import InternalError, Issue, RefusedError, did_you_mean
from limner_profile.predicates.base import Part, Predicate, Words
from limner_profile.predicates.values import read_value
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, UserSet, Vocabulary, condition, members, user_sets
from limner_segments.conditions.in_list import users_of
from limner_segments.conditions.lookalike import Lookalikes, lookalike_path, prepare_lookalikes, read_lookalikes
from limner_segments.conditions.ranked import Count
from limner_segments.conditions.scope import Scope


@condition("like_segment")
class LikeSegment(UserSet):
    """The user is outside the seed, another segment, and among the so many who are most like its users.

    A model learns the seed's users against the others from the snapshot's tags: no sensitive ones and no proxies, and none that the
    seed's own condition asks for or that tells it by itself. Each user is ranked by a model that has not seen that user. The order is
    the same in every run. A seed has 50 users at least.

    `inner` is the condition of the seed, once it is linked; it is no part of the text.
    """

    kind: Literal["like_segment"] = "like_segment"
    segment: str
    top: Count
    inner: Part | None = Field(default=None, exclude=True, repr=False)

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("segment", "text", "the name of the segment that is the seed", positional=True),
        Parameter("top", "number", "how many users"),
    )
    SHOWN: ClassVar[str] = "like_segment('regulars', top => 10000)"

    @field_validator("segment")
    @classmethod
    def _check_segment(cls, segment: str) -> str:
        return str(read_value(segment))

    @model_validator(mode="before")
    @classmethod
    def _check_inner(cls, raw: Any) -> Any:
        # The condition of the other segment comes by linking; one that is written into a tree would stand instead of it.
        if isinstance(raw, Mapping) and "inner" in raw:
            raise ValueError(f"unknown argument 'inner' of {cls.model_fields['kind'].default}()")
        return raw

    def children(self) -> tuple[Predicate, ...]:
        """The condition of the seed, once it is linked."""
        return (self.inner,) if self.inner is not None else ()

    def fields(self) -> frozenset[str]:
        """None: a user is among the most alike or is not, whatever is unknown about that user."""
        return frozenset()

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The user stands among the first in the ranking that `prepare` made."""
        ranked = users_of(lookalike_path(self._seed(scope).sql(dialect="duckdb"), scope.snapshot))
        place = exp.LTE(this=exp.column("rank"), expression=exp.Literal.number(self.top))
        return members(ranked.where(place, copy=False))

    def prepare(self, scope: Scope, connection: Any) -> None:
        """Learn the seed and rank everyone else, unless that was done for this snapshot and this seed."""
        if scope.state is None:
            return
        assert self.inner is not None
        for call in user_sets(self.inner):
            call.prepare(scope, connection)
        seed = self._seed(scope)
        path = scope.state / lookalike_path(seed.sql(dialect="duckdb"), scope.snapshot)
        if path.exists():
            return
        with connection.cursor() as cursor:
            columns = {row[0] for row in cursor.execute("DESCRIBE SELECT * FROM profiles").fetchall()}
        lacking = sorted(self.inner.fields() - columns)
        if lacking:
            message = f"the snapshot has no tag {', '.join(lacking)}, which the seed {self.segment!r} asks for"
            raise RefusedError(Issue("not-built", "", message, "run 'limner build' first"))
        prepare_lookalikes(connection, seed, self._seed_tags(), path, self.segment)

    def describe(self, scope: Scope, connection: Any) -> Lookalikes:
        """What was learned about the seed: its size, the tags, and how far they tell it apart out of fold; learned if need be."""
        self.prepare(scope, connection)
        if scope.state is None:
            raise InternalError("a lookalike is learned in a workspace")
        return read_lookalikes(scope.state / lookalike_path(self._seed(scope).sql(dialect="duckdb"), scope.snapshot))

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """`unknown-segment` where there is none of that name."""
        if self.inner is not None or self.segment in vocabulary.segments:
            return []
        known = sorted(vocabulary.segments)
        hint = did_you_mean(self.segment, known, f"known: {', '.join(known[:8])}" if known else "there are no segments")
        return [Issue("unknown-segment", where, f"unknown segment {self.segment!r}", hint)]

    def to_sentence(self, language: Language, words: Words) -> str:
        """`among the 10,000 users most like the segment regulars`."""
        if language == "zh":
            return f"属于与人群 {self.segment} 最相似的 {self.top:,} 位用户"
        number = "user" if self.top == 1 else f"{self.top:,} users"
        return f"among the {number} most like the segment {self.segment}"

    def _seed(self, scope: Scope) -> exp.Expr:
        if self.inner is None:
            raise InternalError(f"{self.to_text()} was not linked")
        return self.inner.to_sql(scope)

    def _seed_tags(self) -> frozenset[str]:
        """Every tag that the seed asks for, those of a seed of its own included."""
        assert self.inner is not None
        return frozenset[str]().union(*(node.fields() for node in self.inner.walk()))
