"""Drafts of sources: files with their proposed mappings, under names, and together without contradictions; as YAML.

Pure, except for `offer_of`, which counts and dates the events of whole files. Imports mapping, fitting and vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from limner.initial.definition_text import scalar
from limner.initial.fitting import LINES, Offer
from limner.initial.vocabulary import match_fields
from limner_profile.mapping.fields import FieldProposal
from limner_profile.mapping.proposal import MappingProposal, name_after
from limner_profile.mapping.roles import Sureness
from limner_profile.mapping.sample import SAMPLE_ROWS, FileSample, time_span, value_counts
from limner_profile.mapping.times import parse_time
from limner_profile.mapping.words import is_chinese
from limner_profile.sources import FieldType

_ZONES: Mapping[frozenset[str], str] = {
    frozenset({"+08:00"}): "Asia/Shanghai",
    frozenset({"+09:00"}): "Asia/Tokyo",
    frozenset({"+05:30"}): "Asia/Kolkata",
    frozenset({"+01:00", "+02:00"}): "Europe/Berlin",
    frozenset({"+00:00", "+01:00"}): "Europe/London",
    frozenset({"-05:00", "-04:00"}): "America/New_York",
    frozenset({"-08:00", "-07:00"}): "America/Los_Angeles",
}


# Of two files of orders with so many acts in common, both tell of the same ones.
_SAME_ORDERS = 0.2


@dataclass(frozen=True)
class Draft:
    """A source to be: its name, its files and what they mean; `fields` under the names that the template knows them by."""

    name: str
    sample: FileSample
    proposal: MappingProposal
    fields: tuple[FieldProposal, ...] = ()


@dataclass(frozen=True)
class Zone:
    """The time zone in which days begin, how sure that is and why."""

    name: str
    sure: Sureness
    why: str


def draft_sources(
    found: Sequence[tuple[FileSample, MappingProposal]], properties: set[str], attributes: set[str]
) -> list[Draft]:
    """The drafts of files with their mappings; `properties` and `attributes` are what the template asks for.

    A field that the template knows gets its name there; two sources agree on the type of a field, or it has two names.
    """
    drafts: list[Draft] = []
    taken: set[str] = set()
    types: dict[str, FieldType] = {}
    owned: set[str] = set()
    for sample, proposal in found:
        name = _free(name_after(sample.label) or proposal.type, taken)
        taken.add(name.casefold())
        of_users = proposal.type == "users"
        wanted = attributes | {"age"} if of_users else properties
        matched = match_fields("attributes" if of_users else "properties", wanted, proposal.fields)
        ours = {field.column: concept for concept, field in matched.items()}
        fields: list[FieldProposal] = []
        used = set(ours.values())
        for field in proposal.fields:
            called = ours.get(field.column)
            if called is None:
                called = _free(field.name, used)
            if (of_users and called.casefold() in owned) or (
                not of_users and types.get(called, field.type) != field.type
            ):
                called = _free(f"{name}_{called}", used)
            used.add(called.casefold())
            if of_users:
                owned.add(called.casefold())
            else:
                types[called] = field.type
            fields.append(replace(field, name=called, stated=field.stated or field.column in sample.retyped))
        drafts.append(Draft(name, sample, proposal, tuple(fields)))
    return drafts


def propose_zone(drafts: Sequence[Draft]) -> Zone:
    """The time zone that the data speak of: by the offsets of their times, else by their language; else UTC."""
    offsets = {offset.replace("UTC", "Z") for draft in drafts for offset in draft.proposal.offsets}
    if offsets and "" not in offsets:
        signed = frozenset(_signed(offset) for offset in offsets)
        for known, name in _ZONES.items():
            if signed == known:
                return Zone(name, "likely", f"the times are written with {' and '.join(sorted(signed))}")
        if signed == {"+00:00"}:
            return Zone("UTC", "?", "the times are written in UTC; days may begin elsewhere")
        for known, name in _ZONES.items():
            if signed < known:
                return Zone(name, "?", f"the times are written with {' and '.join(sorted(signed))}")
    names = [column for draft in drafts for column in draft.sample.columns]
    if any(is_chinese(name) for name in names):
        return Zone("Asia/Shanghai", "?", "the columns have Chinese names, and the times no offset")
    return Zone("UTC", "?", "nothing in the data tells where days begin")


def offer_of(drafts: Sequence[Draft]) -> Offer:
    """What the files offer; counts and dates the events of whole files. Raises SourceError where one cannot be read."""
    counts: dict[str, int] = {}
    events: dict[str, frozenset[str]] = {}
    attributes: dict[str, FieldType] = {}
    amounts: dict[str, list[float]] = {}
    times: list[datetime] = []
    for draft in drafts:
        proposal, sample = draft.proposal, draft.sample
        if proposal.type == "users":
            attributes |= {field.name: field.type for field in draft.fields}
        if proposal.type in ("users", "identities"):
            continue
        column, amount = proposal.column("event"), proposal.column("amount")
        times += time_span(sample.files, proposal.column("time") or "", proposal.time_format) or ()
        fields = frozenset(field.name for field in draft.fields)
        if column:
            own = value_counts(sample.files, column, amount)
        else:
            own = {_one_name(proposal): (len(sample.rows), len(sample.rows) if amount else 0)}
        for name, (count, paid) in own.items():
            # In a file of many events the amount belongs to those that ever have one.
            counts[name] = counts.get(name, 0) + count
            events[name] = events.get(name, frozenset()) | fields | ({"amount"} if paid else frozenset())
        for row in sample.rows if amount else ():
            number = _number(row.get(amount or ""), proposal.decimal_comma)
            called = row.get(column) if column else _one_name(proposal)
            if number is not None and called:
                amounts.setdefault(called, []).append(number)
    users = [draft.proposal for draft in drafts if draft.proposal.type == "users"]
    history = bool(users) and all(proposal.column("updated_at") for proposal in users)
    days = (max(times) - min(times)).days if times else None
    return Offer(counts, events, attributes, amounts, days, history)


def strangers(drafts: Sequence[Draft]) -> list[str]:
    """A line for each file of acts of whose users a whole table of users knows none: another kind of id, most likely."""
    known = {
        draft.name: {row.get(draft.proposal.column("user") or "") for row in draft.sample.rows}
        for draft in drafts
        if draft.proposal.type == "users" and len(draft.sample.rows) < SAMPLE_ROWS and len(draft.sample.files) == 1
    }
    # An id that stands in a pair finds its user by it.
    paired = {
        row.get(draft.proposal.column(role) or "")
        for draft in drafts
        if draft.proposal.type == "identities"
        for row in draft.sample.rows
        for role in ("user", "other")
    }
    lines = []
    for draft in drafts:
        if draft.proposal.type in ("users", "identities") or not known:
            continue
        acting = {row.get(draft.proposal.column("user") or "") for row in draft.sample.rows} - {None}
        if acting and not acting & paired and not any(acting & users for users in known.values()):
            lines.append(
                f"no user of {draft.sample.label} occurs in {' or '.join(known)}: are these the same kind of id?"
            )
    return lines


def tell_orders_apart(drafts: Sequence[Draft]) -> tuple[list[Draft], list[str]]:
    """The drafts, in which files that tell of the same orders (baskets and their lines) no longer share the event `order`.

    The file in which an order is told once keeps it; with a line for each that is renamed, and each pair that is not.
    """
    kept: list[Draft] = []
    renamed: dict[str, Draft] = {}
    lines: list[str] = []
    orders = [draft for draft in drafts if draft.proposal.type == "orders" and not draft.proposal.event_name]
    for draft in sorted(orders, key=lambda draft: (draft.proposal.keep_duplicates, -_oneness(draft))):
        same = next((other for other in kept if _overlap(draft, other) >= _SAME_ORDERS), None)
        if same is None:
            kept.append(draft)
            continue
        name = LINES["order"] if draft.proposal.keep_duplicates else f"{draft.name}_order"
        changed = replace(draft.proposal, event_name=name, event_name_sure="?")
        renamed[draft.name] = replace(draft, proposal=changed)
        lines.append(
            f"? {same.sample.label} and {draft.sample.label} tell of the same orders: those of the second are called {name!r}, "
            "so that nothing counts twice"
        )
    if len(kept) > 1:
        lines.append(f"? the rows of {' and '.join(draft.sample.label for draft in kept)} all count as orders")
    return [renamed.get(draft.name, draft) for draft in drafts], lines


def _oneness(draft: Draft) -> float:
    return len(_moments(draft)) / len(draft.sample.rows)


def _overlap(one: Draft, other: Draft) -> float:
    """The share of the acts of the smaller sample that are in the other one, too."""
    first, second = _moments(one), _moments(other)
    return len(first & second) / max(1, min(len(first), len(second)))


def _moments(draft: Draft) -> set[tuple[str, datetime]]:
    user, time = draft.proposal.column("user"), draft.proposal.column("time")
    assert user
    assert time
    read = ((row.get(user), parse_time(row.get(time) or "", draft.proposal.time_format)) for row in draft.sample.rows)
    return {(who, moment) for who, moment in read if who and moment}


def shown_path(path: Path, root: Path) -> str:
    """The path as limner.yaml names it: relative to the workspace where it lies near, else absolute."""
    relative = Path(os.path.relpath(path.resolve(), root.resolve()))
    return str(path.resolve()) if relative.parts.count("..") > 3 else relative.as_posix()


def config_text(
    name: str, title: str, zone: Zone, drafts: Sequence[Draft], root: Path | None, language: str, currency: str
) -> str:
    """limner.yaml for the drafts; paths are relative to `root`, or absolute without it."""
    lines = [
        "# Written by 'limner init' from what your files look like. Look through it: what was not sure says '?'.",
        "# All fields: docs/reference/settings.md.",
        f"name: {scalar(name)}",
        f"title: {scalar(title)}",
        f"timezone: {zone.name}" + _said(zone.sure, zone.why),
        "",
        "sources:",
    ]
    for draft in drafts:
        lines += _source_lines(draft, root)
    lines += ["", "settings:", f"  language: {language}"]
    lines += [f"  currency: {scalar(currency)}"] if currency else []
    return "\n".join(lines) + "\n"


def _source_lines(draft: Draft, root: Path | None) -> list[str]:
    proposal, path = draft.proposal, draft.sample.path
    shown = shown_path(path, root) if root else str(path.resolve())
    lines = [f"  # {note}" for note in proposal.notes]
    lines += [f"  {scalar(draft.name)}:", f"    type: {proposal.type}" + _said(proposal.type_sure, proposal.type_why)]
    lines.append(f"    path: {scalar(shown)}")
    for role, chosen in proposal.roles.items():
        if chosen.column:
            lines.append(f"    {role}: {scalar(chosen.column)}" + _said(chosen.sure, chosen.why))
    if proposal.event_name:
        named = "after the file" if proposal.type == "events" else "so that it does not count twice beside another file"
        lines.append(f"    event_name: {scalar(proposal.event_name)}" + _said(proposal.event_name_sure, named))
    if proposal.time_format:
        lines.append(f"    time_format: {scalar(proposal.time_format)}")
    if proposal.decimal_comma:
        lines.append("    decimal_comma: true")
    if proposal.keep_duplicates:
        lines.append("    keep_duplicates: true")
    if draft.fields:
        lines.append(f"    {'attributes' if proposal.type == 'users' else 'properties'}:")
    for field in draft.fields:
        column = scalar(field.column)
        stated = f"{{column: {column}, type: {field.type}}}" if field.stated else column
        lines.append(f"      {scalar(field.name)}: {stated}")
    lines += [f"    # left out: {column}: {why}" for column, why in proposal.left_out.items()]
    return lines


def _said(sure: Sureness, why: str) -> str:
    return f"  # ? {why}" if sure == "?" else ""


def _one_name(proposal: MappingProposal) -> str:
    return proposal.event_name or "order"


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free.casefold() in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _signed(offset: str) -> str:
    if offset == "Z":
        return "+00:00"
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return f"{offset[0]}{digits[:2]}:{digits[2:]}"


def _number(text: str | None, comma: bool) -> float | None:
    if text and comma:
        text = text.replace(".", "").replace(",", ".")
    try:
        return float(text) if text else None
    except ValueError:
        return None
