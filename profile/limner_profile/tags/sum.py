"""Tag kind `sum`: the total of a number over a user's events in a window."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.errors import Issue
from limner_profile.tags.base import TAG_KINDS, EventTag, Example, Scope, as_number, event_column
from limner_profile.workspace import Schema


@TAG_KINDS.kind("sum")
class Sum(EventTag):
    """The total of `of` (the amount, unless said otherwise), 0 for a user without events; unknown numbers count as 0."""

    kind: Literal["sum"]
    of: str = "amount"

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "sum", "event": "order", "window": "all"},
            {"u1": 30.5, "u2": 0},
            events=(
                {"user_id": "u1", "time": "2024-02-22 00:00", "event": "order", "amount": 10.5},
                {"user_id": "u1", "time": "2025-02-28 23:59", "event": "order", "amount": 20.0},
                {"user_id": "u2", "time": "2025-02-25 12:00", "event": "order", "amount": None},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """SUM over the acts, 0 where there is none."""
        total = scope.aggregate(
            exp.Sum(this=as_number(event_column(self.of))), scope.acts(self.events, self.where, self.window)
        )
        return exp.Coalesce(this=total, expressions=[exp.Literal.number(0)])

    def default_title(self) -> Title:
        """What is summed over which events."""
        return Title(en=f"{self.of} of {self.acts_words('en')}", zh=f"{self.acts_words('zh')}{self.of}合计")

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """Issues of the filter, and one where `of` is not a number."""
        return [*super().check(schema), *self.check_property(schema, "of", self.of, "number")]
