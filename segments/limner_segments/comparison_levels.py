"""Levels: the values of a category in a comparison, counted by DuckDB. Imports floor 1 and the counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from limner_profile.predicates.base import Predicate
from limner_profile.predicates.compare import Compare
from limner_profile.predicates.known import Known
from limner_profile.predicates.one_of import OneOf
from limner_profile.sql_text import quoted
from limner_segments.comparison_counts import Count, Membership, TagCounts

MAX_LEVELS, OWN_LEVELS = 10, 5
# More different values than MANY are looked for in a sample of SAMPLE users, SEEN of them at the most from each side.
MANY, SAMPLE, SEEN = 2_000, 50_000, 30


def count_levels(
    cursor: duckdb.DuckDBPyConnection, tag: str, membership: Membership, values: int | None = None
) -> TagCounts:
    """The commonest values of all users, then those commonest in A or in B, the rest together, and unknown.

    `values` is how many different ones there are, where that is known. Of very many (such as addresses) only those are counted
    that a sample of the users has several times; what is counted is exact.
    """
    column, level, parameters = quoted(tag), quoted(tag), dict[str, Any]()
    sampled = values is not None and values > MANY and len(membership.in_a) > SAMPLE
    if sampled:
        parameters["seen"] = _seen_in_sample(cursor, column, len(membership.in_a))
        level = f"CASE WHEN list_contains($seen, {column}) THEN {column} END"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE limner_levels AS SELECT {level} AS v, {column} IS NULL AS missing, side, count(*) AS n "
        "FROM profiles POSITIONAL JOIN limner_membership GROUP BY 1, 2, 3",
        parameters,
    )
    rows = cursor.execute(
        f"""
        WITH counted AS MATERIALIZED (
            SELECT v, coalesce(sum(n) FILTER (WHERE side = 1), 0)::BIGINT AS a, coalesce(sum(n) FILTER (WHERE side = 3), 0)::BIGINT AS ab,
                coalesce(sum(n) FILTER (WHERE side = 2), 0)::BIGINT AS b, sum(n)::BIGINT AS n, missing
            FROM limner_levels GROUP BY v, missing
        )
        SELECT NULL AS v, a, ab, b, n, 0 AS place, 0 AS own FROM counted WHERE missing
        UNION ALL SELECT NULL, sum(a)::BIGINT, sum(ab)::BIGINT, sum(b)::BIGINT, sum(n)::BIGINT, count(*), NULL
            FROM counted WHERE NOT missing
        UNION ALL (
            SELECT v, a, ab, b, n, row_number() OVER (ORDER BY n DESC, v) AS place,
                row_number() OVER (ORDER BY greatest((a + ab) / $size_a, (ab + b) / $size_b) DESC, v) AS own
            FROM counted WHERE v IS NOT NULL QUALIFY place <= {MAX_LEVELS + 2} OR own <= {MAX_LEVELS + OWN_LEVELS}
        )
        """,
        {"size_a": max(int(membership.in_a.sum()), 1), "size_b": max(int(membership.in_b.sum()), 1)},
    ).fetchall()
    unknown = [row for row in rows if row[0] is None and row[6] == 0]
    (whole,) = (row for row in rows if row[0] is None and row[6] is None)
    levels = sorted((row for row in rows if row[0] is not None), key=lambda row: row[5])
    distinct = values if sampled and values is not None else int(whole[5])
    common = levels if distinct <= MAX_LEVELS + 2 else levels[:MAX_LEVELS]
    own = _own_levels(levels, common, membership) if distinct > len(common) else []
    counts = [_level(tag, row, 1) for row in common] + [_level(tag, row, distinct) for row in own]
    shown = tuple(row[0] for row in (*common, *own))
    if distinct > len(shown):
        left = tuple(int(whole[at] or 0) - sum(row[at] for row in (*common, *own)) for at in (1, 2, 3, 4))
        known = Known(field=tag, known=True)
        rest: Predicate = OneOf(field=tag, values=shown, negated=True) if shown else known
        counts.append(Count(tag, "", rest, (left[0], left[1], left[2]), left[3], rest=True))
    for row in unknown:
        counts.append(Count(tag, None, Known(field=tag, known=False), (row[1], row[2], row[3]), row[4]))
    return TagCounts(tag, tuple(counts))


def _seen_in_sample(cursor: duckdb.DuckDBPyConnection, column: str, users: int) -> list[Any]:
    """The values that two users or more of a sample have, the commonest of all users and of each side."""
    rows = cursor.execute(
        f"""
        SELECT v FROM (
            SELECT {column} AS v, side FROM profiles POSITIONAL JOIN limner_membership
            WHERE hash(profiles.rowid) % {max(users // SAMPLE, 1)} = 0 AND {column} IS NOT NULL
        ) GROUP BY v HAVING count(*) > 1
        QUALIFY row_number() OVER (ORDER BY count(*) DESC, v) <= {SEEN}
            OR row_number() OVER (ORDER BY count(*) FILTER (side IN (1, 3)) DESC, v) <= {SEEN}
            OR row_number() OVER (ORDER BY count(*) FILTER (side IN (2, 3)) DESC, v) <= {SEEN}
        """
    ).fetchall()
    return [row[0] for row in rows]


def _own_levels(levels: Sequence[Any], common: Sequence[Any], membership: Membership) -> list[Any]:
    """The values beyond the commonest that are as common in A or in B as the last of these is among all users."""
    size_a, size_b, users = int(membership.in_a.sum()), int(membership.in_b.sum()), len(membership.in_a)
    if not common:
        return []  # of very many values none is common
    limit = common[-1][4] / users
    chosen = [
        row
        for row in sorted(levels, key=lambda row: row[6])
        if row not in common and max((row[1] + row[2]) / max(size_a, 1), (row[2] + row[3]) / max(size_b, 1)) >= limit
    ]
    return chosen[:OWN_LEVELS]


def _level(tag: str, row: Any, candidates: int) -> Count:
    value = str(row[0])
    return Count(tag, value, Compare(field=tag, operator="=", value=value), row[1:4], row[4], candidates=candidates)
