"""A typed condition: the mistake in it, or its exact size with what can be done next.

Imports floors 1 and 2, the view and the elements.
"""

from __future__ import annotations

from typing import Any

from limner_dashboards.elements import empty_state, issue_lines
from limner_dashboards.formatting import count, percent
from limner_dashboards.issues import mistake
from limner_dashboards.view import Visit
from limner_dashboards.words import say
from limner_profile.errors import UserError
from limner_profile.predicates.base import Predicate
from limner_segments.segment import resolve, sentence_of
from limner_segments.unseen_events import unseen_events


def measure_text(visit: Visit, text: str) -> tuple[Any, Any]:
    """The error to show under the field (None where there is none), and the size with what can be done next."""
    import dash_mantine_components as dmc
    from dash import html

    language, view = visit.language, visit.view
    if not text.strip():
        return None, empty_state(say("condition_empty", language))
    try:
        condition = resolve(None, text, view.segments, view.catalog, view.workspace).condition
    except UserError as error:
        return issue_lines(error.issues, language), None
    missing = visit.missing_tags(condition)
    if missing:
        return say("tag_not_built", language, tags=", ".join(missing), snapshot=visit.opened.id), None
    obstacles = visit.obstacles(condition)
    if obstacles:
        return issue_lines(obstacles, language), None
    size = visit.size(condition)
    between = "，" if language == "zh" else " "
    note = f"{percent(size.share)}{between}{say('of_users', language, users=count(size.users))}"
    if condition.fields():  # of behaviour nothing is unknown
        share = percent(size.unknown_share)
        note += f" · {say('unknown_note', language, share=share) if size.unknown else say('no_unknown', language)}"
    return None, html.Div(
        [
            dmc.Group(
                [
                    dmc.Text(count(size.size), className="key-number", id="measured-size"),
                    dmc.Text(say("users_match", language)),
                ],
                gap=8,
                align="baseline",
                mt="md",
            ),
            dmc.Text(
                note,
                size="sm",
                c="dimmed",
            ),
            dmc.Text(sentence_of(condition, language, view.catalog), className="sentence", mt="xs"),
            *unseen_alert(visit, condition),
            dmc.Group(
                [
                    dmc.Button(say("compare_now", language), id="compare", variant="light"),
                    dmc.TextInput(
                        id="new-name",
                        placeholder=say("segment_name", language),
                        **{"aria-label": say("segment_name", language)},
                        w=240,
                    ),
                    dmc.Button(say("save_as_segment", language), id="save-condition"),
                ],
                mt="md",
                gap="sm",
                align="flex-start",
            ),
        ]
    )


def unseen_alert(visit: Visit, condition: Predicate) -> list[Any]:
    """An alert with the events that a condition asks for and nobody ever did, mostly misspelt; empty where there is none."""
    import dash_mantine_components as dmc
    from dash import html

    found = visit.memo(("unseen", visit.meaning(condition)), lambda: unseen_events(visit.opened, condition))
    told = [mistake(issue, visit.language) for issue in found]
    lines = [
        html.Div([message, html.Div(remedy, className="issue-remedy")], className="issue") for message, remedy in told
    ]
    return [dmc.Alert(lines, color="orange", variant="light", mt="sm")] if lines else []
