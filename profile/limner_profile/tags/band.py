"""Tag kind `band`: a number tag cut into a few named bands."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import FiniteFloat, model_validator
from sqlglot import exp

from limner_profile.definitions import Location, Title
from limner_profile.errors import Issue
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Example, Tag, check_reference
from limner_profile.tags.expressions import as_number, is_known
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema

_ORDERS = tuple(
    {"user_id": user, "time": f"2025-02-{day} 12:00", "event": "order", "amount": amount}
    for user, day, amount in (("u1", 20, 10.0), ("u2", 21, 20.0), ("u3", 22, 20.5), ("u4", 23, 300.0))
)
_SPEND = {"spend": {"kind": "sum", "event": "order"}}


@TAG_KINDS.kind("band")
class Band(Tag):
    """The band that the number tag `of` falls into, by `cuts` (values) or by `quantiles` (shares of the users).

    A cut belongs to the band above it. With `quantiles: [0.5]` the upper band holds the users whom at least half of
    the users with a value lie below; equal values never part. `labels` names the bands, lowest first, one more than
    there are cuts. Unknown where `of` is.
    """

    kind: Literal["band"]
    of: str
    cuts: tuple[FiniteFloat, ...] = ()
    quantiles: tuple[FiniteFloat, ...] = ()
    labels: tuple[str, ...] = ()

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "band", "of": "age", "cuts": [18, 30], "labels": ["young", "middle", "older"]},
            {"u1": "young", "u2": "middle", "u3": "older", "u4": None},
            users=(
                {"user_id": "u1", "birth_year": 2008},
                {"user_id": "u2", "birth_year": 2007},
                {"user_id": "u3", "birth_year": 1995},
                {"user_id": "u4", "birth_year": None},
            ),
            tags={"age": {"kind": "attribute", "attribute": "birth_year", "as": "age"}},
        ),
        Example(
            {"kind": "band", "of": "spend", "quantiles": [0.5, 0.75]},
            {"u1": "Q1", "u2": "Q1", "u3": "Q2", "u4": "Q3"},
            events=_ORDERS,
            tags=_SPEND,
        ),
        Example(
            {"kind": "band", "of": "spend", "cuts": [20, 100]},
            {"u1": "below 20", "u2": "20 to below 100", "u3": "20 to below 100", "u4": "100 or more"},
            events=_ORDERS,
            tags=_SPEND,
        ),
    )

    @model_validator(mode="after")
    def _has_bands(self) -> Band:
        if bool(self.cuts) == bool(self.quantiles):
            raise ValueError("a band needs either 'cuts' or 'quantiles' | such as cuts: [18, 30] or quantiles: [0.5]")
        if any(lower >= upper for lower, upper in pairwise(self.edges)):
            raise ValueError("the cuts must rise | write the lowest first, and each once")
        if any(not 0 < share < 1 for share in self.quantiles):
            raise ValueError("quantiles are shares of the users, above 0 and below 1 | such as quantiles: [0.25, 0.5]")
        if self.labels and len(self.labels) != len(self.edges) + 1:
            message = (
                f"{len(self.edges)} cuts make {len(self.edges) + 1} bands, and there are {len(self.labels)} labels"
            )
            raise ValueError(f"{message} | give one label a band, the lowest first")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("two bands have the same label | name each differently")
        return self

    @property
    def edges(self) -> tuple[float, ...]:
        """The cuts or the quantiles."""
        return self.cuts or self.quantiles

    @property
    def bands(self) -> tuple[str, ...]:
        """The labels, or names made of the cuts."""
        if self.labels:
            return self.labels
        if self.quantiles:
            return tuple(f"Q{number + 1}" for number in range(len(self.quantiles) + 1))
        shown = [f"{cut:g}" for cut in self.edges]
        middle = [f"{lower} to below {upper}" for lower, upper in pairwise(shown)]
        return (f"below {shown[0]}", *middle, f"{shown[-1]} or more")

    def references(self) -> tuple[str, ...]:
        """The number."""
        return (self.of,)

    def value(self, scope: Scope) -> exp.Expr:
        """The first band whose upper edge the value, or the share of users below it, does not reach."""
        column = scope.tag(self.of)
        measure = scope.share_below(column, is_known(column)) if self.quantiles else column
        known = is_known(column)
        names = [exp.Literal.string(name) for name in self.bands]
        below = [
            exp.If(
                this=exp.and_(
                    known.copy(), exp.LT(this=measure.copy(), expression=as_number(exp.Literal.number(edge)))
                ),
                true=name,
            )
            for edge, name in zip(self.edges, names, strict=False)
        ]
        return exp.Case(ifs=[*below, exp.If(this=known, true=names[-1])])

    def value_type(self, schema: Schema) -> FieldType:
        """A category."""
        return "category"

    def default_title(self) -> Title:
        """The bands of what."""
        return Title(en=f"band of {self.of.replace('_', ' ')}", zh=f"{self.of}分段")

    def default_values(self) -> dict[str, Title]:
        """Chinese titles for the bands that are named after their cuts."""
        if self.labels or not self.cuts:
            return {}
        shown = [f"{cut:g}" for cut in self.cuts]
        titles = [f"{shown[0]}以下", *(f"{lower}至{upper}" for lower, upper in pairwise(shown)), f"{shown[-1]}及以上"]
        return {name: Title(en=name, zh=title) for name, title in zip(self.bands, titles, strict=True)}

    def check_tags(self, types: Mapping[str, FieldType]) -> list[tuple[Location, Issue]]:
        """An issue where `of` is no number tag."""
        return check_reference("of", self.of, types, "number")
