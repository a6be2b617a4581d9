"""Drift: how far the distribution of a tag has moved between two tables of profiles, as the PSI.

Works on a connection that sees both tables and on names of tags; knows nothing of snapshots or files. Imports sources
(the field types) only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import duckdb

from limner_profile.sources import FieldType

# By custom: below the first the distribution is stable, above the second it has shifted.
STABLE, SHIFTED = 0.1, 0.25
_TENTHS = [index / 10 for index in range(1, 10)]
_TOP = 20  # the values of a category that are bins of their own


def population_stability(before: Sequence[int], after: Sequence[int]) -> float:
    """The PSI of two counts over the same bins, half a user added to each: Σ (a − b) · ln(a / b) over the shares.

    >>> population_stability([50, 50], [50, 50])
    0.0
    >>> round(population_stability([500, 500], [250, 750]), 2)
    0.27
    """
    if len(before) != len(after):
        raise ValueError("the counts have different numbers of bins")
    old, new = [count + 0.5 for count in before], [count + 0.5 for count in after]
    old_sum, new_sum = sum(old), sum(new)
    shares = [(b / old_sum, a / new_sum) for b, a in zip(old, new, strict=True)]
    return sum((a - b) * math.log(a / b) for b, a in shares)


def drift_words(psi: float | None) -> str:
    """`stable`, `moved` or `shifted`, and nothing where there is no PSI."""
    if psi is None:
        return ""
    return "stable" if psi < STABLE else "moved" if psi <= SHIFTED else "shifted"


def measure_drift(
    connection: duckdb.DuckDBPyConnection, before: str, after: str, tags: Mapping[str, FieldType]
) -> dict[str, float]:
    """Tag to PSI of the relation `after` against `before`, over bins made from `before`; unknown is a bin.

    Numbers, and dates and times as their age at as_of, fall into the tenths of `before`; categories into their twenty
    commonest values and the rest. Both relations hold `user_id` and the tags; each is read a few times.
    """
    as_of = {relation: f"(SELECT max(as_of) FROM {_beside(relation, 'snapshot')})" for relation in (before, after)}
    bins: dict[str, list[str]] = {}
    numbers = [name for name, kind in tags.items() if kind not in ("category", "boolean")]
    if numbers:
        cuts = ", ".join(f"quantile_disc({_number(name, tags[name], as_of[before])}, {_TENTHS})" for name in numbers)
        rows = connection.execute(f"SELECT {cuts} FROM {before}").fetchall()
        for name, found in zip(numbers, rows[0], strict=True):
            # Cut points of repeated values fall together: so many equal values are one bin.
            edges = sorted({float(cut) for cut in found or () if math.isfinite(cut)})
            bins[name] = [f"v <= {edge!r}::DOUBLE" for edge in edges] or ["false"]
    for name, kind in tags.items():
        if kind in ("category", "boolean"):
            column = f"CAST({_quoted(name)} AS VARCHAR)"
            common = connection.execute(
                f"SELECT {column} AS value FROM {before} WHERE value IS NOT NULL GROUP BY value "
                f"ORDER BY count(*) DESC, value LIMIT {_TOP}"
            ).fetchall()
            bins[name] = ["v = '" + str(value).replace("'", "''") + "'" for (value,) in common] or ["false"]
    if not bins:
        return {}
    counts = {relation: _counts(connection, relation, tags, bins, as_of[relation]) for relation in (before, after)}
    return {name: population_stability(counts[before][name], counts[after][name]) for name in tags}


def _counts(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    tags: Mapping[str, FieldType],
    bins: Mapping[str, list[str]],
    as_of: str,
) -> dict[str, list[int]]:
    """Tag to the number of users in each bin, in the last but one with none of them, in the last one with no value."""
    parts = []
    for name, kind in tags.items():
        value = f"CAST({_quoted(name)} AS VARCHAR)" if kind in ("category", "boolean") else _number(name, kind, as_of)
        cases = " ".join(f"WHEN {test} THEN {index}" for index, test in enumerate(bins[name]))
        size = len(bins[name])
        parts.append(
            f"(SELECT list(n ORDER BY bin) FROM (SELECT b.bin, count(p.bin) AS n FROM range({size + 2}) AS b(bin) LEFT JOIN "
            f"(SELECT CASE WHEN v IS NULL THEN {size + 1} {cases} ELSE {size} END AS bin FROM (SELECT {value} AS v FROM {relation})) AS p "
            "USING (bin) GROUP BY b.bin))"
        )
    row = connection.execute(f"SELECT {', '.join(parts)}").fetchall()[0]
    return {name: [int(count) for count in counts] for name, counts in zip(tags, row, strict=True)}


def _number(name: str, kind: FieldType, as_of: str) -> str:
    if kind in ("date", "time"):
        # A date of joining lies later in every snapshot; its age at as_of is what may drift.
        return f"(epoch({as_of}) - epoch({_quoted(name)}::TIMESTAMP))"
    return f"CAST({_quoted(name)} AS DOUBLE)"


def _beside(relation: str, table: str) -> str:
    """The table of the same database as `relation`."""
    database, dot, _ = relation.rpartition(".")
    return f"{database}{dot}{table}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
