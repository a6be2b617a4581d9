"""The rules that are not on cards: kept but told by the cards already, or dropped, with the reasons in words.

Imports the floors below, the view and the elements.
"""

from __future__ import annotations

from typing import Any

from limner_dashboards.elements import (
    grid,
    number_column,
    panel,
    percent_column,
    text_column,
)
from limner_dashboards.view import Visit
from limner_dashboards.words import WORDS, say
from limner_explain.cards import read_cards


def rule_panel(visit: Visit, name: str, status: str) -> Any:
    """The table of the rules of a scenario that were `kept` or `dropped`."""
    rules, language = read_cards(visit.opened, name, (status,)), visit.language
    return panel("", _rule_grid(rules, language, why=status == "dropped"), hint=say(f"{status}_hint", language))


def _rule_grid(rules: list[dict[str, Any]], language: str, *, why: bool) -> Any:
    rows = [
        {
            "rule": rule["rule"],
            "sentence": rule["sentence_zh"] if language == "zh" else rule["sentence_en"],
            "users": rule["holdout_users"],
            "rate": rule["outcome_rate"],
            "lift": rule["lift"],
            "interval": f"{rule['lift_low']:.2f}–{rule['lift_high']:.2f}",
            "train": rule["train_lift"],
            "again": rule["rediscovered"],
            "why": "; ".join(say(code, language) if code in WORDS else code for code in rule["dropped_because"]),
        }
        for rule in rules
    ]
    columns = [
        text_column("rule", say("where_text", language), 300, tooltipField="sentence", filter=True, floatingFilter=True)
    ]
    if why:
        columns.append(text_column("why", say("why_dropped", language), 280, filter=True, floatingFilter=True))
    columns += [
        number_column("users", say("hold_out_users", language), width=90),
        percent_column("rate", say("outcome_rate", language), 95),
        number_column("lift", say("lift", language), ",.2f", 80),
        text_column("interval", say("interval", language), 120, type="rightAligned"),
        number_column("train", say("train_lift", language), ",.2f", 90),
        percent_column("again", say("rediscovered", language), 90),
    ]
    return grid(columns, rows, language, 620)
