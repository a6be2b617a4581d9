"""Tag kind `last`: a property of a user's last event."""

from __future__ import annotations

from typing import ClassVar, Literal

from limner_profile.definitions import Title
from limner_profile.tags.base import TAG_KINDS, Example
from limner_profile.tags.edge import EdgeTag


@TAG_KINDS.kind("last")
class Last(EdgeTag):
    """The value of `of` at the last event that has the property; of several at that instant, the greatest value.

    Unknown for a user without such an event.
    """

    kind: Literal["last"]

    LAST: ClassVar[bool] = True
    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "last", "event": "order", "of": "genre", "window": "30d"},
            {"u1": "science", "u2": "science", "u3": None},
            events=(
                {"user_id": "u1", "time": "2025-01-29 23:59", "event": "order", "genre": "romance"},
                {"user_id": "u1", "time": "2025-01-30 00:00", "event": "order", "genre": None},
                {"user_id": "u1", "time": "2025-02-01 00:00", "event": "order", "genre": "history"},
                {"user_id": "u1", "time": "2025-02-28 23:59", "event": "order", "genre": "science"},
                {"user_id": "u1", "time": "2025-03-01 00:00", "event": "order", "genre": "romance"},
                {"user_id": "u2", "time": "2025-02-24 00:00", "event": "order", "genre": "science"},
                {"user_id": "u2", "time": "2025-02-24 00:00", "event": "order", "genre": "history"},
                {"user_id": "u3", "time": "2025-02-24 00:01", "event": "order", "genre": None},
            ),
        ),
    )

    def default_title(self) -> Title:
        """Which property of which events."""
        return Title(en=f"{self.of} of the last {self.acts_words('en')}", zh=f"末次{self.acts_words('zh')}的{self.of}")
