"""Charts of shares and sizes: how users spread over the values of a tag, and how large the audiences are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from limner_dashboards.charts.frame import ROW, escape, hide_axis, label_row, new_figure
from limner_dashboards.formatting import count, percent
from limner_dashboards.theme import ACCENT, LINE, SOFT


@dataclass(frozen=True)
class Bar:
    """A bar: its label, how many users, their share (0 to 1), and whether it is a value, the rest, or unknown."""

    label: str
    users: int
    share: float
    kind: Literal["value", "other", "unknown"] = "value"


def share_bars(bars: Sequence[Bar], width: int = 34, values: Sequence[str] = ()) -> Any:
    """A figure of horizontal bars, each with its label and share (or its text in `values`) above; unknown is hatched."""
    figure = new_figure(ROW * max(len(bars), 1) + 10, bargap=0)
    places = list(range(len(bars), 0, -1))
    figure.add_bar(
        orientation="h",
        x=[1.0] * len(bars),  # the whole: a bar is as long as its share of everyone
        y=places,
        width=0.26,
        marker={"color": LINE, "opacity": 0.55},
        hoverinfo="skip",
    )
    figure.add_bar(
        orientation="h",
        x=[bar.share for bar in bars],
        y=places,
        width=0.26,
        marker={
            "color": [ACCENT if bar.kind == "value" else SOFT for bar in bars],
            "pattern": {
                "shape": ["/" if bar.kind == "unknown" else "" for bar in bars],
                "fgcolor": "white",
                "size": 5,
            },
        },
        customdata=[[escape(bar.label), count(bar.users), percent(bar.share)] for bar in bars],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]} · %{customdata[2]}<extra></extra>",
    )
    figure.update_layout(barmode="overlay")
    figure.update_yaxes(range=[0.55, len(bars) + 0.7])
    figure.update_xaxes(range=[0, 1])
    hide_axis(figure)
    labels: list[dict[str, Any]] = []
    for place, bar in zip(places, bars, strict=True):
        labels += label_row(
            place,
            bar.label,
            values[len(bars) - place] if values else percent(bar.share),
            width=width,
            muted=bar.kind != "value",
        )
    figure.update_layout(annotations=labels)
    return figure


def size_bars(sizes: Sequence[tuple[str, int, float]]) -> Any:
    """A figure of audiences: `(title, users, share of all)`, labelled with both."""
    bars = [Bar(title, users, share) for title, users, share in sizes]
    return share_bars(bars, width=64, values=[f"{count(bar.users)} · {percent(bar.share)}" for bar in bars])
