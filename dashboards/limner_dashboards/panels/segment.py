"""One segment: its numbers, its words, what has changed, and what sets its users apart.

Imports floors 1 and 2, the view and the elements.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from limner_dashboards.elements import (
    empty_state,
    issue_lines,
    key_number,
    key_numbers,
    link,
    panel,
    term,
    with_code,
)
from limner_dashboards.formatting import count, percent
from limner_dashboards.panels.comparison import comparison
from limner_dashboards.panels.condition import unseen_alert
from limner_dashboards.view import Visit
from limner_dashboards.words import say
from limner_segments.segment import NamedSegment


def draw_segment(visit: Visit, named: NamedSegment) -> Any:
    """The page of a segment: measured on the current snapshot, whether its audience was built or not."""
    import dash_mantine_components as dmc
    from dash import html

    language, view = visit.language, visit.view
    condition, origin = named.condition, named.segment.origin
    badges: list[Any] = [html.Code(named.name)]
    if named.segment.owner:
        badges.append(html.Span(f"{say('owner', language)}: {named.segment.owner}"))
    if origin:
        badges.append(
            link(say("origin", language, insight=origin.insight), f"/insights/{quote(origin.scenario)}", size="sm")
        )
    head = html.Div(
        [
            link(f"← {say('segments', language)}", "/segments", size="sm"),
            dmc.Title(named.title(language), order=2, className="segment-name"),
            dmc.Group(badges, gap="lg", className="facts"),
        ]
    )
    purpose = dmc.Text(named.segment.purpose, mt=4) if named.segment.purpose and not origin else None
    words = panel(
        say("in_words", language),
        purpose,
        dmc.Text(named.sentence(language, view.catalog), className="sentence", mt="xs"),
        html.Div(say("where_text", language), className="caption", style={"marginTop": "10px"}),
        dmc.Code(named.segment.where.to_text(), block=True, className="where"),
    )
    missing = visit.missing_tags(condition)
    if missing:
        note = empty_state(say("tag_not_built", language, tags=", ".join(missing), snapshot=visit.opened.id))
        return html.Div([head, panel("", note), words], className="stack")
    obstacles = visit.obstacles(condition)
    if obstacles:
        return html.Div([head, panel("", issue_lines(obstacles, language)), words], className="stack")
    numbers, notes = _segment_numbers(visit, named)
    notes += unseen_alert(visit, condition)
    return html.Div([head, *notes, numbers, words, comparison(visit, condition)], className="stack")


def _segment_numbers(visit: Visit, named: NamedSegment) -> tuple[Any, list[Any]]:
    import dash_mantine_components as dmc

    language, snapshot, origin = visit.language, visit.opened, named.segment.origin
    size = visit.size(named.condition)
    built = (
        snapshot.rows("SELECT size, definition_hash FROM segments WHERE name = ?", [named.name])
        if snapshot.columns("segments")
        else []
    )
    notes = []
    if not built:
        notes.append(say("not_built", language, snapshot=snapshot.id))
    elif built[0]["definition_hash"] != named.definition_hash:
        notes.append(say("edited", language, snapshot=snapshot.id, size=count(built[0]["size"])))
    promised: Any = ""
    if origin:
        promised = (
            say("as_promised", language)
            if origin.size == size.size
            else say("promised", language, size=count(origin.size))
        )
    children = [
        key_number(say("size", language), count(size.size), promised),
        key_number(say("share", language), percent(size.share), say("of_users", language, users=count(size.users))),
        key_number(term("unknown_share", language), percent(size.unknown_share)),
    ]
    changes = {}
    if built and snapshot.columns("audience_changes"):
        found = snapshot.rows(
            "SELECT change, count(*) AS users FROM audience_changes WHERE segment = ? GROUP BY change", [named.name]
        )
        changes = {row["change"]: int(row["users"]) for row in found}
    if changes:
        since = say("since", language)
        children += [
            key_number(say("joined", language), f"+{count(changes.get('joined', 0))}", since),
            key_number(say("left", language), f"−{count(changes.get('left', 0))}", since),
        ]
    return key_numbers(children), [dmc.Alert(with_code(note), color="orange", variant="light") for note in notes]
