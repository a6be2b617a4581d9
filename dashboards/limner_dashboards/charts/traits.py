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


def tgi_chart(traits: Sequence[Trait], language: str) -> Any:
    """A figure with a row for each trait that has a TGI: a point, its 95 % interval and the number; ▲ above, ▼ below 100."""
    shown = [trait for trait in traits if trait.tgi is not None]
    figure = new_figure(ROW * max(len(shown), 1) + 46, margin={"l": 8, "r": 8, "t": 6, "b": 30})
    places = list(range(len(shown), 0, -1))
    lowest = min([50.0, *(max(trait.tgi_low or FLOOR, FLOOR) for trait in shown)])
    highest = max([200.0, *(trait.tgi_high or 200.0 for trait in shown)])
    figure.add_vline(x=100, line={"color": MUTED, "width": 1})
    for place, trait in zip(places, shown, strict=True):
        tgi = trait.tgi or 0.0
        above = tgi >= 100
        colour, at = (WARM if above else ACCENT), max(tgi, lowest)
        figure.add_scatter(
            x=[100, at], y=[place, place], mode="lines", line={"color": colour, "width": 1}, opacity=0.35, hoverinfo="skip"
        )
        figure.add_scatter(
            x=[max(trait.tgi_low or lowest, lowest), max(trait.tgi_high or lowest, lowest)], y=[place, place],
            mode="lines", line={"color": colour, "width": 5}, opacity=0.35, hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=[at], y=[place], mode="markers", marker={"color": colour, "size": 11, "symbol": "triangle-up" if above else "triangle-down"},
            customdata=[[
                escape(f"{trait.title}: {trait.trait}"), percent(trait.audience_share or 0), percent(trait.base_share or 0), f"{tgi:,.0f}",
                f"{trait.tgi_low or 0:,.0f}–{trait.tgi_high or 0:,.0f}", say("in_audience", language), say("among_all", language), count(trait.audience_count),
            ]],
            hovertemplate="<b>%{customdata[0]}</b><br>TGI %{customdata[3]} (%{customdata[4]})<br>%{customdata[5]} %{customdata[1]} (%{customdata[7]})"
            "<br>%{customdata[6]} %{customdata[2]}<extra></extra>",
        )  # fmt: skip
        label_row(figure, place, f"{trait.title}: {trait.trait}", f"{'▲' if above else '▼'} {tgi:,.0f}", width=52)
    ticks = [tick for tick in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if lowest * 0.9 <= tick <= highest * 1.1]
    figure.update_xaxes(
        type="log", range=[math.log10(lowest) - 0.04, math.log10(highest) + 0.04], tickvals=ticks,
        ticktext=[say("everyone", language) if tick == 100 else f"{tick:,}" for tick in ticks],
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[0.5, len(shown) + 0.75])
    return figure
