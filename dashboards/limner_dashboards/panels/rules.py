"""The rules that are not on cards: kept but told by the cards already, or dropped, with the reasons in words.

Imports the floors below, the view and the elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limner_dashboards.elements import (
    grid,
    long_column,
    number_column,
    panel,
    percent_column,
    text_column,
)
from limner_dashboards.formatting import count, percent
from limner_dashboards.view import Visit
from limner_dashboards.words import WORDS, say
from limner_explain.cards import read_cards
from limner_explain.judging import JudgingSettings


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
            "why": "; ".join(why_dropped(code, rule, language) for code in rule["dropped_because"]),
        }
        for rule in rules
    ]
    columns = [
        long_column(
            "rule",
            say("where_text", language),
            160,
            flex=250,
            tooltipField="sentence",
            filter=True,
            floatingFilter=True,
        )
    ]
    if why:
        columns.append(
            long_column("why", say("why_dropped", language), 160, flex=250, filter=True, floatingFilter=True)
        )
    columns += [
        number_column("users", say("hold_out_users", language), width=100),
        percent_column("rate", say("outcome_rate", language), 105),
        number_column("lift", say("lift", language), ",.2f", 84),
        text_column("interval", say("interval", language), 112, type="rightAligned"),
        number_column("train", say("train_lift", language), ",.2f", 100),
        percent_column("again", say("rediscovered", language), 100),
    ]
    return grid(columns, rows, language, 620, wrapped=True)


def why_dropped(code: str, rule: Mapping[str, Any], language: str) -> str:
    """The reason `code` in words, with the rule's number and the limit that it misses where the two tell.

    A rule may have been judged by other limits than today's: a number that meets today's limit is left out.
    """
    limits = JudgingSettings()
    users, support = int(rule["holdout_users"]), float(rule["support"])
    lift, again, q_value = float(rule["lift"]), float(rule["rediscovered"]), float(rule["q_value"])
    effect = lift if rule["direction"] == "raises" or not lift else 1 / lift
    told = ""
    if code == "small-group" and users < limits.min_count:
        told = say("why_users", language, users=count(users), least=count(limits.min_count))
    elif code == "small-group" and support < limits.min_share:
        told = say("why_share", language, share=percent(support), least=percent(limits.min_share))
    elif code == "not-significant" and q_value > limits.max_q:
        told = say("why_q", language, q=f"{q_value:.2g}", most=f"{limits.max_q:g}")
    elif code == "lift-too-small" and 1 <= effect < limits.min_lift:
        key = "why_lift" if rule["direction"] == "raises" else "why_low_lift"
        limit = limits.min_lift if rule["direction"] == "raises" else 1 / limits.min_lift
        told = say(key, language, lift=f"{lift:.2f}", limit=f"{limit:.2f}")
    elif code == "unstable" and again < limits.min_rediscovered:
        told = say("why_again", language, share=percent(again), least=percent(limits.min_rediscovered))
    reason = say(code, language) if code in WORDS else code
    if not told:
        return reason
    return f"{reason}（{told}）" if language == "zh" else f"{reason} ({told})"
