"""Tag kind `distinct`: how many different values of a property a user's events have."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.errors import Issue
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.expressions import event_column
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema


@TAG_KINDS.kind("distinct")
class Distinct(EventTag):
    """The number of different values of `of`, 0 for a user without events; events without the property do not count."""

    kind: Literal["distinct"]
    of: str

    INTEGER: ClassVar[bool] = True
    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "distinct", "event": "read", "of": "genre", "window": "7d"},
            {"u1": 2, "u2": 0, "u3": 0},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "read", "genre": "玄幻"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read", "genre": "玄幻"},
                {"user_id": "u1", "time": "2025-02-24 00:00", "event": "read", "genre": "言情"},
                {"user_id": "u1", "time": "2025-02-21 23:59", "event": "read", "genre": "科幻"},
                {"user_id": "u2", "time": "2025-02-25 12:00", "event": "read", "genre": None},
                {"user_id": "u3", "time": "2025-03-01 00:00", "event": "read", "genre": "玄幻"},
                {"user_id": "u3", "time": "2025-02-01 00:00", "event": "read", "genre": "玄幻"},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The number of different values of the acts, 0 where there is none."""
        column = scope.distinct_count(event_column(self.of), scope.acts(self.events, self.where, self.window))
        return exp.Coalesce(this=column, expressions=[exp.Literal.number(0)])

    def default_title(self) -> Title:
        """Which values of which events are counted."""
        return Title(en=f"different {self.of} of {self.acts_words('en')}", zh=f"{self.acts_words('zh')}不同{self.of}数")

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """Issues of the filter, and of the property."""
        return [*super().check(schema), *self.check_property(schema, "of", self.of)]
