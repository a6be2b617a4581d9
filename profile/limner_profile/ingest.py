"""Ingestion: source files become sorted Parquet under .limner/, and rows that cannot be read are kept aside.

Each file of a source gives one part: a file of events (or of users) and one of rejects. The manifest names the parts in
use and is replaced at the end, so a killed run leaves the old ones in use. Imports history, manifest, overlaps, staging,
sync_plan and workspace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.casts import StagedField
from limner_profile.disk import writing
from limner_profile.erasure_list import ErasureList, leave_out_erased, read_erasures
from limner_profile.errors import Issue, SourceError
from limner_profile.history import count_contradictions, fold, keep_earlier, write_history
from limner_profile.manifest import Ingested, Part, read_manifest, write_manifest
from limner_profile.overlaps import copy_to, distinct_rows, parquet_list, trim, write_known
from limner_profile.snapshots import SnapshotStore
from limner_profile.sources import Source
from limner_profile.sql_text import quoted, text_of
from limner_profile.staging import IN_MEMORY, stage
from limner_profile.sync_plan import SourcePlan, plan_source
from limner_profile.workspace import Workspace

_NOBODY = ErasureList()
_FOLDERS = ("events", "known", "users", "identities", "rejects")


def ingest(
    workspace: Workspace,
    on_source: Callable[[str], None] = lambda name: None,
    frames: Mapping[str, Any] | None = None,
    only: Sequence[str] | None = None,
) -> list[Ingested]:
    """What each source gave, in the order of limner.yaml; only files that are new or have changed are read.

    `frames` holds the rows of sources of `path: frame`; one that is not given keeps what it had. With `only`, the other
    sources keep what they had.

    Raises SourceError for a missing file or column, a column of another type, an empty source, or a source of which no row
    can be read; then nothing changes. The caller holds the workspace's lock.
    """
    with writing(workspace.state):
        return _ingest(workspace, on_source, frames or {}, only)


def read_ingested(workspace: Workspace) -> list[Ingested]:
    """What the last ingestion gave; empty before the first."""
    return read_manifest(workspace.state)


def _ingest(
    workspace: Workspace, on_source: Callable[[str], None], frames: Mapping[str, Any], only: Sequence[str] | None
) -> list[Ingested]:
    _ = workspace.schema  # raises with every missing column at once, before any work is done
    before = {entry.source: entry for entry in read_ingested(workspace)}
    names = [name for name in workspace.config.sources if only is None or name in only]
    plans = [plan_source(workspace, name, before.get(name), frames.get(name)) for name in names]
    issues = [issue for plan in plans for issue in plan.issues]
    if issues:
        raise SourceError(issues)
    for folder in _FOLDERS:
        (workspace.state / folder).mkdir(parents=True, exist_ok=True)
    results = []
    for plan in plans:
        old = before.get(plan.source)
        if old and old.digest == workspace.source_digest(plan.source) and _nothing_new(workspace, plan, old):
            results.append(replace(old, columns=dict(plan.columns), reused=True))
            continue
        on_source(plan.source)
        ingest_plan = _ingest_table if plan.batch else _ingest_files
        results.append(ingest_plan(workspace, plan, old))
    if only is None:
        kept = results
    else:
        now = {**before, **{entry.source: entry for entry in results}}
        kept = [now[name] for name in workspace.config.sources if name in now]
    write_manifest(workspace.state, kept)
    # The current snapshot goes on answering what people did until the next one is there.
    read = SnapshotStore(workspace.state).current_event_files()
    _tidy(workspace.state, {*read, *(path for entry in kept for path in entry.paths)})
    return results


def _nothing_new(workspace: Workspace, plan: SourcePlan, old: Ingested) -> bool:
    read = plan.new or plan.changed or plan.gone
    return not read and all((workspace.state / path).exists() for path in old.paths)


def _tidy(state: Path, in_use: set[str]) -> None:
    for folder in _FOLDERS:
        for path in (state / folder).iterdir():
            if f"{folder}/{path.name}" not in in_use:
                path.unlink()


def _ingest_table(workspace: Workspace, plan: SourcePlan, old: Ingested | None) -> Ingested:
    """What a database or a frame gives: one part more, or one instead of all, where it is read as a whole."""
    name, source, batch = plan.source, workspace.config.sources[plan.source], plan.batch
    assert batch is not None
    where = workspace.source_where(name, "url" if source.url else "path")
    with duckdb.connect() as con:
        _prepare(con, workspace, source)
        con.register(IN_MEMORY, batch.table)
        try:
            part = write_part(
                con,
                workspace.state,
                name,
                source,
                source.label,
                batch.origin,
                batch.fingerprint,
                plan.fields,
                read_erasures(workspace.root),
            )
        except duckdb.Error as error:
            raise _unreadable(source, Path(source.label), where, error) from None
        parts = [part] if batch.replaces or not old else [*old.parts, part]
        _check_readable(con, workspace.state, source, where, parts)
        entry = _settled(con, workspace, plan, old, parts)
    return replace(entry, mark=batch.mark, at_mark=batch.at_mark)


def _ingest_files(workspace: Workspace, plan: SourcePlan, old: Ingested | None) -> Ingested:
    name, source = plan.source, workspace.config.sources[plan.source]
    where = workspace.source_where(name, "path")
    with duckdb.connect() as con:
        _prepare(con, workspace, source)
        parts, erasures = [], read_erasures(workspace.root)
        for piece in plan.pieces:
            part = piece.part
            if part is None:
                try:
                    part = write_part(
                        con,
                        workspace.state,
                        name,
                        source,
                        piece.path,
                        piece.origin,
                        piece.fingerprint,
                        plan.fields,
                        erasures,
                    )
                except duckdb.Error as error:
                    raise _unreadable(source, piece.path, where, error) from None
            parts.append(part)
        _check_readable(con, workspace.state, source, where, parts)
        return _settled(con, workspace, plan, old, parts)


def _settled(
    con: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    plan: SourcePlan,
    old: Ingested | None,
    parts: Sequence[Part],
) -> Ingested:
    """What the parts give together: of attribute history the intervals, else the rows without those that another part has."""
    name, state, source = plan.source, workspace.state, workspace.config.sources[plan.source]
    if not source.updated_at:
        return _summed(con, workspace, plan, trim(con, state, source, parts))
    known = old if old and old.digest == workspace.source_digest(name) else None
    if known:
        present = {part.fingerprint for part in parts}
        earlier = [part for part in known.parts if part.fingerprint not in present]
        parts = [*keep_earlier(con, state, name, plan.fields, earlier, parts), *parts]
    if source.cursor:
        parts = fold(con, state, name, plan.fields, parts)
    history = write_history(con, state, name, plan.fields, parts, known)
    entry = _summed(con, workspace, plan, tuple(parts))
    notes = entry.notes
    more = history.contradictions - (known.contradictions if known else 0)
    if more > 0:
        shown = f"{more:,} rows" if more > 1 else "1 row"
        notes += (f"{name}: {shown} of a user and an updated_at that come again with other values; the last counts",)
    repeated = entry.rows - history.rows
    return replace(
        entry,
        history=history.file,
        contradictions=history.contradictions,
        rows=history.rows,
        duplicates=entry.duplicates + repeated,
        notes=notes,
    )


def _prepare(con: duckdb.DuckDBPyConnection, workspace: Workspace, source: Source) -> None:
    con.execute(f"SET TimeZone = '{source.timezone or workspace.config.timezone}'")
    con.execute("SET threads = 2")
    con.execute("SET memory_limit = ?", [workspace.settings.memory])
    con.execute("SET temp_directory = ?", [str(workspace.state / "tmp")])


def write_part(
    con: duckdb.DuckDBPyConnection,
    state: Path,
    name: str,
    source: Source,
    piece: Path | str,
    origin: str,
    fingerprint: str,
    fields: Sequence[StagedField],
    erasures: ErasureList = _NOBODY,
) -> Part:
    """The part that one file gives, or the table in memory; what it holds depends on the file, the mapping and who was erased."""
    stage(con, name, source, piece, fields)
    erased = leave_out_erased(con, erasures)
    kept = distinct_rows(con, source)
    folder = "events" if source.has_acts else source.type
    # By name first: what is made from some events reads their rows only.
    order = "user_id" if not source.has_acts else "user_id, time" if source.constant_event else "event, user_id, time"
    contradictions = 0
    if source.updated_at:
        order, contradictions = "user_id, updated_at", count_contradictions(con, fields, kept)
    target, rejects = f"{folder}/{name}-{fingerprint}.parquet", f"rejects/{name}-{fingerprint}.parquet"
    selected = ", ".join(quoted(field.name) for field in fields)
    span = (None, None)
    if source.has_acts:
        event = [] if source.event else [f"{text_of(source.constant_event or '')} AS event"]
        selected = ", ".join([selected, *event, f"{text_of(name)} AS source"])
        span = con.execute(f"SELECT min(time), max(time) FROM {kept}").fetchall()[0]
    copy_to(con, f"SELECT {selected} FROM {_in_order(con, kept, order)}, _row", state / target)
    if erased:
        shown = piece if isinstance(piece, str) else piece.name
        note = f"SELECT {text_of(name)}, {text_of(shown)}, NULL, {text_of(source.user)}, NULL, 'erased: {erased} rows'"
        con.execute(f"INSERT INTO rejected {note}")
    copy_to(con, "SELECT * FROM rejected ORDER BY line", state / rejects)
    if source.has_acts:
        write_known(con, source, kept, state, target)
    staged, rows, rejected = (_one(con, f"SELECT count(*) FROM {table}") for table in ("staged", kept, "rejected"))
    first, last = (instant.isoformat() if instant else None for instant in span)
    return Part(
        origin,
        fingerprint,
        target,
        rejects,
        rows,
        staged - rows,
        rejected - bool(erased),
        first,
        last,
        erased=erased,
        contradictions=contradictions,
    )


def _in_order(con: duckdb.DuckDBPyConnection, kept: str, order: str) -> str:
    """The relation `kept` with its ORDER BY; names of events are compared as small numbers, which are sorted faster than text."""
    if not order.startswith("event,"):
        return f"{kept} ORDER BY {order}"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE event_places AS SELECT event, CAST(row_number() OVER (ORDER BY event) AS UINTEGER) AS event_place "
        f"FROM (SELECT DISTINCT event FROM {kept})"
    )
    return f"{kept} JOIN event_places USING (event) ORDER BY event_place{order.removeprefix('event')}"


def _summed(
    con: duckdb.DuckDBPyConnection, workspace: Workspace, plan: SourcePlan, parts: tuple[Part, ...]
) -> Ingested:
    name, source = plan.source, workspace.config.sources[plan.source]
    files = parquet_list(workspace.state / part.in_use for part in parts)
    first, last = _span(con, workspace.state, parts)
    inferred = [name for name, mapping in {**source.properties, **source.attributes}.items() if not mapping.type]
    filled: Sequence[bool] = []
    if inferred:
        counts = ", ".join(f"count({quoted(field)}) > 0" for field in inferred)
        filled = con.execute(f"SELECT {counts} FROM read_parquet({files}, union_by_name = true)").fetchall()[0]
    by_name = {field.name: field.type for field in plan.fields}
    repeated = sum(part.repeated for part in parts)
    return Ingested(
        name,
        source.type,
        workspace.source_digest(name),
        parts,
        sum(part.rows for part in parts) - repeated,
        sum(part.duplicates for part in parts) + repeated,
        sum(part.rejected for part in parts),
        first,
        last,
        dict(plan.columns),
        # A column without any value says nothing of its type.
        {field: by_name[field] for field, has in zip(inferred, filled, strict=True) if has},
        read=(*plan.new, *plan.changed),
        gone=plan.gone,
        notes=plan.notes + _blanks(con, workspace.state, plan, parts),
    )


def _blanks(con: duckdb.DuckDBPyConnection, state: Path, plan: SourcePlan, parts: Sequence[Part]) -> tuple[str, ...]:
    """A note for each category that has values in what was read just now that differ from another in blanks at the ends only."""
    files = [state / part.in_use for part in parts if part.origin in {*plan.new, *plan.changed} or plan.batch]
    keys = ("user_id", "other_id", "event_id")
    names = [field.name for field in plan.fields if field.type == "category" and field.name not in keys]
    if not files or not names:
        return ()
    rows = f"read_parquet({parquet_list(files)}, union_by_name = true)"
    # Most columns have no such value, which this tells at a quarter of the cost of trimming all.
    padded = {name: f"({quoted(name)} LIKE '% ' OR {quoted(name)} LIKE ' %')" for name in names}
    counts = con.execute(f"SELECT {', '.join(f'count(*) FILTER (WHERE {padded[name]})' for name in names)} FROM {rows}")
    notes = []
    for name, count in zip(names, counts.fetchall()[0], strict=True):
        if not count:
            continue
        field = quoted(name)
        found, affected, example = con.execute(
            f"WITH padded AS (SELECT {field} AS value, count(*) AS n FROM {rows} WHERE {padded[name]} GROUP BY 1) "
            "SELECT count(*), sum(n), arg_max(value, n) FROM padded "
            f"WHERE trim(value) IN (SELECT {field} FROM {rows}) "
            "OR trim(value) IN (SELECT trim(value) FROM padded GROUP BY 1 HAVING count(*) > 1)"
        ).fetchall()[0]
        if found:
            values, verb = ("value", "differs") if found == 1 else ("values", "differ")
            shown = f"{affected:,} {'row' if affected == 1 else 'rows'}"
            notes.append(
                f"{plan.source}: {found:,} {values} of {name} ({shown}, such as {example!r}) {verb} from another only in blanks "
                "at the ends, and count for themselves"
            )
    return tuple(notes)


def _span(con: duckdb.DuckDBPyConnection, state: Path, parts: Iterable[Part]) -> tuple[str | None, str | None]:
    times: list[str] = []
    for part in parts:
        span: Sequence[str | None] = (part.first_time, part.last_time)
        if part.trimmed and part.first_time:
            query = "SELECT min(time), max(time) FROM read_parquet(?)"
            found = con.execute(query, [str(state / part.trimmed)]).fetchall()[0]
            span = [instant.isoformat() if instant else None for instant in found]
        times += [instant for instant in span if instant]
    return (min(times), max(times)) if times else (None, None)


def _check_readable(
    con: duckdb.DuckDBPyConnection, state: Path, source: Source, where: str, parts: Sequence[Part]
) -> None:
    rejected = sum(part.rejected for part in parts)
    total = rejected + sum(part.rows + part.duplicates + part.erased for part in parts)
    if total == 0:
        raise SourceError(
            Issue("empty-source", where, f"{source.label} holds no rows", "a source needs at least one row")
        )
    if total == rejected:
        files = parquet_list(state / part.rejects_file for part in parts)
        line, field, value, reason = con.execute(
            f"SELECT line, field, value, reason FROM read_parquet({files}) ORDER BY file, line LIMIT 1"
        ).fetchall()[0]
        comma = (
            reason == "bad-number"
            and not source.decimal_comma
            and re.fullmatch(r"[+-]?[\d.\s]*,\d+", str(value).strip())
        )
        remedy = (
            "for a decimal comma, add 'decimal_comma: true' to the source" if comma else "is the column mapped right?"
        )
        raise SourceError(
            Issue(
                "nothing-readable",
                where,
                f"none of the {total:,} rows of {source.label} can be read",
                f"line {line}: {reason}, {field} = {value!r}: {remedy}",
            )
        )


def _unreadable(source: Source, file: Path, where: str, error: duckdb.Error) -> SourceError:
    message = str(error).strip().splitlines()[0]
    if source.time_format and "format specifier" in message:
        hint = "write it in the letters of strptime, such as %d.%m.%Y %H:%M"
        return SourceError(Issue("bad-time-format", where, f"'time_format': {message}", hint))
    return SourceError(
        Issue("unreadable-file", where, f"{file.name} cannot be read: {message}", "is it what its name says?")
    )


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0])
