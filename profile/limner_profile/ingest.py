"""Ingestion: source files become sorted Parquet under .limner/, and rows that cannot be read are kept aside.

Each source gives one file of events (or of users) and one of rejects; `.limner/ingested.json` names the files in
use and is replaced at the end, so a killed run leaves the old ones in use. Imports sources and workspace.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from limner_profile.csv_dialect import csv_reader, is_csv, needs_leniency
from limner_profile.csv_lines import lines_of
from limner_profile.disk import writing
from limner_profile.errors import Issue, SourceError
from limner_profile.sources import FieldType, Source, check_columns, field_type, file_columns, source_files
from limner_profile.workspace import Workspace

# Raised when the layout of the ingested files changes, so that older ones are made anew.
LAYOUT = 3

_SQL_TYPE: dict[FieldType, str] = {
    "number": "DOUBLE",
    "category": "VARCHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIMESTAMP",
}


@dataclass(frozen=True)
class Ingested:
    """What one source gave: file names under .limner/, rows kept, dropped as duplicates, and rejected."""

    source: str
    type: str
    fingerprint: str
    file: str
    rejects_file: str
    rows: int
    duplicates: int
    rejected: int
    first_time: str | None
    last_time: str | None
    reused: bool = False


def ingest(workspace: Workspace, on_source: Callable[[str], None] = lambda name: None) -> list[Ingested]:
    """What each source gave, in the order of limner.yaml; a source whose files have not changed is reused.

    Raises SourceError for a missing file or column, an empty source, or a source of which no row can be read.
    The caller holds the workspace's lock.
    """
    with writing(workspace.state):
        return _ingest(workspace, on_source)


def _ingest(workspace: Workspace, on_source: Callable[[str], None]) -> list[Ingested]:
    _ = workspace.schema  # raises with every missing column at once, before any work is done
    for folder in ("events", "users", "rejects"):
        (workspace.state / folder).mkdir(parents=True, exist_ok=True)
    before = {entry.source: entry for entry in read_ingested(workspace)}
    results = []
    for name, source in workspace.config.sources.items():
        files = source_files(source, workspace.root, workspace.source_where(name, "path"))
        fingerprint = _fingerprint(workspace, source, files)
        old = before.get(name)
        kept = old and all((workspace.state / path).exists() for path in (old.file, old.rejects_file))
        if old and kept and old.fingerprint == fingerprint:
            results.append(Ingested(**{**asdict(old), "reused": True}))
            continue
        on_source(name)
        results.append(_ingest_source(workspace, name, source, files, fingerprint))
    _write_ingested(workspace, results)
    in_use = {entry.file for entry in results} | {entry.rejects_file for entry in results}
    for folder in ("events", "users", "rejects"):
        for path in (workspace.state / folder).iterdir():
            if f"{folder}/{path.name}" not in in_use:
                path.unlink()
    return results


def read_ingested(workspace: Workspace) -> list[Ingested]:
    """What the last ingestion gave; empty before the first."""
    path = workspace.state / "ingested.json"
    if not path.exists():
        return []
    try:
        return [Ingested(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError):
        return []  # of another version, or damaged: everything is ingested anew


def _write_ingested(workspace: Workspace, results: Iterable[Ingested]) -> None:
    path = workspace.state / "ingested.json"
    temporary = path.with_suffix(".json.tmp")
    entries = [{**asdict(result), "reused": False} for result in results]
    temporary.write_text(json.dumps(entries, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, path)


def _fingerprint(workspace: Workspace, source: Source, files: Sequence[Path]) -> str:
    digest = hashlib.sha256(f"{LAYOUT} {workspace.config.timezone} {source.digest()}".encode())
    for file in files:
        stat = file.stat()
        digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class _Field:
    """One column of the ingested file: its name, the column it is read from, its type and whether it must be there."""

    name: str
    column: str
    type: FieldType
    required: bool


def _fields(source: Source, columns: dict[str, str]) -> list[_Field]:
    fields = [_Field("user_id", source.user, "category", True)]
    if source.time:
        fields.append(_Field("time", source.time, "time", True))
    if source.event:
        fields.append(_Field("event", source.event, "category", True))
    if source.event_id:
        fields.append(_Field("event_id", source.event_id, "category", False))
    if source.amount:
        fields.append(_Field("amount", source.amount, "number", source.type == "orders"))
    for name, column in (("received", source.received), ("since", source.since)):
        if column:
            fields.append(_Field(name, column, "time", False))
    for name, mapping in {**source.properties, **source.attributes}.items():
        fields.append(_Field(name, mapping.column, mapping.type or field_type(columns[mapping.column]), False))
    return fields


def _ingest_source(
    workspace: Workspace, name: str, source: Source, files: Sequence[Path], fingerprint: str
) -> Ingested:
    where = workspace.source_where(name, "path")
    with duckdb.connect() as con:
        con.execute(f"SET TimeZone = '{source.timezone or workspace.config.timezone}'")
        con.execute("SET threads = 2")
        con.execute("SET temp_directory = ?", [str(workspace.state / "tmp")])
        first = _fields(source, file_columns(files[0], where))
        con.execute(
            "CREATE TEMP TABLE rejected (source VARCHAR, file VARCHAR, line BIGINT, field VARCHAR, value VARCHAR, reason VARCHAR)"
        )
        for index, file in enumerate(files):
            columns = file_columns(file, where)
            issues = check_columns(source, name, file, columns, {"": where})
            if issues:
                raise SourceError(issues)
            try:
                _stage(con, name, source, file, first, "staged", index)
            except duckdb.Error as error:
                raise _unreadable(source, file, where, error) from None
        total = _one(con, "SELECT count(*) FROM staged") + _one(con, "SELECT count(*) FROM rejected")
        rejected = _one(con, "SELECT count(*) FROM rejected")
        if total == 0:
            raise SourceError(
                Issue("empty-source", where, f"{source.path} holds no rows", "a source needs at least one row")
            )
        if total == rejected:
            line, field, value, reason = con.execute(
                "SELECT line, field, value, reason FROM rejected ORDER BY file, line LIMIT 1"
            ).fetchall()[0]
            raise SourceError(
                Issue(
                    "nothing-readable",
                    where,
                    f"none of the {total:,} rows of {source.path} can be read",
                    f"line {line}: {reason}, {field} = {value!r}: is the column mapped right?",
                )
            )
        kept = _keep_distinct(con, source)
        folder = "users" if source.type == "users" else "events"
        order = "user_id" if source.type == "users" else "user_id, time, _file"
        target, rejects = f"{folder}/{name}-{fingerprint}.parquet", f"rejects/{name}-{fingerprint}.parquet"
        selected = ", ".join(_quoted(field.name) for field in first)
        if source.type != "users":
            event = [] if source.event else [f"{_text(source.constant_event or '')} AS event"]
            selected = ", ".join([selected, *event, f"{_text(name)} AS source"])
        _copy(con, f"SELECT {selected} FROM {kept} ORDER BY {order}, _row", workspace.state / target)
        _copy(con, "SELECT * FROM rejected ORDER BY file, line", workspace.state / rejects)
        rows = _one(con, f"SELECT count(*) FROM {kept}")
        span: Sequence[datetime | None] = (None, None)
        if source.type != "users":
            span = con.execute(f"SELECT min(time), max(time) FROM {kept}").fetchall()[0]
        first_time, last_time = (instant.isoformat() if instant else None for instant in span)
        return Ingested(
            name,
            source.type,
            fingerprint,
            target,
            rejects,
            rows,
            total - rejected - rows,
            rejected,
            first_time,
            last_time,
        )


def _stage(
    con: duckdb.DuckDBPyConnection,
    name: str,
    source: Source,
    file: Path,
    fields: Sequence[_Field],
    table: str,
    index: int,
) -> None:
    """Read one file as text or typed columns, cast each field, and part the rows into staged and rejected."""
    if is_csv(file):
        relation = csv_reader(file)
        number = "row_number() OVER ()"
    else:
        relation, number = "read_parquet(?, file_row_number=true)", "file_row_number + 1"
    casts = ", ".join(f"{_cast(field, source)} AS {_quoted(field.name)}" for field in fields)
    raws = ", ".join(f"CAST({_quoted(field.column)} AS VARCHAR) AS {_quoted('_raw_' + field.name)}" for field in fields)
    problem = _problem(fields)
    query = f"SELECT *, {problem} AS _problem FROM (SELECT {number} AS _row, {casts}, {raws} FROM "
    query = f"CREATE OR REPLACE TEMP TABLE read_rows AS {query}"
    try:
        con.execute(f"{query}{relation})", [str(file)])
    except duckdb.Error as error:
        if not (is_csv(file) and needs_leniency(error)):
            raise
        con.execute("DROP TABLE IF EXISTS reject_errors")
        con.execute("DROP TABLE IF EXISTS reject_scans")
        con.execute(f"{query}{csv_reader(file, strict=False)})", [str(file)])
    names = ", ".join(_quoted(field.name) for field in fields)
    verb = f"INSERT INTO {table}" if index else f"CREATE TEMP TABLE {table} AS"
    con.execute(f"{verb} SELECT {index} AS _file, _row, {names} FROM read_rows WHERE _problem IS NULL")
    values = " ".join(f"WHEN {_text(field.name)} THEN {_quoted('_raw_' + field.name)}" for field in fields)
    bad = con.execute(
        f"SELECT _row, _problem.field, CASE _problem.field {values} END, _problem.reason FROM read_rows "
        "WHERE _problem IS NOT NULL ORDER BY _row"
    ).fetchall()
    broken: list[tuple[int, str, str, str]] = []
    if is_csv(file):
        # One broken row can be reported once for each of its faults: the last one stands.
        faults = con.execute(
            "SELECT line, coalesce(column_name, ''), csv_line, 'broken-row: ' || lower(CAST(error_type AS VARCHAR)) FROM reject_errors"
        ).fetchall()
        con.execute("DROP TABLE IF EXISTS reject_errors")
        con.execute("DROP TABLE IF EXISTS reject_scans")
        broken = list({fault[0]: fault for fault in faults}.values())
    if broken or (bad and is_csv(file)):
        # What DuckDB calls the line of a broken row is its number among all rows, the header being the first.
        sound, unsound = lines_of(file, {row[0] for row in bad}, {fault[0] - 1 for fault in broken})
        bad = [(sound.get(row[0], row[0] + 1), *row[1:]) for row in bad]
        broken = [(unsound.get(fault[0] - 1, fault[0]), *fault[1:]) for fault in broken]
    by_column = {field.name: field.column for field in fields}
    # A quote that is never closed takes in all lines up to the next one: say how many were lost with it.
    broken = [(*fault[:3], fault[3] + _swallowed(fault[2])) for fault in broken]
    rows = [
        (name, file.name, line, by_column.get(field, field), value, reason)
        for line, field, value, reason in [*bad, *broken]
    ]
    if rows:
        con.executemany("INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?)", rows)


def _swallowed(text: str | None) -> str:
    lines = (text or "").count("\n")
    return f", with {lines:,} or more lines after it" if lines else ""


def _unreadable(source: Source, file: Path, where: str, error: duckdb.Error) -> SourceError:
    message = str(error).strip().splitlines()[0]
    if source.time_format and "format specifier" in message:
        hint = "write it in the letters of strptime, such as %d.%m.%Y %H:%M"
        return SourceError(Issue("bad-time-format", where, f"'time_format': {message}", hint))
    return SourceError(
        Issue("unreadable-file", where, f"{file.name} cannot be read: {message}", "is it what its name says?")
    )


def _cast(field: _Field, source: Source) -> str:
    column = _quoted(field.column)
    if field.name == "event_id":
        return f"nullif(trim({_as_text(column)}), '')"
    if field.type == "category":
        # An empty text field of a CSV file is a missing value; DuckDB reads it as NULL already.
        return _as_text(column)
    if field.type == "time":
        if source.time_format and field.name in ("time", "received", "since"):
            instant = f"CAST(try_strptime(CAST({column} AS VARCHAR), {_text(source.time_format)}) AS TIMESTAMPTZ)"
        else:
            # The session's time zone is the source's: text and timestamps without an offset are read as local.
            instant = f"TRY_CAST({column} AS TIMESTAMPTZ)"
        return f"({instant} AT TIME ZONE 'UTC')"
    return f"TRY_CAST({column} AS {_SQL_TYPE[field.type]})"


def _as_text(column: str) -> str:
    # A whole number that Parquet stores as a float, as pandas does beside missing values, is written without '.0'.
    text = f"CAST({column} AS VARCHAR)"
    return f"CASE WHEN typeof({column}) IN ('DOUBLE', 'FLOAT') THEN regexp_replace({text}, '\\.0$', '') ELSE {text} END"


def _problem(fields: Sequence[_Field]) -> str:
    """The first fault of a row as a struct of field and reason, NULL for a sound row."""
    cases = []
    for field in fields:
        cast, raw, shown = _quoted(field.name), _quoted("_raw_" + field.name), _text(field.name)
        if field.required:
            empty = f" OR trim({raw}) = ''" if field.type == "category" else ""
            cases.append(
                f"WHEN {raw} IS NULL{empty} THEN {{'field': {shown}, 'reason': 'missing-{field.name.replace('_id', '')}'}}"
            )
        if field.type != "category":
            cases.append(
                f"WHEN {cast} IS NULL AND {raw} IS NOT NULL THEN {{'field': {shown}, 'reason': 'bad-{field.type}'}}"
            )
        if field.type == "number":
            cases.append(f"WHEN NOT isfinite({cast}) THEN {{'field': {shown}, 'reason': 'bad-number'}}")
        if field.type in ("date", "time"):
            # Such as 'infinity', or a year of five digits, which calendars of other programs do not have.
            cases.append(
                f"WHEN year({cast}) NOT BETWEEN 1 AND 9998 THEN {{'field': {shown}, 'reason': 'bad-{field.type}'}}"
            )
            cases.append(f"WHEN NOT isfinite({cast}) THEN {{'field': {shown}, 'reason': 'bad-{field.type}'}}")
    return f"CASE {' '.join(cases)} ELSE NULL END"


def _keep_distinct(con: duckdb.DuckDBPyConnection, source: Source) -> str:
    """The name of the relation without repeated rows: by event id, by user, or rows alike in every mapped column."""
    if source.keep_duplicates:
        return "staged"
    if source.type == "users":
        # The last row of a user counts: later exports are appended to earlier ones.
        keys, order = "user_id", "_file DESC, _row DESC"
    elif source.event_id:
        # A row without an id is told from every other by its place.
        places = (f"CASE WHEN event_id IS NULL THEN {place} END" for place in ("_file", "_row"))
        keys, order = ", ".join(["event_id", *places]), "_file, _row"
    else:
        names = con.execute(
            "SELECT name FROM pragma_table_info('staged') WHERE name NOT IN ('_file', '_row')"
        ).fetchall()
        keys, order = ", ".join(_quoted(row[0]) for row in names), "_file, _row"
    con.execute(
        f"CREATE TEMP TABLE kept AS SELECT * FROM staged QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1"
    )
    return "kept"


def _copy(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    temporary = target.with_suffix(".tmp")
    con.execute(f"COPY ({query}) TO {_text(str(temporary))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")
    os.replace(temporary, target)


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
