"""Behaviour as a snapshot saw it: the view `events` in the snapshot, over the ingested files that its build read.

Names of files are relative to .limner, so that the workspace may move: readers look for them there (`file_search_path`). Imports
attached, casts, manifest, schema, snapshots and workspace.
"""

from __future__ import annotations

import duckdb

from limner_profile.attached import in_use
from limner_profile.casts import SQL_TYPE
from limner_profile.manifest import Ingested
from limner_profile.overlaps import parquet_list
from limner_profile.schema import table
from limner_profile.snapshots import EVENT_FILES_TABLE, SnapshotWriter
from limner_profile.sources import is_acts
from limner_profile.sql_text import quoted, text_of
from limner_profile.tags.expressions import instant
from limner_profile.workspace import Workspace

EVENTS_VIEW = table(
    "events",
    "A view: the events before as_of that the build saw, with the ids of one user as one, and a column for each property.",
    [
        ("user_id", "VARCHAR", "The user who acted"),
        ("time", "TIMESTAMP", "When, in UTC"),
        ("event", "VARCHAR", "The name of the event"),
        ("amount", "DOUBLE", "The amount of an order, empty where there is none"),
        ("source", "VARCHAR", "The source in limner.yaml that it came from"),
    ],
)


def write_events_view(writer: SnapshotWriter, workspace: Workspace) -> None:
    """Create the view `events` and the table `event_files` in a snapshot. Follows `create_identities`."""
    connection, entries = writer.connection, [entry for entry in in_use(workspace) if is_acts(entry.type)]
    EVENT_FILES_TABLE.create(connection, replace=True)
    EVENT_FILES_TABLE.insert(connection, [{"file": file} for entry in entries for file in entry.files])
    # A temporary view of the same name stands in front of it.
    database = connection.execute("SELECT current_database()").fetchall()[0][0]
    view = f"{quoted(database)}.main.events"
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS {_query(connection, workspace, entries, writer)}")
    words = {column.name: column.comment for column in EVENTS_VIEW.columns}
    connection.execute(f"COMMENT ON VIEW {view} IS {text_of(EVENTS_VIEW.comment)}")
    for name in ("user_id", "time", "event", *workspace.schema.event_fields):
        comment = words.get(name, "A property of the event")
        connection.execute(f"COMMENT ON COLUMN {view}.{quoted(name)} IS {text_of(comment)}")


def _query(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, entries: list[Ingested], writer: SnapshotWriter
) -> str:
    fields = {"user_id": "VARCHAR", "time": "TIMESTAMP", "event": "VARCHAR"}
    fields |= {name: SQL_TYPE[kind] for name, kind in workspace.schema.event_fields.items() if name not in fields}
    if not entries:
        columns = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in fields.items())
        return f"SELECT {columns} WHERE FALSE"
    files = parquet_list(file for entry in entries for file in entry.files)
    rows = f"read_parquet({files}, union_by_name = true)"
    found = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
    merged = connection.execute("SELECT count(*) FROM main.identities").fetchall()[0][0]
    columns = ", ".join(
        "coalesce(m.user_id, s.user_id) AS user_id"
        if merged and name == "user_id"
        else f"s.{quoted(name)}"
        if name in found
        else f"CAST(NULL AS {kind}) AS {quoted(name)}"
        for name, kind in fields.items()
    )
    joined = "LEFT JOIN main.identities AS m ON m.id = s.user_id" if merged else ""
    return f"SELECT {columns} FROM {rows} AS s {joined} WHERE s.time < {instant(writer.as_of).sql(dialect='duckdb')}"
