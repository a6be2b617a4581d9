"""Above the cards: what the rules of a scenario reach together, what was left out as leaking, what turns round within groups.

Imports the floors below, the view and the elements.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from limner_dashboards.elements import (
    key_number,
    key_numbers,
    term,
)
from limner_dashboards.formatting import count, decimals, percent
from limner_dashboards.view import Visit
from limner_dashboards.words import say
from limner_profile.errors import UserError
from limner_segments.scoring.shelf import take_model


def draw_summary(found: Mapping[str, Any], language: str) -> Any:
    """What the rules of a scenario reach together, as key numbers; `found` is its row of `insight_sets`."""
    return key_numbers(
        [
            key_number(say("judged", language), count(found["judged"])),
            key_number(term("held_up", language), count(found["held_up"])),
            key_number(say("shown", language), count(found["shown"])),
            key_number(term("coverage", language), percent(found["coverage"])),
            key_number(term("reach", language), percent(found["reach"])),
            key_number(term("fidelity", language), f"R² {decimals(found['r_squared'])}"),
            key_number(term("top_decile_recall", language), percent(found["top_decile_recall"])),
        ]
    )


def draw_alerts(visit: Visit, name: str, found: Mapping[str, Any]) -> list[Any]:
    """An alert for tags that were left out as leaking, and one for effects that turn round within groups."""
    import dash_mantine_components as dmc
    from dash import html

    language, catalog = visit.language, visit.view.catalog
    alerts = []
    try:
        trained = take_model(visit.view.workspace, name)
    except UserError:
        trained = None
    excluded = [alarm for alarm in trained.alarms if alarm.action == "excluded"] if trained else []
    if excluded:
        lines = [
            say(
                "leakage_line",
                language,
                tag=catalog.words(alarm.tag, language).title,
                auc=decimals(alarm.auc),
                iv=decimals(alarm.information_value, 1),
            )
            for alarm in excluded
        ]
        alerts.append(
            dmc.Alert(
                [html.Div(line) for line in lines],
                title=f"⚠ {say('leakage', language)}",
                color="orange",
                variant="light",
            )
        )
    reversals = json.loads(found["reversals"] or "[]")
    if reversals:
        lines = [title["zh"] or title["en"] if language == "zh" else title["en"] for title in reversals]
        alerts.append(
            dmc.Alert(
                [html.Div(line) for line in lines],
                title=f"⇄ {say('reversals', language)}",
                color="orange",
                variant="light",
            )
        )
    return alerts
