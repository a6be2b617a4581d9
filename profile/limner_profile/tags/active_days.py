"""Tag kind `active_days`: on how many days a user acted."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.scope import Scope


@TAG_KINDS.kind("active_days")
class ActiveDays(EventTag):
    """The number of local calendar days with at least one event, 0 for a user without any."""

    kind: Literal["active_days"]

    INTEGER: ClassVar[bool] = True
    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "active_days", "event": ["login", "read"], "window": "7d"},
            {"u1": 2, "u2": 0},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "login"},
                {"user_id": "u1", "time": "2025-02-22 23:59", "event": "read"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read"},
                {"user_id": "u1", "time": "2025-02-21 23:59", "event": "read"},
                {"user_id": "u2", "time": "2025-03-01 00:00", "event": "login"},
                {"user_id": "u2", "time": "2025-02-01 00:00", "event": "login"},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The number of different local days of the acts, 0 where there is none."""
        column = scope.day_count(scope.acts(self.events, self.where, self.window))
        return exp.Coalesce(this=column, expressions=[exp.Literal.number(0)])

    def default_title(self) -> Title:
        """The days of which events."""
        return Title(en=f"days with {self.acts_words('en')}", zh=f"{self.acts_words('zh')}活跃天数")

    def default_unit(self) -> Title | None:
        """Days."""
        return Title(en="days", zh="天")
