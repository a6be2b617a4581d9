"""limner init: a workspace from a template, fitted to the user's own files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import Style, style_of

if TYPE_CHECKING:
    from limner.initial.drafts import Draft, Zone
    from limner.initial.template import Template
    from limner.initial.vocabulary import Match
    from limner.output import Format
    from limner.progress import TerminalProgress
    from limner_profile.mapping.proposal import MappingProposal
    from limner_profile.mapping.sample import FileSample


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write the workspace to.")],
    template: Annotated[
        str | None,
        typer.Option("--template", help="app, retail, game, finance or membership.", show_default="asked for"),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", help="A data file, or a folder of them; may be given again. Without it, example data are written."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take every proposal without asking.")] = False,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="Where days begin, as Asia/Shanghai.", show_default="seen in the data"),
    ] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="The currency of amounts, as EUR.")] = None,
    language: Annotated[str, typer.Option("--lang", help="en or zh: the language of cards and sentences.")] = "en",
    style: Style = "table",
) -> None:
    """Begin a workspace: ready tags, segments and scenarios for a business, fitted to the columns and events of your own files."""
    from limner.initial.dialogue import choose
    from limner.initial.template import TEMPLATES, read_template
    from limner.initial.writing import check_free
    from limner.progress import TerminalProgress
    from limner_profile.errors import Issue, UserError

    chosen = style_of(style)
    if language not in ("en", "zh"):
        raise UserError(Issue("bad-value", "--lang", f"unknown language {language!r}", "en or zh"))
    if timezone is not None:
        _check_timezone(timezone)
    check_free(directory)
    progress = TerminalProgress()
    asking = not yes and at_terminal()
    if template is None:
        if not asking:
            raise UserError(Issue("no-template", "--template", "which template?", f"one of {', '.join(TEMPLATES)}"))
        for name, words in TEMPLATES.items():
            progress.console.print(f"  {name}: {words}", highlight=False)
        template = choose("Which template", list(TEMPLATES), "app", progress.console)
    ready = read_template(template)
    if data:
        summary = _fitted(directory, ready, data, asking, yes, timezone, currency or "", language, progress)
    else:
        summary = _with_examples(directory, ready, timezone, currency, language)
    _say(summary, chosen, directory)


def at_terminal() -> bool:
    """Whether somebody sits there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _with_examples(
    directory: Path, template: Template, timezone: str | None, currency: str | None, language: str
) -> dict[str, Any]:
    from limner.initial.definition_text import split_entries
    from limner.initial.writing import write_new

    config = template.config.replace("language: en", f"language: {language}")
    if timezone:
        config = config.replace("timezone: Asia/Shanghai", f"timezone: {timezone}")
    definitions = dict(template.definitions)
    if currency:
        config = config.replace("currency: CNY", f"currency: {currency}")
        definitions = {path: _in_currency(text, currency) for path, text in definitions.items()}
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


