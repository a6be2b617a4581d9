"""`like_segment('seed', top => 10000)`: the users most like those of a segment. Imports the base and the lookalikes."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import field_validator
from sqlglot import exp

from limner_profile.errors import InternalError, Issue, RefusedError
from limner_profile.predicates.base import Words
from limner_profile.predicates.values import read_value
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, condition, members, user_sets
from limner_segments.conditions.in_list import users_of
from limner_segments.conditions.lookalike import Lookalikes, lookalike_path, prepare_lookalikes, read_lookalikes
from limner_segments.conditions.of_segment import OfSegment
from limner_segments.conditions.ranked import Count
from limner_segments.conditions.scope import Scope


@condition("like_segment")
class LikeSegment(OfSegment):
    """The user is outside the seed, another segment, and among the so many who are most like its users.

    A model learns the seed's users against the others from the snapshot's tags: no sensitive ones and no proxies, and none that the
    seed's own condition asks for or that tells it by itself. Each user is ranked by a model that has not seen that user. The order is
    the same in every run. A seed has 50 users at least.
    """

    kind: Literal["like_segment"] = "like_segment"
    READS_FILES: ClassVar[bool] = True
    top: Count

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("segment", "text", "the name of the segment that is the seed", positional=True),
        Parameter("top", "number", "how many users"),
    )
    SHOWN: ClassVar[str] = "like_segment('regulars', top => 10000)"

    @field_validator("segment")
    @classmethod
    def _check_segment(cls, segment: str) -> str:
        return str(read_value(segment))

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
        for call in user_sets(self.linked):
            call.prepare(scope, connection)
        seed = self._seed(scope)
        path = scope.state / lookalike_path(seed.sql(dialect="duckdb"), scope.snapshot)
        if path.exists():
            return
        with connection.cursor() as cursor:
            columns = {row[0] for row in cursor.execute("DESCRIBE SELECT * FROM profiles").fetchall()}
        lacking = sorted(self.linked.fields() - columns)
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

    def to_sentence(self, language: Language, words: Words) -> str:
        """`among the 10,000 users most like the segment regulars`."""
        if language == "zh":
            return f"属于与人群 {self.segment} 最相似的 {self.top:,} 位用户"
        number = "user" if self.top == 1 else f"{self.top:,} users"
        return f"among the {number} most like the segment {self.segment}"

    def _seed(self, scope: Scope) -> exp.Expr:
        return self.linked.to_sql(scope)

    def _seed_tags(self) -> frozenset[str]:
        """Every tag that the seed asks for, those of a seed of its own included."""
        return frozenset[str]().union(*(node.fields() for node in self.linked.walk()))
