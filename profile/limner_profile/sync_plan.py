"""What a sync will do, found out without writing anything: which files are new, changed or gone, and which columns fit.

Imports history, manifest, sources, staging and workspace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.casts import StagedField
from limner_profile.databases import Mark, fetch, mark_of, mark_value
from limner_profile.errors import Issue, SourceError
from limner_profile.frames import as_arrow, table_columns, table_digest
from limner_profile.history import lost_rows
from limner_profile.manifest import Ingested, Part, read_manifest
from limner_profile.source_files import check_columns, field_type, file_columns, source_files
from limner_profile.sources import FieldType, Source, is_duckdb
from limner_profile.staging import IN_MEMORY, staged_fields, unreadable_as
from limner_profile.workspace import Workspace


@dataclass(frozen=True)
class Piece:
    """One file of a source: its name in the manifest, its path, its fingerprint, and the part that it gave before."""

    origin: str
    path: Path
    fingerprint: str
    part: Part | None


@dataclass(frozen=True)
class Batch:
    """Rows in memory that a sync will ingest: a pyarrow Table, its name in the manifest, and where the cursor then stands."""

    table: Any
    origin: str
    fingerprint: str
    mark: Mark | None
    at_mark: tuple[str, ...]
    replaces: bool


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
    batch: Batch | None = None
    keeps: bool = False
    lost: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: files that are gone, columns that nothing maps."""
        texts = []
        if self.gone:
            what = "the rows stay, being history" if self.keeps else "the rows go, too"
            texts.append(f"{self.source}: {_listed(self.gone)} gone; {what}")
        if self.lost:
            texts.append(
                f"{self.source}: the mapping has changed; {self.lost:,} earlier rows go, which no file holds any more"
            )
        if self.new_columns:
            texts.append(f"{self.source}: new columns that are not mapped: {', '.join(self.new_columns)}")
        return tuple(texts)


def plan_sync(workspace: Workspace) -> list[SourcePlan]:
    """What a sync will do with each source, in the order of limner.yaml. Nothing is written; issues stand in the plans."""
    before = {entry.source: entry for entry in read_manifest(workspace.state)}
    plans = []
    for name in workspace.config.sources:
        try:
            plans.append(plan_source(workspace, name, before.get(name)))
        except SourceError as error:
            plans.append(SourcePlan(name, issues=error.issues))
    return plans


def plan_source(workspace: Workspace, name: str, before: Ingested | None, frame: Any = None) -> SourcePlan:
    """What a sync will do with one source; raises SourceError where it cannot be read, or a frame was never handed over."""
    source = workspace.config.sources[name]
    known = before if before and before.digest == workspace.source_digest(name) else None
    if source.has_files:
        return plan_files(workspace, name, before)
    if source.url:
        mark = known.mark if known and _all_there(workspace, known) else None
        table = fetch(source, workspace.source_where(name, "url"), mark)
        plan = plan_table(workspace, name, before, table, mark)
        if (
            mark
            and known
            and any(field not in known.types for field, kind in _inferred(source, plan) if kind != "category")
        ):
            # A column that was empty so far has a type now: the parts that are there would have another.
            table = fetch(source, workspace.source_where(name, "url"))
            return plan_table(workspace, name, before, table, None)
        return plan
    where = workspace.source_where(name, "path")
    if frame is not None:
        return plan_table(workspace, name, before, as_arrow(frame, where), None)
    if known is None or not _all_there(workspace, known):
        hint = f"hand it over in Python: limner.sync_frame(project, {name!r}, frame)"
        raise SourceError(
            Issue("no-frame", where, f"the frame of {name!r} is not there, or was mapped otherwise", hint)
        )
    return SourcePlan(name, unchanged=len(known.parts), columns=known.columns)


