"""limner snapshots list, diff, rollback and prune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.commands.options import Dir, Style, style_of

if TYPE_CHECKING:
    from limner_profile.snapshots import SnapshotStore

app = typer.Typer(help="The builds that are kept: compare, roll back, prune.", no_args_is_help=True)


@app.command("list")
def list_snapshots(directory: Dir = Path("."), style: Style = "table") -> None:
    """List the kept snapshots, oldest first."""
    from limner.output import print_rows

    chosen = style_of(style)
    store = _store(directory)
    current = store.current_id()
    rows = []
    for name in store.ids():
        with store.open(name) as snapshot:
            users = snapshot.value("SELECT count(*) FROM profiles")
            created = snapshot.value("SELECT created_at FROM snapshot")
            megabytes = round(snapshot.path.stat().st_size / 1e6, 1)
            rows.append(
                {
                    "id": name,
                    "as_of": snapshot.as_of_text,
                    "created_at": created,
                    "users": users,
                    "megabytes": megabytes,
                    "current": name == current,
                }
            )
    print_rows(rows, chosen, ["id", "as_of", "created_at", "users", "megabytes", "current"])


@app.command("diff")
def diff(
    before: Annotated[
        str | None, typer.Argument(help="A snapshot id; the parent of AFTER by default.", show_default=False)
    ] = None,
    after: Annotated[
        str | None, typer.Argument(help="A snapshot id; the current one by default.", show_default=False)
    ] = None,
    directory: Dir = Path("."),
    every: Annotated[bool, typer.Option("--all", help="Also the tags that did not change.")] = False,
    style: Style = "table",
) -> None:
    """Compare two snapshots: users, tags with their drift (PSI), audiences. CSV holds the tags."""
    from limner.output import Format, console, print_object, print_rows
    from limner_profile.difference import both_attached, diff_snapshots
    from limner_profile.drift import drift_words
    from limner_profile.errors import Issue, RefusedError
    from limner_segments.audience_difference import diff_audiences

    chosen = style_of(style)
    store = _store(directory)
    with store.open(after) as new:
        older = before or store.previous_id(new.id)
        if older is None:
            message = f"no snapshot before {new.id} is kept"
            raise RefusedError(Issue("no-earlier-snapshot", "", message, "build again, or name two snapshots"))
        with store.open(older) as old, both_attached(old, new) as connection:
            found, audiences = diff_snapshots(connection, old, new), diff_audiences(connection)
            as_of = (old.as_of_text, new.as_of_text)
    tags = [
        {
            "tag": tag.tag, "change": tag.change, "coverage_before": tag.coverage_before, "coverage_after": tag.coverage_after,
            "before": tag.before, "after": tag.after, "psi": tag.psi, "drift": drift_words(tag.psi),
        }
        for tag in found.tags
    ]  # fmt: skip
    members = [
        {
            "segment": audience.segment, "change": audience.change, "size_before": audience.size_before,
            "size_after": audience.size_after, "joined": audience.joined, "left": audience.left,
        }
        for audience in audiences
    ]  # fmt: skip
    columns = ["tag", "change", "coverage_before", "coverage_after", "before", "after", "psi", "drift"]
    content = {
        "before": {"snapshot": found.before, "as_of": as_of[0], "users": found.users_before},
        "after": {"snapshot": found.after, "as_of": as_of[1], "users": found.users_after},
        "joined": list(found.joined), "left": list(found.left), "tags": tags, "audiences": members,
    }  # fmt: skip
    if chosen is Format.json:
        print_object(content, chosen)
    elif chosen is Format.csv:
        print_rows(tags, chosen, columns)
    else:
        lines = {
            "from": f"{found.before}, as of {as_of[0]}: {found.users_before:,} users",
            "to": f"{found.after}, as of {as_of[1]}: {found.users_after:,} users",
            "users": f"{len(found.joined):,} joined, {len(found.left):,} left",
        }
        print_object(lines, chosen)
        moved = [
            tag
            for tag in tags
            if every
            or tag["change"] != "same"
            or tag["before"] != tag["after"]
            or tag["coverage_before"] != tag["coverage_after"]
        ]
        console().print()
        print_rows(moved, chosen, columns, title=f"tags: {len(tags) - len(moved)} of {len(tags)} did not change")
        console().print()
        print_rows(members, chosen, ["segment", "change", "size_before", "size_after", "joined", "left"], "audiences")


@app.command("rollback")
def rollback(
    snapshot: Annotated[
        str | None, typer.Argument(help="A snapshot id; the one before the current by default.", show_default=False)
    ] = None,
    directory: Dir = Path("."),
    style: Style = "table",
) -> None:
    """Make an earlier snapshot the current one again; nothing is deleted, and the move is recorded."""
    from limner.output import print_object

    chosen = style_of(style)
    move = _store(directory).rollback(snapshot)
    print_object({"current": move.after, "before": move.before, "at": move.at}, chosen)


@app.command("prune")
def prune(
    directory: Dir = Path("."),
    keep: Annotated[
        int | None,
        typer.Option("--keep", help="How many of the newest to keep, at least 1.", show_default="keep_snapshots"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    style: Style = "table",
) -> None:
    """Remove old snapshots; the current one always stays."""
    from limner.output import print_object
    from limner_profile.errors import Issue, UserError
    from limner_profile.workspace import open_workspace

    chosen = style_of(style)
    if keep is not None and keep < 1:
        raise UserError(Issue("bad-value", "--keep", f"{keep} is no number of snapshots to keep", "1 or more"))
    store, settings = _store(directory), open_workspace(directory).settings
    removed = store.prune(keep or settings.keep_snapshots, dry_run=dry_run)
    kept = [name for name in store.ids() if name not in removed]
    print_object({"removed": removed, "kept": kept, "dry_run": dry_run}, chosen)


def _store(directory: Path) -> SnapshotStore:
    from limner_profile.snapshots import SnapshotStore
    from limner_profile.workspace import open_workspace

    return SnapshotStore(open_workspace(directory).state)
