"""limner sql: read-only SQL against a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, SnapshotId, Style, style_of


def sql(
    query: Annotated[
        str,
        typer.Argument(help="One SELECT. Tables: profiles, tags, segments, audiences, scores, reasons, insights, …"),
    ],
    directory: Dir = Path("."),
    snapshot: SnapshotId = None,
    style: Style = "table",
    seconds: Annotated[float, typer.Option("--timeout", min=0, help="Stop the query after so many seconds.")] = 60.0,
) -> None:
    """Run one read-only SELECT against a snapshot."""
    from limner.output import print_rows
    from limner_profile.query import run_query
    from limner_profile.snapshots import SnapshotStore
    from limner_profile.workspace import open_workspace

    chosen = style_of(style)
    with SnapshotStore(open_workspace(directory).state).open(snapshot) as opened:
        result = run_query(opened, query, seconds)
    names = _distinct(result.columns)
    print_rows([dict(zip(names, row, strict=True)) for row in result.rows], chosen, names)


def _distinct(names: list[str]) -> list[str]:
    """Column names made distinct: SQL allows the same one twice, a row as a mapping does not."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct
