"""The questions of `limner init` at a terminal: proposals shown as tables, each accepted or corrected. Everything goes to stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limner.initial.drafts import Zone
from limner.initial.vocabulary import Match
from limner_profile.errors import UserError, did_you_mean
from limner_profile.mapping.columns import ColumnFacts, facts_of
from limner_profile.mapping.proposal import ROLES, MappingProposal, propose_from
from limner_profile.mapping.sample import FileSample
from limner_profile.windows import parse_timezone

NONE = "-"
_TYPES = ("users", "events", "orders", "identities")


def review_mapping(sample: FileSample, proposal: MappingProposal, console: Console) -> MappingProposal | None:
    """The proposal as the user wants it, or None for a file that is to be left out."""
    facts = facts_of(sample.columns, sample.rows)
    given: dict[str, str | None] = {}
    while True:
        show_proposal(sample, proposal, facts, console)
        if proposal.missing:
            console.print(f"Still to be said: {', '.join(proposal.missing)}", style="yellow", highlight=False)
        hopeless = "user" in proposal.missing and not proposal.roles["user"].rivals
        likely = "skip" if hopeless else "change" if proposal.missing else "yes"
        answer = choose("Take it", ["yes", "change", "skip"], likely, console)
        if answer == "skip":
            return None
        if answer == "yes" and not proposal.missing:
            return proposal
        _change(given, proposal, sample, facts, console)
        proposal = propose_from(facts, sample.label, given)


def _change(
    given: dict[str, str | None],
    proposal: MappingProposal,
    sample: FileSample,
    facts: Mapping[str, ColumnFacts],
    console: Console,
) -> None:
    """Ask what to change and to what, and note the answer in `given`."""
    roles = [*ROLES[proposal.type]]
    extra = ["event_name"] if proposal.type in ("events", "orders") else []
    times = facts[proposal.timed].times if proposal.timed else None
    formats = [times.format, *times.rivals] if times and times.format else []
    extra += ["time_format"] if len(formats) > 1 else []
    what = choose("What", ["type", *roles, *extra], proposal.missing[0] if proposal.missing else "type", console)
    if what == "type":
        given["type"] = choose("A row is", [*_TYPES], proposal.type, console)
        return
    if what == "time_format":
        given["time_format"] = choose("Times are written", formats, formats[-1], console)
        return
    if what == "event_name":
        name = str(typer.prompt("One name for all rows", default=proposal.event_name or "order", err=True)).strip()
        given["event_name"] = name
        given["event"] = None
        return
    answer = choose(
        f"Column for {what} ({NONE} for none)", [*sample.columns, NONE], proposal.column(what) or NONE, console
    )
    column = None if answer == NONE else answer
    # A column has one role: whoever had it before is proposed anew.
    for role in [role for role, known in given.items() if known == column and column is not None and role != what]:
        del given[role]
    given[what] = column
    if what in ("time", "since", "updated_at", "until"):
        given.pop("time_format", None)
    if what == "event" and column:
        given.pop("event_name", None)


def show_proposal(
    sample: FileSample, proposal: MappingProposal, facts: Mapping[str, ColumnFacts], console: Console
) -> None:
    """Print a proposal as a table: each field, its column, how sure, a few values, and why."""
    files = f" ({len(sample.files)} files)" if len(sample.files) > 1 else ""
    console.print(Text(f"\n{sample.label}{files}: {len(sample.rows):,} rows looked at", style="bold"))
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("field", "column", "sure", "values", "why"):
        table.add_column(name, overflow="fold")
    table.add_row("type", Text(proposal.type), _mark(proposal.type_sure), "", Text(proposal.type_why))
    for role, chosen in proposal.roles.items():
        if not chosen.column and not chosen.rivals and role not in proposal.missing:
            continue
        values = facts[chosen.column].examples if chosen.column else ""
        table.add_row(role, Text(chosen.column or "none"), _mark(chosen.sure), Text(values), Text(chosen.why))
    if proposal.event_name:
        table.add_row(
            "event_name", Text(proposal.event_name), _mark(proposal.event_name_sure), "", "one name for all rows"
        )
    if proposal.time_format:
        table.add_row("time_format", Text(proposal.time_format), "", "", "")
    if proposal.decimal_comma:
        table.add_row("decimal_comma", "true", "", "", "numbers have a comma before their decimals")
    kind = "attribute" if proposal.type == "users" else "property"
    for field in proposal.fields:
        table.add_row(kind, Text(field.column), "", Text(facts[field.column].examples), f"read as {field.type}")
    for column, why in proposal.left_out.items():
        table.add_row("left out", Text(column), "", Text("" if "person" in why else facts[column].examples), Text(why))
    console.print(table)
    for note in proposal.notes:
        console.print(Text(f"! {note}", style="yellow"))


def review_events(matches: Mapping[str, Match], counts: Mapping[str, int], console: Console) -> dict[str, Match]:
    """The counterparts of the template's events as the user wants them."""
    decided = dict(matches)
    while decided:
        show_events(decided, counts, console)
        if choose("Take it", ["yes", "change"], "yes", console) == "yes":
            break
        event = choose("Which event of the template", list(decided), next(iter(decided)), console)
        answer = choose(
            f"Name in the data for {event} ({NONE} for none)", [*counts, NONE], decided[event].name or NONE, console
        )
        chosen = None if answer == NONE else answer
        decided = {
            known: Match(None) if chosen and known != event and match.name == chosen else match
            for known, match in decided.items()
        }
        decided[event] = Match(chosen)
    return decided


