"""limner segments check and build: whether definitions are sound, and their audiences without a whole build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, SegmentName, Style, WhereText, note_stale, opened, segment_of, style_of


def check(
    name: SegmentName = None, directory: Dir = Path("."), where: WhereText = None, style: Style = "table"
) -> None:
    """Check the definitions of all segments, or of one; nobody is counted."""
    from limner.output import print_rows
    from limner.project import read_project
    from limner_profile.errors import DefinitionError

    chosen = style_of(style)
    if name is None and where is None:
        project, issues = read_project(directory)
        mine = [issue for issue in issues if issue.where.startswith("segments/") or project is None]
        if mine or project is None:
            raise DefinitionError(mine or issues)
        checked = list(project.segments.values())
    else:
        project = opened(directory)
        checked = [segment_of(project, name, where)]
    if project.store.current_id() is not None:
        with project.store.open() as snapshot:
            for named in checked:
                note_stale(project, snapshot, named)
    rows = [{"name": named.name or None, "state": "sound", "condition": named.segment.where.to_text(), "where": named.place}
            for named in checked]  # fmt: skip
    print_rows(rows, chosen, ["name", "state", "condition", "where"])


def build(
    names: Annotated[list[str] | None, typer.Argument(help="Segments; all by default.", show_default=False)] = None,
    directory: Dir = Path("."),
    style: Style = "table",
) -> None:
    """Materialise audiences over the tags of the current snapshot: after editing segments, without a new build."""
    from limner.materialising import materialise
    from limner.output import print_rows
    from limner.progress import TerminalProgress

    chosen = style_of(style)
    done = materialise(opened(directory), names or [], TerminalProgress())
    print_rows(
        [{"name": name, "size": size, "snapshot": done.snapshot} for name, size in done.sizes.items()],
        chosen,
        ["name", "size", "snapshot"],
    )
