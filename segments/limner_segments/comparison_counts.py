"""Counts: how many users of two audiences have each trait, in one pass over each column of `profiles`.

Membership is evaluated once. Categories and booleans are counted by DuckDB; numbers and dates are read as arrays, two columns at a
time, cut at the quantiles of all users and summed up for means. Imports floor 1, the bands and the moments of differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from limner_profile.predicates.base import Predicate
from limner_profile.predicates.compare import Compare
from limner_profile.predicates.known import Known
from limner_profile.predicates.one_of import OneOf
from limner_profile.sources import FieldType
from limner_profile.sql_text import quoted
from limner_segments.comparison_bands import FEW, Bands, date_bands, number_bands
from limner_segments.differences import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LEVELS, OWN_LEVELS = 10, 5
_SAMPLE = 20_000
_DAY = 86_400_000_000
_THOUSANDTHS = 1000
_ARRAYS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "DOUBLE"}
Array = Any


@dataclass(frozen=True)
class Membership:
    """Who belongs to two audiences: for each user, in the order of `profiles`, whether in A and whether in B."""

    in_a: NDArray[np.bool_]
    in_b: NDArray[np.bool_]

    @property
    def parts(self) -> tuple[NDArray[np.bool_], ...]:
        """The users only in A, in both, and only in B."""
        return (self.in_a & ~self.in_b, self.in_a & self.in_b, self.in_b & ~self.in_a)


@dataclass(frozen=True)
class Count:
    """One trait of a tag: its value or band, its condition, and the users who have it: only in A, in both, only in B, and all.

    `name` is None for unknown, `rest` marks the values of a category that are not counted singly. `candidates` is how many
    traits it was picked from for its count in A or B, 1 where that played no part.
    """

    tag: str
    name: str | None
    condition: Predicate
    parts: tuple[int, int, int]
    users: int
    rest: bool = False
    candidates: int = 1


@dataclass(frozen=True)
class TagCounts:
    """The traits of a tag, whose counts add up to everyone, and for a number the moments of the three parts."""

    tag: str
    counts: tuple[Count, ...]
    moments: Moments | None = None
    centre: float = 0.0

    @property
    def known(self) -> tuple[tuple[int, int, int], int]:
        """The users with a value: only in A, in both, only in B; and all of them."""
        counts = [count for count in self.counts if count.name is not None]
        a, both, b = (sum(count.parts[at] for count in counts) for at in range(3))
        return (a, both, b), sum(count.users for count in counts)


def read_membership(cursor: duckdb.DuckDBPyConnection, inside: str, other: str) -> Membership:
    """The users of two conditions, in SQL; they stay in the temporary table `limner_membership` of this cursor as well."""
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE limner_membership AS SELECT CAST(in_a AS UTINYINT) + 2 * CAST(in_b AS UTINYINT) AS side FROM "
        f"(SELECT coalesce({inside}, FALSE) AS in_a, coalesce({other}, FALSE) AS in_b FROM profiles)"
    )
    side = np.asarray(cursor.execute("SELECT side FROM limner_membership").fetchnumpy()["side"]).astype(np.uint8)
    return Membership((side & 1).astype(np.bool_), (side >> 1).astype(np.bool_))


def count_tags(
    cursor: duckdb.DuckDBPyConnection, membership: Membership, tags: Mapping[str, FieldType]
) -> list[TagCounts]:
    """The counts of each of these columns of `profiles`, in their order; `cursor` is the one that `read_membership` got."""
    parts = membership.parts
    read = [name for name, kind in tags.items() if kind != "category"]
    sides = [part.astype(np.float64) for part in parts]
    stored = dict(cursor.execute("SELECT column_name, column_type FROM (DESCRIBE profiles)").fetchall())

    def counted(name: str) -> TagCounts:
        with cursor.cursor() as own:  # one each, since two threads may not share a connection
            if tags[name] == "number":
                column = quoted(name) if stored[name] in _ARRAYS else f"CAST({quoted(name)} AS DOUBLE)"
                return _count_numbers(own, name, column, parts, sides)
            return (_count_booleans if tags[name] == "boolean" else _count_dates)(own, name, parts)

    # NumPy works without the interpreter's lock, while DuckDB reads the next column.
    with ThreadPoolExecutor(2) as pool:
        arrays = pool.map(counted, read)
        found = {name: _count_levels(cursor, name, membership) for name in tags if name not in read}
        found |= dict(zip(read, arrays, strict=True))
    return [found[name] for name in tags]


def _count_levels(cursor: duckdb.DuckDBPyConnection, tag: str, membership: Membership) -> TagCounts:
    """The commonest values of all users, then those commonest in A or in B, the rest together, and unknown."""
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE limner_levels AS SELECT {quoted(tag)} AS v, side, count(*) AS n "
        "FROM profiles POSITIONAL JOIN limner_membership GROUP BY 1, 2"
    )
    rows = cursor.execute(
        f"""
        WITH counted AS MATERIALIZED (
            SELECT v, coalesce(sum(n) FILTER (WHERE side = 1), 0)::BIGINT AS a, coalesce(sum(n) FILTER (WHERE side = 3), 0)::BIGINT AS ab,
                coalesce(sum(n) FILTER (WHERE side = 2), 0)::BIGINT AS b, sum(n)::BIGINT AS n
            FROM limner_levels GROUP BY 1
        )
        SELECT NULL AS v, a, ab, b, n, 0 AS place, 0 AS own FROM counted WHERE v IS NULL
        UNION ALL SELECT NULL, sum(a)::BIGINT, sum(ab)::BIGINT, sum(b)::BIGINT, sum(n)::BIGINT, count(*), NULL
            FROM counted WHERE v IS NOT NULL
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
    distinct = int(whole[5])
    common = levels if distinct <= MAX_LEVELS + 2 else levels[:MAX_LEVELS]
    own = _own_levels(levels, common, membership) if distinct > len(common) else []
    counts = [_level(tag, row, 1) for row in common] + [_level(tag, row, distinct) for row in own]
    shown = tuple(row[0] for row in (*common, *own))
    if distinct > len(shown):
        left = tuple(int(whole[at] or 0) - sum(row[at] for row in (*common, *own)) for at in (1, 2, 3, 4))
        rest = OneOf(field=tag, values=shown, negated=True)
        counts.append(Count(tag, "", rest, (left[0], left[1], left[2]), left[3], rest=True))
    for row in unknown:
        counts.append(Count(tag, None, Known(field=tag, known=False), (row[1], row[2], row[3]), row[4]))
    return TagCounts(tag, tuple(counts))


