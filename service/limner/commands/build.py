"""limner check, sync and build: from text and files to a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.commands.options import Dir, Style, opened, style_of

if TYPE_CHECKING:
    from limner.output import Format


def check(directory: Dir = Path("."), style: Style = "table") -> None:
    """Check every definition of the workspace, that the sources have what they name, and that no tag in use changed unsaid.

    Warns of tags and outcomes that count an event which the last ingestion did not find, and of scenarios that its data are too
    short for.
    """
    from limner.output import print_error, print_rows
    from limner.project import changed_tags, misspelt_events, read_project
    from limner.training_span import too_early
    from limner_profile.errors import UserError

    chosen = style_of(style)
    project, issues = read_project(directory)
    broken = bool(issues)
    for change in changed_tags(project) if project else ():
        if change.accepted:
            typer.echo(f"{change.where} {change.words}", err=True)
        elif change.after is not None or not broken:  # a tag that is at fault is not gone
            issues.append(change.issue)
    for line in misspelt_events(project) if project else ():
        typer.echo(line, err=True)
    if chosen.value != "table":
        rows = [
            {"code": issue.code, "where": issue.where, "message": issue.message, "hint": issue.hint} for issue in issues
        ]
        print_rows(rows, chosen, ["code", "where", "message", "hint"])
    elif issues:
        print_error(UserError(issues))
    elif project:
        typer.echo(
            f"{len(project.catalog.definitions)} tags, {len(project.segments)} segments, {len(project.scenarios)} scenarios: no issues"
        )
    for warning in too_early(project) if project else ():
        typer.echo(warning, err=True)
    if issues:
        raise typer.Exit(1)


def sync(
    directory: Dir = Path("."),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen to each source, and write nothing.")
    ] = False,
    style: Style = "table",
) -> None:
    """Ingest new and changed files into sorted Parquet, and remove what came from files that are gone.

    Rows that cannot be read are kept in rejects.
    """
    from limner import project as work
    from limner.output import print_rows
    from limner.progress import TerminalProgress

    chosen = style_of(style)
    if dry_run:
        _say_plan(directory, chosen)
        return
    entries = work.sync(opened(directory), TerminalProgress())
    rows = [
        {
            "source": entry.source, "rows": entry.rows, "duplicates": entry.duplicates, "rejected": entry.rejected,
            "first_time": entry.first_time, "last_time": entry.last_time, "reused": entry.reused,
            "files": len(entry.parts), "read": len(entry.read), "gone": len(entry.gone),
            "erased": entry.erased,
        }
        for entry in entries
    ]  # fmt: skip
    print_rows(rows, chosen)


def _say_plan(directory: Path, style: Format) -> None:
    from limner import project as work
    from limner.output import print_error, print_rows
    from limner.progress import TerminalProgress
    from limner_profile.errors import UserError

    plans = work.plan(directory)
    rows: list[dict[str, object]] = [
        {
            "source": plan.source, "new": list(plan.new), "changed": list(plan.changed), "gone": list(plan.gone),
            "unchanged": plan.unchanged, "new_columns": list(plan.new_columns),
            "missing_columns": list(plan.missing_columns), "retyped_columns": list(plan.retyped_columns),
        }
        for plan in plans
    ]  # fmt: skip
    if style.value != "json":
        rows = [{key: " ".join(word) if isinstance(word, list) else word for key, word in row.items()} for row in rows]
    print_rows(rows, style)
    for note in (note for plan in plans for note in plan.notes):
        TerminalProgress().warn(note)
    issues = [issue for plan in plans for issue in plan.issues]
    if issues:
        print_error(UserError(issues))
        raise typer.Exit(1)


def build(
    directory: Dir = Path("."),
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="The instant of knowledge, exclusive: 2025-12-31, local; by default the midnight after the last event.",
        ),
    ] = None,
    style: Style = "table",
) -> None:
    """Build a snapshot: tags, scores of trained scenarios, audiences.

    It becomes the current one, with a past or future --as-of too: 'limner snapshots rollback' goes back to the one before.
    """
    from limner import project as work
    from limner.output import print_object
    from limner.progress import TerminalProgress

    chosen = style_of(style)
    project = opened(directory)
    progress = TerminalProgress()
    built = work.build(project, as_of, progress)
    rejected = sum(entry.rejected for entry in built.ingested)
    for entry in built.ingested:
        if entry.rejected > 0.05 * (entry.rows + entry.duplicates + entry.rejected):
            share = entry.rejected / (entry.rows + entry.duplicates + entry.rejected)
            progress.warn(
                f"{share:.0%} of the rows of {entry.source!r} could not be read: is it UTF-8, and are the columns mapped right?"
            )
    if rejected:
        progress.warn(f'{rejected:,} rows could not be read: limner sql "select * from rejects"')
    content = {
        "snapshot": built.snapshot,
        "as_of": built.as_of.astimezone(project.workspace.timezone).isoformat(),
        "users": built.users,
        "tags": len(project.catalog.definitions),
        "rejected": rejected,
        "rated": list(built.rated),
        "audiences": dict(built.audiences),
    }
    print_object(content, chosen)
