"""limner segments: show, size, sql, compare and export; each on a name or --where. The other commands have files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import (
    Dir,
    Language,
    SegmentName,
    SnapshotId,
    Style,
    WhereText,
    language_of,
    note_stale,
    opened,
    segment_of,
    style_of,
)

app = typer.Typer(help="Audiences: define, size, compare, export.", no_args_is_help=True)


@app.command("show")
def show_segment(
    name: SegmentName = None, directory: Dir = Path("."), where: WhereText = None, style: Style = "table"
) -> None:
    """Show a segment: its condition as text, as a sentence and as SQL, and its size."""
    from limner.output import print_object
    from limner_segments.audience import audience_query, measure_audience, prepare

    chosen = style_of(style)
    project = opened(directory)
    named = segment_of(project, name, where)
    with project.store.open() as snapshot:
        note_stale(project, snapshot, named)
        measured = measure_audience(snapshot, named.condition)
        sql = audience_query(named.condition, prepare(snapshot.connection, named.condition)).sql(dialect="duckdb")
    content = {
        "name": named.name or None, "title": named.title("en") or None, "purpose": named.segment.purpose or None,
        "condition": named.segment.where.to_text(), "sentence_en": named.sentence("en", project.catalog),
        "sentence_zh": named.sentence("zh", project.catalog), "sql": sql,
        "size": measured.size, "share": measured.share, "unknown_share": measured.unknown_share,
        "origin": named.segment.origin.model_dump() if named.segment.origin else None,
    }  # fmt: skip
    print_object(content, chosen)


@app.command("size")
def size(
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    snapshot: SnapshotId = None,
    style: Style = "table",
) -> None:
    """Count an audience exactly, before or after saving it, with the count after each rule and the share of unknowns."""
    from limner.output import Format, console, print_object, print_rows
    from limner_segments.audience import measure_audience
    from limner_segments.funnel import measure_funnel

    chosen = style_of(style)
    project = opened(directory)
    named = segment_of(project, name, where)
    with project.store.open(snapshot) as current:
        note_stale(project, current, named)
        measured = measure_audience(current, named.condition)
        steps = [
            {
                "step": step.step, "rule": step.rule, "condition": step.condition.to_text(), "alone": step.alone, "count": step.count,
                "change": step.change, "unknown": step.unknown, "unknown_share": step.unknown_share, "unknown_lost": step.unknown_lost,
            }
            for step in measure_funnel(current, named.condition)
        ]  # fmt: skip
        content = {
            "size": measured.size, "users": measured.users, "share": measured.share,
            "unknown": measured.unknown, "unknown_share": measured.unknown_share, "snapshot": current.id, "as_of": current.as_of_text,
        }  # fmt: skip
    if chosen is not Format.table:
        print_object({**content, "steps": steps}, chosen)
        return
    print_object(content, chosen)
    console().print()
    print_rows(steps, chosen)


@app.command("sql")
def segment_sql(name: SegmentName = None, directory: Dir = Path("."), where: WhereText = None) -> None:
    """Print the SQL of an audience over the snapshot's profiles and events; `limner sql` runs it."""
    from limner_segments.audience import audience_query, prepare
    from limner_segments.conditions.base import user_sets

    project = opened(directory)
    condition, scope = segment_of(project, name, where).condition, None
    if user_sets(condition):  # windows are counted from the snapshot's as_of
        with project.store.open() as snapshot:
            scope = prepare(snapshot.connection, condition)
    typer.echo(audience_query(condition, scope).sql(dialect="duckdb", pretty=True))


@app.command("compare")
def compare(
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    snapshot: SnapshotId = None,
    top: Annotated[int, typer.Option("--top", help="How many traits to show.", min=1)] = 20,
    language: Language = None,
    style: Style = "table",
) -> None:
    """Compare an audience with everyone: TGI of each trait with its 95 % interval, tested against the rest."""
    from limner.output import print_rows
    from limner_segments.comparison import compare_audience

    chosen = style_of(style)
    project = opened(directory)
    named = segment_of(project, name, where)
    with project.store.open(snapshot) as current:
        note_stale(project, current, named)
        traits = compare_audience(
            current,
            named.condition,
            project.catalog,
            language_of(project, language),
            project.workspace.settings.min_group,
        )
    names = [
        "tag",
        "title",
        "trait",
        "audience_share",
        "base_share",
        "tgi",
        "tgi_low",
        "tgi_high",
        "ceiling",
        "q_value",
        "tautological",
        "suppressed",
    ]
    rows = [{key: getattr(trait, key) for key in names} for trait in traits[:top]]
    if chosen.value == "table":
        rows = [
            {
                **row,
                **{
                    key: None if row[key] is None else round(row[key], 3 if "share" in key else 1)
                    for key in names
                    if isinstance(row[key], float) and key != "q_value"
                },
            }
            for row in rows
        ]
        names = [key for key in names if key not in ("tag", "suppressed")]
    print_rows(rows, chosen, names)


@app.command("export")
def export(
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; exports/<segment>.csv by default.")
    ] = None,
    columns: Annotated[str, typer.Option("--columns", help="Tags to export beside user_id, with commas.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    style: Style = "table",
) -> None:
    """Write an audience as CSV, with a manifest that proves the file."""
    from limner.exporting import export_segment
    from limner.output import print_object

    chosen = style_of(style)
    project = opened(directory)
    named = segment_of(project, name, where)
    with project.store.open() as current:
        note_stale(project, current, named)
    chosen_columns = [column.strip() for column in columns.split(",") if column.strip()]
    path, manifest = export_segment(project, named, out, chosen_columns, overwrite=overwrite)
    print_object({"path": str(path), **manifest.model_dump()}, chosen)
