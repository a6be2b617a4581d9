"""Candidate conditions: readable one-tag predicates over the tag values of training rows, as a boolean matrix.

Thresholds are quantiles of the training rows, rounded to numbers that a person would write. May import the predicate
language of floor 1; pandas only inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from limner_explain.evaluation import Flags, Floats, TagTable
from limner_profile.predicates import Compare, Known, Predicate

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 2.0**53
"""Beyond this a float no longer tells whole numbers apart, so no threshold is put there."""


@dataclass(frozen=True)
class CandidateSettings:
    """How fine the grid is and how many rows a condition needs, as a share of the rows and as a count."""

    min_share: float = 0.01
    min_count: int = 30
    quantiles: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
    max_values: int = 20


@dataclass(frozen=True)
class Condition:
    """One candidate: the predicate, the tag it is about and its text."""

    predicate: Predicate
    tag: str
    text: str


@dataclass(frozen=True)
class Candidates:
    """The conditions and the boolean matrix (rows by conditions) of the rows they were made from."""

    conditions: tuple[Condition, ...]
    matrix: Flags

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag of each condition, in the order of the matrix's columns."""
        return tuple(condition.tag for condition in self.conditions)


def make_candidates(
    frame: pd.DataFrame, tags: Sequence[str] | None = None, settings: CandidateSettings | None = None
) -> Candidates:
    """The candidate conditions of `tags` (default: every column) with their matrix over the rows of `frame`.

    A condition needs `min_share` of the rows and `min_count` of them, and must leave out as many; of two conditions of
    a tag that few rows tell apart only the first is kept. Columns that are neither number, category nor boolean are
    passed over. The order follows the tags and is the same on every run.
    """
    settings = settings or CandidateSettings()
    table = TagTable(frame)
    least = max(settings.min_count, math.ceil(settings.min_share * len(frame)), 1)
    conditions: list[Condition] = []
    columns: list[Flags] = []
    for tag in tags if tags is not None else [str(name) for name in frame.columns]:
        kept: list[Flags] = []
        for predicate in _proposed(table, tag, settings):
            flags = table.evaluate(predicate)
            size = int(flags.sum())
            if size < least or len(flags) - size < least:
                continue
            if any(int((flags ^ other).sum()) < least for other in kept):
                continue
            kept.append(flags)
            conditions.append(Condition(predicate, tag, predicate.to_text()))
        columns.extend(kept)
    matrix = np.column_stack(columns) if columns else np.zeros((len(frame), 0), dtype=bool)
    return Candidates(tuple(conditions), matrix)


def evaluate_conditions(conditions: Sequence[Condition], frame: pd.DataFrame) -> Flags:
    """The boolean matrix (rows by conditions) of the same conditions on another frame: hold-out, current snapshot."""
    table = TagTable(frame)
    columns = [table.evaluate(condition.predicate) for condition in conditions]
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0), dtype=bool)


def _proposed(table: TagTable, tag: str, settings: CandidateSettings) -> Iterator[Predicate]:
    """The predicates worth trying on one tag, the ones to prefer first."""
    column = table.column(tag)
    if column.kind == "other":
        return
    if not column.known.all():
        yield Known(field=tag, known=False)
    if column.kind == "boolean":
        yield Compare(field=tag, operator="=", value=True)
        yield Compare(field=tag, operator="=", value=False)
    elif column.kind == "category":
        values, counts = np.unique(column.values[column.known].astype(str), return_counts=True)
        order = np.lexsort((values, -counts))[: settings.max_values]
        # A value that no condition can be written for (see predicates.values) is no candidate.
        writable = [str(values[at]) for at in order if "\x00" not in values[at]]
        yield from (Compare(field=tag, operator="=", value=value) for value in writable)
    elif column.known.any():
        values = np.asarray(column.values[column.known], dtype=np.float64)
        if values.min() == 0:
            yield Compare(field=tag, operator="=", value=0)
            # Whole numbers read better as "at least 1" than as "above 0".
            whole = bool((values == np.floor(values)).all())
            yield Compare(field=tag, operator=">=", value=1) if whole else Compare(field=tag, operator=">", value=0)
        for cut in thresholds(values, settings.quantiles):
            yield Compare(field=tag, operator=">=", value=cut)
            yield Compare(field=tag, operator="<", value=cut)


def thresholds(values: Floats, quantiles: Sequence[float]) -> list[int | float]:
    """The quantiles of the known values, rounded to two significant digits, ascending and without repetition.

    Whole numbers where the values are whole. Values that lie close together compared with their size (years of birth)
    are rounded to two digits of their spread instead, so that the rounding does not merge them.

    >>> thresholds(np.arange(0.0, 1000.0), (0.123, 0.5, 0.987))
    [120, 500, 990]
    >>> thresholds(np.arange(1960.0, 2010.0), (0.1, 0.5))
    [1964, 1984]
    """
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return []
    whole = bool((finite == np.floor(finite)).all())
    low, high = np.quantile(finite, (0.05, 0.95), method="inverted_cdf")
    spread = float(high - low)
    cuts: set[int | float] = set()
    for quantile in np.quantile(finite, quantiles, method="inverted_cdf"):
        cut = readable(float(quantile), spread)
        if abs(cut) >= LARGEST:
            continue
        cuts.add(round(cut) if whole or cut == math.floor(cut) else cut)
    return sorted(cuts)


def readable(value: float, spread: float) -> float:
    """The value rounded to two significant digits, or to two digits of `spread` where that is far smaller.

    >>> readable(1234.0, 2000.0), readable(0.04567, 1.0), readable(1987.0, 30.0)
    (1200.0, 0.046, 1987.0)
    """
    size = spread if 0 < spread < abs(value) / 5 else abs(value)
    if size == 0:
        return 0.0
    return round(value, 1 - math.floor(math.log10(size)))
