"""One insight card: sentence, outcome rate, lift, reasons, support, stability, warnings, and what can be done with it.

Pure: from a row of `insights` to components. Imports the charts and elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from limner_dashboards.charts.card import lift_interval_chart, reason_bars
from limner_dashboards.elements import graph, link, term
from limner_dashboards.formatting import count, percent
from limner_dashboards.theme import ACCENT, SOFT, WARM
from limner_dashboards.words import say


def draw_card(
    card: Mapping[str, Any],
    outcome: str,
    language: str,
    bounds: tuple[float, float],
    reach: float,
    saved: str | None,
    min_group: int = 0,
) -> Any:
    """The card of an insight; `bounds` and `reach` are the axes it shares with its neighbours, `saved` its segment.

    A card that fewer than `min_group` users match now carries a warning.
    """
    import dash_mantine_components as dmc
    from dash import html

    raises = card["direction"] == "raises"
    colour = WARM if raises else ACCENT
    head = html.Div(
        [
            html.Span(f"{card['rank']}", className="rank"),
            html.Span(
                f"{'▲' if raises else '▼'} {say('raises' if raises else 'lowers', language, outcome=outcome)}",
                className="direction",
                style={"color": colour, "borderColor": colour},
            ),
            html.Span(say("size_now", language, size=count(card["size"])), className="size-now"),
            html.Code(card["id"], className="insight-id"),
        ],
        className="card-head",
    )
    sentence = dmc.Text(card["sentence_zh"] if language == "zh" else card["sentence_en"], className="sentence", mt="xs")
    foot = html.Div(
        [
            html.Div(
                [*_few_now(int(card["size"]), min_group, language), *_facts(card, language)], className="card-facts"
            ),
            html.Div(card_action(card["id"], saved, language), id={"type": "card-action", "insight": card["id"]}),
        ],
        className="card-foot",
    )
    return dmc.Paper(
        [head, sentence, _charts(card, language, bounds, reach, colour), foot],
        withBorder=True,
        className="panel insight-card",
    )


def card_action(insight: str, saved: str | None, language: str) -> Any:
    """The button that saves a card, or the link to the segment that it was saved as."""
    import dash_mantine_components as dmc

    if saved:
        return link(f"✓ {say('saved_as', language, name=saved)}", f"/segments/{quote(saved)}", className="saved-link")
    return dmc.Button(say("save_as_segment", language), id={"type": "save-card", "insight": insight}, variant="light")


def _charts(card: Mapping[str, Any], language: str, bounds: tuple[float, float], reach: float, colour: str) -> Any:
    import dash_mantine_components as dmc
    from dash import html

    reasons = [(_title(reason["title"], language), float(reason["contribution"])) for reason in card["reasons"]]
    largest = max(card["outcome_rate"], card["base_rate"], 1e-9)
    return html.Div(
        [
            html.Div(
                [
                    html.Div(term("base_rate", language, say("outcome_rate", language)), className="caption"),
                    _rate(say("these_users", language), card["outcome_rate"], largest, colour),
                    _rate(say("average", language), card["base_rate"], largest, SOFT),
                ]
            ),
            html.Div(
                [
                    html.Div([term("lift", language), f" · {say('average_one', language)}"], className="caption"),
                    graph(lift_interval_chart(card, bounds), say("lift", language)),
                ]
            ),
            html.Div(
                [
                    html.Div([say("reasons", language), " · ", term("log_odds", language)], className="caption"),
                    graph(reason_bars(reasons, reach), say("reasons", language))
                    if reasons
                    else dmc.Text(say("no_reasons", language), size="sm", c="dimmed"),
                ]
            ),
        ],
        className="card-grid",
    )


def _rate(label: str, rate: float, largest: float, colour: str) -> Any:
    from dash import html

    fill = html.Div(className="rate-fill", style={"width": f"{100 * rate / largest:.1f}%", "background": colour})
    return html.Div(
        [
            html.Div([html.Span(label), html.B(percent(rate))], className="rate-line"),
            html.Div(fill, className="rate-track"),
        ],
        className="rate",
    )


def _few_now(size: int, min_group: int, language: str) -> list[Any]:
    from dash import html

    if size >= min_group:
        return []
    key = {0: "nobody_now", 1: "one_now"}.get(size, "few_now")
    colon = "：" if language == "zh" else ": "
    text = say(key, language, size=count(size))
    return [html.Div(f"⚠ {say('warnings', language)}{colon}{text}", className="warning-line")]


def _facts(card: Mapping[str, Any], language: str) -> list[Any]:
    from dash import html

    colon = "：" if language == "zh" else ": "
    support = say(
        "support_line",
        language,
        outcomes=count(card["holdout_outcomes"]),
        users=count(card["holdout_users"]),
        share=percent(card["support"]),
    )
    stability = say(
        "stability_line",
        language,
        rediscovered=percent(card["rediscovered"]),
        train=f"{card['train_lift']:.2f}",
        holdout=f"{card['lift']:.2f}",
    )
    lines = [
        html.Div([term("support", language), colon, support]),
        html.Div([say("stability", language), colon, stability]),
    ]
    lines += [
        html.Div(f"⚠ {say('warnings', language)}{colon}{_title(warning, language)}", className="warning-line")
        for warning in card["warnings"]
    ]
    lines.append(html.Div([say("where_text", language), colon, html.Code(card["condition"])], className="card-where"))
    return lines


def _title(title: Mapping[str, str], language: str) -> str:
    return title["zh"] or title["en"] if language == "zh" else title["en"]
