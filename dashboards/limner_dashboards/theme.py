"""Colours, fonts and the Mantine theme: one accent, one warm counterpart, greys. Imports nothing of Limner.

The colours are Okabe and Ito's, told apart by readers with any colour vision; a sign, a shape or a word always says the
same as the colour.
"""

from __future__ import annotations

from typing import Any

ACCENT = "#0072B2"
WARM = "#D55E00"
GREEN = "#00866A"
PURPLE = "#A8588A"
INK = "#1F2933"
MUTED = "#5F6B7A"
LINE = "#DDE3EA"
SOFT = "#C3CCD6"
PALE = "#EAF3F9"

FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', "
    "'Helvetica Neue', Arial, sans-serif"
)
MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono CJK SC', monospace"

SCORER_STYLE: dict[str, tuple[str, str, str]] = {
    # scorer: colour, dash, marker
    "lightgbm": (ACCENT, "solid", "circle"),
    "logistic": (GREEN, "dash", "square"),
    "rfm": (PURPLE, "dot", "diamond"),
    "base_rate": (MUTED, "dash", "line-ew"),
}

_BLUES = ["#EAF3F9", "#CFE3F0", "#A3CBE3", "#74B1D5", "#4A99C8", "#268ABE", "#0072B2", "#0064A0", "#00558A", "#004572"]

MANTINE_THEME: dict[str, Any] = {
    "primaryColor": "accent",
    "primaryShade": 6,
    "colors": {"accent": _BLUES},
    "fontFamily": FONT,
    "fontFamilyMonospace": MONOSPACE,
    "headings": {"fontFamily": FONT, "fontWeight": "650"},
    "defaultRadius": "md",
    "black": INK,
}
