"""The scenarios on the overview: scores, lift and gain beside the baselines, calibration, and what is not trained yet.

Imports the view, the charts and the elements.
"""

from __future__ import annotations

from typing import Any

from limner_dashboards.charts.evaluation import calibration_chart, score_histogram, top_k_chart
from limner_dashboards.distributions import read_score_bins
from limner_dashboards.elements import (
    empty_state,
    graph,
    link,
    panel,
    term,
)
from limner_dashboards.formatting import count, decimals, percent
from limner_dashboards.panels.training import stale_alert, state_line
from limner_dashboards.theme import SCORER_STYLE
from limner_dashboards.view import Visit
from limner_dashboards.words import say

_SCORERS = ("lightgbm", "logistic", "rfm", "base_rate")


def draw_scenarios(visit: Visit) -> list[Any]:
    """A panel for each trained scenario, and one that says how to train the others."""
    language = visit.language
    if not visit.view.scenarios:
        return [panel(say("scores", language), empty_state(say("no_scenarios", language)))]
    scored = set()
    if visit.opened.columns("scores"):
        scored = {row["scenario"] for row in visit.opened.rows("SELECT DISTINCT scenario FROM scores")}
    panels = []
    order = sorted(visit.view.scenarios, key=lambda name: name not in scored)
    for name in order:
        title = visit.view.scenarios[name].scenario.title.of(language)
        if name in scored:
            panels.append(_scenario(visit, name, title))
    waiting = [name for name in order if name not in scored]
    if waiting:
        lines = [empty_state(state_line(visit, name, "untrained")) for name in waiting]
        panels.append(panel(say("not_scored", language), *lines))
    return panels


def _scenario(visit: Visit, name: str, title: str) -> Any:
    from dash import html

    language = visit.language
    rows = visit.opened.rows(
        "SELECT scorer, metric, k, value, low, high FROM evaluations WHERE scenario = ? ORDER BY scorer, metric, k",
        [name],
    )
    by: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        by.setdefault((row["scorer"], row["metric"]), []).append(row)
    scorers = [scorer for scorer in _SCORERS if (scorer, "lift") in by]

    def value(scorer: str, metric: str, k: float | None = None) -> float | None:
        return next(
            (row["value"] for row in by.get((scorer, metric), ()) if k is None or abs(row["k"] - k) < 1e-9), None
        )

    base = value("lightgbm", "base_rate")
    bins = visit.memo(("scores", name, visit.min_group), lambda: read_score_bins(visit.opened, name, visit.min_group))

    def chart(key: str, figure: Any) -> Any:
        return html.Div([html.Div(term(key, language), className="small-title"), graph(figure, say(key, language))])

    charts = [chart("score_distribution", score_histogram(bins, base, language))]
    for key, metric in (("lift_by_k", "lift"), ("gain_by_k", "gain")):
        charts.append(chart(key, top_k_chart({scorer: by[(scorer, metric)] for scorer in scorers}, metric, language)))
    if ("lightgbm", "calibration") in by:
        charts.append(chart("calibration", calibration_chart(by[("lightgbm", "calibration")], language)))
    table = [
        {
            "scorer": say(scorer, language),
            "auc": value(scorer, "auc"),
            "interval": _interval(by.get((scorer, "auc"), ())),
            "lift_10": value(scorer, "lift", 0.1),
            "gain_20": value(scorer, "gain", 0.2),
            "brier": value(scorer, "brier"),
        }
        for scorer in scorers
    ]
    users, outcomes = value("lightgbm", "users"), value("lightgbm", "outcomes")
    return panel(
        title,
        *stale_alert(visit, name),
        _legend(scorers, language),
        html.Div(charts, className="charts"),
        _score_table(table, language),
        hint=say("on_holdout", language, users=count(users), outcomes=count(outcomes), rate=percent(base or 0.0)),
        aside=link(say("see_insights", language) + " →", f"/insights/{name}", size="sm"),
    )


def _legend(scorers: list[str], language: str) -> Any:
    from dash import html

    entries = []
    for scorer in scorers:
        colour, dash, _ = SCORER_STYLE[scorer]
        line = html.Span(
            className="swatch",
            style={"borderTopColor": colour, "borderTopStyle": {"dash": "dashed", "dot": "dotted"}.get(dash, "solid")},
        )
        entries.append(html.Span([line, say(scorer, language)]))
    return html.Div(entries, className="legend")


def _interval(rows: Any) -> str:
    return next(
        (f"{row['low']:.3f}–{row['high']:.3f}" for row in rows if row["low"] is not None and row["low"] < row["high"]),
        "–",
    )


def _score_table(rows: list[dict[str, Any]], language: str) -> Any:
    import dash_mantine_components as dmc

    heads = ("scorer", "auc", "interval", "lift_10", "gain_20", "brier")
    body = [
        [
            row["scorer"],
            decimals(row["auc"], 3),
            row["interval"],
            decimals(row["lift_10"]),
            percent(row["gain_20"] or 0),
            decimals(row["brier"], 4),
        ]
        for row in rows
    ]
    return dmc.TableScrollContainer(
        dmc.Table(
            [
                dmc.TableThead(
                    dmc.TableTr(
                        [
                            dmc.TableTh(term(head, language), className="number" if at else "")
                            for at, head in enumerate(heads)
                        ]
                    )
                ),
                dmc.TableTbody(
                    [
                        dmc.TableTr(
                            [dmc.TableTd(cell, className="number" if at else "") for at, cell in enumerate(line)]
                        )
                        for line in body
                    ]
                ),
            ],
            mt="md",
        ),
        minWidth=520,
    )
