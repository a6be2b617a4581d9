"""The distribution of one tag over a table of profiles: each column is read once, and everything else follows from it.

Numbers, dates and times are read as an array and sorted: quartiles, different values and the users in each bin are then
look-ups. Categories and booleans are counted by value. Works on a connection and names; imports sources (the field types) only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from limner_profile.sources import FieldType
from limner_profile.sql_text import quoted

if TYPE_CHECKING:
    import numpy as np

COMMON_VALUES = 20  # the values of a category that are bins of their own
THOUSANDTHS = 1000  # the steps between the values whose places are kept
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
Edge = float | str


@dataclass(frozen=True)
class Bins:
    """How a tag's values fall apart: `edges` are the upper bounds of numbers, or values of a category that are bins of their own.

    `users` counts each bin, then those in none of them, then those without a value; without edges the first is an empty bin.
    """

    edges: tuple[Edge, ...]
    users: tuple[int, ...]

    def to_json(self) -> str:
        """As it stands in the column `bins` of `tag_statistics`; numbers are written so that they read back the same."""
        return json.dumps({"edges": self.edges, "users": self.users}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Bins:
        """What `to_json` wrote; raises ValueError for anything else."""
        content = json.loads(text)
        try:
            return cls(tuple(content["edges"]), tuple(int(count) for count in content["users"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no bins: {text[:60]}") from error


@dataclass(frozen=True)
class Distribution:
    """What one read of a column tells: counts, the points of a number, the ends of a date, the commonest values, and its bins.

    `counts` are the users in the bins of another distribution, where one was given to `read_distributions`. `places` are values of
    a number, a thousandth of the users apart, with the share of the known users whose value is lower.
    """

    total: int
    users: int
    distinct: int
    mean: float | None = None
    points: tuple[float, ...] = ()
    earliest: datetime | None = None
    latest: datetime | None = None
    common: tuple[tuple[Any, int], ...] = ()
    bins: Bins = field(default=Bins((), (0, 0, 0)))
    counts: tuple[int, ...] | None = None
    places: tuple[tuple[float, float], ...] = ()


def read_distributions(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    tags: Mapping[str, FieldType],
    earlier: Mapping[str, Sequence[Edge]] | None = None,
) -> dict[str, Distribution]:
    """Tag to its distribution in `relation`; with `earlier`, tag to edges, also counted over the bins that these make.

    Dates and times have bins by their age in seconds at the as_of that the table `snapshot` beside `relation` holds: a date of
    joining lies later in every snapshot, and only its age can drift. Without that table they have none.
    """
    if not tags:
        return {}
    moment = _as_of(connection, relation) if any(kind in ("date", "time") for kind in tags.values()) else None
    total = int(connection.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])

    def read(name: str, kind: FieldType) -> Distribution:
        edges = (earlier or {}).get(name)
        with connection.cursor() as cursor:  # one each, since two threads may not share a connection
            if kind in ("category", "boolean"):
                return _counted(cursor, relation, name, kind, total, edges)
            if kind in ("date", "time"):
                return _aged(cursor, relation, name, total, moment, edges)
            return _sorted(cursor, relation, name, total, edges)

    # NumPy sorts without the interpreter's lock, while DuckDB reads the next column.
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(read, tags.keys(), tags.values()))
    return dict(zip(tags, found, strict=True))


def _sorted(
    cursor: duckdb.DuckDBPyConnection, relation: str, name: str, total: int, edges: Sequence[Edge] | None
) -> Distribution:
    import numpy as np

    values = _array(cursor, f"SELECT {quoted(name)} AS v FROM {relation} WHERE v IS NOT NULL")
    values.sort()
    found = values.astype(np.float64, copy=False)
    # From the column's own values: large whole numbers may differ and still be one as a DOUBLE.
    distinct = _distinct(values)
    points = tuple(_between(found, share) for share in _QUARTILES) if len(found) else ()
    with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
        mean = float(found.mean()) if len(found) else None
    return Distribution(
        total, len(found), distinct, mean, points,
        bins=_tenths(found, total), counts=_in_bins(found, total, edges), places=_places(found),
    )  # fmt: skip


def _aged(
    cursor: duckdb.DuckDBPyConnection,
    relation: str,
    name: str,
    total: int,
    moment: datetime | None,
    edges: Sequence[Edge] | None,
) -> Distribution:

    column = f"CAST({quoted(name)} AS TIMESTAMP)"
    # Infinite times have no microseconds: they count as known, and as different, but have no age.
    values = _array(cursor, f"SELECT epoch_us({column}) AS v FROM {relation} WHERE v IS NOT NULL")
    values.sort()
    ends = cursor.execute(
        f"SELECT min({column}), max({column}), count({column}), count(DISTINCT {column}) FILTER (WHERE NOT isfinite({column})) "
        f"FROM {relation}"
    ).fetchall()[0]
    found = Distribution(total, ends[2], _distinct(values) + ends[3], earliest=ends[0], latest=ends[1])
    if moment is None:
        return found
    ages = ((moment - _EPOCH) // timedelta(microseconds=1) - values[::-1]) / 1e6
    return replace(found, bins=_tenths(ages, total), counts=_in_bins(ages, total, edges))


def _counted(
    cursor: duckdb.DuckDBPyConnection,
    relation: str,
    name: str,
    kind: FieldType,
    total: int,
    edges: Sequence[Edge] | None,
) -> Distribution:
    # One count by value; of a category with many values only the common ones, and those that are bins already, leave DuckDB.
    rows = cursor.execute(
        f"""
        WITH counted AS MATERIALIZED (
            SELECT {quoted(name)} AS v, count(*) AS n FROM {relation} WHERE v IS NOT NULL GROUP BY v
        ),
        common AS (SELECT v, n FROM counted ORDER BY n DESC, v LIMIT {COMMON_VALUES})
        SELECT 0 AS part, NULL AS v, count(*) AS n, coalesce(sum(n), 0)::BIGINT AS users FROM counted
        UNION ALL SELECT 1, v, n, 0 FROM common
        UNION ALL SELECT 2, v, n, 0 FROM counted WHERE list_contains(?, CAST(v AS VARCHAR))
        ORDER BY part, n DESC, v
        """,
        [[str(edge) for edge in edges or ()]],
    ).fetchall()
    distinct, users = rows[0][2], rows[0][3]
    common = tuple((value, count) for part, value, count, _ in rows if part == 1)
    binned = {_text(value): count for part, value, count, _ in rows if part == 2}
    inside = [count for _, count in common] or [0]
    bins = Bins(tuple(_text(value) for value, _ in common), (*inside, users - sum(inside), total - users))
    counts = None
    if edges is not None:
        there = [binned.get(str(edge), 0) for edge in edges] or [0]
        counts = (*there, users - sum(there), total - users)
    mean = None
    if kind == "boolean" and users:
        mean = sum(count for value, count in common if value) / users
    return Distribution(total, users, distinct, mean, common=common, bins=bins, counts=counts)


def _text(value: Any) -> str:
    """As DuckDB casts it to VARCHAR."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _array(cursor: duckdb.DuckDBPyConnection, query: str) -> np.ndarray[Any, Any]:
    """The column `v` of a query, which has no NULL, as an array of its own of whole numbers or floats."""
    import numpy as np

    values = np.asarray(cursor.execute(query).fetchnumpy()["v"])
    return values if values.dtype.kind in "iuf" else values.astype(np.float64)


