"""Merged views: what a build reads of events and users, with the ids of one user as one. What is stored stays as it is.

Imports history, identity, schema and workspace.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from limner_profile.history import joined_sql
from limner_profile.identity import IDENTITIES_TABLE, REFUSALS_TABLE, find_identities, has_identities
from limner_profile.sql_text import quoted
from limner_profile.workspace import Workspace

_STORED = "_as_stored"
_MERGED_ROWS = (
    "SELECT s.* REPLACE (coalesce(m.user_id, s.user_id) AS user_id) FROM {stored} AS s "
    "LEFT JOIN identity_map AS m ON m.id = s.user_id"
)


def merge_identities(connection: duckdb.DuckDBPyConnection, workspace: Workspace, as_of: datetime) -> None:
    """Let `events`, `acted`, `users_<source>` and the relations of imported files speak of merged users as of an instant.

    May be called again for another instant. Without a source of identities, or a pair that counts, nothing is laid over.
    """
    if not has_identities(workspace):
        return
    merged = find_identities(connection, workspace, as_of)
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal").fetchall()
    tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    if not merged.ids:
        return  # a view that was laid over for another instant finds nothing to change
    for (name,) in views:
        if name in ("events", "acted"):
            _lay_over(connection, name, "VIEW", _MERGED_ROWS)
        elif name.startswith("users_") and name[6:] in workspace.config.sources:
            one_user = _one_history_a_user if workspace.config.sources[name[6:]].updated_at else _one_row_a_user
            _lay_over(connection, name, "VIEW", one_user(connection, name))
    for (name,) in tables:
        if name.startswith("imported_"):
            _lay_over(connection, name, "TABLE", _one_row_a_user(connection, name))


def create_identities(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the tables `identities` and `identity_refusals` from what `merge_identities` found, empty where it found nothing."""
    found = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()}
    for kind, origin in ((IDENTITIES_TABLE, "identity_map"), (REFUSALS_TABLE, "identity_refused")):
        kind.create(connection, replace=True)
        if origin in found:
            names = ", ".join(column.name for column in kind.columns)
            connection.execute(f"INSERT INTO {kind.name} SELECT {names} FROM {origin}")


def _lay_over(connection: duckdb.DuckDBPyConnection, name: str, what: str, query: str) -> None:
    """Put a view of merged users in the place of a relation, which keeps its rows under another name."""
    laid = connection.execute(
        "SELECT count(*) FROM duckdb_views() WHERE view_name = ? AND contains(sql, 'identity_map')", [name]
    ).fetchall()[0][0]
    if laid:
        return
    stored = f'"{name}{_STORED}"'
    connection.execute(f"DROP {what} IF EXISTS {stored}")
    connection.execute(f'ALTER {what} "{name}" RENAME TO {stored}')
    connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {query.replace("{stored}", stored)}')


def _one_row_a_user(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The query that gives merged users one row: each value is that of the user's own id, else of the first other id that has one."""
    columns = [row[0] for row in connection.execute(f'DESCRIBE SELECT * FROM "{name}"').fetchall()]
    identifiers = {column: quoted(column) for column in columns if column != "user_id"}
    order = "CASE WHEN s.user_id = m.user_id THEN '' ELSE 'x' || s.user_id END"
    merged = []
    for column, identifier in identifiers.items():
        value = f"arg_min(s.{identifier}, {order})"
        if column == "since":
            # The user exists since the first of the ids does; one without a beginning has always existed.
            value = "CASE WHEN count(s.since) = count(*) THEN min(s.since) END"
        merged.append(f"{value} AS {identifier}")
    plain = ", ".join(["user_id", *identifiers.values()])
    return (
        f"SELECT {plain} FROM {{stored}} WHERE user_id NOT IN (SELECT id FROM identity_map) UNION ALL "
        f"SELECT {', '.join(['m.user_id', *merged])} FROM {{stored}} AS s JOIN identity_map AS m ON m.id = s.user_id GROUP BY m.user_id"
    )


def _one_history_a_user(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The query that makes one history of those of all ids of a user: the same rule, at every instant."""
    columns = [row[0] for row in connection.execute(f'DESCRIBE SELECT * FROM "{name}"').fetchall()]
    values = [column for column in columns if column not in ("user_id", "valid_from", "valid_to")]
    joined = joined_sql("{stored}", "identity_map", values)
    return f"SELECT * FROM {{stored}} WHERE user_id NOT IN (SELECT id FROM identity_map) UNION ALL BY NAME ({joined})"
