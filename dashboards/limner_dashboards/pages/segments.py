"""Segments: try a condition and see its size, the saved segments, and a page for each with what sets it apart."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from limner_dashboards.callbacks import answer
from limner_dashboards.elements import (
    empty_state,
    grid,
    link,
    long_column,
    number_column,
    panel,
    percent_column,
)
from limner_dashboards.formatting import count
from limner_dashboards.issues import in_words, mistake
from limner_dashboards.notices import notice
from limner_dashboards.pages.base import PAGES, Page
from limner_dashboards.panels.comparison import comparison
from limner_dashboards.panels.condition import measure_text
from limner_dashboards.panels.segment import draw_segment
from limner_dashboards.saving import save_condition
from limner_dashboards.view import Reader, Visit
from limner_dashboards.words import say
from limner_profile.errors import UserError, did_you_mean
from limner_segments.listing import list_sizes
from limner_segments.segment import resolve

_LOG = logging.getLogger(__name__)


@PAGES.kind("segments")
class Segments(Page):
    """The pages at `/segments` and `/segments/<name>`."""

    PATH = "segments"

    def title(self, visit: Visit, name: str) -> str:
        """The segment's title, or the word for segments."""
        named = visit.view.segments.get(name)
        return named.title(visit.language) if named else say("segments", visit.language)

    def draw(self, visit: Visit, name: str) -> Any:
        """The segment called `name`; all segments and the field for a condition where there is no name."""
        if not name:
            return _all_segments(visit)
        if name in visit.view.segments:
            return draw_segment(visit, visit.view.segments[name])
        hint = did_you_mean(name, visit.view.segments)
        return panel(
            say("segment", visit.language),
            empty_state(say("unknown_segment", visit.language, name=name)),
            empty_state(in_words(hint, visit.language)) if hint else None,
            link(say("all_segments", visit.language), "/segments"),
        )

    def register(self, app: Any, reader: Reader) -> None:
        """Measure what is typed, compare it on demand, and save it."""
        from dash import Input, Output, State, no_update

        @answer(
            app,
            Output("condition", "error"),
            Output("measured", "children"),
            Output("comparison", "children"),
            Input("condition", "value"),
            Input("language", "value"),
            prevent_initial_call=True,
        )
        def measure(text: str | None, language: str | None) -> tuple[Any, Any, Any]:
            with reader.visit(language) as visit:
                error, content = measure_text(visit, text or "")
                return error, content, None

        @answer(
            app,
            Output("comparison", "children", allow_duplicate=True),
            Input("compare", "n_clicks"),
            State("condition", "value"),
            State("language", "value"),
            prevent_initial_call=True,
        )
        def compare(clicks: int | None, text: str | None, language: str | None) -> Any:
            if not clicks or not (text or "").strip():
                return no_update
            with reader.visit(language) as visit:
                try:
                    condition = resolve(
                        None, text, visit.view.segments, visit.view.catalog, visit.view.workspace
                    ).condition
                except UserError:
                    return no_update
                return comparison(visit, condition)

        @answer(
            app,
            Output("new-name", "error"),
            Output("notifications", "sendNotifications", allow_duplicate=True),
            Output("location", "href", allow_duplicate=True),
            Input("save-condition", "n_clicks"),
            State("condition", "value"),
            State("new-name", "value"),
            State("language", "value"),
            running=[(Output("save-condition", "loading"), True, False)],
            prevent_initial_call=True,
        )
        def save(clicks: int | None, text: str | None, name: str | None, language: str | None) -> tuple[Any, Any, Any]:
            if not clicks:
                return no_update, no_update, no_update
            with reader.visit(language) as visit:
                view, chosen = visit.view, visit.language
            try:
                unnamed = resolve(None, text or "", view.segments, view.catalog, view.workspace)
                named = replace(unnamed, name=(name or "").strip())
                size = save_condition(view, named)
            except UserError as error:
                mistakes = [mistake(issue, chosen) for issue in error.issues]
                return _lines(mistakes), [notice(say("not_saved", chosen), mistakes[0][0], good=False)], no_update
            except Exception:
                _LOG.exception("a condition could not be saved")
                text = f"{say('failed', chosen)}. {say('failed_hint', chosen)}"
                return text, [notice(say("not_saved", chosen), text, good=False)], no_update
            told = notice(
                say("saved", chosen, name=named.name), say("saved_plain", chosen, size=count(size)), good=True
            )
            return None, [told], f"/segments/{quote(named.name)}"


def _lines(told: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{message} ({remedy})" if remedy else message for message, remedy in told)


def _all_segments(visit: Visit) -> Any:
    from dash import html

    return html.Div([_builder(visit), html.Div(id="comparison"), _list(visit)], className="stack")


def _builder(visit: Visit) -> Any:
    import dash_mantine_components as dmc
    from dash import html

    language = visit.language
    example = next((named.segment.where.to_text() for named in visit.view.segments.values()), "")
    field = dmc.Textarea(
        id="condition",
        label=say("condition", language),
        description=say("condition_hint", language),
        placeholder=example,
        autosize=True,
        minRows=2,
        debounce=350,
        spellCheck=False,
        mt="sm",
        styles={"input": {"fontFamily": "var(--mantine-font-family-monospace)"}},
    )
    return panel(
        say("try_condition", language),
        field,
        html.Div(empty_state(say("condition_empty", language)), id="measured"),
    )


def _list(visit: Visit) -> Any:
    language, view = visit.language, visit.view
    if not view.segments:
        return panel(say("all_segments", language), empty_state(say("no_segments", language)))
    rows: list[dict[str, Any]] = []
    # What the build counted is not counted again: a workspace may have hundreds of segments.
    for one in list_sizes(visit.opened, None, view.segments):
        named = one.named
        rows.append(
            {
                "name": named.name,
                "title": named.title(language),
                "size": one.size,
                "share": one.share,
                "where": named.segment.where.to_text(),
                "purpose": named.segment.purpose,
                "href": f"/segments/{quote(named.name)}",
            }
        )
    rows.sort(key=lambda row: -row["size"] if row["size"] is not None else 0)
    columns = [
        # A telephone has room for the first three.
        long_column("title", say("segment", language), 150, flex=190, cellRenderer="PageLink"),
        number_column("size", say("size", language), width=84, maxWidth=130),
        percent_column("share", say("share", language), width=84, maxWidth=120),
        long_column("where", say("where_text", language), 240),
        long_column("purpose", say("purpose", language), 200),
    ]
    return panel(say("all_segments", language), grid(columns, rows, language, 620, wrapped=True))