def _distinct(values: np.ndarray[Any, Any]) -> int:
    """How many different values a sorted array has; NaN is one of them, as in DuckDB."""
    import numpy as np

    known = values[: len(values) - int(np.isnan(values).sum())] if values.dtype.kind == "f" else values
    different = int((known[1:] != known[:-1]).sum()) + 1 if len(known) else 0
    return different + (len(known) < len(values))


def _between(values: np.ndarray[Any, Any], share: float) -> float:
    """The quantile of a sorted array, straight between two neighbours: `quantile_cont`."""
    place = (len(values) - 1) * share
    low, high = math.floor(place), math.ceil(place)
    first, second = float(values[low]), float(values[high])
    return first if low == high else first + (second - first) * (place - low)


def _places(values: np.ndarray[Any, Any]) -> tuple[tuple[float, float], ...]:
    """Values of a sorted array a thousandth of its length apart, each with the share of the array that is lower."""
    import numpy as np

    if not len(values):
        return ()
    chosen = np.unique(values[np.linspace(0, len(values) - 1, THOUSANDTHS + 1).astype(np.int64)])
    lower = np.searchsorted(values, chosen, side="left") / len(values)
    return tuple(zip(chosen.tolist(), lower.tolist(), strict=True))


def _tenths(values: np.ndarray[Any, Any], total: int) -> Bins:
    """The bins that the tenths of a sorted array make: cut points that fall together are one, so that equal values are."""
    known = len(values)
    # The smallest value that a tenth, two tenths, … of the users do not exceed: `quantile_disc`.
    found = {float(values[max(1, -(-known * tenth // 10)) - 1]) for tenth in range(1, 10)} if known else set[float]()
    edges = tuple(sorted(edge for edge in found if math.isfinite(edge)))
    return Bins(edges, _in_bins(values, total, edges) or ())


def _in_bins(values: np.ndarray[Any, Any], total: int, edges: Iterable[Edge] | None) -> tuple[int, ...] | None:
    """The users in the bins that end at `edges`, above all of them, and without a value; None without edges to count over."""
    import numpy as np

    if edges is None:
        return None
    reached = [int(place) for place in np.searchsorted(values, [float(edge) for edge in edges], side="right")]
    inside = [after - before for before, after in zip([0, *reached], reached, strict=False)] or [0]
    return (*inside, len(values) - sum(inside), total - len(values))


def _as_of(connection: duckdb.DuckDBPyConnection, relation: str) -> datetime | None:
    """The as_of of the snapshot that `relation` belongs to, in UTC; None where there is no such table."""
    database = relation.rpartition(".")[0]
    known = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'snapshot' AND database_name = coalesce(?, current_database())",
        [database or None],
    ).fetchall()
    if not known[0][0]:
        return None
    found = connection.execute(f"SELECT max(as_of) FROM {database}{'.' if database else ''}snapshot").fetchall()[0][0]
    return found if isinstance(found, datetime) else None
