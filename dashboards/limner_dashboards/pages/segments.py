"""Segments: try a condition and see its size, the saved segments, and a page for each with what sets it apart."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from limner_dashboards.charts.traits import telling_traits, tgi_chart
from limner_dashboards.elements import (
    empty_state,
    graph,
    grid,
    key_number,
    key_numbers,
    link,
    number_column,
    panel,
    percent_column,
    term,
    text_column,
    with_code,
)
from limner_dashboards.formatting import count, percent
from limner_dashboards.notices import notice
from limner_dashboards.pages.base import PAGES, Page
from limner_dashboards.saving import save_condition
from limner_dashboards.view import Reader, Visit
from limner_dashboards.words import say
from limner_profile.errors import UserError, did_you_mean
from limner_profile.predicates.base import Predicate
from limner_segments.audience import measure_audience
from limner_segments.comparison import Trait, compare_audience
from limner_segments.segment import NamedSegment, resolve, sentence_of


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
            return _segment(visit, visit.view.segments[name])
        hint = did_you_mean(name, visit.view.segments)
        return panel(say("segment", visit.language), empty_state(say("unknown_segment", visit.language, name=name)), empty_state(hint), link(say("all_segments", visit.language), "/segments"))

    def register(self, app: Any, reader: Reader) -> None:
        """Measure what is typed, compare it on demand, and save it."""
        from dash import Input, Output, State, no_update

        @app.callback(
            Output("condition", "error"), Output("measured", "children"), Output("comparison", "children"),
            Input("condition", "value"), Input("language", "value"), prevent_initial_call=True,
        )  # fmt: skip
        def measure(text: str | None, language: str | None) -> tuple[Any, Any, Any]:
            with reader.visit(language) as visit:
                error, content = measure_text(visit, text or "")
                return error, content, None

        @app.callback(
            Output("comparison", "children", allow_duplicate=True),
            Input("compare", "n_clicks"), State("condition", "value"), State("language", "value"), prevent_initial_call=True,
        )  # fmt: skip
        def compare(clicks: int | None, text: str | None, language: str | None) -> Any:
            if not clicks or not (text or "").strip():
                return no_update
            with reader.visit(language) as visit:
                try:
                    condition = resolve(None, text, visit.view.segments, visit.view.catalog).condition
                except UserError:
                    return no_update
                return comparison(visit, condition)

        @app.callback(
            Output("new-name", "error"), Output("notifications", "sendNotifications", allow_duplicate=True), Output("location", "href", allow_duplicate=True),
            Input("save-condition", "n_clicks"), State("condition", "value"), State("new-name", "value"), State("language", "value"),
            running=[(Output("save-condition", "loading"), True, False)], prevent_initial_call=True,
        )  # fmt: skip
        def save(clicks: int | None, text: str | None, name: str | None, language: str | None) -> tuple[Any, Any, Any]:
            if not clicks:
                return no_update, no_update, no_update
            with reader.visit(language) as visit:
                view, chosen = visit.view, visit.language
            try:
                unnamed = resolve(None, text or "", view.segments, view.catalog)
                named = NamedSegment((name or "").strip(), unnamed.segment)
                size = save_condition(view, named)
            except UserError as error:
                return _lines(error), [notice(say("not_saved", chosen), error.issues[0].message, good=False)], no_update
            told = notice(say("saved", chosen, name=named.name), say("saved_plain", chosen, size=count(size)), good=True)
            return None, [told], f"/segments/{quote(named.name)}"


def _lines(error: UserError) -> str:
    return "; ".join(f"{issue.message} ({issue.hint})" if issue.hint else issue.message for issue in error.issues)


def _all_segments(visit: Visit) -> Any:
    from dash import html

    return html.Div([_builder(visit), _list(visit)], className="stack")


def _builder(visit: Visit) -> Any:
    import dash_mantine_components as dmc
    from dash import html

    language = visit.language
    example = next((named.condition.to_text() for named in visit.view.segments.values()), "")
    field = dmc.Textarea(
        id="condition", label=say("condition", language), description=say("condition_hint", language), placeholder=example,
        autosize=True, minRows=2, debounce=350, spellCheck=False, mt="sm", styles={"input": {"fontFamily": "var(--mantine-font-family-monospace)"}},
    )  # fmt: skip
    return panel(
        say("try_condition", language), field,
        html.Div(empty_state(say("condition_empty", language)), id="measured"),
        dmc.Box(id="comparison"),
    )  # fmt: skip


def measure_text(visit: Visit, text: str) -> tuple[Any, Any]:
    """The error to show under the field (None where there is none), and the size with what can be done next."""
    import dash_mantine_components as dmc
    from dash import html

    language, view = visit.language, visit.view
    if not text.strip():
        return None, empty_state(say("condition_empty", language))
    try:
        condition = resolve(None, text, view.segments, view.catalog).condition
    except UserError as error:
        lines = []
        for issue in error.issues:
            place = issue.where.removeprefix("where:")
            lines.append(html.Div([html.B(f"{place}  " if place.isdigit() else ""), issue.message]))
            lines += [html.Div(issue.hint, style={"color": "#5f6b7a"})] if issue.hint else []
        return html.Div(lines), None
    missing = visit.missing_tags(condition)
    if missing:
        return say("tag_not_built", language, tags=", ".join(missing), snapshot=visit.opened.id), None
    size = visit.memo(("size", condition.to_text()), lambda: measure_audience(visit.opened, condition))
    unknown = say("unknown_note", language, share=percent(size.unknown_share)) if size.unknown else say("no_unknown", language)
    return None, html.Div(
        [
            dmc.Group(
                [dmc.Text(count(size.size), className="key-number", id="measured-size"), dmc.Text(say("users_match", language))], gap=8, align="baseline", mt="md"
            ),
            dmc.Text(f"{percent(size.share)} {say('of_users', language, users=count(size.users))} · {unknown}", size="sm", c="dimmed"),
            dmc.Text(sentence_of(condition, language, view.catalog), className="sentence", mt="xs"),
            dmc.Group(
                [
                    dmc.Button(say("compare_now", language), id="compare", variant="light"),
                    dmc.TextInput(id="new-name", placeholder=say("segment_name", language), **{"aria-label": say("segment_name", language)}, w=240),
                    dmc.Button(say("save_as_segment", language), id="save-condition"),
                ],
                mt="md", gap="sm", align="flex-start",
            ),
        ]
    )  # fmt: skip


def _list(visit: Visit) -> Any:
    language, view = visit.language, visit.view
    if not view.segments:
        return panel(say("all_segments", language), empty_state(say("no_segments", language)))
    rows = []
    for name, named in view.segments.items():
        condition = named.condition
        size = None if visit.missing_tags(condition) else visit.memo(("size", condition.to_text()), lambda condition=condition: measure_audience(visit.opened, condition))  # type: ignore[misc]
        rows.append(
            {
                "name": name, "title": named.title(language), "size": size.size if size else None, "share": size.share if size else None,
                "where": condition.to_text(), "purpose": named.segment.purpose, "href": f"/segments/{quote(name)}",
            }
        )  # fmt: skip
    rows.sort(key=lambda row: -(row["size"] or 0))
    columns = [
        text_column("title", say("segment", language), 210, cellRenderer="PageLink"), number_column("size", say("size", language), width=90, maxWidth=130),
        percent_column("share", say("share", language), width=90, maxWidth=120), text_column("where", say("where_text", language), 220), text_column("purpose", say("purpose", language), 180),
    ]  # fmt: skip
    return panel(say("all_segments", language), grid(columns, rows, language, 620))


def _segment(visit: Visit, named: NamedSegment) -> Any:
    import dash_mantine_components as dmc
    from dash import html

    language, view = visit.language, visit.view
    condition, origin = named.condition, named.segment.origin
    badges = [html.Code(named.name)]
    if named.segment.owner:
        badges.append(html.Span(f"{say('owner', language)}: {named.segment.owner}"))
    if origin:
        badges.append(link(say("origin", language, insight=origin.insight), f"/insights/{quote(origin.scenario)}", size="sm"))
    head = html.Div(
        [
            link(f"← {say('segments', language)}", "/segments", size="sm"),
            dmc.Title(named.title(language), order=2, className="segment-name"),
            dmc.Group(badges, gap="lg", className="facts"),
        ]
    )
    purpose = dmc.Text(named.segment.purpose, mt=4) if named.segment.purpose and not origin else None
    words = panel(
        say("in_words", language), purpose, dmc.Text(named.sentence(language, view.catalog), className="sentence", mt="xs"),
        html.Div(say("where_text", language), className="caption", style={"marginTop": "10px"}), dmc.Code(condition.to_text(), block=True, className="where"),
    )  # fmt: skip
    missing = visit.missing_tags(condition)
    if missing:
        note = empty_state(say("tag_not_built", language, tags=", ".join(missing), snapshot=visit.opened.id))
        return html.Div([head, panel("", note), words], className="stack")
    numbers, notes = _segment_numbers(visit, named)
    return html.Div([head, *notes, numbers, words, comparison(visit, condition)], className="stack")


def _segment_numbers(visit: Visit, named: NamedSegment) -> tuple[Any, list[Any]]:
    import dash_mantine_components as dmc

    language, snapshot, origin = visit.language, visit.opened, named.segment.origin
    size = visit.memo(("size", named.condition.to_text()), lambda: measure_audience(snapshot, named.condition))
    built = snapshot.rows("SELECT size, definition_hash FROM segments WHERE name = ?", [named.name]) if snapshot.columns("segments") else []
    notes = []
    if not built:
        notes.append(say("not_built", language, snapshot=snapshot.id))
    elif built[0]["definition_hash"] != named.segment.digest():
        notes.append(say("edited", language, snapshot=snapshot.id, size=count(built[0]["size"])))
    promised: Any = ""
    if origin:
        promised = say("as_promised", language) if origin.size == size.size else say("promised", language, size=count(origin.size))
    children = [
        key_number(say("size", language), count(size.size), promised),
        key_number(say("share", language), percent(size.share), say("of_users", language, users=count(size.users))),
        key_number(term("unknown_share", language), percent(size.unknown_share)),
    ]
    changes = {}
    if built and snapshot.columns("audience_changes"):
        found = snapshot.rows("SELECT change, count(*) AS users FROM audience_changes WHERE segment = ? GROUP BY change", [named.name])
        changes = {row["change"]: int(row["users"]) for row in found}
    if changes:
        since = say("since", language)
        children += [
            key_number(say("joined", language), f"+{count(changes.get('joined', 0))}", since),
            key_number(say("left", language), f"−{count(changes.get('left', 0))}", since),
        ]
    return key_numbers(children), [dmc.Alert(with_code(note), color="orange", variant="light") for note in notes]


def comparison(visit: Visit, condition: Predicate) -> Any:
    """What sets an audience apart: the chart of its surest differences, and the table of all traits."""
    import dash_mantine_components as dmc
    from dash import html

    language, catalog = visit.language, visit.view.catalog
    columns = visit.memo("profile columns", lambda: visit.opened.columns("profiles"))
    tags = tuple(name for name in catalog.tags if name in columns)
    key = ("comparison", condition.to_text(), language, visit.min_group, tags)
    traits: list[Trait] = visit.memo(key, lambda: compare_audience(visit.opened, condition, catalog, language, visit.min_group, tags))
    if not traits:
        return panel(say("differs", language), empty_state(say("no_traits", language)))
    free = telling_traits(traits)
    fixed, hidden = sum(trait.tautological for trait in traits), sum(trait.suppressed for trait in traits)
    notes = [say("tautological", language, count=fixed)] if fixed else []
    notes += [say("suppressed", language, count=hidden, min_group=visit.min_group)] if hidden else []
    chart = graph(tgi_chart(free, language), say("differs", language)) if free else empty_state(say("no_difference", language))
    return html.Div(
        [
            panel(
                say("differs", language), chart, *[dmc.Text(note, size="sm", c="dimmed") for note in notes],
                hint=[say("differs_hint", language), " ", term("tgi", language, "TGI?")],
            ),
            panel(say("all_traits", language), _trait_grid(traits, language)),
        ],
        className="stack",
    )  # fmt: skip


def _trait_grid(traits: list[Trait], language: str) -> Any:
    def note(trait: Trait) -> str:
        if trait.suppressed:
            return say("note_suppressed", language)
        return say("note_tautological", language) if trait.tautological else ""

    def interval(trait: Trait) -> str:
        return "" if trait.tgi_low is None or trait.tgi_high is None else f"{trait.tgi_low:,.0f}–{trait.tgi_high:,.0f}"

    rows = [
        {
            "title": trait.title, "trait": trait.trait, "audience": trait.audience_share, "base": trait.base_share, "tgi": trait.tgi,
            "interval": interval(trait), "q": trait.q_value, "note": note(trait),
        }
        for trait in traits
    ]  # fmt: skip
    columns = [
        text_column("title", say("tag", language), 190), text_column("trait", say("trait", language), 120),
        percent_column("audience", say("in_audience", language)), percent_column("base", say("among_all", language)),
        number_column("tgi", say("tgi", language), ",.0f", 80), text_column("interval", say("interval", language), 120, type="rightAligned"),
        number_column("q", say("q_value", language), ".2g", 90), text_column("note", say("note", language), 130),
    ]  # fmt: skip
    return grid(columns, rows, language, 520)
