"""limner segments export, and limner export: an audience as a file for a channel, and the proof of such a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, SegmentName, Style, WhereText, note_stale, opened, segment_of, style_of
from limner.commands.segments import app as segments_app

app = typer.Typer(help="Exported files: prove one against its manifest.", no_args_is_help=True)


@segments_app.command("export")
def export(
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    kind: Annotated[str, typer.Option("--as", help="csv, jsonl, parquet, google or meta.")] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; exports/<segment>.csv by default.")
    ] = None,
    columns: Annotated[str, typer.Option("--columns", help="Tags to export beside user_id, with commas.")] = "",
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="What fills a field of a platform, as email=TAG; may be repeated.", show_default=False
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="The country of phone numbers without a country code, as CN.")
    ] = None,
    hashed: Annotated[
        bool | None,
        typer.Option("--hashed/--raw", help="Whether the tags hold SHA-256 digests already.", show_default=False),
    ] = None,
    safe_cells: Annotated[
        bool, typer.Option("--safe-cells", help="Put an apostrophe before texts that a spreadsheet would run (csv).")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    style: Style = "table",
) -> None:
    """Write an audience as a file for a channel, with a manifest that proves it."""
    from limner.exporting import export_segment
    from limner.output import print_object
    from limner_segments.exports.fields import read_map

    chosen = style_of(style)
    project = opened(directory)
    named = segment_of(project, name, where)
    with project.store.open() as current:
        note_stale(project, current, named)
    path, manifest = export_segment(
        project,
        named,
        out,
        [column.strip() for column in columns.split(",") if column.strip()],
        kind=kind,
        fields=read_map(fields or []),
        region=region,
        hashed=hashed,
        safe_cells=safe_cells,
        overwrite=overwrite,
    )
    print_object({"path": str(path), **manifest.model_dump()}, chosen)


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The exported file; its manifest stands beside it.")],
    style: Style = "table",
) -> None:
    """Prove a file against its manifest: SHA-256, rows and columns."""
    from limner.output import print_object
    from limner_segments.exports.verify import verify_file

    chosen = style_of(style)
    manifest = verify_file(file).manifest
    kept = (
        "kind",
        "rows",
        "columns",
        "sha256",
        "segment",
        "definition_hash",
        "snapshot",
        "as_of",
        "hashing",
        "who",
        "when",
    )
    content = {key: value for key, value in manifest.model_dump().items() if key in kept}
    print_object({"path": str(file), "verified": True, **content}, chosen)
