"""limner snapshots list."""

from __future__ import annotations

from pathlib import Path

import typer

from limner.commands.options import Dir, Style, style_of

app = typer.Typer(help="The builds that are kept.", no_args_is_help=True)


@app.command("list")
def list_snapshots(directory: Dir = Path("."), style: Style = "table") -> None:
    """List the kept snapshots, oldest first."""
    from limner.output import print_rows
    from limner_profile.snapshots import SnapshotStore
    from limner_profile.workspace import open_workspace

    chosen = style_of(style)
    store = SnapshotStore(open_workspace(directory).state)
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
