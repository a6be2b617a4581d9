"""Insights: the cards of a scenario, what they reach together, the rules behind them, and the click that makes a segment.

The cards themselves are drawn in `limner_dashboards.panels.card`. Imports the floors below.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from limner_dashboards.callbacks import answer
from limner_dashboards.charts.card import lift_range
from limner_dashboards.elements import (
    empty_state,
    link,
    panel,
)
from limner_dashboards.formatting import count
from limner_dashboards.notices import notice
from limner_dashboards.pages.base import PAGES, Page
from limner_dashboards.panels.card import card_action, draw_card
from limner_dashboards.panels.rules import rule_panel
from limner_dashboards.panels.summary import draw_alerts, draw_summary
from limner_dashboards.panels.training import stale_alert, state_line
from limner_dashboards.view import Reader, View, Visit
from limner_dashboards.words import say
from limner_explain.cards import read_cards, save_insight
from limner_profile.errors import UserError, did_you_mean

_LOG = logging.getLogger(__name__)


@PAGES.kind("insights")
class Insights(Page):
    """The pages at `/insights` and `/insights/<scenario>`."""

    PATH = "insights"

    def title(self, visit: Visit, name: str) -> str:
        """The scenario's title, or the word for insights."""
        named = visit.view.scenarios.get(name)
        word = say("insights", visit.language)
        return f"{named.scenario.title.of(visit.language)} · {word}" if named else word

    def draw(self, visit: Visit, name: str) -> Any:
        """The cards of the scenario `name`; of the first scenario that has any where there is no name."""
        from dash import html

        language, scenarios = visit.language, visit.view.scenarios
        if not scenarios:
            return panel(say("insights", language), empty_state(say("no_scenarios", language)))
        if name and name not in scenarios:
            text = say("unknown_scenario", language, name=name)
            return panel(say("insights", language), empty_state(text), empty_state(did_you_mean(name, scenarios)))
        chosen = name or next((known for known in scenarios if _set_of(visit, known)), next(iter(scenarios)))
        return html.Div([_tabs(visit, chosen), *_scenario(visit, chosen), _save_dialog(language)], className="stack")

    def register(self, app: Any, reader: Reader) -> None:
        """Open the dialog for a card, and save the card as a segment."""
        from dash import ALL, Input, Output, State, ctx, no_update

        @answer(
            app,
            Output({"type": "rules", "status": "kept"}, "children"),
            Output({"type": "rules", "status": "dropped"}, "children"),
            Input("rule-tabs", "value"),
            State("shown-scenario", "data"),
            State("language", "value"),
            prevent_initial_call=True,
        )
        def list_rules(tab: str | None, scenario: str | None, language: str | None) -> tuple[Any, Any]:
            if tab not in ("kept", "dropped") or not scenario:
                return no_update, no_update
            with reader.visit(language) as visit:
                found = rule_panel(visit, scenario, tab)
            return (found, no_update) if tab == "kept" else (no_update, found)

        @answer(
            app,
            Output("save-dialog", "opened"),
            Output("card-to-save", "data"),
            Output("segment-name", "value"),
            Output("segment-name", "error"),
            Input({"type": "save-card", "insight": ALL}, "n_clicks"),
            Input("cancel-save", "n_clicks"),
            prevent_initial_call=True,
        )
        def ask(clicks: list[int | None], cancelled: int | None) -> tuple[Any, Any, Any, Any]:
            chosen = ctx.triggered_id
            if chosen == "cancel-save":
                return False, no_update, no_update, None
            if not isinstance(chosen, Mapping) or not any(clicks):
                return no_update, no_update, no_update, no_update
            return True, chosen["insight"], str(chosen["insight"]).replace("-", "_"), None

        @answer(
            app,
            Output("save-dialog", "opened", allow_duplicate=True),
            Output("segment-name", "error", allow_duplicate=True),
            Output("notifications", "sendNotifications", allow_duplicate=True),
            Output({"type": "card-action", "insight": ALL}, "children"),
            Input("confirm-save", "n_clicks"),
            Input("segment-name", "n_submit"),
            State("card-to-save", "data"),
            State("segment-name", "value"),
            State("language", "value"),
            State({"type": "card-action", "insight": ALL}, "id"),
            running=[(Output("confirm-save", "loading"), True, False)],
            prevent_initial_call=True,
        )
        def save(
            clicks: int | None,
            submits: int | None,
            insight: str | None,
            name: str | None,
            language: str | None,
            places: list[dict[str, str]],
        ) -> tuple[Any, Any, Any, list[Any]]:
            unchanged = [no_update] * len(places)
            if not (clicks or submits) or not insight:
                return no_update, no_update, no_update, unchanged
            chosen = language if language in ("en", "zh") else reader.default_language()
            error, told, saved = save_card(reader.view(), insight, (name or "").strip(), chosen)
            if error is not None:
                return True, error, [told], unchanged
            actions = [
                card_action(insight, saved, chosen) if place["insight"] == insight else no_update for place in places
            ]
            return False, None, [told], actions


