"""Tag kind `rfm`: one of eight named groups by recency, frequency and monetary value.

The groups and their Chinese names are those that RFM analysis commonly uses: high or low on each of the three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator
from sqlglot import exp

from limner_profile.definitions import Definition, Location, Title
from limner_profile.errors import Issue
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Example, Tag, check_reference
from limner_profile.tags.expressions import as_number, is_known
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema

# (recency high, frequency high, monetary high) to the group, in the customary order.
_GROUPS: Mapping[tuple[bool, bool, bool], tuple[str, Title]] = {
    (True, True, True): ("important_value", Title(en="important: valued", zh="重要价值")),
    (False, True, True): ("important_keep", Title(en="important: to keep", zh="重要保持")),
    (True, False, True): ("important_develop", Title(en="important: to develop", zh="重要发展")),
    (False, False, True): ("important_win_back", Title(en="important: to win back", zh="重要挽留")),
    (True, True, False): ("general_value", Title(en="general: valued", zh="一般价值")),
    (False, True, False): ("general_keep", Title(en="general: to keep", zh="一般保持")),
    (True, False, False): ("general_develop", Title(en="general: to develop", zh="一般发展")),
    (False, False, False): ("general_win_back", Title(en="general: to win back", zh="一般挽留")),
}
_ORDERS = tuple(
    {"user_id": user, "time": f"2025-02-{day:02} 12:00", "event": "order", "amount": amount}
    for user, days, amount in (
        ("u1", (26, 27, 28), 100.0),
        ("u2", (1, 2, 3), 100.0),
        ("u3", (28,), 400.0),
        ("u4", (1,), 400.0),
        ("u5", (26, 27, 28), 1.0),
        ("u6", (1, 2, 3), 1.0),
        ("u7", (28,), 1.0),
        ("u8", (1,), 1.0),
    )
    for day in days
)
_TAGS = {
    "days_since_order": {"kind": "recency", "event": "order"},
    "order_count": {"kind": "count", "event": "order"},
    "spend": {"kind": "sum", "event": "order"},
}
_EIGHT = {f"u{number}": name for number, (name, _) in enumerate(_GROUPS.values(), start=1)}


class RfmCuts(Definition):
    """The three cut-offs of `cut: custom`, in the units of the tags."""

    recency: FiniteFloat
    frequency: FiniteFloat
    monetary: FiniteFloat


@TAG_KINDS.kind("rfm")
class Rfm(Tag):
    """One of the eight RFM groups, from three number tags: days since the last purchase, purchases, and spend.

    High is, of frequency and monetary, at or above the cut-off; of recency at or below, since a shorter gap is better.
    `cut: mean` cuts at the mean of the users who have all three; `cut: quantile` where at least the share `quantile`
    of them is worse, equal values on one side; `cut: custom` at the three of `cuts`, in the units of
    the tags. Unknown for a user of whom one of the three is unknown, as recency is without any purchase.
    """

    kind: Literal["rfm"]
    recency: str
    frequency: str
    monetary: str
    cut: Literal["mean", "quantile", "custom"] = "mean"
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.5
    cuts: RfmCuts | None = None

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "rfm", "recency": "days_since_order", "frequency": "order_count", "monetary": "spend"},
            {**_EIGHT, "u9": None},
            events=(*_ORDERS, {"user_id": "u9", "time": "2025-02-01 12:00", "event": "login", "amount": None}),
            tags=_TAGS,
        ),
        Example(
            {
                "kind": "rfm", "recency": "days_since_order", "frequency": "order_count", "monetary": "spend",
                "cut": "quantile",
            },
            {**_EIGHT, "u9": None},
            events=(*_ORDERS, {"user_id": "u9", "time": "2025-02-01 12:00", "event": "login", "amount": None}),
            tags=_TAGS,
        ),
        Example(
            {
                "kind": "rfm", "recency": "days_since_order", "frequency": "order_count", "monetary": "spend",
                "cut": "custom", "cuts": {"recency": 1, "frequency": 3, "monetary": 400},
            },
            {
                "u1": "general_value", "u2": "general_keep", "u3": "important_develop", "u4": "important_win_back",
                "u8": "general_win_back",
            },
            events=_ORDERS,
            tags=_TAGS,
        ),
    )  # fmt: skip

    @model_validator(mode="after")
    def _cuts_fit(self) -> Rfm:
        if (self.cut == "custom") != (self.cuts is not None):
            raise ValueError("'cuts' and 'cut: custom' belong together | give both, or neither")
        return self

    def references(self) -> tuple[str, ...]:
        """The three numbers."""
        return (self.recency, self.frequency, self.monetary)

    def value(self, scope: Scope) -> exp.Expr:
        """The group of the three comparisons, NULL where one of the numbers is."""
        columns = [scope.tag(name) for name in self.references()]
        all_known = exp.and_(*(is_known(column) for column in columns))
        recency, frequency, monetary = (
            self._high(scope, column, all_known, number) for number, column in enumerate(columns)
        )
        groups = [
            exp.If(this=exp.and_(*_sides(flags, (recency, frequency, monetary))), true=exp.Literal.string(name))
            for flags, (name, _) in _GROUPS.items()
        ]
        return exp.Case(ifs=[exp.If(this=all_known, true=exp.Case(ifs=groups))])

    def _high(self, scope: Scope, column: exp.Column, all_known: exp.Expr, number: int) -> exp.Expr:
        """The condition that this number, the first of which is the recency, is on the good side of its cut-off."""
        lower_is_better = number == 0
        if self.cut == "quantile":
            worse = scope.share_below(column, all_known, descending=lower_is_better)
            return exp.GTE(this=worse, expression=as_number(exp.Literal.number(self.quantile)))
        if self.cuts is not None:
            cuts = (self.cuts.recency, self.cuts.frequency, self.cuts.monetary)
            limit: exp.Expr = exp.Literal.number(cuts[number])
        else:
            limit = scope.overall(exp.Avg(this=as_number(column)), all_known)
        comparison = exp.LTE if lower_is_better else exp.GTE
        return comparison(this=column.copy(), expression=limit)

    def value_type(self, schema: Schema) -> FieldType:
        """A category."""
        return "category"

    def default_title(self) -> Title:
        """RFM group."""
        return Title(en="RFM group", zh="RFM分群")

    def default_values(self) -> dict[str, Title]:
        """The names of the groups in both languages."""
        return dict(_GROUPS.values())

    def check_tags(self, types: Mapping[str, FieldType]) -> list[tuple[Location, Issue]]:
        """An issue for each of the three that is no number tag."""
        fields = {"recency": self.recency, "frequency": self.frequency, "monetary": self.monetary}
        return [found for field, name in fields.items() for found in check_reference(field, name, types, "number")]


def _sides(flags: tuple[bool, ...], high: tuple[exp.Expr, ...]) -> list[exp.Expr]:
    """Each condition, or its negation where the flag says low."""
    return [
        test.copy() if flag else exp.Not(this=exp.Paren(this=test.copy()))
        for flag, test in zip(flags, high, strict=True)
    ]
