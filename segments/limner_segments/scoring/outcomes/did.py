"""Outcome kind `did`: the user acts at least so many times in the label window."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from sqlglot import exp

from limner_profile.tags.base import Example
from limner_segments.scoring.outcomes.base import OUTCOME_KINDS, Outcome


@OUTCOME_KINDS.kind("did")
class Did(Outcome):
    """Buys, joins, shares, comes back: at least `at_least` such events."""

    kind: Literal["did"]
    at_least: int = Field(default=1, ge=1)

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "did", "event": "order", "at_least": 2, "where": "amount >= 10", "title": "buy twice"},
            {"u1": True, "u2": False, "u3": False},
            events=(
                {"user_id": "u1", "time": "2025-03-01 00:00", "event": "order", "amount": 10.0},
                {"user_id": "u1", "time": "2025-03-07 23:59", "event": "order", "amount": 12.0},
                {"user_id": "u2", "time": "2025-03-02 00:00", "event": "order", "amount": 10.0},
                {"user_id": "u2", "time": "2025-03-08 00:00", "event": "order", "amount": 10.0},
                {"user_id": "u3", "time": "2025-02-28 23:59", "event": "order", "amount": 99.0},
            ),
        ),
    )

    def happened(self, acts: exp.Expr) -> exp.Expr:
        """At least so many acts."""
        return exp.GTE(this=acts, expression=exp.Literal.number(self.at_least))
