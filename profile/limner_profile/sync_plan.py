"""What a sync will do, found out without writing anything: which files are new, changed or gone, and which columns fit.

Imports sources, staging, manifest and workspace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from limner_profile.errors import Issue, SourceError
from limner_profile.manifest import Ingested, Part, read_manifest
from limner_profile.sources import (
    FieldType,
    Source,
    check_columns,
    field_type,
    file_columns,
    is_duckdb,
    source_files,
)
from limner_profile.staging import StagedField, staged_fields, unreadable_as
from limner_profile.workspace import Workspace


@dataclass(frozen=True)
class Piece:
    """One file of a source: its name in the manifest, its path, its fingerprint, and the part that it gave before."""

    origin: str
    path: Path
    fingerprint: str
    part: Part | None


@dataclass(frozen=True)
class SourcePlan:
    """What a sync will do with one source, and what is wrong with it."""

    source: str
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unchanged: int = 0
    new_columns: tuple[str, ...] = ()
    missing_columns: tuple[str, ...] = ()
    retyped_columns: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()
    pieces: tuple[Piece, ...] = ()
    fields: tuple[StagedField, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: files that are gone, columns that nothing maps."""
        texts = []
        if self.gone:
            texts.append(f"{self.source}: {_listed(self.gone)} gone; the rows go, too")
        if self.new_columns:
            texts.append(f"{self.source}: new columns that are not mapped: {', '.join(self.new_columns)}")
        return tuple(texts)


def plan_sync(workspace: Workspace) -> list[SourcePlan]:
    """What a sync will do with each source, in the order of limner.yaml. Nothing is written; issues stand in the plans."""
    before = {entry.source: entry for entry in read_manifest(workspace.state)}
    plans = []
    for name in workspace.config.sources:
        try:
            plans.append(plan_files(workspace, name, before.get(name)))
        except SourceError as error:
            plans.append(SourcePlan(name, issues=error.issues))
    return plans


def plan_files(workspace: Workspace, name: str, before: Ingested | None) -> SourcePlan:
    """What a sync will do with the files of one source; raises SourceError where there are none, or one cannot be read."""
    source, where = workspace.config.sources[name], workspace.source_where(name, "path")
    known = before if before and before.digest == workspace.source_digest(name) else None
    files = source_files(source, workspace.root, where)
    columns_of: dict[Path, dict[str, str]] = {}
    untyped = {name for name, mapping in {**source.properties, **source.attributes}.items() if not mapping.type}
    if known is None or untyped - set(known.types):
        columns_of[files[0]] = file_columns(files[0], where, source)
    first = {**(known.columns if known else {}), **columns_of.get(files[0], {})}
    issues = _missing(workspace, name, source, files[0], first)
    if issues:
        return SourcePlan(name, missing_columns=_missing_names(source, first), issues=tuple(issues))
    fields = staged_fields(source, first, remembered_types(known))
    pieces = [_piece(workspace, name, file, fields, known) for file in files]
    to_read = [piece for piece in pieces if piece.part is None]
    seen: dict[str, str] = dict(before.columns if before else {})
    new_columns: dict[str, None] = {}
    missing: dict[str, None] = {}
    retyped: dict[str, None] = {}
    for piece in to_read:
        columns = columns_of.get(piece.path) or file_columns(piece.path, where, source)
        found = _missing(workspace, name, source, piece.path, columns)
        missing |= dict.fromkeys(_missing_names(source, columns) if found else ())
        issues += found
        if before:
            new_columns |= dict.fromkeys(c for c in columns if c not in seen and c not in source.mapped().values())
        if not found and (known or piece is not pieces[0]):
            wrong = _retyped(workspace, name, source, piece.path, fields, columns)
            retyped |= dict.fromkeys(wrong)
            issues += wrong.values()
        seen = {**columns, **seen}
    origins = {piece.origin for piece in pieces}
    had = {part.origin for part in before.parts} if before else set()
    return SourcePlan(
        name,
        tuple(piece.origin for piece in to_read if piece.origin not in had),
        tuple(piece.origin for piece in to_read if piece.origin in had),
        tuple(sorted(had - origins)),
        len(pieces) - len(to_read),
        tuple(new_columns),
        tuple(missing),
        tuple(retyped),
        tuple(issues),
        tuple(pieces),
        tuple(fields),
        seen,
    )


def remembered_types(known: Ingested | None) -> Mapping[str, FieldType]:
    """The types that were made of columns at the last sync, by our name."""
    return dict(known.types) if known else {}  # type: ignore[arg-type]  # as they were written


def _piece(workspace: Workspace, name: str, file: Path, fields: Sequence[StagedField], known: Ingested | None) -> Piece:
    origin = file.relative_to(workspace.root).as_posix() if file.is_relative_to(workspace.root) else file.as_posix()
    types = " ".join(field.type for field in fields)
    digest = hashlib.sha256(f"{workspace.source_digest(name)} {types} {origin}".encode())
    for path in (file, file.with_name(file.name + ".wal")) if is_duckdb(file) else (file,):
        if path.exists():
            stat = path.stat()
            digest.update(f" {stat.st_size} {stat.st_mtime_ns}".encode())
    fingerprint = digest.hexdigest()[:12]
    part = next((part for part in known.parts if part.fingerprint == fingerprint), None) if known else None
    if part and not all((workspace.state / path).exists() for path in (part.file, part.rejects_file)):
        part = None
    return Piece(origin, file, fingerprint, part)


def _missing(workspace: Workspace, name: str, source: Source, file: Path, columns: Mapping[str, str]) -> list[Issue]:
    places = {field: workspace.source_where(name, field) for field in source.mapped()}
    return check_columns(source, name, file, columns, places)


def _missing_names(source: Source, columns: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for column in source.mapped().values() if column not in columns))


def _retyped(
    workspace: Workspace,
    name: str,
    source: Source,
    file: Path,
    fields: Sequence[StagedField],
    columns: Mapping[str, str],
) -> dict[str, Issue]:
    """The columns of a file of which nothing can be read as the type that the source has had so far."""
    issues = {}
    places = {column: workspace.source_where(name, path) for path, column in source.mapped().items()}
    doubtful = [field for field in fields if field.type not in ("category", field_type(columns[field.column]))]
    if doubtful:
        with duckdb.connect() as con:
            con.execute(f"SET TimeZone = '{source.timezone or workspace.config.timezone}'")
            for field in doubtful:
                try:
                    value = unreadable_as(con, source, field, file)
                except duckdb.Error:
                    continue  # a broken file, or time_format: said when it is read
                if value is not None:
                    issues[field.column] = Issue(
                        "retyped-column",
                        places[field.column],
                        f"{file.name}: {field.column!r} was a {field.type} so far and holds none now, but {value!r}",
                        "correct the file; or state 'type:' in the mapping, or map another column",
                    )
    return issues


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
