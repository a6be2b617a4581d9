"""Tag kind `recency`: how many days ago a user's last event was."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.scope import Scope


@TAG_KINDS.kind("recency")
class Recency(EventTag):
    """Local days from the last event to as_of: 1 for an act on the day before a midnight as_of.

    Unknown for a user without such an event in the window.
    """

    kind: Literal["recency"]

    INTEGER: ClassVar[bool] = True
    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "recency", "event": "login"},
            {"u1": 1, "u2": 59, "u3": None},
            events=(
                {"user_id": "u1", "time": "2025-02-28 00:00", "event": "login"},
                {"user_id": "u1", "time": "2025-01-31 12:00", "event": "login"},
                {"user_id": "u2", "time": "2025-01-01 23:59", "event": "login"},
                {"user_id": "u3", "time": "2025-03-01 00:00", "event": "login"},
                {"user_id": "u3", "time": "2025-02-01 00:00", "event": "read"},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The difference of local days between as_of and the last act."""
        last = scope.aggregate(exp.Max(this=exp.column("time")), scope.acts(self.events, self.where, self.window))
        return exp.DateDiff(this=scope.as_of_day, expression=scope.local_day(last), unit=exp.var("day"))

    def default_title(self) -> Title:
        """The events whose last one counts."""
        return Title(en=f"days since the last {self.acts_words('en')}", zh=f"距上次{self.acts_words('zh')}天数")

    def default_unit(self) -> Title | None:
        """Days."""
        return Title(en="days", zh="天")
