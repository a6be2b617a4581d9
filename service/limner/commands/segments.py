"""limner segments: show, size and sql; each on a name or --where. The other verbs have files of their own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from limner.commands.options import (
    Dir,
    SegmentName,
    SnapshotId,
    Style,
    WhereText,
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
    from limner.output import Format, print_object
    from limner_segments.audience import audience_query, measure_audience, prepare
    from limner_segments.conditions.like_segment import LikeSegment

    chosen = style_of(style)
    project = opened(directory)
    named = segment_of(project, name, where)
    with project.store.open() as snapshot:
        note_stale(project, snapshot, named)
        measured = measure_audience(snapshot, named.condition)
        scope = prepare(snapshot.connection, named.condition)
        sql = audience_query(named.condition, scope).sql(dialect="duckdb")
        lookalikes = [
            {"segment": call.segment, "top": call.top} | asdict(call.describe(scope, snapshot.connection))
            for call in named.condition.walk()
            if isinstance(call, LikeSegment) and scope is not None
        ]
    content: dict[str, Any] = {
        "name": named.name or None, "title": named.title("en") or None, "purpose": named.segment.purpose or None,
        "condition": named.segment.where.to_text(), "sentence_en": named.sentence("en", project.catalog),
        "sentence_zh": named.sentence("zh", project.catalog), "sql": sql,
        "size": measured.size, "share": measured.share, "unknown_share": measured.unknown_share,
        "origin": named.segment.origin.model_dump() if named.segment.origin else None,
    }  # fmt: skip
    if lookalikes:
        content["lookalikes"] = "; ".join(map(_told, lookalikes)) if chosen is Format.table else lookalikes
    print_object(content, chosen)


def _told(found: dict[str, Any]) -> str:
    auc = f"AUC {found['auc']:.2f} ({found['auc_low']:.2f}–{found['auc_high']:.2f}) out of fold"
    crowd = f"{found['seed']:,} users against {found['candidates']:,}"
    return f"{found['segment']}: {auc}, {crowd}, by {len(found['tags'])} tags"


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
    from limner_segments.audience import audience_query, needs_scope, prepare

    project = opened(directory)
    condition, scope = segment_of(project, name, where).condition, None
    if needs_scope(condition):  # windows are counted from the snapshot's as_of
        with project.store.open() as snapshot:
            scope = prepare(snapshot.connection, condition)
    typer.echo(audience_query(condition, scope).sql(dialect="duckdb", pretty=True))
