"""The frame around every page: header with the workspace and the language switch, navigation, and where pages appear.

Imports the page registry and the elements.
"""

from __future__ import annotations

from typing import Any

from limner_dashboards.theme import MANTINE_THEME
from limner_dashboards.view import Reader, View
from limner_dashboards.words import say


def lay_out(reader: Reader) -> Any:
    """The whole window; the page itself is filled in by the router."""
    import dash_mantine_components as dmc
    from dash import dcc, html

    header = dmc.Group(
        [
            dmc.Group(
                [
                    dmc.Burger(id="menu", opened=False, hiddenFrom="sm", size="sm", **{"aria-label": "Menu"}),
                    dmc.Anchor("Limner", href="/", refresh=False, className="brand"),
                    dmc.Text(id="workspace-title", className="workspace-title", c="dimmed", truncate=True),
                ],
                gap="sm",
                wrap="nowrap",
                className="header-left",
            ),
            dmc.SegmentedControl(
                id="language",
                value=reader.default_language(),
                size="xs",
                data=[{"value": "en", "label": "en"}, {"value": "zh", "label": "中文"}],
                persistence=True,
                persistence_type="local",
            ),
        ],
        justify="space-between",
        wrap="nowrap",
        h="100%",
        px="md",
    )
    shell = dmc.AppShell(
        [
            dmc.AppShellHeader(header),
            dmc.AppShellNavbar(html.Nav(id="navigation"), p="sm"),
            dmc.AppShellMain(html.Main(id="page", className="page")),
        ],
        id="shell",
        header={"height": 56},
        navbar={"width": 220, "breakpoint": "sm", "collapsed": {"mobile": True}},
        padding="md",
    )
    return dmc.MantineProvider(
        [
            dcc.Location(id="location", refresh="callback-nav"),
            dcc.Store(id="document-title"),
            dmc.NotificationContainer(id="notifications", position="top-right", autoClose=8000),
            shell,
        ],
        theme=MANTINE_THEME,
        forceColorScheme="light",
    )


def navigation(view: View | None, path: str, language: str) -> list[Any]:
    """The links of the navigation, the current one marked."""
    import dash_mantine_components as dmc

    def entry(key: str, href: str, active: bool) -> Any:
        return dmc.NavLink(label=say(key, language), href=href, active=active, refresh=False)

    links = [
        entry("overview", "/", path == "/"),
        entry("segments", "/segments", path.startswith("/segments")),
        entry("insights", "/insights", path == "/insights"),
    ]
    for name, named in (view.scenarios if view else {}).items():
        links.append(
            dmc.NavLink(
                label=named.scenario.title.of(language),
                href=f"/insights/{name}",
                active=path == f"/insights/{name}",
                refresh=False,
                pl="xl",
                className="sub-link",
            )
        )
    return links
