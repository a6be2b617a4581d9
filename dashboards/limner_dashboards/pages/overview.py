"""The overview: what the snapshot holds, who the users are, the audiences, the scenarios and how well they score."""

from __future__ import annotations

from typing import Any

from limner_dashboards.callbacks import answer
from limner_dashboards.charts.shares import share_bars, size_bars
from limner_dashboards.distributions import main_tags, read_distribution
from limner_dashboards.elements import (
    empty_state,
    graph,
    grid,
    key_number,
    key_numbers,
    link,
    number_column,
    panel,
    term,
    text_column,
)
from limner_dashboards.formatting import count, percent
from limner_dashboards.pages.base import PAGES, Page
from limner_dashboards.panels.scenario import draw_scenarios
from limner_dashboards.panels.training import read_training
from limner_dashboards.view import Reader, Visit
from limner_dashboards.words import say


@PAGES.kind("overview")
class Overview(Page):
    """The page at `/`."""

    PATH = ""

    def title(self, visit: Visit, name: str) -> str:
        """The workspace's title."""
        return visit.view.workspace.config.title or visit.view.workspace.config.name

    def draw(self, visit: Visit, name: str) -> Any:
        """Heading, key numbers, and a panel for each matter."""
        from dash import html

        return html.Div(
            [_heading(visit), _numbers(visit), _who(visit), _audiences(visit), *draw_scenarios(visit), _runs(visit)],
            className="stack",
        )

    def register(self, app: Any, reader: Reader) -> None:
        """Draw other tags when they are chosen."""
        from dash import Input, Output

        @answer(
            app,
            Output("portrait", "children"),
            Input("portrait-tags", "value"),
            Input("language", "value"),
            prevent_initial_call=True,
        )
        def choose(names: list[str] | None, language: str | None) -> list[Any]:
            with reader.visit(language) as visit:
                return portrait(visit, names or [])


def _heading(visit: Visit) -> Any:
    import dash_mantine_components as dmc
    from dash import html

    snapshot, language = visit.opened, visit.language
    row = snapshot.rows("SELECT created_at, timezone FROM snapshot")[0]
    facts = [
        html.Span([term("as_of", language), f" {snapshot.as_of_text} ({row['timezone']})"]),
        html.Span([say("snapshot", language), " ", html.Code(snapshot.id)]),
        html.Span(f"{say('built_at', language)} {row['created_at']:%Y-%m-%d %H:%M} UTC"),
    ]
    return html.Div([dmc.Title(Overview().title(visit, ""), order=2), dmc.Group(facts, gap="lg", className="facts")])


def _numbers(visit: Visit) -> Any:
    snapshot, language = visit.opened, visit.language
    tags = snapshot.rows("SELECT count(*) AS tags, avg(coverage) FILTER (WHERE kind <> 'score') AS coverage FROM tags")[
        0
    ]
    trained = snapshot.value("SELECT count(DISTINCT scenario) FROM scores") if snapshot.columns("scores") else 0
    stale = sum(bool(read_training(visit, name).stale) for name in visit.view.scenarios)
    built = snapshot.value("SELECT count(*) FROM segments") if snapshot.columns("segments") else 0
    rejects = snapshot.value("SELECT count(*) FROM rejects") if snapshot.columns("rejects") else 0
    return key_numbers(
        [
            key_number(say("users", language), count(snapshot.value("SELECT count(*) FROM profiles"))),
            key_number(say("tags", language), count(tags["tags"])),
            key_number(
                term("tag_coverage", language), percent(tags["coverage"]) if tags["coverage"] is not None else "–"
            ),
            key_number(say("segments", language), count(built)),
            key_number(
                say("scenarios", language),
                f"{trained} {say('of', language)} {len(visit.view.scenarios)}",
                say("stale_count", language, count=stale) if stale else "",
            ),
            key_number(say("rejects", language), count(rejects)),
        ]
    )


