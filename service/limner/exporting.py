"""Exporting from the front door: where the file goes, what fills its columns, who exports and when. Imports the floors below."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from limner.delivering import Asked, target_of, to_file
from limner.project import Project
from limner_profile.errors import Issue, UserError
from limner_segments.exports.delivery import Delivered
from limner_segments.exports.fields import PlatformFields
from limner_segments.exports.formats import file_format
from limner_segments.exports.formats.base import Options
from limner_segments.exports.recipients import Recipients
from limner_segments.exports.settings import export_settings
from limner_segments.segment import NamedSegment


def export_segment(
    project: Project,
    named: NamedSegment,
    out: Path | None,
    columns: Sequence[str],
    *,
    kind: str = "csv",
    fields: Mapping[str, str] | None = None,
    region: str | None = None,
    hashed: bool | None = None,
    safe_cells: bool = False,
    overwrite: bool = False,
    asked: Asked | None = None,
) -> tuple[Delivered, Recipients]:
    """The file written with its manifest, and whom it holds; by default below `exports/` in the workspace.

    `columns` are the tags of kinds that take any, by default those that the condition uses; `fields` (field of the platform to tag),
    `region` and `hashed` are stronger than limner.yaml. `asked` names a destination, or holds users out. Raises what `write_rows` and
    `draw_recipients` raise.
    """
    asked = asked or Asked()
    target = out or target_of(project, named, asked) or default_file(project, named, kind)
    filled = columns_of(project, named, kind, columns, fields or {})
    options = options_of(project, kind, region=region, hashed=hashed, safe_cells=safe_cells)
    return to_file(
        project,
        named,
        asked,
        kind,
        target,
        filled,
        options,
        who=who_exports(),
        now=datetime.now(UTC),
        overwrite=overwrite,
    )


def default_file(project: Project, named: NamedSegment, kind: str) -> Path:
    """Where an export goes that nobody sent elsewhere: `exports/<segment>.csv`, for a platform `exports/<segment>.google.csv`."""
    format_ = file_format(kind)
    middle = f".{kind}" if format_.FIELDS else ""
    return project.workspace.root / "exports" / f"{named.name or 'audience'}{middle}{format_.SUFFIX}"


def columns_of(
    project: Project, named: NamedSegment, kind: str, columns: Sequence[str], fields: Mapping[str, str]
) -> dict[str, str]:
    """Column to tag of an export: the given tags, else those of the condition; for a platform its fields in limner.yaml, then `fields`."""
    if file_format(kind).FIELDS:
        if columns:
            hint = "name what fills the platform's fields: --map email=TAG, or 'exports:' in limner.yaml"
            raise UserError(Issue("bad-value", "--columns", f"the columns of {kind} are its own", hint))
        return {**_platform(project, kind).tags(), **fields}
    if fields:
        raise UserError(Issue("bad-value", "--map", f"{kind} has no fields to fill", "name tags by --columns"))
    used = [tag for tag in project.catalog.tags if tag in named.condition.fields()]
    return {tag: tag for tag in columns or used}


def options_of(
    project: Project, kind: str, *, region: str | None = None, hashed: bool | None = None, safe_cells: bool = False
) -> Options:
    """The options of an export: those given, else those in limner.yaml."""
    if not file_format(kind).FIELDS:
        wrong = "--region" if region is not None else "--hashed" if hashed else ""
        if wrong:
            raise UserError(Issue("bad-value", wrong, f"{kind} has nothing to normalise", "for --as google or meta"))
        return Options(safe_cells=_safe(kind, safe_cells))
    platform = _platform(project, kind)
    return Options(
        hashing="off" if (platform.hashed if hashed is None else hashed) else "on",
        region=region or platform.region or None,
        safe_cells=_safe(kind, safe_cells),
    )


def who_exports() -> str:
    """The name of the person, or unknown."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _safe(kind: str, safe_cells: bool) -> bool:
    if safe_cells and kind != "csv":
        raise UserError(Issue("bad-value", "--safe-cells", f"{kind} is not for spreadsheets", "for --as csv only"))
    return safe_cells


def _platform(project: Project, kind: str) -> PlatformFields:
    settings = export_settings(project.workspace, project.catalog.types)
    found = {"google": settings.google, "meta": settings.meta}.get(kind)
    return found or PlatformFields()