def _own_levels(levels: Sequence[Any], common: Sequence[Any], membership: Membership) -> list[Any]:
    """The values beyond the commonest that are as common in A or in B as the last of these is among all users."""
    size_a, size_b, users = int(membership.in_a.sum()), int(membership.in_b.sum()), len(membership.in_a)
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


def _count_booleans(cursor: duckdb.DuckDBPyConnection, tag: str, parts: Sequence[Array]) -> TagCounts:
    values, unknown = _column(cursor, f"SELECT {quoted(tag)} AS v FROM profiles")
    groups = (("true", values), ("false", ~values & ~unknown), (None, unknown))
    counts = []
    for name, group in groups:
        condition = (
            Known(field=tag, known=False) if name is None else Compare(field=tag, operator="=", value=name == "true")
        )
        users, *inside = (int(np.count_nonzero(part)) for part in (group, *(group & part for part in parts)))
        if users:
            counts.append(Count(tag, name, condition, (inside[0], inside[1], inside[2]), users))
    return TagCounts(tag, tuple(counts))


def _count_numbers(
    cursor: duckdb.DuckDBPyConnection, tag: str, column: str, parts: Sequence[Array], sides: Sequence[Array]
) -> TagCounts:
    values, unknown = _column(cursor, f"SELECT {column} AS v FROM profiles")
    if values.dtype.kind == "f" and np.isnan(values).any():
        values = np.where(np.isnan(values), np.inf, values)  # no number is above all others, as DuckDB has it
    whole = values.dtype.kind in "iu" or bool(((np.floor(values) == values) | unknown).all())
    points = _points(values, unknown)
    known = ~unknown
    complete = len(points) <= FEW and int(known.sum()) == sum(
        int(((values == value) & known).sum()) for value, _ in points
    )
    bands = number_bands(points, whole, complete)
    with np.errstate(invalid="ignore", over="ignore"):
        centre = points[len(points) // 2][0] if points else 0.0
        deviations = np.subtract(values, centre, dtype=np.float64)
        deviations[unknown] = 0.0
        # Not the dot product: its threads would stand in each other's way here.
        totals = [float(np.einsum("i,i->", deviations, side)) for side in sides]
        squares = [float(np.einsum("i,i,i->", deviations, deviations, side)) for side in sides]
        sizes = [float(np.count_nonzero(part & known)) for part in parts]
    moments = Moments(np.array(sizes), np.array(totals), np.array(squares))
    counts = _count_bands(tag, values, unknown, bands, parts, lambda value: value)
    return TagCounts(tag, counts, moments, centre)


def _count_dates(cursor: duckdb.DuckDBPyConnection, tag: str, parts: Sequence[Array]) -> TagCounts:
    column = f"CAST({quoted(tag)} AS TIMESTAMP)"
    # An infinite time has no microseconds, but stands before or after all others.
    ends = f"CASE WHEN {column} < TIMESTAMP 'epoch' THEN {-(2**62)} ELSE {2**62} END"
    values, unknown = _column(
        cursor,
        f"SELECT CASE WHEN {column} IS NULL THEN NULL WHEN isfinite({column}) THEN epoch_us({column}) ELSE {ends} END AS v FROM profiles",
    )
    values = values.astype(np.int64, copy=False)
    finite = np.abs(values) < 2**62
    points = [(value / _DAY, below) for value, below in _points(values, unknown | ~finite)]
    bands = date_bands(points)
    epoch = date(1970, 1, 1)
    return TagCounts(tag, _count_bands(tag, values, unknown, bands, parts, lambda day: (day - epoch).days * _DAY))


def _column(cursor: duckdb.DuckDBPyConnection, query: str) -> tuple[Array, Array]:
    """The column `v` of a query, of whole numbers, floats or booleans, with a flag for each unknown value."""
    import pyarrow as pa

    column = cursor.sql(query).to_arrow_table().column("v").combine_chunks()
    unknown = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(column.type):
        return column.fill_null(False).to_numpy(zero_copy_only=False), unknown
    kind = np.dtype(column.type.to_pandas_dtype())
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)], unknown


