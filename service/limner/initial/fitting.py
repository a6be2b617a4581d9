"""Fitting a template to data: events renamed to what the data call them, and what has no counterpart put in comments with a word of why.

Pure: a template and what the data offer in, texts and a report out. What only `check` can know is left to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from limner.initial.definition_text import EntryText, scalar, split_entries, with_events
from limner.initial.spans import fit_scenario
from limner.initial.template import Template
from limner.initial.vocabulary import Match, sensitivity_of
from limner_profile.mapping.fields import field_name
from limner_profile.sources import FieldType

# More own events and attributes than these would be a list, and no portrait.
_MOST_EVENTS, _MOST_ATTRIBUTES = 8, 15
_MOST_IN_A_LIST = 20
# Where the lines of orders stand in a file of their own, they know what the orders do not.
LINES: Mapping[str, str] = {"order": "order_line"}
# What the templates say of attributes that are known only as they are today, and what holds where their history is kept.
_OF_HISTORY: Mapping[str, str] = {
    "as the source of users says today": "as the source of users said at as_of",
    "as it stands today": "as it stood at as_of",
}
OWN_FILE = "tags/your_data.yaml"


@dataclass(frozen=True)
class Offer:
    """What the data offer: event names with how often they occur, what each event has, attributes, and amounts by event.

    `events` names each event's fields: the properties, and `amount`. `days` lie between the first act and the last.
    `history` tells whether the attributes are known as they were at each as_of.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[str, frozenset[str]] = field(default_factory=dict)
    attributes: Mapping[str, FieldType] = field(default_factory=dict)
    amounts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    days: int | None = None
    history: bool = False


@dataclass(frozen=True)
class Fitted:
    """The definition files, entry by entry, and lines about what was decided on the way."""

    files: Mapping[str, tuple[EntryText, ...]]
    notes: tuple[str, ...] = ()


def wanted_events(template: Template) -> list[str]:
    """The events that the tags and scenarios of a template ask for, those of single names first."""
    single: dict[str, None] = {}
    listed: dict[str, None] = {}
    for _, entry in _entries(template):
        names = _events_of(entry.content)
        (single if len(names) == 1 else listed).update(dict.fromkeys(names))
    return list({**single, **listed})


def wanted_fields(template: Template) -> tuple[set[str], set[str]]:
    """The properties of events and the attributes of users that a template asks for."""
    properties: set[str] = set()
    attributes: set[str] = set()
    for _, entry in _entries(template):
        content = entry.content
        properties |= _properties_of(content) - {"amount"}
        if content.get("kind") == "attribute":
            attributes.add(str(content["attribute"]))
    return properties, attributes


def fit_template(template: Template, offer: Offer, matches: Mapping[str, Match]) -> Fitted:
    """The template's definitions for these data; `matches` says what the data call its events."""
    names = {event: match.name for event, match in matches.items() if match.name}
    notes: list[str] = []
    everything = sorted(offer.counts, key=lambda name: (-offer.counts[name], name))[:_MOST_IN_A_LIST]
    files: dict[str, tuple[EntryText, ...]] = {}
    large = large_amount(offer.amounts.get(names.get("order", ""), ()))
    any_act = False
    for path, text in template.definitions.items():
        if offer.history:
            for today, then in _OF_HISTORY.items():
                text = text.replace(today, then)
        entries = []
        for entry in split_entries(text):
            if not entry.name:
                entries.append(entry)
                continue
            fitted, fell_back = _fit_entry(entry, names, offer, everything)
            any_act |= fell_back
            if path.startswith("scenarios/") and not fitted.off and offer.days is not None:
                fitted, shortened = fit_scenario(fitted, offer.days)
                notes += [shortened] if shortened else []
            if large is not None and not fitted.off:
                fitted = replace(fitted, text=fitted.text.replace("amount >= 100", f"amount >= {large:g}"))
            entries.append(fitted)
        files[path] = tuple(entries)
    if any_act:
        notes.append("no event says that a user was active, so any act counts: " + ", ".join(everything))
    if large is not None:
        notes.append(f"a large purchase is one of at least {large:g}: about the upper fifth of the amounts")
    own = own_entries(template, offer, set(names.values()), files)
    if own:
        files[OWN_FILE] = own
    return Fitted(files, tuple(notes))


def large_amount(amounts: Sequence[float]) -> float | None:
    """A round number (1, 2 or 5 and zeros) near the 80th percentile of the amounts above 0; None without any.

    >>> large_amount([5, 10, 20, 30, 460])
    20.0
    """
    known = sorted(amount for amount in amounts if amount > 0)
    if not known:
        return None
    edge = known[math.ceil(0.8 * len(known)) - 1]
    power = 10.0 ** math.floor(math.log10(edge))
    choices = [step * power for step in (1, 2, 5, 10)]
    # A cut that no amount reaches, or that all do, tells nobody apart.
    fitting = [choice for choice in choices if known[0] < choice <= known[-1]] or choices
    return min(fitting, key=lambda choice: abs(math.log(choice / edge)))


