"""limner segments why: each condition and one user's value, and the smallest change that would turn membership round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from limner.commands.options import (
    Dir,
    Language,
    SnapshotId,
    Style,
    WhereText,
    language_of,
    note_stale,
    opened,
    segment_of,
    style_of,
)

if TYPE_CHECKING:
    from limner_profile.lookup import ValueOrigin
    from limner_segments.why import Test


def why(
    name_and_user: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME] USER", help="A segment's name (or --where), and a user_id or any id merged into one."
        ),
    ],
    directory: Dir = Path("."),
    where: WhereText = None,
    snapshot: SnapshotId = None,
    language: Language = None,
    style: Style = "table",
) -> None:
    """Say why a user is in an audience or not: each condition with the user's value, and the smallest change that would flip it.

    `limner segments why NAME USER`, or `limner segments why --where TEXT USER`.
    """
    from dataclasses import asdict

    from limner.heads import said
    from limner.output import Format, console, print_object, print_rows
    from limner_profile.errors import Issue, RefusedError
    from limner_profile.lookup import find_user, read_origins
    from limner_segments.flips import nearest
    from limner_segments.segment import sentence_of
    from limner_segments.why import OTHER, explain_membership
    from limner_segments.why_words import change_words, standing_words, why_sentence

    chosen = style_of(style)
    if len(name_and_user) > 2:
        raise RefusedError(
            Issue("many-users", "", f"{len(name_and_user)} words are given", "name one segment and one user")
        )
    name, user = name_and_user if len(name_and_user) == 2 else (None, name_and_user[0])
    if name is None and where is None:
        hint = "name a segment and a user: 'limner segments why NAME USER'"
        raise RefusedError(Issue("no-user", "", f"only {user!r} is given", hint))
    project = opened(directory)
    wanted: Literal["en", "zh"] = "zh" if language_of(project, language) == "zh" else "en"
    named = segment_of(project, name, where)
    catalog = project.catalog
    with project.store.open(snapshot) as current:
        note_stale(project, current, named)
        found = explain_membership(current, named.condition, user)
        ids = find_user(current, found.user_id).ids
        origins = read_origins(project.workspace, catalog, ids, current.as_of)
        content: dict[str, Any] = {
            "user_id": found.user_id, "segment": named.name or None, "snapshot": current.id, "as_of": current.as_of_text,
        }  # fmt: skip
        kinds = {row["name"]: row for row in current.rows("SELECT name, kind, window_text FROM tags")}
    tests: list[dict[str, Any]] = []
    for test in found.tests:
        leaf, standing = test.leaf, test.standing
        rank_words = (
            standing_words(standing, wanted, catalog.words(next(iter(test.values)), wanted)) if standing else None
        )
        tests.append(
            {
                "place": leaf.place, "under": " > ".join(leaf.under), "condition": leaf.condition.to_text(),
                "sentence": sentence_of(leaf.condition, wanted, catalog), "values": dict(test.values), "measured": test.measured,
                "standing": asdict(standing) if standing else None, "standing_words": rank_words,
                "met": test.met, "wanted": leaf.wanted, "unknown": test.unknown, "origins": _origins(test, kinds, origins),
            }
        )  # fmt: skip
    changes = [
        [
            {
                "tag": key if key in found.values else None,
                "to": None if key not in found.values or nearest(found.facts[key], name_and_user).value == OTHER
                else nearest(found.facts[key], name_and_user).value,
                "words": change_words(found, found.facts[key], name_and_user, wanted, catalog),
            }
            for key, name_and_user in way.items()
        ]
        for way in found.flips.ways
    ]  # fmt: skip
    sentences = {key: why_sentence(found, key, catalog, named.name) for key in ("en", "zh")}
    if chosen is Format.json:
        told = {"member": found.member, "tests": tests, "changes": changes, "exact": found.flips.exact}
        print_object({**content, **told, "sentence_en": sentences["en"], "sentence_zh": sentences["zh"]}, chosen)
        return
    zone = project.workspace.timezone
    rows = [
        {
            "place": test["place"], "under": test["under"] or None, "condition": test["condition"], "value": _shown(test, zone),
            "met": test["met"], "wanted": test["wanted"], "from": "; ".join(_told(origin, wanted) for origin in test["origins"]) or None,
        }
        for test in tests
    ]  # fmt: skip
    title = said(
        f"{content['user_id']} as of {content['as_of']}", f"{content['user_id']}，截至 {content['as_of']}", wanted
    )
    print_rows(rows, chosen, title=title, language=wanted)
    if chosen is Format.table:
        console().print()
        console().print(sentences[wanted], markup=False, soft_wrap=True)


def _origins(test: Test, kinds: dict[str, dict[str, Any]], origins: dict[str, ValueOrigin]) -> list[dict[str, Any]]:
    """Where the value of each tag of a test comes from: its kind and window, the sources, and how many events were counted."""
    from limner_profile.predicates.base import OnField

    found = []
    for tag in test.values:
        origin, kind = origins.get(tag), kinds.get(tag, {"kind": None, "window_text": ""})
        found.append(
            {
                "tag": tag, "kind": kind["kind"], "window": kind["window_text"], "sources": list(origin.sources) if origin else [],
                "events": origin.events if origin else None,
            }
        )  # fmt: skip
    if not isinstance(test.leaf.condition, OnField) and not found:
        found.append({"tag": None, "kind": test.leaf.condition.kind, "window": "", "sources": [], "events": None})
    return found


def _told(origin: dict[str, Any], language: str) -> str:
    from limner.heads import said

    parts = [origin["kind"], origin["window"], ", ".join(origin["sources"])]
    if origin["events"] is not None:
        events = f"{origin['events']:,}"
        parts.append(said(f"{events} event{'' if origin['events'] == 1 else 's'}", f"{events} 个事件", language))
    return ", ".join(part for part in parts if part)


def _shown(test: dict[str, Any], timezone: ZoneInfo) -> Any:
    """What a test is of, of times by the clock of the zone in which their days are counted."""
    from limner.output import local_time

    values = {tag: local_time(value, timezone) for tag, value in test["values"].items()}
    if test["measured"] is not None:
        return test["measured"]
    if test["standing_words"] is not None:
        value = next(iter(values.values()))
        return test["standing_words"] if value is None else f"{value} ({test['standing_words']})"
    if len(values) == 1:
        return next(iter(values.values()))
    return values or None
