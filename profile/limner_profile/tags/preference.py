"""Tag kind `preference`: the value of a property that a user's events have most often, or most of."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.errors import Issue
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.expressions import as_number, count_rows, event_column
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema


@TAG_KINDS.kind("preference")
class Preference(EventTag):
    """The top value of `by`, weighed by the number of events or by the sum of `of`.

    `give: share` gives the top value's share of the weight of all values, `give: runner_up` the value that comes second.
    Unknown for a user without an event that has the property, without a second value, or without any weight to share.
    Ties go to the value acted on last.
    """

    kind: Literal["preference"]
    by: str
    of: str | None = None
    give: Literal["value", "share", "runner_up"] = "value"

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "preference", "event": "read", "by": "genre", "window": "30d"},
            {"u1": "科幻", "u2": "history", "u3": None},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "read", "genre": "科幻"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read", "genre": "科幻"},
                {"user_id": "u1", "time": "2025-02-24 00:00", "event": "read", "genre": "history"},
                {"user_id": "u2", "time": "2025-02-24 00:00", "event": "read", "genre": "科幻"},
                {"user_id": "u2", "time": "2025-02-24 00:01", "event": "read", "genre": "history"},
                {"user_id": "u3", "time": "2025-02-24 00:01", "event": "read", "genre": None},
            ),
        ),
        Example(
            {"kind": "preference", "event": "order", "by": "genre", "of": "amount"},
            {"u1": "history"},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "order", "genre": "科幻", "amount": 1.0},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "order", "genre": "科幻", "amount": 1.0},
                {"user_id": "u1", "time": "2025-01-01 00:00", "event": "order", "genre": "history", "amount": 5.0},
            ),
        ),
        Example(
            {"kind": "preference", "event": "read", "by": "genre", "give": "share"},
            {"u1": 0.75, "u2": 1, "u3": None},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "read", "genre": "history"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read", "genre": "history"},
                {"user_id": "u1", "time": "2025-02-24 00:00", "event": "read", "genre": "history"},
                {"user_id": "u1", "time": "2025-02-24 00:00", "event": "read", "genre": "science"},
                {"user_id": "u1", "time": "2025-02-24 00:00", "event": "read", "genre": None},
                {"user_id": "u2", "time": "2025-02-24 00:00", "event": "read", "genre": "science"},
                {"user_id": "u3", "time": "2025-02-24 00:00", "event": "read", "genre": None},
            ),
        ),
        Example(
            {"kind": "preference", "event": "read", "by": "genre", "give": "runner_up"},
            {"u1": "history", "u2": None, "u3": "romance"},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "read", "genre": "science"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read", "genre": "science"},
                {"user_id": "u1", "time": "2025-02-24 00:00", "event": "read", "genre": "history"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read", "genre": "romance"},
                {"user_id": "u2", "time": "2025-02-24 00:00", "event": "read", "genre": "science"},
                {"user_id": "u3", "time": "2025-02-24 00:00", "event": "read", "genre": "romance"},
                {"user_id": "u3", "time": "2025-02-24 00:00", "event": "read", "genre": "science"},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The value with the greatest weight, its share, or the value after it."""
        weight: exp.Expr = count_rows()
        if self.of:
            total = exp.Sum(this=as_number(event_column(self.of)))
            weight = exp.Coalesce(this=total, expressions=[exp.Literal.number(0)])
        return scope.top_value(self.by, weight, scope.acts(self.events, self.where, self.window), self.give)

    def value_type(self, schema: Schema) -> FieldType:
        """The type of the property, a number for a share."""
        return "number" if self.give == "share" else schema.event_fields[self.by]

    def default_title(self) -> Title:
        """Which property is preferred in which events."""
        en, zh = {"value": ("preferred", "偏好"), "share": ("share of the preferred", "首选占比："),
                  "runner_up": ("second preferred", "次选")}[self.give]  # fmt: skip
        return Title(en=f"{en} {self.by} ({self.acts_words('en')})", zh=f"{zh}{self.by}（{self.acts_words('zh')}）")

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """Issues of the filter, and of the two properties."""
        return [
            *super().check(schema),
            *self.check_property(schema, "by", self.by),
            *self.check_property(schema, "of", self.of, "number"),
        ]
