"""Beginning a workspace: from wishes to written files, with example data or fitted to files. Returns what `init` then tells.

Imports the parts of `initial`, and the mapping of floor 1; says on the way through `progress` what is not sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limner.initial import dialogue
from limner.initial.definition_text import EntryText, split_entries
from limner.initial.drafts import (
    Draft,
    Zone,
    config_text,
    draft_sources,
    offer_of,
    propose_zone,
    strangers,
    tell_orders_apart,
)
from limner.initial.fitting import Fitted, fit_template, wanted_events, wanted_fields
from limner.initial.template import Template
from limner.initial.vocabulary import Match, match_events
from limner.initial.writing import settle, texts_of, write_new
from limner.progress import TerminalProgress
from limner_profile.errors import Issue, SourceError
from limner_profile.mapping.proposal import MappingProposal, propose_mapping
from limner_profile.mapping.sample import FileSample, data_files, read_samples

_MONEY = "{en: CNY, zh: 元}"
_CURRENCIES = {"CNY": "元", "EUR": "欧元", "USD": "美元", "GBP": "英镑", "JPY": "日元", "HKD": "港元", "TWD": "新台币"}


@dataclass(frozen=True)
class Wishes:
    """What the user said: the data (none for example data), whether to ask, and what the settings should hold."""

    data: Sequence[Path] = ()
    asking: bool = False
    timezone: str | None = None
    currency: str = ""
    language: str = "en"


def begin(directory: Path, template: Template, wishes: Wishes, progress: TerminalProgress) -> dict[str, Any]:
    """What was written to `directory`, and what was decided on the way; raises UserError, and then nothing was written.

    Keys: workspace, template, tags, segments, scenarios, sources, events (the template's to the data's), off, notes.
    """
    return (
        _fitted(directory, template, wishes, progress) if wishes.data else _with_examples(directory, template, wishes)
    )


def _with_examples(directory: Path, template: Template, wishes: Wishes) -> dict[str, Any]:
    config = template.config.replace("language: en", f"language: {wishes.language}")
    if wishes.timezone:
        config = config.replace("timezone: Asia/Shanghai", f"timezone: {wishes.timezone}")
    definitions = dict(template.definitions)
    if wishes.currency:
        config = config.replace("currency: CNY", f"currency: {wishes.currency}")
        definitions = {path: _in_currency(text, wishes.currency) for path, text in definitions.items()}
    write_new(directory, {"limner.yaml": config, **definitions, **template.data})
    entries = {path: split_entries(text) for path, text in definitions.items()}
    sources = [{"source": path.split("/")[1].removesuffix(".csv"), "path": path} for path in template.data]
    return {
        **_counted(directory, template, entries),
        "sources": sources,
        "events": {},
        "off": [],
        "notes": ["the data are made up: put your own in their place"],
    }


def _fitted(directory: Path, template: Template, wishes: Wishes, progress: TerminalProgress) -> dict[str, Any]:
    found = _mappings(wishes, progress)
    drafts, doubts = tell_orders_apart(draft_sources(found, *wanted_fields(template)))
    zone = Zone(wishes.timezone, "sure", "as you said") if wishes.timezone else propose_zone(drafts)
    if wishes.asking and not wishes.timezone:
        zone = dialogue.ask_zone(zone, progress.console)
    elif zone.sure == "?":
        progress.warn(f"? time zone {zone.name}: {zone.why}; --timezone says otherwise")
    with progress.step("look at the events") as step:
        step.describe("count the events")
        offer = offer_of(drafts)
    matches = match_events(wanted_events(template), offer.counts)
    if wishes.asking and offer.counts:
        matches = dialogue.review_events(matches, offer.counts, progress.console)
    fitted = fit_template(template, offer, matches)
    notes = [*doubts, *fitted.notes, *strangers(drafts), *_event_notes(matches)]
    definitions = {
        path: tuple(replace(entry, text=_in_currency(entry.text, wishes.currency)) for entry in entries)
        for path, entries in fitted.files.items()
    }
    name, title = directory.resolve().name or template.name, template.title
    with progress.step("check the definitions"):
        absolute = config_text(name, title, zone, drafts, None, wishes.language, wishes.currency)
        files = settle(absolute, Fitted(definitions, fitted.notes))
    write_new(
        directory,
        {
            "limner.yaml": config_text(name, title, zone, drafts, directory, wishes.language, wishes.currency),
            **texts_of(files),
        },
    )
    for note in notes:
        progress.warn(note)
    off = [
        {"name": entry.name, "file": path, "why": entry.off}
        for path, entries in files.items()
        for entry in entries
        if entry.off
    ]
    events = {event: match.name for event, match in matches.items()}
    return {
        **_counted(directory, template, files),
        "sources": [_source_row(draft, zone) for draft in drafts],
        "events": events,
        "off": off,
        "notes": notes,
    }


def _mappings(wishes: Wishes, progress: TerminalProgress) -> list[tuple[FileSample, MappingProposal]]:
    """The files with their mappings: proposed, and reviewed where somebody can be asked."""
    named = {path.resolve() for path in wishes.data if path.is_file()}
    faults: list[Issue] = []

    def leave_out(file: Path, error: SourceError) -> None:
        # A file that was named is wanted; of a folder there may be other things in it.
        if file.resolve() in named:
            raise error
        faults.extend(error.issues)
        issue = error.issues[0]
        remedy = f"; {issue.hint}" if issue.code == "other-encoding" else ""
        progress.warn(f"{file.name} is left out: {issue.message}{remedy}")

    with progress.step("look at the files"):
        samples = read_samples(data_files(wishes.data), leave_out)
        proposals = [propose_mapping(sample.columns, sample.rows, sample.label) for sample in samples]
    found: list[tuple[FileSample, MappingProposal]] = []
    for sample, proposed in zip(samples, proposals, strict=True):
        proposal = dialogue.review_mapping(sample, proposed, progress.console) if wishes.asking else proposed
        if proposal is None:
            continue
        issue = _fault(sample, proposal)
        if issue is None:
            found.append((sample, proposal))
        else:
            for file in sample.files:
                leave_out(file, SourceError(issue))
            continue
        if not wishes.asking:
            for line in proposal.unsure:
                progress.warn(f"? {sample.label}: {line}")
            for note in proposal.notes:
                progress.warn(f"{sample.label}: {note}")
    if not found:
        raise SourceError(
            faults or [Issue("no-source", "", "no file is left to make a source of", "take at least one of them")]
        )
    return found


def _fault(sample: FileSample, proposal: MappingProposal) -> Issue | None:
    """The issue of a file that lacks a column for what it cannot do without, or None."""
    if not proposal.missing:
        return None
    role = proposal.missing[0]
    where, rivals = str(sample.path), proposal.roles[role].rivals
    listed = f"its columns: {', '.join(sample.columns)}"
    hint = f"{listed}\nrun it at a terminal without --yes to say which, or rename the column"
    which = f"; it may be {' or '.join(rivals)}" if rivals else ""
    if role == "user":
        return Issue("no-user-column", where, f"no column says which user{which}", hint)
    if role == "time":
        return Issue("no-time-column", where, f"no column says when it happened{which}", hint)
    if role == "other":
        return Issue("no-other-column", where, f"no column holds the other id of the pair{which}", hint)
    return Issue("no-amount-column", where, f"no column says the amount{which}", hint)


def _event_notes(matches: Mapping[str, Match]) -> list[str]:
    return [
        f"? {match.name} is taken for the template's {event!r}; as like it: {', '.join(match.others)}"
        for event, match in matches.items()
        if match.name and match.sure == "?"
    ]


def _in_currency(text: str, currency: str) -> str:
    """The text with the unit of money in this currency; without one, amounts have no unit."""
    if not currency:
        return text.replace(f"  unit: {_MONEY}\n", "")
    return text.replace(_MONEY, f"{{en: {currency}, zh: {_CURRENCIES.get(currency, currency)}}}")


def _counted(directory: Path, template: Template, files: Mapping[str, Sequence[EntryText]]) -> dict[str, Any]:
    kinds = ("tags", "segments", "scenarios")
    counts = {
        kind: sum(
            bool(entry.name) and not entry.off
            for path, entries in files.items()
            if path.startswith(f"{kind}/")
            for entry in entries
        )
        for kind in kinds
    }
    return {"workspace": str(directory), "template": template.name, **counts}


def _source_row(draft: Draft, zone: Zone) -> dict[str, Any]:
    proposal = draft.proposal
    roles = {role: chosen.column for role, chosen in proposal.roles.items() if chosen.column}
    told = {"unsure": list(proposal.unsure), "notes": list(proposal.notes)}
    return {
        "source": draft.name,
        "type": proposal.type,
        "path": str(draft.sample.path),
        **roles,
        "timezone": zone.name,
        **told,
    }
