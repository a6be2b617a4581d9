"""limner users: merges, unmerge, erase and unerase."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import Dir, Style, style_of

if TYPE_CHECKING:
    from limner.erasing import Outside
    from limner.output import Format
    from limner_profile.erasure import ErasurePlan
    from limner_profile.workspace import Workspace

app = typer.Typer(help="Who is one user: ids merged, kept apart, erased.", no_args_is_help=True)


@app.command("merges")
def merges(
    user: Annotated[
        str | None, typer.Argument(help="Only what was ever merged with this id.", show_default=False)
    ] = None,
    directory: Dir = Path("."),
    refused: Annotated[bool, typer.Option("--refused", help="The ids that are not merged, and why.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many rows of the log; 0 for all.")] = 100,
    style: Style = "table",
) -> None:
    """Show the merge log, newest first: which id was merged into which user, and taken out again."""
    from limner.output import print_rows
    from limner_profile.merge_log import read_merges, read_refusals

    chosen = style_of(style)
    workspace = _workspace(directory)
    if refused:
        rows = [row for row in read_refusals(workspace) if user in (None, row["id"])]
        print_rows(rows[: limit or None], chosen, ["id", "reason", "ids"])
        return
    print_rows(read_merges(workspace, user, limit), chosen, ["at", "action", "id", "user_id", "before"])


@app.command("unmerge")
def unmerge(
    ids: Annotated[list[str], typer.Argument(help="Ids that stand for themselves from now on.")],
    directory: Dir = Path("."),
    note: Annotated[str, typer.Option("--note", help="Why; kept in identities.yaml.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let these ids be merged again.")] = False,
    style: Style = "table",
) -> None:
    """Keep ids apart from all others, whatever the sources say: noted in identities.yaml, in force from the next build on."""
    from limner.output import print_object
    from limner_profile.errors import unknown_name
    from limner_profile.identity_exceptions import UnmergedId, read_exceptions, write_exceptions
    from limner_profile.merge_log import record_merges
    from limner_profile.snapshots import SnapshotStore

    chosen = style_of(style)
    workspace = _workspace(directory)
    with SnapshotStore(workspace.state).lock():
        known = read_exceptions(workspace)
        if undo:
            for name in ids:
                if name not in known:
                    raise unknown_name("unmerged-id", name, known, "identities.yaml")
                del known[name]
        else:
            _must_be_paired(workspace, ids)
            known |= {name: UnmergedId(id=name, note=note) for name in ids}
        write_exceptions(workspace, known.values())
        change = record_merges(workspace, datetime.now(UTC))
    content = {
        "merged": change.merged if change else 0, "moved": change.moved if change else 0,
        "unmerged": change.unmerged if change else 0, "kept_apart": list(known),
    }  # fmt: skip
    print_object(content, chosen)
    typer.echo("in force from the next 'limner build' on", err=True)


def _must_be_paired(workspace: Workspace, ids: list[str]) -> None:
    """Raise UnknownNameError for an id that no pair names: mostly a slip of the pen."""
    from limner_profile.errors import unknown_name
    from limner_profile.identity import paired_ids

    for name in ids:
        known = paired_ids(workspace, name)
        if name not in known:
            raise unknown_name("id", name, known)


def _workspace(directory: Path) -> Workspace:
    from limner_profile.workspace import open_workspace

    return open_workspace(directory)


@app.command("erase")
def erase(
    users: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of the people to erase; none to finish an interrupted erasure.", show_default=False),
    ] = None,
    directory: Dir = Path("."),
    file: Annotated[Path | None, typer.Option("--file", help="A text file with one id a line.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Blank ids that are words or short numbers in every other column, too.")
    ] = False,
    style: Style = "table",
) -> None:
    """Remove people from events, every kept snapshot, scores, reasons and records, and prove it by a scan.

    All ids that are merged with theirs go, too. A later sync leaves their rows out. Exit code 1 where anything is left.
    """
    from limner.erasing import erase_users, find_outside, plan_only, read_list
    from limner.progress import TerminalProgress
    from limner_profile.errors import Issue, RefusedError

    chosen = style_of(style)
    workspace, progress = _workspace(directory), TerminalProgress()
    ids = [*(users or ()), *(read_list(file) if file else ())]
    if dry_run:
        plan = plan_only(workspace, ids, progress, everywhere=everywhere)
        rows = [{"place": trace.place, "rows": trace.rows, "values": trace.values} for trace in plan.traces]
        _say_erasure(chosen, plan, rows, find_outside(workspace, plan), {"dry_run": True})
        return

    def agree(plan: ErasurePlan) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            hint = "look with --dry-run, then add --yes"
            raise RefusedError(Issue("not-confirmed", "", "nothing was erased: nobody could be asked", hint))
        rows = sum(trace.rows for trace in plan.traces)
        listed = ", ".join(plan.wanted.ids[:8]) + (", …" if len(plan.wanted.ids) > 8 else "")
        question = f"erase {listed}: {rows:,} rows in {len(plan.traces):,} places? this cannot be undone"
        return typer.confirm(question, err=True)

    plan, done, outside = erase_users(workspace, ids, agree, progress, everywhere=everywhere)
    if done is None:
        typer.echo("nothing was erased", err=True)
        raise typer.Exit(1)
    rows = [
        {"place": place.place, "rows": place.rows, "values": place.values, "left": place.left} for place in done.places
    ]
    _say_erasure(chosen, plan, rows, outside, {"files_scanned": done.scanned, "left": done.left})
    if done.left:
        typer.echo(
            "not everything could be erased: see what is left; a model that learnt an id is trained again with 'limner scenarios train'",
            err=True,
        )
        raise typer.Exit(1)


@app.command("unerase")
def unerase(
    users: Annotated[list[str], typer.Argument(help="Ids that may come again, such as of people who signed up anew.")],
    directory: Dir = Path("."),
    style: Style = "table",
) -> None:
    """Take ids off the erasure list: the next sync reads the sources that hold them anew."""
    from limner.output import print_object
    from limner_profile.erasure import unerase as take_off
    from limner_profile.snapshots import SnapshotStore

    chosen = style_of(style)
    workspace = _workspace(directory)
    with SnapshotStore(workspace.state).lock():
        again = take_off(workspace, users)
    print_object({"unerased": users, "read_anew": again}, chosen)


def _say_erasure(
    style: Format, plan: ErasurePlan, rows: list[dict[str, Any]], outside: Outside, further: dict[str, Any]
) -> None:
    from limner.output import print_object, print_rows

    if style.value == "json":
        content = {"ids": list(plan.wanted.ids), "asked": list(plan.asked), "places": rows, **further}
        content["sources"] = [{"source": name, "origin": origin, "rows": n} for name, origin, n in outside.sources]
        content |= {"exports": list(outside.exports), "values": list(outside.values)}
        content |= {"definitions": list(outside.definitions), "platform_exports": list(outside.platform_exports)}
        content["lists"] = list(outside.lists)
        print_object({**content, "ambiguous": list(plan.ambiguous)}, style)
        return
    print_rows(rows, style, list(rows[0]) if rows else ["place", "rows", "values"])
    notes = []
    merged = [id_ for id_ in plan.wanted.ids if id_ not in plan.asked]
    if merged:
        notes.append(f"merged with those asked for, and so the same people: {', '.join(merged)}")
    if "left" in further:
        notes.append(f"{further['files_scanned']:,} files scanned: {further['left']:,} occurrences left")
    notes += [f"the source {name} still holds them: {origin}, {n:,} rows" for name, origin, n in outside.sources]
    notes += [f"the export {path} still holds them" for path in outside.exports]
    notes += [
        f"the export {path} holds contact data without ids: whether theirs is in it cannot be seen"
        for path in outside.platform_exports
    ]
    notes += [f"the values of {path} still hold them" for path in outside.values]
    notes += [f"{path} names them" for path in outside.definitions]
    notes += [f"the list {path} still holds them" for path in outside.lists]
    if plan.ambiguous:
        listed = ", ".join(plan.ambiguous[:8]) + (", …" if len(plan.ambiguous) > 8 else "")
        notes.append(
            f"words and short numbers are not looked for in columns that hold no ids: {listed}; see --everywhere"
        )
    for note in notes:
        typer.echo(note, err=True)
