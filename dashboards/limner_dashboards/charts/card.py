"""The small charts of an insight card: lift with its interval around 1, and reasons as diverging bars in log-odds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from limner_dashboards.charts.frame import escape, hide_axis, new_figure
from limner_dashboards.formatting import signed, wrap
from limner_dashboards.theme import ACCENT, INK, LINE, MUTED, WARM

_CELLS = 30
_LINE, _GAP, _BAR, _BELOW = 16, 4, 9, 9  # pixels: a line of a title, the space under it, the bar, the space below
_TICKS = (0.06, 0.12, 0.25, 0.5, 1, 2, 4, 8, 16, 32)


def lift_range(cards: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The bounds of an axis that holds the intervals of all cards, at least a half to two.

    >>> lift_range([{"lift_low": 3.0, "lift_high": 4.1}])
    (0.5, 4.1)
    """
    low = min([0.5, *(max(card["lift_low"], 0.05) for card in cards)])
    return low, max([2.0, *(card["lift_high"] for card in cards)])


def lift_interval_chart(card: Mapping[str, Any], bounds: tuple[float, float]) -> Any:
    """A figure of a card's lift as a point with its 95 % interval on a log axis; a line marks the average, 1."""
    figure = new_figure(82, margin={"l": 8, "r": 8, "t": 24, "b": 22})
    low, high = bounds
    raises = card["lift"] >= 1
    colour, at = (WARM if raises else ACCENT), max(card["lift"], low)
    figure.add_vline(x=1, line={"color": MUTED, "width": 1.2})
    figure.add_scatter(
        x=[1, at], y=[0, 0], mode="lines", line={"color": colour, "width": 1.5}, opacity=0.4, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[max(card["lift_low"], low), card["lift_high"]],
        y=[0, 0],
        mode="lines",
        line={"color": colour, "width": 8},
        opacity=0.3,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[at],
        y=[0],
        mode="markers",
        marker={"color": colour, "size": 12, "symbol": "triangle-up" if raises else "triangle-down"},
        hovertemplate=f"{card['lift']:.2f} ({card['lift_low']:.2f}–{card['lift_high']:.2f})<extra></extra>",
    )
    figure.add_annotation(
        x=math.log10(at),
        y=1,
        yref="paper",
        yanchor="bottom",
        showarrow=False,
        font={"size": 12},
        text=f"<b>{card['lift']:.2f}</b> ({card['lift_low']:.2f}–{card['lift_high']:.2f})",
        xanchor="right" if at > high / 2 else "left" if at < low * 2 else "center",
    )
    ticks = [tick for tick in _TICKS if low * 0.95 <= tick <= high * 1.05]
    figure.update_xaxes(
        type="log",
        range=[math.log10(low) - 0.03, math.log10(high) + 0.03],
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )
    figure.update_yaxes(visible=False, range=[-1, 1])
    return figure


def reason_bars(reasons: Sequence[tuple[str, float]], reach: float) -> Any:
    """A figure of `(tag title, contribution)` as bars from a middle line at 0; `reach` is the largest value of the axis.

    A long title takes two lines above its bar. Heights are in pixels, so that no line of text comes near a bar.
    """
    titles = [wrap(title, _CELLS) for title, _ in reasons]
    heights = [_LINE * len(lines) + _GAP + _BAR + _BELOW for lines in titles]
    whole = max(sum(heights), _LINE)
    figure = new_figure(whole + 12, bargap=0)  # 12: the frame's margins above and below
    tops = [whole - sum(heights[:at]) for at in range(len(reasons))]
    places = [top - _LINE * len(lines) - _GAP - _BAR / 2 for top, lines in zip(tops, titles, strict=True)]
    figure.add_vline(x=0, line={"color": MUTED, "width": 1})
    figure.add_bar(
        orientation="h",
        x=[value for _, value in reasons],
        y=places,
        width=_BAR,
        marker={"color": [WARM if value >= 0 else ACCENT for _, value in reasons], "line": {"color": LINE, "width": 0}},
        customdata=[[escape(title), signed(value, 3)] for title, value in reasons],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    figure.update_xaxes(range=[-reach, reach])
    figure.update_yaxes(range=[0, whole])
    hide_axis(figure)
    labels: list[dict[str, Any]] = []
    for place, lines, (title, value) in zip(places, titles, reasons, strict=True):
        common = {"xref": "paper", "yref": "y", "showarrow": False, "yanchor": "bottom", "borderpad": 0}
        common |= {"y": place + _BAR / 2 + _GAP - 2, "font": {"size": 12, "color": INK}}
        text = "<br>".join(escape(line) for line in lines)
        labels += [
            {**common, "x": 0, "xanchor": "left", "align": "left", "text": text, "hovertext": escape(title)},
            {**common, "x": 1, "xanchor": "right", "text": f"{'▲' if value >= 0 else '▼'} {signed(value)}"},
        ]
    figure.update_layout(annotations=labels)
    return figure
