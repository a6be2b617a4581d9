"""The options of an export that say whom it reaches and where it goes; and limner export list and abandon."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import Dir, Style, opened, style_of

if TYPE_CHECKING:
    from limner.delivering import Asked
    from limner.output import Format
    from limner.project import Project
    from limner_profile.snapshots import Snapshot
    from limner_segments.segment import NamedSegment

To = Annotated[
    str | None, typer.Option("--to", help="A destination of limner.yaml: a file or a webhook.", show_default=False)
]
Changes = Annotated[
    bool, typer.Option("--changes", help="Only who joined and left since the last export to that destination.")
]
HoldOutShare = Annotated[
    float | None,
    typer.Option(
        "--holdout", help="The share of users who are kept out on purpose, as 0.1; 0 for none.", show_default=False
    ),
]
Salt = Annotated[
    str | None,
    typer.Option("--salt", help="What the hold-out is drawn by: another salt, other users.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print who would be exported, and write nothing.")]

_LISTED = ("export", "at", "destination", "segment", "kind", "rows", "state")


def destined(
    project: Project, asked: Asked, kind: str | None, columns: list[str], out: Path | None
) -> tuple[str, list[str]]:
    """The kind of an export and its columns: those given, or the destination's; raises UserError where they contradict it."""
    from limner.delivering import destination_of
    from limner_profile.errors import Issue, UserError

    if asked.to is None:
        return kind or "csv", columns
    destination = destination_of(project, asked.to)
    if kind not in (None, destination.as_):
        hint = "leave --as out, or name another destination"
        raise UserError(Issue("bad-value", "--as", f"the destination {asked.to!r} takes {destination.as_}", hint))
    if destination.as_ == "webhook" and out is not None:
        raise UserError(Issue("bad-value", "--out", f"the destination {asked.to!r} is no file", "leave --out out"))
    return destination.as_, columns or list(destination.columns)


def print_reckoned(project: Project, snapshot: Snapshot, named: NamedSegment, asked: Asked, style: Format) -> None:
    """Print who would be exported, as counts that add up; raises TooFewError behind them where that is refused."""
    from limner.commands.export_report import print_dry_run
    from limner.delivering import reckon
    from limner.output import Format, print_object
    from limner.progress import TerminalProgress
    from limner_segments.exports.recipients import TooFewError

    refused = None
    try:
        found = reckon(project, snapshot, named, asked, datetime.now(UTC))
    except TooFewError as error:
        found, refused = error.recipients, error
    for warning in found.warnings:
        TerminalProgress().warn(warning)
    holdout = found.rules.holdout
    content = {
        "destination": asked.to, "segment": named.name or None, "mode": "changes" if found.rules.changes else "full",
        "since": found.since or None, **found.accounting.as_dict(), "holdout_share": holdout.share if holdout else 0.0,
        "holdout_salt": holdout.salt if holdout else None, "snapshot": snapshot.id, "as_of": snapshot.as_of_text,
    }  # fmt: skip
    if style is Format.table:
        print_dry_run(content, refused is not None)
    else:
        print_object(content, style)
    if refused is not None:
        raise refused


def sent(project: Project, named: NamedSegment, asked: Asked, columns: list[str]) -> dict[str, Any]:
    """What was sent to a webhook, as its record in the ledger."""
    from limner.delivering import to_webhook
    from limner.exporting import who_exports
    from limner.progress import TerminalProgress
    from limner_segments.exports.webhook import Clock

    record, _ = to_webhook(
        project, named, asked, columns, TerminalProgress(), Clock(), who=who_exports(), now=datetime.now(UTC)
    )
    return {"export": record.id, **record.model_dump(exclude={"id", "sha256"})}


def list_exports(
    directory: Dir = Path("."),
    to: To = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many exports; 0 for all.")] = 100,
    style: Style = "table",
) -> None:
    """List the ledger of exports, newest first: what went where, to how many, and which runs are unfinished."""
    from limner.delivering import listed
    from limner.output import print_rows

    chosen = style_of(style)
    rows = [row for row in listed(opened(directory)) if to in (None, row["destination"])]
    rows = rows[: limit or None]
    if chosen.value == "table":
        print_rows([_listed(row) for row in rows], chosen, _LISTED)
        return
    names = [
        "export", "at", "destination", "segment", "mode", "recipients", "left", "held_out", "state", "target", "who", "format",
        "snapshot", "as_of", "definition_hash", "since", "holdout_share", "holdout_salt", "sha256", "accounting",
    ]  # fmt: skip
    print_rows(rows, chosen, names)


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    """An export on one line: the time to the minute (UTC), and what is sent as rows."""
    return {
        "export": row["export"], "at": row["at"][:16].replace("T", " "), "destination": row["destination"] or None,
        "segment": row["segment"] or None, "kind": row["format"] if row["mode"] == "full" else f"{row['format']}, {row['mode']}",
        "rows": row["recipients"] + row["left"], "state": row["state"],
    }  # fmt: skip


def abandon_run(
    export: Annotated[str, typer.Argument(help="An unfinished export, as 'limner export list' names it.")],
    directory: Dir = Path("."),
    style: Style = "table",
) -> None:
    """Give up a webhook's run that cannot be finished: only the batches that were accepted count as contacts."""
    from limner.delivering import abandon
    from limner.output import print_object

    chosen = style_of(style)
    record = abandon(opened(directory), export)
    print_object({"export": record.id, **record.model_dump(exclude={"id", "sha256"})}, chosen)
