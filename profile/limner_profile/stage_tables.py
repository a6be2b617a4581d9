"""The stages of a query for profiles, each written to a temporary table; the first in portions of users where there are many.

The hash tables of one portion fit into the memory allowed, and those of all users would be written to the disk again and again.
Events of a name are stored in the order of their users, so a portion reads its own row groups only. Imports compiler and sql_text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import duckdb
from sqlglot import exp

from limner_profile.compiler import STAGE_NAME
from limner_profile.sql_text import quoted, text_of

# So many users stay within the memory allowed by default with forty tags of all kinds, and are enough to keep both cores busy.
USERS = 1_000_000


def write_stages(
    connection: duckdb.DuckDBPyConnection, query: exp.Select, *, whole: bool
) -> tuple[exp.Select, list[str]]:
    """What is left of a query for profiles once its stages stand in temporary tables, and the names of those.

    As a part of one query a stage is guessed to have as many rows as all joins could multiply to, and what follows it (windows over
    all users, the order of the whole) is planned for those. A table is known to have a row a user. The first stage, which is the one that
    reads events, is written in portions of users where there are many, unless it must see them as a `whole`.
    """
    names: list[str] = []
    before: list[exp.CTE] = []
    parts = list(query.ctes)
    query.set("with_", None)
    for part in parts:
        if not STAGE_NAME.fullmatch(part.alias):
            before.append(part)
            continue
        stage = _with_parts(part.this, before)
        _write_stage(connection, part.alias, stage, [] if names or whole else _cuts(connection, stage))
        names.append(part.alias)
        before = []
    query = _with_parts(query, before)
    cuts = [] if names or whole else _cuts(connection, query)
    if cuts:
        _write_stage(connection, "stage0", query, cuts)
        return exp.select("*").from_("stage0"), ["stage0"]
    return query, names


def _with_parts(query: exp.Select, parts: Sequence[exp.CTE]) -> exp.Select:
    for inner in parts:
        query.with_(inner.alias, as_=inner.this, copy=False)
    return query


def _cuts(connection: duckdb.DuckDBPyConnection, stage: exp.Select) -> list[str]:
    """Where the portions of the first stage begin, by whoever lists the most users."""
    listing = {name for name in relations_of(stage) if name == "acted" or name.startswith("users_")}
    return cut_points(connection, listing, USERS)


def _write_stage(connection: duckdb.DuckDBPyConnection, name: str, stage: exp.Select, cuts: list[str]) -> None:
    first, *others = narrowed(stage, cuts)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {first}")
    for portion in others:
        connection.execute(f"INSERT INTO {name} {portion}")


def cut_points(connection: duckdb.DuckDBPyConnection, relations: set[str], users: int) -> list[str]:
    """The ids at which each portion but the first begins, about `users` a portion: none where no relation has more users.

    The relations have a row a user or, with many files or versions, several.
    """
    sizes = {name: _size(connection, name, users) for name in sorted(relations)}
    if not sizes or max(sizes.values()) <= users:
        return []
    largest = max(sizes, key=lambda name: sizes[name])
    portions = -(-sizes[largest] // users)
    shares = [number / portions for number in range(1, portions)]
    found = connection.execute(f"SELECT quantile_disc(user_id, {shares}) FROM {quoted(largest)}").fetchall()[0][0]
    return list(dict.fromkeys(found))


def _size(connection: duckdb.DuckDBPyConnection, relation: str, users: int) -> int:
    """The number of rows, which is known without reading them, or where that is more than `users` about that of users."""
    rows = int(connection.execute(f"SELECT count(*) FROM {quoted(relation)}").fetchall()[0][0])
    if rows <= users:
        return rows
    about = connection.execute(f"SELECT approx_count_distinct(user_id) FROM {quoted(relation)}").fetchall()[0][0]
    return min(rows, int(about))


def relations_of(query: exp.Query) -> set[str]:
    """The relations that a query reads and does not define itself."""
    own = {part.alias for part in query.find_all(exp.CTE)}
    return {table.name for table in query.find_all(exp.Table)} - own


def narrowed(query: exp.Select, cuts: list[str]) -> list[str]:
    """The DuckDB SQL of the query for the users of each portion, in their order; every relation has a column `user_id`.

    A relation is laid over by one of the same name with the users of the portion only, which the query then reads in its place.
    """
    written = query.sql(dialect="duckdb")
    relations = sorted(relations_of(query))
    texts = []
    for low, high in pairwise([None, *cuts, None]):
        bounds = [f"user_id >= {text_of(low)}"] if low is not None else []
        bounds += [f"user_id < {text_of(high)}"] if high is not None else []
        laid = ", ".join(
            f"{quoted(name)} AS NOT MATERIALIZED (SELECT * FROM temp.main.{quoted(name)} WHERE {' AND '.join(bounds)})"
            for name in relations
        )
        texts.append(f"WITH {laid} SELECT * FROM ({written})" if bounds else written)
    return texts