def _fitted(
    directory: Path,
    template: Template,
    data: Sequence[Path],
    asking: bool,
    yes: bool,
    timezone: str | None,
    currency: str,
    language: str,
    progress: TerminalProgress,
) -> dict[str, Any]:
    from limner.initial import dialogue
    from limner.initial.drafts import (
        Zone,
        config_text,
        draft_sources,
        offer_of,
        propose_zone,
        strangers,
        tell_orders_apart,
    )
    from limner.initial.fitting import fit_template, wanted_events, wanted_fields
    from limner.initial.vocabulary import match_events
    from limner.initial.writing import settle, texts_of, write_new

    found = _mappings(data, asking, progress)
    if not asking and not yes:
        progress.warn("there is no terminal to ask at: every proposal is taken")
    drafts, doubts = tell_orders_apart(draft_sources(found, *wanted_fields(template)))
    zone = Zone(timezone, "sure", "as you said") if timezone else propose_zone(drafts)
    if asking and not timezone:
        zone = dialogue.ask_zone(zone, progress.console)
    elif zone.sure == "?":
        progress.warn(f"? time zone {zone.name}: {zone.why}; --timezone says otherwise")
    with progress.step("look at the events") as step:
        step.describe("count the events")
        offer = offer_of(drafts)
    matches = match_events(wanted_events(template), offer.counts)
    if asking and offer.counts:
        matches = dialogue.review_events(matches, offer.counts, progress.console)
    fitted = fit_template(template, offer, matches)
    notes = [*doubts, *fitted.notes, *strangers(drafts), *_event_notes(matches)]
    definitions = {
        path: tuple(_replaced(entry, _in_currency(entry.text, currency)) for entry in entries)
        for path, entries in fitted.files.items()
    }
    name, title = directory.resolve().name or template.name, template.title
    with progress.step("check the definitions"):
        absolute = config_text(name, title, zone, drafts, None, language, currency)
        files = settle(absolute, type(fitted)(definitions, fitted.notes))
    write_new(
        directory,
        {"limner.yaml": config_text(name, title, zone, drafts, directory, language, currency), **texts_of(files)},
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


def _mappings(
    data: Sequence[Path], asking: bool, progress: TerminalProgress
) -> list[tuple[FileSample, MappingProposal]]:
    """The files with their mappings: proposed, and reviewed where somebody can be asked."""
    from limner.initial import dialogue
    from limner_profile.errors import Issue, SourceError
    from limner_profile.mapping.proposal import propose_mapping
    from limner_profile.mapping.sample import data_files, read_samples

    named = {path.resolve() for path in data if path.is_file()}
    with progress.step("look at the files"):
        samples = read_samples(data_files(data))
        proposals = [propose_mapping(sample.columns, sample.rows, sample.label) for sample in samples]
    found: list[tuple[FileSample, MappingProposal]] = []
    faults: list[Issue] = []
    for sample, proposed in zip(samples, proposals, strict=True):
        proposal = dialogue.review_mapping(sample, proposed, progress.console) if asking else proposed
        if proposal is None:
            continue
        issue = _fault(sample, proposal)
        if issue is None:
            found.append((sample, proposal))
        elif any(file.resolve() in named for file in sample.files):
            raise SourceError(issue)
        else:
            faults.append(issue)
            progress.warn(f"{sample.label} is left out: {issue.message}")
            continue
        if not asking:
            for line in proposal.unsure:
                progress.warn(f"? {sample.label}: {line}")
            for note in proposal.notes:
                progress.warn(f"{sample.label}: {note}")
    if not found:
        raise SourceError(
            faults or [Issue("no-source", "", "no file is left to make a source of", "take at least one of them")]
        )
    return found


def _fault(sample: FileSample, proposal: MappingProposal) -> Any:
    """The issue of a file that lacks a column for what it cannot do without, or None."""
    from limner_profile.errors import Issue

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
    return Issue("no-amount-column", where, f"no column says the amount{which}", hint)


def _check_timezone(name: str) -> None:
    from limner_profile.errors import Issue, UserError
    from limner_profile.windows import parse_timezone

    try:
        parse_timezone(name)
    except ValueError as error:
        message, _, hint = str(error).partition(" | ")
        raise UserError(Issue("bad-value", "--timezone", message, hint)) from None


def _event_notes(matches: Mapping[str, Match]) -> list[str]:
    return [
        f"? {match.name} is taken for the template's {event!r}; as like it: {', '.join(match.others)}"
        for event, match in matches.items()
        if match.name and match.sure == "?"
    ]


_MONEY = "{en: CNY, zh: 元}"
_CURRENCIES = {"CNY": "元", "EUR": "欧元", "USD": "美元", "GBP": "英镑", "JPY": "日元", "HKD": "港元", "TWD": "新台币"}


def _in_currency(text: str, currency: str) -> str:
    """The text with the unit of money in this currency; without one, the unit says that it is the data's own."""
    unit = (
        f"{{en: {currency}, zh: {_CURRENCIES.get(currency, currency)}}}"
        if currency
        else "{en: units of money, zh: 货币单位}"
    )
    return text.replace(_MONEY, unit)


def _replaced(entry: Any, text: str) -> Any:
    from dataclasses import replace

    return replace(entry, text=text)


def _counted(directory: Path, template: Template, files: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
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
    return {"source": draft.name, "type": proposal.type, "path": str(draft.sample.path), **roles, "timezone": zone.name}


def _say(summary: Mapping[str, Any], style: Format, directory: Path) -> None:
    import shlex

    from limner.output import console, print_object, print_rows, show

    if style.value != "table":
        print_object(summary, style)
        return
    output = console()
    output.print(
        f"{summary['workspace']}: {summary['tags']} tags, {summary['segments']} segments, {summary['scenarios']} scenarios",
        markup=False,
    )
    rows = [
        {
            "source": row["source"],
            "type": row.get("type", ""),
            "columns": ", ".join(
                f"{key}: {show(value)}"
                for key, value in row.items()
                if key not in ("source", "type", "path", "timezone")
            ),
        }
        for row in summary["sources"]
    ]
    if summary["events"]:
        print_rows(rows, style)
        output.print()
        print_rows(
            [{"template's event": event, "in the data": name} for event, name in summary["events"].items()], style
        )
    if summary["off"]:
        output.print(f"\n{len(summary['off'])} definitions are off, in comments:")
        print_rows([{"name": row["name"], "why": row["why"]} for row in summary["off"]], style)
    output.print("\nType next:")
    where = shlex.quote(str(directory))
    for command in ("check", "build", "tags list", "serve"):
        output.print(f"  limner {command} --dir {where}", markup=False, soft_wrap=True)
