"""Exporting from the front door: where the file goes, who exports and when. Imports the floors below."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from limner.project import Project
from limner_segments.exports.csv_file import export_csv
from limner_segments.exports.manifest import Manifest
from limner_segments.segment import NamedSegment


def export_segment(
    project: Project, named: NamedSegment, out: Path | None, columns: Sequence[str], *, overwrite: bool = False
) -> tuple[Path, Manifest]:
    """The file written and its manifest; by default `exports/<segment>.csv` in the workspace, with the tags that the condition uses."""
    target = out or project.workspace.root / "exports" / f"{named.name or 'audience'}.csv"
    used = [tag for tag in project.catalog.tags if tag in named.condition.fields()]
    with project.store.open() as snapshot:
        manifest = export_csv(
            snapshot,
            named,
            project.catalog,
            target,
            columns or used,
            min_size=project.workspace.settings.min_export,
            who=_who(),
            when=datetime.now(UTC),
            overwrite=overwrite,
        )
    return target, manifest


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
