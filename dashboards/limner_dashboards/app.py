"""The Dash application: the router over the pages, the language, and headers that keep every request on this host.

`create_app` takes a function that reads the definitions; everything else is read from the current snapshot at each visit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import limner_dashboards.pages as page_modules
from limner_dashboards.callbacks import answer
from limner_dashboards.pages.base import PAGES, Page
from limner_dashboards.view import Reader, View
from limner_dashboards.words import say
from limner_profile.errors import UserError

if TYPE_CHECKING:
    import dash

PAGES.discover(page_modules)
_LOG = logging.getLogger(__name__)

# Dash and plotly write styles and small scripts into the page; nothing may come from, or go to, another host.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


def create_app(load: Callable[[], View]) -> dash.Dash:
    """The dashboard as a Dash application (`.server` is its WSGI application).

    `load` gives the workspace with its definitions; it is called again when a definition file has changed, and may
    raise UserError, which the pages show.
    """
    import dash
    import dash_ag_grid  # noqa: F401 - Dash serves the scripts of what is imported before the application is made
    import dash_mantine_components  # noqa: F401
    import plotly.graph_objects  # noqa: F401 - slow to import: better now than while the first reader waits
    import scipy.stats  # noqa: F401
    from dash import Input, Output

    from limner_dashboards.shell import lay_out, navigation

    reader = Reader(load)
    app: Any = dash.Dash(
        "limner_dashboards",
        title="Limner",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        prevent_initial_callbacks=False,
        on_error=_tell_failure,
    )
    app.layout = lambda: lay_out(reader)
    app.server.after_request(_add_headers)
    pages = {page.PATH: page for page in (kind() for _, kind in PAGES)}

    @answer(
        app,
        Output("page", "children"),
        Output("navigation", "children"),
        Output("workspace-title", "children"),
        Output("document-title", "data"),
        Input("location", "pathname"),
        Input("language", "value"),
    )
    def show(pathname: str | None, language: str | None) -> tuple[Any, Any, str, str]:
        path = unquote(pathname or "/").rstrip("/") or "/"
        chosen = language if language in ("en", "zh") else reader.default_language()
        try:
            return draw_page(reader, pages, path, chosen, navigation)
        except UserError as error:
            from limner_dashboards.elements import issues_alert

            alert = issues_alert(say("broken", chosen), error, say("broken_hint", chosen))
            return alert, navigation(None, path, chosen), "", "Limner"
        except Exception:
            from limner_dashboards.elements import empty_state, panel

            _LOG.exception("the page %s could not be drawn", path)
            told = panel(say("failed", chosen), empty_state(say("failed_hint", chosen)))
            return told, navigation(None, path, chosen), "", "Limner"

    app.clientside_callback(
        "function (title) { if (title) { document.title = title; } return window.dash_clientside.no_update; }",
        Output("document-title", "id"),
        Input("document-title", "data"),
    )
    app.clientside_callback(
        "function (opened, path, navbar) {"
        " const by = (window.dash_clientside.callback_context.triggered[0] || {}).prop_id || '';"
        " const open = by.startsWith('menu') ? opened : false;"
        " return [{...navbar, collapsed: {mobile: !open}}, open]; }",
        Output("shell", "navbar"),
        Output("menu", "opened"),
        Input("menu", "opened"),
        Input("location", "pathname"),
        dash.State("shell", "navbar"),
        prevent_initial_call=True,
    )
    for page in pages.values():
        page.register(app, reader)
    made: dash.Dash = app
    return made


def draw_page(
    reader: Reader, pages: dict[str, Page], path: str, language: str, navigation: Callable[..., list[Any]]
) -> tuple[Any, list[Any], str, str]:
    """The content, navigation, workspace title and browser title for a path; raises UserError for broken definitions."""
    from limner_dashboards.elements import empty_state, panel

    head, _, name = path.strip("/").partition("/")
    with reader.visit(language) as visit:
        config = visit.view.workspace.config
        workspace_title = config.title or config.name
        links = navigation(visit.view, path, language)
        page = pages.get(head)
        if page is None or "/" in name:
            content, title = panel(say("not_found", language), empty_state(say("not_found_hint", language))), "404"
        elif visit.snapshot is None:
            content, title = (
                panel(say("no_snapshot", language), empty_state(say("no_snapshot_hint", language))),
                page.title(visit, name),
            )
        else:
            content, title = page.draw(visit, name), page.title(visit, name)
    return content, links, workspace_title, f"{title} · Limner"


def _tell_failure(error: Exception) -> None:
    """Log an unexpected error of a callback, and tell the reader that something failed."""
    from dash import set_props

    from limner_dashboards.notices import notice

    _LOG.error("a callback failed", exc_info=error)
    set_props(
        "notifications", {"sendNotifications": [notice(say("failed", "en"), say("failed_hint", "en"), good=False)]}
    )


def _add_headers(response: Any) -> Any:
    response.headers.setdefault("Content-Security-Policy", _POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
