"""Drafts of sources: files with their proposed mappings, under names, and together without contradictions; as YAML.

Pure, except for `offer_of`, which counts the events of whole files. Imports mapping, fitting and vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from limner.initial.definition_text import scalar
from limner.initial.fitting import Offer
from limner.initial.vocabulary import match_fields
from limner_profile.mapping.fields import FieldProposal
from limner_profile.mapping.proposal import MappingProposal, name_after
from limner_profile.mapping.roles import Sureness
from limner_profile.mapping.sample import SAMPLE_ROWS, FileSample, value_counts
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
    """What the files offer; counts the event names of whole files. Raises SourceError where one cannot be read."""
    counts: dict[str, int] = {}
    events: dict[str, frozenset[str]] = {}
    attributes: dict[str, FieldType] = {}
    amounts: list[float] = []
    for draft in drafts:
        proposal, sample = draft.proposal, draft.sample
        if proposal.type == "users":
            attributes |= {field.name: field.type for field in draft.fields}
            continue
        column, amount = proposal.column("event"), proposal.column("amount")
        fields = frozenset(field.name for field in draft.fields)
        if column:
            own = value_counts(sample.files, column, amount)
        else:
            own = {_one_name(proposal): (len(sample.rows), len(sample.rows) if amount else 0)}
        for name, (count, paid) in own.items():
            # In a file of many events the amount belongs to those that ever have one.
            counts[name] = counts.get(name, 0) + count
            events[name] = events.get(name, frozenset()) | fields | ({"amount"} if paid else frozenset())
        amounts += [
            number
            for row in sample.rows
            if amount and (number := _number(row.get(amount), proposal.decimal_comma)) is not None
        ]
    return Offer(counts, events, attributes, amounts)


def strangers(drafts: Sequence[Draft]) -> list[str]:
    """A line for each file of acts of whose users a whole table of users knows none: another kind of id, most likely."""
    known = {
        draft.name: {row.get(draft.proposal.column("user") or "") for row in draft.sample.rows}
        for draft in drafts
        if draft.proposal.type == "users" and len(draft.sample.rows) < SAMPLE_ROWS and len(draft.sample.files) == 1
    }
    lines = []
    for draft in drafts:
        if draft.proposal.type == "users" or not known:
            continue
        acting = {row.get(draft.proposal.column("user") or "") for row in draft.sample.rows} - {None}
        if acting and not any(acting & users for users in known.values()):
            lines.append(
                f"no user of {draft.sample.label} occurs in {' or '.join(known)}: are these the same kind of id?"
            )
    return lines


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
        lines.append(
            f"    event_name: {scalar(proposal.event_name)}" + _said(proposal.event_name_sure, "after the file")
        )
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