def _points(values: Array, unknown: Array) -> list[tuple[float, float]]:
    """The different values of a sample of the known ones, the lowest and the highest among them, each with the share below it.

    Everybody is in the sample where it is no larger; the draw is the same every time, since cuts must not move between two looks.
    """
    known = values[~unknown] if unknown.any() else values
    if not len(known):
        return []
    chosen = known
    if len(known) > _SAMPLE:
        chosen = known[np.random.default_rng(0).integers(0, len(known), _SAMPLE)]
        chosen[:2] = known.min(), known.max()
    chosen = np.sort(chosen)
    # A thousand of them, since a cut needs to be no more exact than that.
    kept = np.unique(chosen[np.linspace(0, len(chosen) - 1, min(_THOUSANDTHS + 1, len(chosen))).astype(np.int64)])
    below = np.searchsorted(chosen, kept, side="left") / len(chosen)
    return [(value, share) for value, share in zip(kept.tolist(), below.tolist(), strict=True) if np.isfinite(value)]


def _count_bands(
    tag: str, values: Array, unknown: Array, bands: Bands, parts: Sequence[Array], read: Callable[[Any], Any]
) -> tuple[Count, ...]:
    """The users in each band, those without a value, and none of either kind that nobody is in."""
    known = ~unknown
    groups = [known, *(part & known for part in parts)]
    # Users at or above each cut; those between two cuts are in the band.
    reached = [[int(np.count_nonzero(group)) for group in groups]]
    for cut in bands.cuts:
        above = values > read(cut.value) if cut.beyond else values >= read(cut.value)
        reached.append([int(np.count_nonzero(above & group)) for group in groups])
    reached.append([0] * len(groups))
    counts = []
    if known.any():
        for at, (name, condition) in enumerate(zip(bands.names(), bands.conditions(tag), strict=True)):
            users, a, both, b = (upper - lower for upper, lower in zip(reached[at], reached[at + 1], strict=True))
            if users:
                counts.append(Count(tag, name, condition, (a, both, b), users))
    missing = [int(np.count_nonzero(group & unknown)) for group in (unknown, *parts)]
    if missing[0]:
        nobody_knows = Known(field=tag, known=False)
        counts.append(Count(tag, None, nobody_knows, (missing[1], missing[2], missing[3]), missing[0]))
    return tuple(counts)
