"""Attribute history: the rows of a source of users with `updated_at`, as intervals in which attributes hold.

Parts hold what was delivered, a row a user and `updated_at`. From all of them follows one file of intervals that readers read:
of rows in a row that say the same only the first counts. Imports manifest, overlaps, sources and staging.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from limner_profile.casts import SQL_TYPE, StagedField
from limner_profile.manifest import Ingested, Part
from limner_profile.overlaps import copy_to, parquet_list
from limner_profile.sql_text import quoted, text_of

# So many parts of a database with a cursor stand beside each other before they become one.
_PARTS = 8


@dataclass(frozen=True)
class History:
    """The file of intervals of a source (relative to .limner/), how many there are, and how many rows contradicted others."""

    file: str
    rows: int
    contradictions: int


def intervals_sql(relation: str, columns: Sequence[str]) -> str:
    """The SELECT that makes intervals of the rows (`user_id`, `valid_from`, `columns`) of a relation, in their order.

    The relation has one row a user and instant. A row like the one before it begins no interval; `valid_to` is the instant
    of the next one, NULL for the last.
    """
    names = ", ".join(["user_id", *(quoted(column) for column in columns)])
    values = _values(columns)
    each = "PARTITION BY user_id ORDER BY valid_from"
    return (
        f"SELECT {names}, valid_from, lead(valid_from) OVER ({each}) AS valid_to FROM (SELECT * FROM {relation} "
        f"QUALIFY {values} IS DISTINCT FROM lag({values}) OVER ({each})) ORDER BY user_id, valid_from"
    )


def joined_sql(relation: str, mapping: str, columns: Sequence[str]) -> str:
    """The SELECT that makes one history of the intervals of all ids of a user; `mapping` has the rows (`id`, `user_id`).

    At every instant a value is that of the user's own id, else that of the first other id that has one. Ids that `mapping`
    does not name are left out.
    """
    own_first = "CASE WHEN s._row = s.user_id THEN '' ELSE 'x' || s._row END"
    values = [
        # Known since the first of the ids is; one without a beginning is known from its first row on.
        "CASE WHEN count(s.since) = count(*) THEN min(s.since) END AS since"
        if column == "since"
        else f"arg_min(s.{quoted(column)}, {own_first}) AS {quoted(column)}"
        for column in columns
    ]
    names = ", ".join(["valid_from", "valid_to", *(f"r.{quoted(column)}" for column in columns)])
    rows = f"(SELECT m.user_id, m.id AS _row, {names} FROM {relation} AS r JOIN {mapping} AS m ON m.id = r.user_id)"
    each = (
        f"(SELECT {', '.join(['i.user_id', 'i.valid_from', *values])} FROM (SELECT DISTINCT user_id, valid_from FROM {rows}) AS i "
        f"JOIN {rows} AS s ON s.user_id = i.user_id AND s.valid_from <= i.valid_from "
        "AND (s.valid_to IS NULL OR s.valid_to > i.valid_from) GROUP BY ALL)"
    )
    return intervals_sql(each, columns)


def write_history(
    con: duckdb.DuckDBPyConnection,
    state: Path,
    source: str,
    fields: Sequence[StagedField],
    parts: Sequence[Part],
    known: Ingested | None = None,
) -> History:
    """The intervals that the parts give, written as one file; of rows of one user and instant that of the last part counts.

    `known` is what the same mapping gave before: where all that is new is later than all that was there, its intervals are
    taken up instead of its parts.
    """
    columns = [field.name for field in fields if field.name not in ("user_id", "updated_at")]
    target = f"users/{source}-history-{_digest(parts)}.parquet"
    fresh = _only_later(con, state, parts, known)
    relation = _rows(con, state, fields, fresh or parts)
    contradictions = sum(part.contradictions for part in fresh or parts)
    if len(fresh or parts) > 1:
        beaten, differing = _beaten(con, relation, columns)
        relation, contradictions = beaten, contradictions + differing
    if fresh and known and known.history:
        contradictions += known.contradictions
        names = ", ".join(["user_id", "valid_from", *(quoted(column) for column in columns)])
        past = text_of(str(state / known.history))
        relation = f"(SELECT {names} FROM read_parquet({past}) UNION ALL SELECT {names} FROM {relation})"
    copy_to(con, intervals_sql(relation, columns), state / target)
    rows = con.execute("SELECT count(*) FROM read_parquet(?)", [str(state / target)]).fetchall()[0][0]
    return History(target, int(rows), contradictions)


def _only_later(
    con: duckdb.DuckDBPyConnection, state: Path, parts: Sequence[Part], known: Ingested | None
) -> list[Part]:
    """The parts that are new, where all their rows are later than all that was there; empty where they are not."""
    if known is None or known.history is None or not (state / known.history).exists():
        return []
    there = {part.file for part in known.parts}
    fresh = [part for part in parts if part.file not in there]
    if not fresh or not there or not there <= {part.file for part in parts}:
        return []
    query = "SELECT min(updated_at), max(updated_at) FROM read_parquet(?)"
    (_, end), (begin, _) = (
        con.execute(query, [[str(state / file) for file in files]]).fetchall()[0]
        for files in (sorted(there), [part.file for part in fresh])
    )
    return fresh if begin is not None and end is not None and begin > end else []


def _beaten(con: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str]) -> tuple[str, int]:
    """The relation without the rows that one of a later part replaces, and how many of those said something else."""
    # First the hashes that stand twice, which is cheap; then the rows themselves, which are few or none.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE tied AS SELECT h FROM (SELECT hash(user_id, valid_from) AS h FROM {relation}) "
        "GROUP BY h HAVING count(*) > 1"
    )
    if not con.execute("SELECT 1 FROM tied LIMIT 1").fetchall():
        return relation, 0
    key, values = "PARTITION BY user_id, valid_from ORDER BY _part DESC", _values(columns)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE beaten AS SELECT user_id, valid_from, _part, {values} IS DISTINCT FROM "
        f"first_value({values}) OVER ({key}) AS differs FROM {relation} "
        f"WHERE hash(user_id, valid_from) IN (SELECT h FROM tied) QUALIFY row_number() OVER ({key}) > 1"
    )
    differing = int(con.execute("SELECT count(*) FROM beaten WHERE differs").fetchall()[0][0])
    return f"(SELECT * FROM {relation} ANTI JOIN beaten USING (user_id, valid_from, _part))", differing


def keep_earlier(
    con: duckdb.DuckDBPyConnection,
    state: Path,
    source: str,
    fields: Sequence[StagedField],
    earlier: Sequence[Part],
    present: Sequence[Part],
) -> list[Part]:
    """The part that keeps the rows of `earlier` ones, whose files have changed or gone; none where `present` has them all.

    Of rows in a row that say the same the first and the last are kept, so that a full export every day does not add a row
    a day. A row that arrives late and falls between those two holds until the last.
    """
    earlier = [part for part in earlier if all((state / path).exists() for path in (part.file, part.rejects_file))]
    if all(part.kept for part in earlier):
        return list(earlier)
    return _folded(con, state, source, fields, earlier, present)


def fold(
    con: duckdb.DuckDBPyConnection, state: Path, source: str, fields: Sequence[StagedField], parts: Sequence[Part]
) -> list[Part]:
    """The parts that a database with a cursor gave, all but the last made one where they have become many."""
    if len(parts) <= _PARTS:
        return list(parts)
    *earlier, last = parts
    folded = _folded(con, state, source, fields, earlier, [last])
    if not folded:
        return [last]
    rejects = parquet_list(state / part.rejects_file for part in earlier)
    copy_to(con, f"SELECT * FROM read_parquet({rejects}) ORDER BY file, line", state / folded[0].rejects_file)
    read = sum(part.rows + part.duplicates for part in earlier)
    kept = replace(
        folded[0],
        rejected=sum(part.rejected for part in earlier),
        duplicates=read - folded[0].rows,
        contradictions=sum(part.contradictions for part in earlier),
    )
    return [kept, last]


def count_contradictions(con: duckdb.DuckDBPyConnection, fields: Sequence[StagedField], kept: str) -> int:
    """How many rows of `staged` are not in `kept`, but another of that user and updated_at with other values."""
    if kept == "staged":
        return 0
    names = [field.name for field in fields]
    left, right = (", ".join(["0", *(f"{side}.{quoted(name)}" for name in names)]) for side in ("l", "k"))
    query = (
        f"SELECT count(*) FROM staged AS l JOIN {kept} AS k ON l.user_id = k.user_id AND l.updated_at = k.updated_at "
        f"WHERE l._row IN (SELECT _row FROM losers) AND row({left}) IS DISTINCT FROM row({right})"
    )
    return int(con.execute(query).fetchall()[0][0])


def lost_rows(before: Ingested | None, known: Ingested | None) -> int:
    """How many earlier rows a sync will lose, since the mapping has changed and no file holds them any more."""
    if before is None or known is not None:
        return 0
    return sum(part.rows for part in before.parts if part.kept)


def _folded(
    con: duckdb.DuckDBPyConnection,
    state: Path,
    source: str,
    fields: Sequence[StagedField],
    earlier: Sequence[Part],
    present: Sequence[Part],
) -> list[Part]:
    columns = [field.name for field in fields if field.name not in ("user_id", "updated_at")]
    values, each = _values(columns), "PARTITION BY user_id ORDER BY valid_from"
    names = ", ".join(quoted(field.name) for field in fields if field.name != "updated_at")
    fingerprint = _digest([*earlier, *present])
    target = f"users/{source}-kept-{fingerprint}.parquet"
    rows = _rows(con, state, fields, earlier)
    there = f"read_parquet({parquet_list(state / part.file for part in present)}, union_by_name = true)"
    query = (
        f"SELECT {names}, valid_from AS updated_at FROM (SELECT * FROM {rows} AS e WHERE NOT EXISTS "
        f"(SELECT 1 FROM {there} AS p WHERE p.user_id = e.user_id AND p.updated_at = e.valid_from) "
        "QUALIFY row_number() OVER (PARTITION BY user_id, valid_from ORDER BY _part DESC) = 1) "
        f"QUALIFY {values} IS DISTINCT FROM lag({values}) OVER ({each}) "
        f"OR {values} IS DISTINCT FROM lead({values}) OVER ({each}) ORDER BY user_id, valid_from"
    )
    copy_to(con, query, state / target)
    count = int(con.execute("SELECT count(*) FROM read_parquet(?)", [str(state / target)]).fetchall()[0][0])
    if not count:
        return []
    # What could not be read of a file that has changed is no history.
    rejects = f"rejects/{source}-kept-{fingerprint}.parquet"
    nothing = parquet_list([state / earlier[0].rejects_file])
    copy_to(con, f"SELECT * FROM read_parquet({nothing}) LIMIT 0", state / rejects)
    return [Part("(earlier)", fingerprint, target, rejects, count, 0, 0, kept=True)]


def _rows(con: duckdb.DuckDBPyConnection, state: Path, fields: Sequence[StagedField], parts: Sequence[Part]) -> str:
    """The relation of all rows of the parts, with `valid_from` for updated_at and the number of the part as `_part`."""
    con.execute("CREATE OR REPLACE TEMP TABLE part_files (_file VARCHAR, _part INTEGER)")
    con.executemany(
        "INSERT INTO part_files VALUES (?, ?)", [(str(state / part.file), number) for number, part in enumerate(parts)]
    )
    files = parquet_list(state / part.file for part in parts)
    # The type of a column without values may have been another when a part was written.
    columns = ", ".join(
        f"CAST({quoted(field.name)} AS {SQL_TYPE[field.type]}) AS "
        f"{quoted('valid_from' if field.name == 'updated_at' else field.name)}"
        for field in fields
    )
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW delivered AS SELECT {columns}, _part FROM "
        f"read_parquet({files}, filename = '_file', union_by_name = true) JOIN part_files USING (_file)"
    )
    return "delivered"


def _values(columns: Sequence[str]) -> str:
    # Never NULL itself, so that a first row without values differs from no row.
    return f"row({', '.join(['0', *(quoted(column) for column in columns)])})"


def _digest(parts: Sequence[Part]) -> str:
    return hashlib.sha256(" ".join(part.file for part in parts).encode()).hexdigest()[:12]
