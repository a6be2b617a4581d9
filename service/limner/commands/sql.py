"""limner sql: read-only SQL against a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, SnapshotId, style_of


def sql(
    query: Annotated[
        str,
        typer.Argument(help="One SELECT. Tables: profiles, tags, segments, audiences, scores, reasons, insights, …"),
    ],
    directory: Dir = Path("."),
    snapshot: SnapshotId = None,
    style: Annotated[str, typer.Option("--format", help="table, json, csv, or parquet with --out.")] = "table",
    out: Annotated[
        Path | None, typer.Option("--out", help="The file that --format parquet writes.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print DuckDB's plan instead of the result.")] = False,
    seconds: Annotated[float, typer.Option("--timeout", min=0, help="Stop the query after so many seconds.")] = 60.0,
) -> None:
    """Run one read-only SELECT against a snapshot."""
    from limner.output import print_rows
    from limner_profile.errors import Issue, UserError
    from limner_profile.query import explain_query, run_query, write_parquet
    from limner_profile.snapshots import SnapshotStore
    from limner_profile.workspace import open_workspace

    chosen = style_of("table" if style == "parquet" else style, also="parquet")
    if (style == "parquet") != (out is not None):
        raise UserError(
            Issue(
                "bad-value",
                "--out",
                "--format parquet and --out belong together",
                "limner sql … --format parquet --out f.parquet",
            )
        )
    with SnapshotStore(open_workspace(directory).state).open(snapshot) as opened:
        if explain:
            typer.echo(explain_query(opened, query))
            return
        if out is not None:
            rows = write_parquet(opened, query, out, seconds, overwrite=overwrite)
            typer.echo(f"{rows:,} rows written to {out}", err=True)
            return
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
