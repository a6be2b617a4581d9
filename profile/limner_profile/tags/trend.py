"""Tag kind `trend`: a user's acts in a window against those in the window before it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.errors import Issue
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.expressions import as_number, count_rows, event_column
from limner_profile.tags.scope import Scope
from limner_profile.windows import Span
from limner_profile.workspace import Schema


@TAG_KINDS.kind("trend")
class Trend(EventTag):
    """The number of events in the window, or their sum of `of`, against the window of the same length before it.

    `as: ratio` divides the later by the earlier (1 is unchanged), and is unknown where the earlier window holds
    nothing; `as: difference` subtracts, and is 0 for a user without events. At an as_of in the middle of a day a
    window in days holds that part of a day more than the one before it.
    """

    kind: Literal["trend"]
    window: Span  # pyright: ignore[reportGeneralTypeIssues]  # unlike other kinds it cannot be 'all', and must be said
    of: str | None = None
    as_: Literal["ratio", "difference"] = Field("ratio", alias="as")

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "trend", "event": "read", "window": "7d"},
            {"u1": 1.5, "u2": 0, "u3": None, "u4": None},
            events=(
                {"user_id": "u1", "time": "2025-02-28 23:59", "event": "read"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read"},
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "read"},
                {"user_id": "u1", "time": "2025-02-21 23:59", "event": "read"},
                {"user_id": "u1", "time": "2025-02-15 00:00", "event": "read"},
                {"user_id": "u1", "time": "2025-02-14 23:59", "event": "read"},
                {"user_id": "u2", "time": "2025-02-21 12:00", "event": "read"},
                {"user_id": "u3", "time": "2025-02-25 12:00", "event": "read"},
                {"user_id": "u4", "time": "2025-02-25 12:00", "event": "login"},
            ),
        ),
        Example(
            {"kind": "trend", "event": "order", "of": "amount", "window": "30d", "as": "difference"},
            {"u1": -20, "u2": 0},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "order", "amount": 30.0},
                {"user_id": "u1", "time": "2025-01-22 00:00", "event": "order", "amount": 50.0},
                {"user_id": "u2", "time": "2024-01-22 00:00", "event": "order", "amount": 50.0},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The later measure by, or less, the earlier one."""
        later, earlier = (
            scope.aggregate(self._measure(), scope.acts(self.events, self.where, self.window, before=before))
            for before in (False, True)
        )
        now = as_number(exp.Coalesce(this=later, expressions=[exp.Literal.number(0)]))
        if self.as_ == "ratio":
            return exp.Div(this=now, expression=exp.Nullif(this=earlier, expression=exp.Literal.number(0)))
        return exp.Sub(this=now, expression=exp.Coalesce(this=earlier, expressions=[exp.Literal.number(0)]))

    def _measure(self) -> exp.Expr:
        return exp.Sum(this=as_number(event_column(self.of))) if self.of else count_rows()

    def default_title(self) -> Title:
        """What is compared with the window before."""
        what = f"{self.of} of " if self.of else ""
        how = {"ratio": ("against", "环比"), "difference": ("minus", "环比差")}[self.as_]
        return Title(
            en=f"{what}{self.acts_words('en')}, {how[0]} the {self.window} before",
            zh=f"{self.acts_words('zh')}{self.of or ''}{how[1]}",
        )

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """Issues of the filter, and one where `of` is not a number."""
        return [*super().check(schema), *self.check_property(schema, "of", self.of, "number")]