def show_events(matches: Mapping[str, Match], counts: Mapping[str, int], console: Console) -> None:
    """Print what the data call the events of the template."""
    console.print(Text("\nEvents of the template and of the data", style="bold"))
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("template", "data", "sure", "why"):
        table.add_column(name, overflow="fold")
    for event, match in matches.items():
        why = f"also like it: {', '.join(match.others)}" if match.others else ""
        shown = f"{match.name} ({counts.get(match.name, 0):,})" if match.name else "none"
        table.add_row(event, Text(shown), _mark(match.sure) if match.name else "", Text(why))
    console.print(table)
    used = {match.name for match in matches.values()}
    rest = [name for name in counts if name not in used]
    if rest:
        console.print(
            Text(f"Not in the template: {', '.join(rest[:12])}{', …' if len(rest) > 12 else ''}", style="dim")
        )


def ask_zone(zone: Zone, console: Console) -> Zone:
    """The time zone that the user names."""
    console.print(Text(f"\nTime zone: {zone.name} ({zone.why})"))
    while True:
        answer = str(typer.prompt("Time zone in which days begin", default=zone.name, err=True)).strip()
        try:
            parse_timezone(answer)
        except (UserError, ValueError) as error:
            console.print(Text(str(error).replace(" | ", "; "), style="red"))
            continue
        return replace(zone, name=answer, sure="sure")


def choose(question: str, choices: Sequence[str], default: str, console: Console) -> str:
    """The choice that the user names, in full or by a beginning that only it has; asks again with the nearest name."""
    shown = f" [{'/'.join(choices)}]" if len(choices) <= 8 else ""
    while True:
        answer = str(typer.prompt(f"{question}{shown}", default=default, err=True)).strip()
        if answer in choices:
            return answer
        begun = [choice for choice in choices if choice.casefold().startswith(answer.casefold())]
        same = [choice for choice in begun if choice.casefold() == answer.casefold()]
        if len(same or begun) == 1:
            return (same or begun)[0]
        hint = did_you_mean(answer, choices, f"one of {', '.join(choices)}")
        console.print(Text(f"{answer!r} is none of the choices; {hint}", style="red"))


def _mark(sure: str) -> Text:
    return Text(sure, style="yellow bold" if sure == "?" else "")
