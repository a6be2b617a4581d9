"""The frame that all charts share: fonts, margins, grid lines, and a label that stands above its bar.

Labels above the bars leave the width to the bars, so that long and Chinese names fit a narrow window. Imports theme and formatting.
"""

from __future__ import annotations

from typing import Any

from limner_dashboards.formatting import shorten
from limner_dashboards.theme import FONT, INK, LINE, MUTED

ROW = 40


def new_figure(height: int, **layout: Any) -> Any:
    """An empty figure of a height in pixels, as wide as its place."""
    import plotly.graph_objects as go

    axis = {
        "fixedrange": True,
        "zeroline": False,
        "gridcolor": LINE,
        "linecolor": LINE,
        "tickfont": {"size": 11, "color": MUTED},
        "title": {"font": {"size": 11, "color": MUTED}},
    }
    common = {
        "template": {},
        "height": height,
        "autosize": True,
        "margin": {"l": 4, "r": 4, "t": 6, "b": 6},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": INK},
        "hoverlabel": {"font": {"family": FONT, "size": 12}, "bgcolor": "white", "bordercolor": LINE},
        "showlegend": False,
        "dragmode": False,
        "xaxis": axis,
        "yaxis": axis,
    }
    return go.Figure(layout={**common, **layout})


def hide_axis(figure: Any, *, x: bool = True, y: bool = True) -> None:
    """Hide the lines, ticks and grid of an axis, and keep its scale."""
    if x:
        figure.update_xaxes(visible=False)
    if y:
        figure.update_yaxes(visible=False)


def label_row(at: float, label: str, value: str, *, width: int = 34, muted: bool = False) -> list[dict[str, Any]]:
    """The annotations that write a label at the left and a value at the right, above the bar at height `at`."""
    colour = MUTED if muted else INK
    common = {"y": at + 0.4, "xref": "paper", "showarrow": False, "yanchor": "middle", "yref": "y"}
    font = {"size": 12, "color": colour}
    return [
        {
            **common,
            "x": 0,
            "text": escape(shorten(label, width)),
            "xanchor": "left",
            "font": font,
            "hovertext": escape(label),
            "bgcolor": "rgba(255,255,255,0.8)",
            "borderpad": 0,
        },
        {**common, "x": 1, "text": escape(value), "xanchor": "right", "font": font},
    ]


def escape(text: str) -> str:
    """Text that plotly shows as it is, without reading tags in it.

    >>> escape("<b>a & b</b>")
    '&lt;b&gt;a &amp; b&lt;/b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
