"""Tag kind `rank`: where a user stands among all users by another tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from sqlglot import exp

from limner_profile.definitions import Location, Title
from limner_profile.errors import Issue
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Example, Tag, check_reference
from limner_profile.tags.expressions import is_known, ordered
from limner_profile.tags.scope import Scope

_ORDERS = tuple(
    {"user_id": user, "time": "2025-02-20 12:00", "event": "order", "amount": amount}
    for user, amount in (("u1", 10.0), ("u2", 20.0), ("u3", 20.0), ("u4", 25.0), ("u5", 300.0), ("u6", None))
)
_SPEND = {"spend": {"kind": "mean", "event": "order"}}


@TAG_KINDS.kind("rank")
class Rank(Tag):
    """The user's percentile by the number tag `of`: the share of the other users with a value whose value is lower.

    0 for the lowest, 1 for the highest where nobody shares it; equal values get the same. With `as: rank` the place
    instead: 1 for the highest value. `order: lowest` turns both round, for tags such as recency of which less is better.
    Unknown where `of` is.
    """

    kind: Literal["rank"]
    of: str
    as_: Literal["percentile", "rank"] = Field("percentile", alias="as")
    order: Literal["highest", "lowest"] = "highest"

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "rank", "of": "spend"},
            {"u1": 0, "u2": 0.25, "u3": 0.25, "u4": 0.75, "u5": 1, "u6": None},
            events=_ORDERS,
            tags=_SPEND,
        ),
        Example(
            {"kind": "rank", "of": "spend", "as": "rank"},
            {"u1": 5, "u2": 3, "u3": 3, "u4": 2, "u5": 1, "u6": None},
            events=_ORDERS,
            tags=_SPEND,
        ),
        Example(
            {"kind": "rank", "of": "spend", "order": "lowest"},
            {"u1": 1, "u2": 0.5, "u3": 0.5, "u4": 0.25, "u5": 0, "u6": None},
            events=_ORDERS,
            tags=_SPEND,
        ),
    )

    @property
    def whole_numbers(self) -> bool:
        """Whether it is a place, and no percentile."""
        return self.as_ == "rank"

    def references(self) -> tuple[str, ...]:
        """The number."""
        return (self.of,)

    def value(self, scope: Scope) -> exp.Expr:
        """A window function over the users with a value, NULL for the others."""
        column = scope.tag(self.of)
        # A percentile counts the users below, a place those above.
        descending = (self.order == "highest") == (self.as_ == "rank")
        function = exp.Rank() if self.as_ == "rank" else exp.PercentRank()
        order = exp.Order(expressions=[ordered(column, descending=descending)])
        place = scope.place(exp.Window(this=function, partition_by=[is_known(column)], order=order))
        return exp.Case(ifs=[exp.If(this=is_known(column), true=place)])

    def default_title(self) -> Title:
        """The percentile or place by what."""
        name = self.of.replace("_", " ")
        if self.as_ == "rank":
            return Title(en=f"rank by {name}", zh=f"{self.of}排名")
        return Title(en=f"percentile of {name}", zh=f"{self.of}百分位")

    def check_tags(self, types: Mapping[str, FieldType]) -> list[tuple[Location, Issue]]:
        """An issue where `of` is no number tag."""
        return check_reference("of", self.of, types, "number")