def own_entries(
    template: Template, offer: Offer, used: set[str], files: Mapping[str, Sequence[EntryText]]
) -> tuple[EntryText, ...]:
    """Tags for what the data have beyond the template: a count for each of the frequent events, an attribute for each column."""
    taken = {entry.name.casefold() for entries in files.values() for entry in entries if not entry.off}
    known = {str(entry.content.get("attribute")) for _, entry in _entries(template) if entry.name}
    entries = [
        EntryText("", "# What your data have beyond the template. Give the tags better titles, or delete them.\n")
    ]
    others = [name for name in offer.counts if name not in used]
    for event in sorted(others, key=lambda name: (-offer.counts[name], name))[:_MOST_EVENTS]:
        name = f"{field_name(event)}_count_30d"
        if name.casefold() not in taken and len(name.encode()) <= 64:
            taken.add(name.casefold())
            words = event.replace("_", " ")
            titles = f"{{en: {scalar(f'{words} in 30 days')}, zh: {scalar(f'近30天{event}次数')}}}"
            text = f'{name}:\n  kind: count\n  event: {scalar(event)}\n  window: 30d\n  title: {titles}\n  unit: {{en: "", zh: 次}}\n'
            entries.append(EntryText(name, text))
    for attribute, kind in list(offer.attributes.items()):
        name = field_name(attribute)
        if (
            attribute in known
            or name.casefold() in taken
            or kind in ("date", "time")
            or len(entries) > _MOST_ATTRIBUTES + _MOST_EVENTS
        ):
            continue
        taken.add(name.casefold())
        level = sensitivity_of(attribute)
        text = f"{name}:\n  kind: attribute\n  attribute: {scalar(attribute)}\n" + (
            f"  sensitivity: {level}\n" if level != "none" else ""
        )
        entries.append(EntryText(name, text))
    return tuple(entries) if len(entries) > 1 else ()


def _fit_entry(
    entry: EntryText, names: Mapping[str, str], offer: Offer, everything: Sequence[str]
) -> tuple[EntryText, bool]:
    content = entry.content
    events = _events_of(content)
    if content.get("kind") == "attribute" and str(content["attribute"]) not in offer.attributes:
        if content.get("as") == "age" and offer.attributes.get("age") == "number":
            text = entry.text.replace("  attribute: birth_year\n  as: age\n", "  attribute: age\n")
            return EntryText(
                entry.name, text.replace("Full years since the year of birth", "The age that the source states")
            ), False
        return replace(entry, off=f"no column of users is like {content['attribute']!r}"), False
    if not events:
        return entry, False
    if not offer.counts:
        return replace(entry, off="there are no events"), False
    found = [names[event] for event in events if event in names]
    if not found and len(events) == 1:
        return replace(entry, off=f"no event in the data is like {events[0]!r}"), False
    fell_back = not found
    found = list(dict.fromkeys(found)) or list(everything)
    lacking = _lacking(content, found, offer)
    lines = [LINES[event] for event in events if event in LINES]
    if lacking and not _lacking(content, lines, offer):
        return with_events(entry, lambda _: lines), False
    if lacking:
        return replace(entry, off=f"no column like {lacking[0]!r} stands beside {' or '.join(found)}"), False
    return with_events(entry, lambda _: found), fell_back


def _lacking(content: Mapping[str, Any], events: Sequence[str], offer: Offer) -> list[str]:
    """The fields that a tag needs and that stand beside none of the events."""
    return sorted(
        name for name in _properties_of(content) if not any(name in offer.events.get(event, ()) for event in events)
    )


def _entries(template: Template) -> list[tuple[str, EntryText]]:
    return [(path, entry) for path, text in template.definitions.items() for entry in split_entries(text) if entry.name]


def _events_of(content: Mapping[str, Any]) -> list[str]:
    """The events that a tag or the outcome of a scenario asks for."""
    outcome = content.get("outcome")
    event = content.get("event") or (outcome.get("event") if isinstance(outcome, dict) else None)
    return [] if event is None else [event] if isinstance(event, str) else list(event)


def _properties_of(content: Mapping[str, Any]) -> set[str]:
    """The fields of events that a tag needs."""
    if "event" not in content:
        return set()
    fields = {str(content[name]) for name in ("of", "by") if name in content}
    if content.get("kind") == "sum" and "of" not in content:
        fields.add("amount")
    return fields
