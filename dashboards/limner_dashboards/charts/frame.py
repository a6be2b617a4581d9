"""The frame that all charts share: fonts, margins, grid lines, and a label that stands above its bar.

Labels above the bars leave the width to the bars, so that long and Chinese names fit a narrow window. Imports theme and formatting.
"""

from __future__ import annotations

from typing import Any

from limner_dashboards.formatting import shorten
from limner_dashboards.theme import FONT, INK, LINE, MUTED

ROW = 36


def new_figure(height: int, **layout: Any) -> Any:
    """An empty figure of a height in pixels, as wide as its place."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template={},
        height=height,
        autosize=True,
        margin={"l": 4, "r": 4, "t": 6, "b": 6},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": INK},
        hoverlabel={"font": {"family": FONT, "size": 12}, "bgcolor": "white", "bordercolor": LINE},
        showlegend=False,
        dragmode=False,
        **layout,
    )
    axis = {
        "fixedrange": True,
        "zeroline": False,
        "gridcolor": LINE,
        "linecolor": LINE,
        "tickfont": {"size": 11, "color": MUTED},
    }
    figure.update_xaxes(**axis, title_font={"size": 11, "color": MUTED})
    figure.update_yaxes(**axis, title_font={"size": 11, "color": MUTED})
    return figure


def hide_axis(figure: Any, *, x: bool = True, y: bool = True) -> None:
    """Hide the lines, ticks and grid of an axis, and keep its scale."""
    if x:
        figure.update_xaxes(visible=False)
    if y:
        figure.update_yaxes(visible=False)


def label_row(figure: Any, at: float, label: str, value: str, *, width: int = 34, muted: bool = False) -> None:
    """Write a label at the left and a value at the right, above the bar at height `at`."""
    colour = MUTED if muted else INK
    common = {"y": at + 0.36, "xref": "paper", "showarrow": False, "yanchor": "middle", "yref": "y"}
    text = escape(shorten(label, width))
    figure.add_annotation(x=0, text=text, xanchor="left", font={"size": 12, "color": colour}, hovertext=escape(label), **common)
    figure.add_annotation(x=1, text=escape(value), xanchor="right", font={"size": 12, "color": colour}, **common)


def escape(text: str) -> str:
    """Text that plotly shows as it is, without reading tags in it.

    >>> escape("<b>a & b</b>")
    '&lt;b&gt;a &amp; b&lt;/b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
