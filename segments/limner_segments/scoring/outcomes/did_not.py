"""Outcome kind `did_not`: the user never acts in the label window."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.tags.base import Example
from limner_segments.scoring.outcomes.base import OUTCOME_KINDS, Outcome


@OUTCOME_KINDS.kind("did_not")
class DidNot(Outcome):
    """Lapses: not one such event."""

    kind: Literal["did_not"]

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "did_not", "event": "login", "title": "lapse"},
            {"u1": False, "u2": True},
            events=(
                {"user_id": "u1", "time": "2025-03-07 23:59", "event": "login"},
                {"user_id": "u2", "time": "2025-02-28 23:59", "event": "login"},
                {"user_id": "u2", "time": "2025-03-03 23:59", "event": "read"},
            ),
        ),
    )

    def happened(self, acts: exp.Expr) -> exp.Expr:
        """No act."""
        return exp.EQ(this=acts, expression=exp.Literal.number(0))
