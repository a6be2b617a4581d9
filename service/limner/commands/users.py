"""limner users: merges and unmerge."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.commands.options import Dir, Style, style_of

if TYPE_CHECKING:
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
