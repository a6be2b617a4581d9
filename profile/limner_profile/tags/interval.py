"""Tag kind `interval`: how many days lie between a user's acts, on average."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.expressions import as_number, count_rows
from limner_profile.tags.scope import Scope


@TAG_KINDS.kind("interval")
class Interval(EventTag):
    """The mean gap between consecutive events in local days: from the day of the first to that of the last, divided by
    the number of gaps.

    Unknown for a user with fewer than two events. Days are counted as for `recency`, so the two can be compared: a
    recency far above the interval is a user who stays away.
    """

    kind: Literal["interval"]

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "interval", "event": "order"},
            {"u1": 7.5, "u2": 0, "u3": None, "u4": None},
            events=(
                {"user_id": "u1", "time": "2025-02-01 23:59", "event": "order"},
                {"user_id": "u1", "time": "2025-02-02 00:01", "event": "order"},
                {"user_id": "u1", "time": "2025-02-16 12:00", "event": "order"},
                {"user_id": "u2", "time": "2025-02-25 00:00", "event": "order"},
                {"user_id": "u2", "time": "2025-02-25 23:59", "event": "order"},
                {"user_id": "u3", "time": "2025-02-25 12:00", "event": "order"},
                {"user_id": "u3", "time": "2025-03-01 00:00", "event": "order"},
                {"user_id": "u4", "time": "2025-02-25 12:00", "event": "login"},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The days between the first and the last act by the number of acts less one, NULL where that is 0."""
        acts = scope.acts(self.events, self.where, self.window)
        first = scope.aggregate(exp.Min(this=exp.column("time")), acts)
        last = scope.aggregate(exp.Max(this=exp.column("time")), acts)
        number = scope.aggregate(count_rows(), acts)
        days = exp.DateDiff(this=scope.local_day(last), expression=scope.local_day(first), unit=exp.var("day"))
        gaps = exp.Sub(this=number, expression=exp.Literal.number(1))
        return exp.Div(this=as_number(days), expression=exp.Nullif(this=gaps, expression=exp.Literal.number(0)))

    def default_title(self) -> Title:
        """The gaps between which events."""
        return Title(en=f"mean days between {self.acts_words('en')}", zh=f"{self.acts_words('zh')}平均间隔天数")

    def default_unit(self) -> Title | None:
        """Days."""
        return Title(en="days", zh="天")
