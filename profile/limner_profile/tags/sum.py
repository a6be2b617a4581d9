"""Tag kind `sum`: the total of a number over a user's events in a window."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.tags.base import TAG_KINDS, Example
from limner_profile.tags.number import NumberTag
from limner_profile.tags.scope import Scope


@TAG_KINDS.kind("sum")
class Sum(NumberTag):
    """The total of `of` (the amount, unless said otherwise), 0 for a user without events; unknown numbers count as 0."""

    kind: Literal["sum"]

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
        return exp.Coalesce(this=self.reduced(scope, exp.Sum), expressions=[exp.Literal.number(0)])

    def default_title(self) -> Title:
        """What is summed over which events."""
        return self.worded("", "合计")