def _who(visit: Visit) -> Any:
    import dash_mantine_components as dmc
    from dash import html

    language, catalog = visit.language, visit.view.catalog
    chosen = visit.memo("main tags", lambda: main_tags(visit.opened, catalog))
    columns = visit.opened.columns("profiles")
    options = [
        {"value": name, "label": entry.title.of(language)}
        for name, entry in catalog.tags.items()
        if name in columns and entry.definition is not None
    ]
    select = dmc.MultiSelect(
        id="portrait-tags",
        data=options,
        value=chosen,
        searchable=True,
        clearable=True,
        **{"aria-label": say("choose_tags", language)},
        className="tag-choice",
    )
    return panel(
        say("who", language),
        dmc.Accordion(
            [
                dmc.AccordionItem(
                    [dmc.AccordionControl(say("choose_tags", language)), dmc.AccordionPanel(select)], value="tags"
                )
            ],
            className="quiet-accordion",
            chevronPosition="left",
        ),
        html.Div(portrait(visit, chosen), id="portrait", className="portrait"),
        hint=say("who_hint", language, min_group=visit.min_group),
    )


def portrait(visit: Visit, names: list[str]) -> list[Any]:
    """A small chart for each tag: shares of its values, of the rest and of unknown."""
    from dash import html

    language, catalog, small = visit.language, visit.view.catalog, visit.min_group
    columns = visit.memo("profile columns", lambda: visit.opened.columns("profiles"))
    drawn = []
    for name in names:
        if name not in catalog or name not in columns:
            continue
        entry = catalog[name]
        key = ("distribution", name, entry.definition_hash, tuple(entry.values), language, small)

        def read(chosen: str = name) -> Any:
            return read_distribution(visit.opened, catalog[chosen], language, small)

        bars = visit.memo(key, read)
        title, unit = entry.title.of(language), catalog.words(name, language).unit
        head = html.Div(
            [html.Span(title, title=name), html.Span(unit, className="unit") if unit else None], className="small-title"
        )
        drawn.append(html.Div([head, graph(share_bars(bars), title)], className="small-multiple"))
    return drawn


def _audiences(visit: Visit) -> Any:
    language = visit.language
    if not visit.has_rows("segments"):
        return panel(say("audiences", language), empty_state(say("no_segments", language)))
    rows = visit.opened.rows(
        "SELECT name, title_en, title_zh, size, share FROM segments ORDER BY size DESC, name LIMIT 20"
    )
    titles = [
        (
            (row["title_zh"] or row["title_en"]) if language == "zh" else row["title_en"],
            int(row["size"]),
            float(row["share"]),
        )
        for row in rows
    ]
    return panel(
        say("audiences", language),
        graph(size_bars(titles), say("audiences", language)),
        hint=say("audiences_hint", language),
        aside=link(say("all_segments", language), "/segments", size="sm"),
    )


def _runs(visit: Visit) -> Any:
    from dash import html

    language, snapshot = visit.language, visit.opened
    runs = snapshot.rows(
        "SELECT snapshot, step, strftime(started_at, '%Y-%m-%d %H:%M:%S') AS started, seconds, rows, detail "
        "FROM runs ORDER BY started_at DESC LIMIT 200"
    )
    columns = [
        text_column("snapshot", say("snapshot", language), 140),
        text_column("step", say("step", language), 100),
        text_column("started", say("started", language), 180),
        number_column("seconds", say("seconds", language), ",.2f", 105),
        number_column("rows", say("rows", language), width=90),
        text_column("detail", say("detail", language), 160),
    ]
    rejects = []
    if snapshot.columns("rejects"):
        rejects = snapshot.rows(
            "SELECT source, reason, count(*) AS rows FROM rejects GROUP BY ALL ORDER BY rows DESC, source LIMIT 200"
        )
    reject_columns = [
        text_column("source", say("source", language), 90),
        text_column("reason", say("reason", language), 160),
        number_column("rows", say("rows", language), width=80),
    ]
    return html.Div(
        [
            panel(say("runs", language), grid(columns, runs, language, 340)),
            panel(
                say("rejects", language),
                grid(reject_columns, rejects, language, 340) if rejects else empty_state(say("no_rejects", language)),
            ),
        ],
        className="stack",
    )
