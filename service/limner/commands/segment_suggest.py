"""limner segments suggest: the RFM groups and the stages of a lifecycle as ready segments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, Language, SnapshotId, Style, language_of, opened, style_of


def suggest(
    grid: Annotated[str, typer.Argument(help="rfm or lifecycle.")],
    directory: Dir = Path("."),
    write: Annotated[
        bool, typer.Option("--write", help="Save them to segments/, one file each; refused where a name is taken.")
    ] = False,
    snapshot: SnapshotId = None,
    language: Language = None,
    style: Style = "table",
) -> None:
    """Suggest segments from tags of kind rfm (the eight groups) or lifecycle (its stages), with their sizes."""
    from limner.output import Format, print_rows
    from limner_segments.suggestions import grid_of, save_suggestions, suggest_segments

    chosen = style_of(style)
    wanted = grid_of(grid)
    project = opened(directory)
    shown = language_of(project, language)
    with project.store.open(snapshot) as current:
        found = suggest_segments(current, project.catalog, wanted, list(project.segments))
    paths = save_suggestions(project.workspace, found) if write else []
    saved: list[str | None] = [str(path.relative_to(project.workspace.root)) for path in paths]
    saved = saved or [None] * len(found)
    rows = [
        {
            "name": one.named.name, "title": one.named.title(shown), "title_en": one.named.title("en"), "title_zh": one.named.title("zh"),
            "size": one.size, "share": round(one.share, 4), "condition": one.named.condition.to_text(), "taken": one.taken, "path": path,
        }
        for one, path in zip(found, saved, strict=True)
    ]  # fmt: skip
    columns = ["name", "title", "size", "share", "condition", "path" if write else "taken"]
    if chosen is not Format.table:
        columns = ["name", "title_en", "title_zh", "size", "share", "condition", "taken", "path"]
    print_rows(rows, chosen, columns, language=shown)
