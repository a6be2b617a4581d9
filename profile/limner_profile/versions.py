"""Versions: every value that a user's attributes had, with the instants between which each held.

Written into the snapshot as `attribute_history`, and read for one user. Imports history, manifest, schema,
staging and workspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from limner_profile.history import joined_sql
from limner_profile.manifest import read_manifest
from limner_profile.schema import table
from limner_profile.sources import FieldType
from limner_profile.sql_text import quoted, text_of
from limner_profile.workspace import Workspace

ATTRIBUTE_HISTORY_TABLE = table(
    "attribute_history",
    "What attributes were: a row for each value of an attribute that has had several values for that user before as_of.",
    [
        ("user_id", "VARCHAR", "The user"),
        ("source", "VARCHAR", "The source in limner.yaml, one that maps updated_at"),
        ("attribute", "VARCHAR", "The attribute as it is called in limner.yaml"),
        ("value", "VARCHAR", "The value as text (times in UTC); NULL where it was known to be empty"),
        ("valid_from", "TIMESTAMP", "From when on it held, in UTC"),
        ("valid_to", "TIMESTAMP", "Until when, exclusive, in UTC; NULL where it still held at as_of"),
    ],
)


@dataclass(frozen=True)
class AttributeVersion:
    """A value of a user's attribute (None is known to be empty), held from `valid_from` until `valid_to` (None: still)."""

    source: str
    attribute: str
    value: Any
    valid_from: datetime
    valid_to: datetime | None


def write_attribute_history(connection: duckdb.DuckDBPyConnection, workspace: Workspace, as_of: datetime) -> int:
    """How many rows the new table `attribute_history` holds. Reads the views `users_<source>`.

    Attributes that never changed before as_of have no row: their value is the one in profiles.
    """
    ATTRIBUTE_HISTORY_TABLE.create(connection, replace=True)
    schema = workspace.schema
    moment = as_of.astimezone(UTC).replace(tzinfo=None)
    for source in sorted(schema.sources_with_history):
        rows = f"(SELECT * FROM {quoted(f'users_{source}')} WHERE valid_from < ?)"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE changed_users AS SELECT * FROM {rows} SEMI JOIN "
            f"(SELECT user_id FROM {rows} GROUP BY user_id HAVING count(*) > 1) USING (user_id)",
            [moment, moment],
        )
        for attribute in (name for name, of in schema.attribute_source.items() if of == source):
            value = _as_text(attribute, schema.attributes[attribute])
            each = "PARTITION BY user_id ORDER BY valid_from"
            connection.execute(
                f"INSERT INTO attribute_history SELECT user_id, {text_of(source)}, {text_of(attribute)}, value, valid_from, "
                f"lead(valid_from) OVER ({each}) FROM "
                f"(SELECT * FROM (SELECT user_id, {value} AS value, valid_from FROM changed_users) "
                f"QUALIFY row(0, value) IS DISTINCT FROM lag(row(0, value)) OVER ({each})) "
                "QUALIFY count(*) OVER (PARTITION BY user_id) > 1 ORDER BY user_id, valid_from"
            )
        connection.execute("DROP TABLE changed_users")
    return int(connection.execute("SELECT count(*) FROM attribute_history").fetchall()[0][0])


def read_history(workspace: Workspace, user: str, as_of: datetime, ids: Sequence[str] = ()) -> list[AttributeVersion]:
    """The versions of every attribute of a user before `as_of`, by attribute and time; empty without a source of history.

    `ids` are all ids of the user, where there are more.
    """
    moment = as_of.astimezone(UTC).replace(tzinfo=None)
    versions: list[AttributeVersion] = []
    for entry in read_manifest(workspace.state):
        source = workspace.config.sources.get(entry.source)
        if source is None or entry.history is None:
            continue
        with duckdb.connect() as connection:
            file = f"read_parquet({text_of(str(workspace.state / entry.history))})"
            relation = file
            if set(ids) - {user}:
                listed = ", ".join(text_of(id_) for id_ in sorted({user, *ids}))
                mapping = f"(SELECT unnest([{listed}]) AS id, {text_of(user)} AS user_id)"
                described = connection.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()
                columns = [row[0] for row in described if row[0] not in ("user_id", "valid_from", "valid_to")]
                relation = f"({joined_sql(file, mapping, columns)})"
            cursor = connection.execute(
                f"SELECT * FROM {relation} WHERE user_id = ? AND valid_from < ? ORDER BY valid_from", [user, moment]
            )
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for attribute in source.attributes:
            if attribute in names:
                versions += _versions(entry.source, attribute, rows)
    return versions


def _versions(source: str, attribute: str, rows: list[dict[str, Any]]) -> list[AttributeVersion]:
    starts = [row for number, row in enumerate(rows) if not number or row[attribute] != rows[number - 1][attribute]]
    begins = [row["valid_from"].replace(tzinfo=UTC) for row in starts]
    return [
        AttributeVersion(source, attribute, row[attribute], begin, end)
        for row, begin, end in zip(starts, begins, [*begins[1:], None], strict=False)
    ]


def _as_text(attribute: str, kind: FieldType) -> str:
    text = f"CAST({quoted(attribute)} AS VARCHAR)"
    return f"regexp_replace({text}, '\\.0$', '')" if kind == "number" else text
