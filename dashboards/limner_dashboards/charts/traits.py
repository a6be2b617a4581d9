"""The chart of a comparison: TGI of each trait with its interval, on a log scale around 100."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from limner_dashboards.charts.frame import ROW, escape, label_row, new_figure
from limner_dashboards.formatting import count, percent
from limner_dashboards.theme import ACCENT, MUTED, WARM
from limner_dashboards.words import say
from limner_segments.comparison import Trait

FLOOR = 5.0
"""TGI below this is drawn at the edge, so that a trait that nobody has does not squeeze the others."""
MAX_Q = 0.05


def telling_traits(traits: Sequence[Trait], above: int = 9, below: int = 6) -> list[Trait]:
    """The traits for the chart, highest TGI first: of each tag the largest difference above 100 and the largest below.

    Traits that the segment's own condition fixes, suppressed ones and differences that chance could make are left out;
    `traits` come the most telling first, as `compare_audience` gives them.
    """
    chosen: dict[bool, list[Trait]] = {True: [], False: []}
    for trait in traits:
        if trait.tgi is None or trait.tautological or trait.q_value is None or trait.q_value >= MAX_Q:
            continue
        side = chosen[trait.tgi >= 100]
        if all(other.tag != trait.tag for other in side):
            side.append(trait)
    return sorted([*chosen[True][:above], *chosen[False][:below]], key=lambda trait: -(trait.tgi or 0.0))


def tgi_chart(traits: Sequence[Trait], language: str) -> Any:
    """A figure with a row for each trait that has a TGI: a point, its 95 % interval and the number; ▲ above, ▼ below 100."""
    shown = [trait for trait in traits if trait.tgi is not None]
    figure = new_figure(ROW * max(len(shown), 1) + 60, margin={"l": 8, "r": 8, "t": 22, "b": 28})
    lowest = min([50.0, *(max(trait.tgi_low or FLOOR, FLOOR) for trait in shown)])
    highest = max([200.0, *(trait.tgi_high or 200.0 for trait in shown)])
    places = {id(trait): len(shown) - at for at, trait in enumerate(shown)}
    for above, colour, symbol in ((True, WARM, "triangle-up"), (False, ACCENT, "triangle-down")):
        side = [trait for trait in shown if ((trait.tgi or 0.0) >= 100) is above]
        stems: list[float | None] = []
        bands: list[float | None] = []
        heights: list[float | None] = []
        for trait in side:
            stems += [100.0, max(trait.tgi or 0.0, lowest), None]
            bands += [max(trait.tgi_low or lowest, lowest), max(trait.tgi_high or lowest, lowest), None]
            heights += [places[id(trait)], places[id(trait)], None]
        figure.add_scatter(
            x=stems, y=heights, mode="lines", line={"color": colour, "width": 1}, opacity=0.35, hoverinfo="skip"
        )
        figure.add_scatter(
            x=bands, y=heights, mode="lines", line={"color": colour, "width": 5}, opacity=0.35, hoverinfo="skip"
        )
        figure.add_scatter(
            x=[max(trait.tgi or 0.0, lowest) for trait in side],
            y=[places[id(trait)] for trait in side],
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol},
            customdata=[_hover(trait, language) for trait in side],
            hovertemplate="<b>%{customdata[0]}</b><br>TGI %{customdata[1]}<br>%{customdata[2]}<br>%{customdata[3]}<extra></extra>",
        )
    labels: list[dict[str, Any]] = []
    for trait in shown:
        sign = "▲" if (trait.tgi or 0.0) >= 100 else "▼"
        labels += label_row(places[id(trait)], f"{trait.title}: {trait.trait}", f"{sign} {trait.tgi:,.0f}", width=52)
    labels.append(
        {
            "x": 2,
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "showarrow": False,
            "text": say("everyone", language),
            "font": {"size": 11, "color": MUTED},
        }
    )
    ticks = [tick for tick in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if lowest * 0.9 <= tick <= highest * 1.1]
    span = math.log10(highest) - math.log10(lowest)
    figure.update_layout(
        annotations=labels,
        shapes=[
            {
                "type": "line",
                "x0": 100,
                "x1": 100,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": MUTED, "width": 1},
                "layer": "below",
            }
        ],
    )
    figure.update_xaxes(
        type="log",
        range=[math.log10(lowest) - 0.02 * span, math.log10(highest) + 0.12 * span],
        tickvals=ticks,
        ticktext=[f"{tick:,}" for tick in ticks],
    )
    figure.update_yaxes(visible=False, range=[0.5, len(shown) + 0.75])
    return figure


def _hover(trait: Trait, language: str) -> list[str]:
    return [
        escape(f"{trait.title}: {trait.trait}"),
        f"{trait.tgi or 0:,.0f} ({trait.tgi_low or 0:,.0f}–{trait.tgi_high or 0:,.0f})",
        f"{say('in_audience', language)} {percent(trait.audience_share or 0)} ({count(trait.audience_count)})",
        f"{say('among_all', language)} {percent(trait.base_share or 0)} ({count(trait.base_count)})",
    ]
