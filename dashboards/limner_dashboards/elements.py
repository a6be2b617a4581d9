"""The parts that pages are made of: panels, key numbers, explained terms, empty states, grids. Imports words and theme."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from limner_dashboards.formatting import percent
from limner_dashboards.issues import mistake
from limner_dashboards.terms import explain
from limner_dashboards.theme import ACCENT, FONT, INK, LINE
from limner_dashboards.words import say
from limner_profile.errors import Issue, UserError

GRAPH_CONFIG: Any = {"displayModeBar": False, "responsive": True, "scrollZoom": False, "doubleClick": False}
_SHARE = "share"
_FEW = 12

_GRID_THEME = json.dumps(
    {
        "fontFamily": FONT,
        "fontSize": 13,
        "headerFontWeight": 600,
        "cellHorizontalPadding": 12,
        "accentColor": ACCENT,
        "foregroundColor": INK,
        "borderColor": LINE,
        "headerBackgroundColor": "#f6f8fa",
    }
)


def term(key: str, language: str, text: str | None = None) -> Any:
    """The word for `key` (or `text`), with its explanation as a tooltip where it has one."""
    import dash_mantine_components as dmc
    from dash import html

    shown, meaning = text or say(key, language), explain(key, language)
    if not meaning:
        return html.Span(shown)
    return dmc.Tooltip(
        html.Span(shown, className="term", tabIndex=0),
        label=meaning,
        multiline=True,
        w=280,
        withArrow=True,
        position="top-start",
        events={"hover": True, "focus": True, "touch": True},
        boxWrapperProps={"style": {"display": "inline"}},
    )


def panel(title: Any, *children: Any, hint: Any = None, aside: Any = None, **props: Any) -> Any:
    """A bordered panel with a title, an explanation under it, and something at the right of the title."""
    import dash_mantine_components as dmc

    head = [dmc.Title(title, order=3, className="panel-title")] if title else []
    if aside is not None:
        head = [dmc.Group([*head, aside], justify="space-between", align="center", gap="sm")]
    lead = [dmc.Text(hint, size="sm", c="dimmed", mt=2)] if hint else []
    return dmc.Paper([*head, *lead, *children], withBorder=True, className="panel", **props)


def key_number(label: Any, value: str, note: Any = "") -> Any:
    """A key number with its label above and a note below."""
    import dash_mantine_components as dmc

    return dmc.Paper(
        [
            dmc.Text(label, size="sm", c="dimmed"),
            dmc.Text(value, className="key-number"),
            dmc.Text(note, size="xs", c="dimmed") if note else None,
        ],
        withBorder=True,
        className="key-card",
    )


def key_numbers(children: Sequence[Any]) -> Any:
    """Key numbers side by side; where one row is too narrow, in rows of about the same length."""
    from dash import html

    return html.Div(html.Div(list(children), className=f"key-row of-{len(children)}"), className="key-rows")


def graph(figure: Any, label: str = "", **props: Any) -> Any:
    """A figure without plotly's tool bar, as high as the figure says; `label` names it for screen readers."""
    from dash import dcc, html

    height = figure.layout.height
    drawn = dcc.Graph(figure=figure, config=GRAPH_CONFIG, style={"height": f"{height}px"}, responsive=True, **props)
    named: dict[str, Any] = {"aria-label": label, "role": "img"} if label else {}
    return html.Div(drawn, className="graph", **named)


def empty_state(text: str, **props: Any) -> Any:
    """A sentence that says what to do; words between back-quotes are shown as code."""
    import dash_mantine_components as dmc

    return dmc.Text(with_code(text), c="dimmed", className="empty", **props)


def with_code(text: str) -> list[Any]:
    """The parts of a text; those between back-quotes as code."""
    import dash_mantine_components as dmc

    return [dmc.Code(part) if at % 2 else part for at, part in enumerate(text.split("`")) if part]


def issue_lines(issues: Sequence[Issue], language: str) -> Any:
    """The issues of a typed condition: each message with its position in words, its remedy, and the text with its marker."""
    from dash import html

    lines = []
    for issue in issues:
        pointed = issue.hint.partition("\n    ")[2]
        message, remedy = mistake(issue, language)
        place = place_in_words(issue.where, language)
        lines.append(
            html.Div(
                [
                    html.Div([message, html.Span(f" ({place})", className="issue-place") if place else None]),
                    html.Div(remedy, className="issue-remedy") if remedy else None,
                    # The marker stands under its word only where both lines are as typed, in letters of one width.
                    html.Pre(pointed.replace("\n    ", "\n"), className="issue-text") if pointed else None,
                ],
                className="issue",
            )
        )
    return html.Div(lines)