def plan_table(workspace: Workspace, name: str, before: Ingested | None, table: Any, mark: Mark | None) -> SourcePlan:
    """What a sync will do with rows in memory; those from `mark` on, where it is given, are added to what is there."""
    source = workspace.config.sources[name]
    known = before if before and before.digest == workspace.source_digest(name) else None
    columns = table_columns(table)
    label = Path(source.label)
    issues = _missing(workspace, name, source, label, columns)
    if issues:
        return SourcePlan(name, missing_columns=_missing_names(source, columns), issues=tuple(issues))
    fields = staged_fields(source, columns, remembered_types(known))
    batch = _batch(workspace, name, source, table, mark, known if mark else None, fields)
    rows = batch.table
    retyped = _retyped(workspace, name, source, IN_MEMORY, fields, columns, rows) if known and rows.num_rows else {}
    had = before.columns if before else columns
    new_columns = tuple(column for column in columns if column not in had)
    there = known.parts if known and _all_there(workspace, known) else ()
    old = [part.fingerprint for part in there if not part.kept]
    fresh = (rows.num_rows > 0 or not mark) and batch.fingerprint not in old
    origins = (batch.origin,) if fresh else ()
    changed = bool(old) and not mark
    return SourcePlan(
        name,
        () if changed else origins,
        origins if changed else (),
        (),
        len(old) if mark or not fresh else 0,
        new_columns,
        (),
        tuple(retyped),
        tuple(retyped.values()),
        (),
        tuple(fields),
        {**columns, **(known.columns if known else {})},
        batch if fresh else None,
        source.updated_at is not None,
        0 if mark else lost_rows(before, known),
    )


def _inferred(source: Source, plan: SourcePlan) -> list[tuple[str, FieldType]]:
    mappings = {**source.properties, **source.attributes}
    return [
        (field.name, field.type) for field in plan.fields if field.name in mappings and not mappings[field.name].type
    ]


def _all_there(workspace: Workspace, entry: Ingested) -> bool:
    return all((workspace.state / path).exists() for path in entry.paths)


def _batch(
    workspace: Workspace,
    name: str,
    source: Source,
    table: Any,
    mark: Mark | None,
    known: Ingested | None,
    fields: Sequence[StagedField],
) -> Batch:
    """The rows that are new: not those that stand at the mark and were read last time."""
    import pyarrow as pa

    at_mark: tuple[str, ...] = ()
    reached = mark
    if source.cursor:
        values = table.column(source.cursor).to_pylist()
        if mark and known:
            start, had = mark_value(mark), set(known.at_mark)
            new = [value != start or _row_digest(table, row) not in had for row, value in enumerate(values)]
            at_start = [_row_digest(table, row) for row, value in enumerate(values) if value == start]
            table, values = (
                table.filter(pa.array(new, pa.bool_())),
                [value for value, keep in zip(values, new, strict=True) if keep],
            )
            at_mark = tuple(at_start)
        top = max((value for value in values if value is not None), default=None)
        if top is not None and (mark is None or top != mark_value(mark)):
            reached = mark_of(top)
            at_mark = tuple(_row_digest(table, row) for row, value in enumerate(values) if value == top)
    types = " ".join(field.type for field in fields)
    text = f"{workspace.source_digest(name)} {types} {mark} {table_digest(table)}"
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
    origin = f"{source.label} after {mark[1]}" if mark else source.label
    return Batch(table, origin, fingerprint, reached, at_mark, mark is None)


def _row_digest(table: Any, row: int) -> str:
    # As text: the same row comes as 1, 1.0 or '1' when the other values of a column make it a column of another type.
    values = table.slice(row, 1).to_pylist()[0].values()
    texts = [str(int(value) if isinstance(value, float) and value.is_integer() else value) for value in values]
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


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
    had = {part.origin for part in before.parts if not part.kept} if before else set()
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
        keeps=source.updated_at is not None,
        lost=lost_rows(before, known),
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
    if part and not all((workspace.state / path).exists() for path in replace(part, trimmed=None).paths):
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
    file: Path | str,
    fields: Sequence[StagedField],
    columns: Mapping[str, str],
    table: Any = None,
) -> dict[str, Issue]:
    """The columns of a file of which nothing can be read as the type that the source has had so far."""
    issues = {}
    places = {column: workspace.source_where(name, path) for path, column in source.mapped().items()}
    shown = source.label if isinstance(file, str) else file.name
    doubtful = [field for field in fields if field.type not in ("category", field_type(columns[field.column]))]
    if doubtful:
        with duckdb.connect() as con:
            con.execute(f"SET TimeZone = '{source.timezone or workspace.config.timezone}'")
            if table is not None:
                con.register(IN_MEMORY, table)
            for field in doubtful:
                try:
                    value = unreadable_as(con, source, field, file)
                except duckdb.Error:
                    continue  # a broken file, or time_format: said when it is read
                if value is not None:
                    issues[field.column] = Issue(
                        "retyped-column",
                        places[field.column],
                        f"{shown}: {field.column!r} was a {field.type} so far and holds none now, but {value!r}",
                        "correct the file; or state 'type:' in the mapping, or map another column",
                    )
    return issues


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
