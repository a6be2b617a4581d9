"""limner segments export, and limner export: an audience as a file for a channel, and the proof of such a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.commands.deliveries import (
    Changes,
    DryRun,
    HoldOutShare,
    Salt,
    To,
    abandon_run,
    destined,
    list_exports,
    print_reckoned,
    sent,
)
from limner.commands.options import Dir, SegmentName, Style, WhereText, note_stale, opened, segment_of, style_of
from limner.commands.segments import app as segments_app

app = typer.Typer(help="Exported files: prove one against its manifest.", no_args_is_help=True)


@segments_app.command("export")
def export(
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    kind: Annotated[
        str | None,
        typer.Option("--as", help="csv, jsonl, parquet, google or meta; csv by default.", show_default=False),
    ] = None,
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
    to: To = None,
    changes: Changes = False,
    holdout: HoldOutShare = None,
    salt: Salt = None,
    dry_run: DryRun = False,
    style: Style = "table",
) -> None:
    """Deliver an audience to a file or a destination, by the rules of limner.yaml, with a manifest and a record in the ledger."""
    from limner.commands.export_report import print_export, print_sent
    from limner.delivering import Asked, consents
    from limner.exporting import export_segment
    from limner.output import Format, print_object
    from limner.progress import TerminalProgress
    from limner_segments.exports.fields import read_map

    chosen = style_of(style)
    project = opened(directory)
    named = segment_of(project, name, where)
    asked = Asked(to, changes, holdout, salt)
    tags = [column.strip() for column in columns.split(",") if column.strip()]
    with project.store.open() as current:
        note_stale(project, current, named, consents(project, asked))
        if dry_run:
            print_reckoned(project, current, named, asked, chosen)
            return
    kind, tags = destined(project, asked, kind, tags, out)
    if kind == "webhook":
        told = sent(project, named, asked, tags)
        print_sent(told) if chosen is Format.table else print_object(told, chosen)
        return
    delivered, recipients = export_segment(
        project,
        named,
        out,
        tags,
        kind=kind,
        fields=read_map(fields or []),
        region=region,
        hashed=hashed,
        safe_cells=safe_cells,
        overwrite=overwrite,
        asked=asked,
    )
    for warning in recipients.warnings:
        TerminalProgress().warn(warning)
    content: dict[str, Any] = {"path": str(delivered.path), **({"left": str(delivered.left)} if delivered.left else {})}
    record = {"export": delivered.record.id, "accounting": delivered.record.accounting}
    content = {**content, **delivered.manifest.model_dump(), **record}
    print_export(content) if chosen is Format.table else print_object(content, chosen)


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


app.command("list")(list_exports)
app.command("abandon")(abandon_run)
