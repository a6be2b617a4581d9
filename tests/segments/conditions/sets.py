"""What the tests of condition kinds share: a snapshot's `profiles` in memory, and the users whom a condition finds there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import duckdb

from limner_profile.predicates.base import Column, Predicate
from limner_segments.conditions import parse_condition
from limner_segments.conditions.base import user_sets
from limner_segments.conditions.scope import Scope

AS_OF = datetime(2025, 2, 28, 16, tzinfo=UTC)  # 2025-03-01 in Asia/Shanghai


def scope(state: Path | None = None, snapshot: str = "") -> Scope:
    """The scope of the examples."""
    return Scope(AS_OF, ZoneInfo("Asia/Shanghai"), state, snapshot)


def profiles(users: Mapping[str, Mapping[str, Any]]) -> duckdb.DuckDBPyConnection:
    """A database with these profiles."""
    connection = duckdb.connect()
    names = list(dict.fromkeys(name for tags in users.values() for name in tags))
    known = {name: next((t[name] for t in users.values() if t.get(name) is not None), 0.0) for name in names}
    types = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}
    columns = "".join(f', "{name}" {types.get(type(value), "DATE")}' for name, value in known.items())
    connection.execute(f"CREATE TABLE profiles (user_id VARCHAR{columns})")
    marks = f"({', '.join('?' * (len(names) + 1))})"
    rows = [[user, *(users[user].get(name) for name in names)] for user in reversed(list(users))]  # in no kind's order
    if rows:
        values = [value for row in rows for value in row]
        connection.execute(f"INSERT INTO profiles VALUES {', '.join([marks] * len(rows))}", values)
    return connection


def found(connection: duckdb.DuckDBPyConnection, condition: Predicate | str, within: Scope | None = None) -> set[str]:
    """The users whom DuckDB finds."""
    tree = parse_condition(condition) if isinstance(condition, str) else condition
    at = within or scope()
    for node in user_sets(tree):
        node.prepare(at, connection)
    where = tree.to_sql(cast("Column", at)).sql("duckdb")
    return {user for (user,) in connection.execute(f"SELECT user_id FROM profiles WHERE {where}").fetchall()}