def save_card(view: View, insight: str, name: str, language: str) -> tuple[str | None, dict[str, Any], str | None]:
    """The error for the field (None when it worked), what to tell the reader, and the name of the saved segment."""
    from dash import html

    try:
        saved = save_insight(view.workspace, view.store, insight, view.catalog, view.scenarios, name or None)
    except UserError as error:
        issue = error.issues[0]
        hint = {"bad-name": say("name_rule", language), "name-taken": say("other_name", language)}.get(
            issue.code, issue.hint
        )
        text = f"{issue.message}. {hint}" if hint else f"{issue.message}."
        return text, notice(say("not_saved", language), issue.message, good=False), None
    except Exception:
        # The dialog must never stay as it was, as if nothing had been clicked.
        _LOG.exception("a card could not be saved")
        text = f"{say('failed', language)}. {say('failed_hint', language)}"
        return text, notice(say("not_saved", language), text, good=False), None
    key = "saved_size" if saved.size == saved.promised else "saved_other_size"
    text = say(key, language, size=count(saved.size), promised=count(saved.promised))
    message = html.Span(
        [text, " ", html.A(say("open_segment", language), href=f"/segments/{quote(saved.segment.name)}")]
    )
    return None, notice(say("saved", language, name=saved.segment.name), message, good=True), saved.segment.name


def _tabs(visit: Visit, chosen: str) -> Any:
    import dash_mantine_components as dmc
    from dash import html

    language, scenarios = visit.language, visit.view.scenarios
    links = [
        link(
            named.scenario.title.of(language),
            f"/insights/{quote(name)}",
            className="pill chosen" if name == chosen else "pill",
            size="sm",
        )
        for name, named in scenarios.items()
    ]
    named = scenarios[chosen]
    described = (
        dmc.Text(named.scenario.description, c="dimmed") if named.scenario.description and language == "en" else None
    )
    return html.Div(
        [
            dmc.Title(f"{say('insights', language)}: {named.scenario.title.of(language)}", order=2),
            described,
            dmc.Group(links, gap="xs", mt="sm"),
        ]
    )


def _set_of(visit: Visit, scenario: str) -> dict[str, Any] | None:
    if not visit.opened.columns("insight_sets"):
        return None
    rows = visit.opened.rows("SELECT * FROM insight_sets WHERE scenario = ?", [scenario])
    return rows[0] if rows else None


def _scenario(visit: Visit, name: str) -> list[Any]:
    import dash_mantine_components as dmc
    from dash import dcc, html

    language = visit.language
    found = _set_of(visit, name)
    if found is None:
        return [panel("", empty_state(state_line(visit, name, "no_insights")))]
    cards = read_cards(visit.opened, name)
    counted = visit.opened.rows(
        "SELECT status, count(*) AS rules FROM insights WHERE scenario = ? GROUP BY status", [name]
    )
    rules = {row["status"]: int(row["rules"]) for row in counted}
    saved = {named.segment.origin.insight: named.name for named in visit.view.segments.values() if named.segment.origin}
    bounds = lift_range(cards) if cards else (0.5, 2.0)
    reach = max([0.1, *(abs(reason["contribution"]) for card in cards for reason in card["reasons"])])
    outcome = visit.view.scenarios[name].scenario.outcome.title.of(language)
    drawn = [
        draw_card(card, outcome, language, bounds, reach, saved.get(card["id"]), visit.min_group) for card in cards
    ]
    if not drawn:
        drawn = [panel("", empty_state(say("no_cards", language)))]
    tabs = dmc.Tabs(
        [
            dmc.TabsList(
                [
                    dmc.TabsTab(f"{say('cards', language)} ({count(len(cards))})", value="cards"),
                    dmc.TabsTab(f"{say('kept', language)} ({count(rules.get('kept', 0))})", value="kept"),
                    dmc.TabsTab(f"{say('dropped', language)} ({count(rules.get('dropped', 0))})", value="dropped"),
                ],
                mb="md",
            ),
            dmc.TabsPanel(html.Div(drawn, className="stack"), value="cards"),
            dmc.TabsPanel(html.Div(id={"type": "rules", "status": "kept"}), value="kept"),
            dmc.TabsPanel(html.Div(id={"type": "rules", "status": "dropped"}), value="dropped"),
        ],
        value="cards",
        id="rule-tabs",
    )
    return [
        dcc.Store(id="shown-scenario", data=name),
        draw_summary(found, language),
        *stale_alert(visit, name),
        *draw_alerts(visit, name, found),
        tabs,
    ]


def _save_dialog(language: str) -> Any:
    import dash_mantine_components as dmc
    from dash import dcc

    return dmc.Modal(
        [
            dcc.Store(id="card-to-save"),
            dmc.Text(say("save_hint", language), size="sm", c="dimmed", mb="sm"),
            dmc.TextInput(
                id="segment-name",
                label=say("segment_name", language),
                description=say("name_rule", language),
                **{"data-autofocus": True},
            ),
            dmc.Group(
                [
                    dmc.Button(say("cancel", language), id="cancel-save", variant="default"),
                    dmc.Button(say("save", language), id="confirm-save"),
                ],
                justify="flex-end",
                mt="md",
            ),
        ],
        id="save-dialog",
        title=say("save_as_segment", language),
        opened=False,
        centered=True,
    )