def place_in_words(where: str, language: str) -> str:
    """Where in a typed condition an issue stands, empty where it does not say.

    >>> place_in_words("where:32", "en"), place_in_words("where:2:9", "en"), place_in_words("where", "en")
    ('at character 32', 'at line 2, character 9', '')
    """
    numbers = where.removeprefix("where:").split(":")
    if not all(number.isdigit() for number in numbers):
        return ""
    if len(numbers) == 1:
        return say("at_character", language, character=numbers[0])
    return say("at_line", language, line=numbers[0], character=numbers[1])


def issues_alert(title: str, error: UserError, hint: str = "") -> Any:
    """An alert with every issue of the user's error: where, what, and the remedy."""
    import dash_mantine_components as dmc
    from dash import html

    lines = [
        html.Div(
            [
                dmc.Text([issue.where + "  " if issue.where else "", issue.message], ff="monospace", size="sm"),
                dmc.Text(issue.hint, size="sm", c="dimmed") if issue.hint else None,
            ],
            className="issue",
        )
        for issue in error.issues
    ]
    return dmc.Alert(
        [dmc.Text(hint, size="sm", mb="xs") if hint else None, *lines],
        title=f"⚠ {title}",
        color="orange",
        variant="light",
    )


def link(text: Any, href: str, **props: Any) -> Any:
    """A link inside the application."""
    import dash_mantine_components as dmc

    return dmc.Anchor(text, href=href, refresh=False, **props)


def grid(
    columns: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    language: str,
    height: int | None = None,
    *,
    wrapped: bool = False,
    **props: Any,
) -> Any:
    """A sortable table that draws only the rows in view; as high as its rows, at most `height` pixels.

    `wrapped` says that some columns wrap their text, so that the rows' heights are not known beforehand.
    """
    import dash_ag_grid as dag

    tall = min(height or 520, 48 + 38 * max(len(rows), 2) + 18)
    # Few rows of unknown height: the table grows with them. Many: it scrolls, and only those in view are drawn.
    grows = wrapped and len(rows) <= _FEW
    options: dict[str, Any] = {
        "headerHeight": 40,
        "rowHeight": 38,
        "suppressCellFocus": True,
        "enableCellTextSelection": True,
        "tooltipShowDelay": 300,
        "suppressFieldDotNotation": True,
        "theme": {"function": f"themeQuartz.withParams({_GRID_THEME})"},
    }
    if grows:
        options["domLayout"] = "autoHeight"
    shares = [column["field"] for column in columns if column.get("context") == _SHARE]
    return dag.AgGrid(
        columnDefs=[dict(column) for column in columns],
        rowData=[{**row, **{f"{name}_shown": percent(row[name]) for name in shares}} for row in rows],
        defaultColDef={
            "sortable": True,
            "resizable": True,
            "suppressMovable": True,
            "wrapHeaderText": True,
            "autoHeaderHeight": True,
        },
        dashGridOptions=options,
        style={"height": None if grows else f"{height if wrapped else tall}px", "width": "100%"},
        className="table",
        **props,
    )


def text_column(field: str, title: str, width: int = 160, **more: Any) -> dict[str, Any]:
    """A column of text that takes the room that is left; the whole text is its tooltip."""
    return {
        "field": field,
        "headerName": title,
        "headerTooltip": title,
        "minWidth": width,
        "flex": width,
        "tooltipField": field,
        **more,
    }


def long_column(field: str, title: str, width: int = 240, **more: Any) -> dict[str, Any]:
    """A column of text that may be long: it is wrapped, and its row grows."""
    return text_column(field, title, width, wrapText=True, autoHeight=True, cellClass="long", **more)


def number_column(field: str, title: str, form: str = ",.0f", width: int = 110, **more: Any) -> dict[str, Any]:
    """A column of numbers in a d3 format, a dash where there is none."""
    formatter = {"function": f"params.value == null ? '–' : d3.format('{form}')(params.value)"}
    return {
        "field": field,
        "headerName": title,
        "headerTooltip": title,
        "valueFormatter": formatter,
        "type": "rightAligned",
        "minWidth": width,
        "flex": width,
        **more,
    }


def percent_column(field: str, title: str, width: int = 110, **more: Any) -> dict[str, Any]:
    """A column of shares (0 to 1), sorted as numbers and shown as `percent` writes them everywhere else."""
    formatter = {"function": f"params.data.{field}_shown"}
    return {**number_column(field, title, width=width), "valueFormatter": formatter, "context": _SHARE, **more}
