"""Tag kind `max`: the highest number of a user's events in a window."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.tags.base import TAG_KINDS, Example
from limner_profile.tags.number import NumberTag
from limner_profile.tags.scope import Scope


@TAG_KINDS.kind("max")
class Max(NumberTag):
    """The highest `of` (the amount, unless said otherwise) among the events.

    Unknown for a user without an event that has the number.
    """

    kind: Literal["max"]

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "max", "event": "order", "window": "30d"},
            {"u1": 25, "u2": None, "u3": None},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "order", "amount": 10.0},
                {"user_id": "u1", "time": "2025-02-28 23:59", "event": "order", "amount": 25.0},
                {"user_id": "u1", "time": "2025-02-23 12:00", "event": "order", "amount": None},
                {"user_id": "u1", "time": "2025-01-29 23:59", "event": "order", "amount": 900.0},
                {"user_id": "u2", "time": "2025-02-25 12:00", "event": "order", "amount": None},
                {"user_id": "u3", "time": "2025-03-01 00:00", "event": "order", "amount": 5.0},
                {"user_id": "u3", "time": "2025-01-01 00:00", "event": "order", "amount": 5.0},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """MAX over the acts, NULL where none has the number."""
        return self.reduced(scope, exp.Max)

    def default_title(self) -> Title:
        """Which number of which events."""
        return self.worded("highest", "最大值")
