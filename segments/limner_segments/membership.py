"""Membership: who matches each of many conditions, found in one pass over the profiles, each condition evaluated once.

What the table `audiences`, the sizes and the bitmaps are all written from, so that they cannot disagree. Imports floor 1 and audience.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from limner_profile.predicates.base import Predicate
from limner_segments.audience import AudienceSize, condition_sql, prepare, unknown_sql

# Conditions in one pass: the more, the fewer passes, and the more columns of the pass stand in memory.
AT_ONCE = 25
_TABLE = "membership"


@dataclass(frozen=True)
class Membership:
    """Who matches some conditions: a temporary table with a row a user, by `user_id`, and a column a condition."""

    connection: duckdb.DuckDBPyConnection
    sizes: tuple[AudienceSize, ...]

    def members(self, number: int) -> str:
        """The rest of a SELECT behind its first columns: the `user_id` of those who match the condition of that number, in order."""
        return f"user_id FROM {_TABLE} WHERE m{number}"

    def positions(self, number: int) -> Any:
        """A numpy array of the row numbers, from 0 by `user_id`, of those who match."""
        import numpy as np

        column = self.connection.execute(f"SELECT m{number} FROM {_TABLE}").fetchnumpy()[f"m{number}"]
        return np.flatnonzero(np.asarray(column)).astype(np.uint32)


@contextmanager
def find_members(connection: duckdb.DuckDBPyConnection, conditions: Sequence[Predicate]) -> Iterator[Membership]:
    """The membership of at most AT_ONCE conditions, inside the block; `profiles` is that of the connection's snapshot."""
    scope = prepare(connection, *conditions)
    columns: list[exp.Expr] = [exp.column("user_id")]
    for number, condition in enumerate(conditions):
        test = exp.Coalesce(this=exp.Paren(this=condition_sql(condition, scope)), expressions=[exp.Boolean(this=False)])
        columns += [exp.alias_(test, f"m{number}"), exp.alias_(exp.Paren(this=unknown_sql(condition)), f"u{number}")]
    query = exp.select(*columns).from_("profiles").order_by("user_id")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_TABLE} AS {query.sql(dialect='duckdb')}")
    try:
        counts = ", ".join(
            f"count(*) FILTER (m{number}), count(*) FILTER (u{number})" for number in range(len(conditions))
        )
        row = connection.execute(f"SELECT count(*), {counts} FROM {_TABLE}").fetchall()[0]
        pairs = zip(row[1::2], row[2::2], strict=True)
        yield Membership(
            connection, tuple(AudienceSize(int(size), int(row[0]), int(lacking)) for size, lacking in pairs)
        )
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {_TABLE}")
