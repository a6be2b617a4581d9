"""Drift: how far the distribution of a tag has moved between two tables of profiles, as the PSI.

Works on a connection that sees both tables and on names of tags; knows nothing of snapshots or files. Imports distribution
and sources (the field types).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import duckdb

from limner_profile.distribution import Bins, Distribution, read_distributions
from limner_profile.sources import FieldType

# By custom: below the first the distribution is stable, above the second it has shifted.
STABLE, SHIFTED = 0.1, 0.25


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
    commonest values and the rest. Both relations hold the tags, and are read once.
    """
    bins = {name: found.bins for name, found in read_distributions(connection, before, tags).items()}
    return compare_bins(bins, read_distributions(connection, after, tags, {name: b.edges for name, b in bins.items()}))


def compare_bins(before: Mapping[str, Bins], after: Mapping[str, Distribution]) -> dict[str, float]:
    """Tag to PSI of distributions that were counted over the edges of `before`; tags that were not are left out."""
    return {
        name: population_stability(before[name].users, found.counts)
        for name, found in after.items()
        if name in before and found.counts is not None
    }
