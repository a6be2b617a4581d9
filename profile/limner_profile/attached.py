"""What was ingested, as the relations that queries read: `events`, `acted`, `users_<source>` and those of imported files.

Temporary views over the ingested files, made anew on each connection. Imports catalog, ingest, manifest, overlaps, staging, workspace.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from sqlglot import exp

from limner_profile.casts import SQL_TYPE
from limner_profile.catalog import Catalog
from limner_profile.errors import Issue, RefusedError
from limner_profile.ingest import read_ingested
from limner_profile.manifest import Ingested
from limner_profile.overlaps import parquet_list
from limner_profile.sources import is_acts
from limner_profile.sql_text import text_of
from limner_profile.workspace import Workspace


def attach_sources(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Create the temporary views `events`, `acted` (users and since when they are known) and `users_<source>` over the ingested files.

    Raises RefusedError before ingestion, and where sources or their fields were added since.
    """
    ingested = in_use(workspace)
    _check_mapped(connection, workspace, ingested)
    for entry in ingested:
        if entry.type == "users":
            connection.execute(
                f'CREATE OR REPLACE TEMP VIEW "users_{entry.source}" AS SELECT * FROM {files_of(workspace, [entry])}'
            )
    attach_events(connection, workspace)


def attach_events(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Create the temporary views `events` and `acted` over the ingested files; raises RefusedError before ingestion.

    A field that was mapped after the ingestion is a column without values.
    """
    events = [entry for entry in in_use(workspace) if is_acts(entry.type)]
    if events:
        # A field that no file has must still be a column, so that a filter on it finds nothing instead of failing.
        found = {
            row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {files_of(workspace, events)}").fetchall()
        }
        lacking = [
            f"CAST(NULL AS {SQL_TYPE[kind]}) AS {exp.to_identifier(name, quoted=True).sql('duckdb')}"
            for name, kind in workspace.schema.event_fields.items()
            if name not in found
        ]
        columns = ", ".join(["*", *lacking])
        connection.execute(f"CREATE OR REPLACE TEMP VIEW events AS SELECT {columns} FROM {files_of(workspace, events)}")
        known = parquet_list(workspace.state / file for entry in events for file in entry.known_files)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW acted AS SELECT user_id, since FROM read_parquet({known})")


def attach_files(connection: duckdb.DuckDBPyConnection, workspace: Workspace, catalog: Catalog) -> None:
    """Create the temporary relations of the tags that read files of their own; raises RefusedError for what is in them."""
    zone = connection.execute("SELECT current_setting('TimeZone')").fetchall()[0][0]
    connection.execute(
        f"SET TimeZone = {text_of(str(workspace.timezone))}"
    )  # local times in files are those of the workspace
    try:
        for name, tag in catalog.computed.items():
            tag.attach(connection, workspace.root, catalog[name].where)
    finally:
        connection.execute(f"SET TimeZone = {text_of(zone)}")


def in_use(workspace: Workspace) -> list[Ingested]:
    """What was ingested of the sources that limner.yaml names today; raises RefusedError where nothing was."""
    entries = [entry for entry in read_ingested(workspace) if entry.source in workspace.config.sources]
    if not entries or not all(
        (workspace.state / path).exists() for entry in entries for path in (*entry.files, *entry.known_files)
    ):
        raise RefusedError(
            Issue("not-ingested", str(workspace.root), "no data has been ingested yet", "run 'limner sync' first")
        )
    return entries


def _check_mapped(connection: duckdb.DuckDBPyConnection, workspace: Workspace, ingested: Sequence[Ingested]) -> None:
    by_name = {entry.source: entry for entry in ingested}
    issues = []
    for name, source in workspace.config.sources.items():
        entry, lacking = by_name.get(name), sorted({*source.properties, *source.attributes})
        if entry is not None and entry.type == source.type:
            rows = connection.execute(f"DESCRIBE SELECT * FROM {files_of(workspace, [entry])}").fetchall()
            lacking = sorted(set(lacking) - {row[0] for row in rows})
            if not lacking and bool(source.updated_at) != bool(entry.history):
                lacking = ["updated_at"]
            if not lacking:
                continue
        what = f"the source {name!r}" if entry is None else f"{', '.join(map(repr, lacking)) or 'the type'} of {name!r}"
        message = f"{what} has been added or changed since the last ingestion"
        issues.append(Issue("not-ingested", workspace.source_where(name), message, "run 'limner sync' first"))
    if issues:
        raise RefusedError(issues)


def files_of(workspace: Workspace, entries: Sequence[Ingested]) -> str:
    """The relation of all ingested rows of these sources."""
    return f"read_parquet({parquet_list(workspace.state / file for entry in entries for file in entry.files)}, union_by_name = true)"


def event_names(workspace: Workspace) -> set[str]:
    """The names of all ingested events."""
    if not workspace.schema.has_events:
        return set()
    with duckdb.connect() as connection:
        attach_events(connection, workspace)
        return {str(row[0]) for row in connection.execute("SELECT DISTINCT event FROM events").fetchall()}
