"""Insights: rules that passed every check, with their numbers, reasons and warnings, as plain definitions.

What discovery gives is kept as JSON beside the model; a snapshot adds the present size. Imports floor 1 only.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import model_validator

from limner_profile.definitions import Definition, Title


class InsightReason(Definition):
    """A tag that the scorer leans on for the rule's users: its mean contribution above everybody's, in log-odds."""

    tag: str
    title: Title
    contribution: float


class Insight(Definition):
    """A judged rule of a scenario.

    `rule` is the mined condition, `condition` the same within the scenario's population: that is what a segment is
    made of. Rates and shares are 0 to 1 and measured on the hold-out (`holdout_users` members of the rule); `lift` is
    the outcome rate ÷ the base rate with its 95 % bounds. `status` is `shown` for an insight on a card, `kept` for one
    that held up but tells little that the cards do not, and `dropped` for a rule that did not hold up, with the codes
    of the reasons in `dropped_because`.
    """

    id: str
    scenario: str
    rank: int
    direction: Literal["raises", "lowers"]
    rule: str
    condition: str
    sentence: Title
    holdout_users: int
    holdout_outcomes: int
    support: float
    outcome_rate: float
    base_rate: float
    lift: float
    lift_low: float
    lift_high: float
    q_value: float
    train_lift: float
    rediscovered: float
    reasons: tuple[InsightReason, ...] = ()
    warnings: tuple[Title, ...] = ()
    dropped_because: tuple[str, ...] = ()
    status: Literal["shown", "kept", "dropped"]


class InsightSet(Definition):
    """All judged rules of a scenario, the shown ones first, with what those reach together.

    `coverage` is the share of the hold-out's outcomes that the shown rules reach, `reach` the share of users in them;
    `r_squared` and `top_decile_recall` say how well they reproduce the scorer (fidelity).
    """

    scenario: str
    rules: tuple[Insight, ...]
    coverage: float
    reach: float
    r_squared: float
    top_decile_recall: float
    reversals: tuple[Title, ...] = ()

    @model_validator(mode="after")
    def _ids_are_distinct(self) -> InsightSet:
        # A card is saved by its id: two rules of one id would make one of them the wrong segment.
        if len({rule.id for rule in self.rules}) != len(self.rules):
            raise ValueError("two rules have one id")
        return self

    def with_status(self, status: str) -> tuple[Insight, ...]:
        """The rules that are `shown`, `kept` or `dropped`, in order."""
        return tuple(rule for rule in self.rules if rule.status == status)


def insight_id(scenario: str, rule: str) -> str:
    """A name that stays the same for the same rule of the same scenario.

    >>> insight_id("churn", "login_count_30d < 3")
    'churn-e507ca9c'
    """
    return f"{scenario}-{hashlib.sha256(rule.encode()).hexdigest()[:8]}"
