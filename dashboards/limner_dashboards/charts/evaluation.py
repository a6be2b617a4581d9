"""Charts of a scenario: the scores of today's users, lift and gain against the baselines, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limner_dashboards.charts.frame import new_figure
from limner_dashboards.formatting import count, percent
from limner_dashboards.theme import ACCENT, LINE, MUTED, SCORER_STYLE, WARM
from limner_dashboards.words import say

Point = Mapping[str, Any]
STEP = 0.05


@dataclass(frozen=True)
class ScoreBin:
    """The users with a score from `low` up to `high`, and their share of all scored users."""

    low: float
    high: float
    users: int
    share: float


def score_histogram(bins: Sequence[ScoreBin], base_rate: float | None, language: str) -> Any:
    """A figure of how scores are spread: the height is the share of users per step of 5 points, whatever a bin's width."""
    figure = new_figure(250, margin={"l": 60, "r": 10, "t": 26, "b": 42}, bargap=0)
    figure.add_bar(
        x=[100 * (one.low + one.high) / 2 for one in bins],
        width=[100 * (one.high - one.low) for one in bins],
        y=[100 * one.share * STEP / (one.high - one.low) for one in bins],
        marker={"color": ACCENT, "line": {"color": "white", "width": 1}},
        customdata=[
            [f"{100 * one.low:.0f}–{100 * one.high:.0f} %", count(one.users), percent(one.share)] for one in bins
        ],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]} · %{customdata[2]}<extra></extra>",
    )
    highest: float = max([0.2, *(one.high for one in bins), *([base_rate] if base_rate else [])])
    figure.update_xaxes(
        range=[0, min(100.0, 110 * highest)], ticksuffix=" %", title_text=say("score", language), showgrid=False
    )
    figure.update_yaxes(
        ticksuffix=" %", title_text=say("share_per_step", language), title_standoff=6, nticks=5, rangemode="tozero"
    )
    if base_rate is not None:
        figure.add_vline(x=100 * base_rate, line={"color": WARM, "dash": "dash", "width": 1.5})
        figure.add_annotation(
            x=100 * base_rate,
            y=1.02,
            yref="paper",
            yanchor="bottom",
            xanchor="left",
            showarrow=False,
            text=f"{say('base_rate', language)} {percent(base_rate)}",
            font={"size": 11, "color": WARM},
        )
    return figure


def top_k_chart(points: Mapping[str, Sequence[Point]], metric: str, language: str) -> Any:
    """A figure of `lift` or `gain` in the top k for each scorer, on the hold-out; the base rate is a dashed line.

    `points` holds for each scorer the rows of `evaluations` for that metric (`k`, `value`, `low`, `high`).
    """
    figure = new_figure(
        250,
        margin={"l": 44, "r": 10, "t": 26, "b": 42},
        hovermode="x unified",
    )
    gain = metric == "gain"
    for scorer, rows in points.items():
        colour, dash, marker = SCORER_STYLE.get(scorer, (MUTED, "solid", "circle"))
        main = scorer == "lightgbm"
        scale = 100 if gain else 1
        if main and all(row["low"] is not None for row in rows):
            figure.add_scatter(
                x=[100 * row["k"] for row in rows] + [100 * row["k"] for row in reversed(rows)],
                y=[scale * row["high"] for row in rows] + [scale * row["low"] for row in reversed(rows)],
                mode="lines",
                fill="toself",
                fillcolor="rgba(0,114,178,0.13)",
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        figure.add_scatter(
            x=[100 * row["k"] for row in rows],
            y=[scale * row["value"] for row in rows],
            name=say(scorer, language) if scorer in SCORER_STYLE else scorer,
            mode="lines" if scorer == "base_rate" else "lines+markers",
            line={"color": colour, "dash": dash, "width": 2.5 if main else 1.5},
            marker={"symbol": marker, "size": 7},
            hovertemplate="%{y:.0f} %" if gain else "%{y:.2f}",
        )
    ticks = sorted({round(100 * row["k"]) for rows in points.values() for row in rows})
    figure.update_xaxes(
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick} %" for tick in ticks],
        title_text=say("top_share", language),
        showgrid=False,
    )
    figure.update_yaxes(rangemode="tozero", ticksuffix=" %" if gain else "", nticks=6)
    return figure


def calibration_chart(points: Sequence[Point], language: str) -> Any:
    """A figure of outcome rate against mean score in bins of equal size, with 95 % intervals and the diagonal."""
    figure = new_figure(250, margin={"l": 60, "r": 10, "t": 26, "b": 42})
    top = 100 * max([0.1, *(max(row["k"], row["high"] or row["value"]) for row in points)]) * 1.04
    figure.add_scatter(
        x=[0, top], y=[0, top], mode="lines", line={"color": MUTED, "dash": "dash", "width": 1}, hoverinfo="skip"
    )
    figure.add_annotation(
        x=top,
        y=top,
        text=say("perfect", language),
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
        yshift=4,
        font={"size": 11, "color": MUTED},
    )
    figure.add_scatter(
        x=[100 * row["k"] for row in points],
        y=[100 * row["value"] for row in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "thickness": 1.4,
            "width": 0,
            "color": "rgba(0,114,178,0.45)",
            "array": [100 * ((row["high"] or row["value"]) - row["value"]) for row in points],
            "arrayminus": [
                100 * (row["value"] - (row["low"] if row["low"] is not None else row["value"])) for row in points
            ],
        },
        mode="lines+markers",
        line={"color": ACCENT, "width": 1.5},
        marker={"size": 7},
        customdata=[
            [percent(row["k"]), percent(row["value"]), percent(row["low"] or 0), percent(row["high"] or 0)]
            for row in points
        ],
        hovertemplate="%{customdata[0]} → %{customdata[1]} (%{customdata[2]}–%{customdata[3]})<extra></extra>",
    )
    figure.update_xaxes(
        range=[0, top], ticksuffix=" %", title_text=say("predicted", language), gridcolor=LINE, nticks=6
    )
    figure.update_yaxes(
        range=[0, top], ticksuffix=" %", title_text=say("happened", language), title_standoff=6, nticks=6
    )
    return figure
