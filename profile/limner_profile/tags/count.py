"""Tag kind `count`: how many events a user has in a window."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.expressions import count_rows
from limner_profile.tags.scope import Scope


@TAG_KINDS.kind("count")
class Count(EventTag):
    """The number of events, 0 for a user without any."""

    kind: Literal["count"]

    INTEGER: ClassVar[bool] = True
    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "count", "event": "read", "window": "7d", "where": "genre = '玄幻'"},
            {"u1": 1, "u2": 0},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "read", "genre": "玄幻"},
                {"user_id": "u1", "time": "2025-02-21 23:59", "event": "read", "genre": "玄幻"},
                {"user_id": "u1", "time": "2025-03-01 00:00", "event": "read", "genre": "玄幻"},
                {"user_id": "u2", "time": "2025-02-25 12:00", "event": "read", "genre": None},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """COUNT(*) over the acts, 0 where there is none."""
        counted = scope.aggregate(count_rows(), scope.acts(self.events, self.where, self.window))
        return exp.Coalesce(this=counted, expressions=[exp.Literal.number(0)])

    def default_title(self) -> Title:
        """The events counted."""
        return Title(en=f"number of {self.acts_words('en')}", zh=f"{self.acts_words('zh')}次数")

    def default_unit(self) -> Title | None:
        """A measure word in Chinese; English titles name what is counted."""
        return Title(en="", zh="次")
