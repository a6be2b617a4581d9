"""Leakage alarms: a tag that alone tells the outcome too well to have been known at the cutoff.

Judged with other rows than those that set its bins' weights, so that a category of many rare levels does not alarm by
chance. Pure functions of rows. Imports the encoding's readers and the evaluation beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from limner_segments.scoring.encoding import ValueType, level_codes, read_booleans, read_numbers, value_type_of
from limner_segments.scoring.evaluation import quantile_edges, roc_auc

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    FloatArray = npt.NDArray[np.float64]
    BoolArray = npt.NDArray[np.bool_]

AUC_ALARM = 0.95
INFORMATION_VALUE_ALARM = 1.0
MIN_OUTCOMES = 20
FOLDS = 5
BINS = 10
SMOOTHING = 0.5
_SEED = 5


@dataclass(frozen=True)
class LeakageAlarm:
    """A tag that tells the outcome too well, with the measures at the cutoff where it does so most.

    `cutoffs` are all the cutoffs where it alarms; `only_later` where it does not alarm at the oldest one, as a value
    that is filled in afterwards would do. `action` is `excluded` where nobody can prove that the value was known at
    the cutoff, `warned` where it is computed from events before the cutoff only.
    """

    tag: str
    auc: float
    information_value: float
    cutoff: int
    cutoffs: tuple[int, ...]
    only_later: bool
    provable: bool
    action: Literal["excluded", "warned"]


def leakage_alarms(
    frame: pd.DataFrame,
    outcome: npt.ArrayLike,
    cutoff: npt.ArrayLike,
    provable: Collection[str],
    value_types: Mapping[str, ValueType] | None = None,
) -> tuple[LeakageAlarm, ...]:
    """The alarms over all columns of `frame`, in their order: information value ≥ 1 or AUC ≥ .95 at any cutoff.

    Each cutoff is judged on its own; one with fewer than 20 rows of either class is passed over, and where that would
    pass over all of them, all rows are judged together under the newest cutoff. `provable` names the tags that are
    computed from events before the cutoff.
    """
    import numpy as np

    happened, cutoffs = np.asarray(outcome) == 1, np.asarray(cutoff)
    groups = _judged_groups(happened, cutoffs)
    alarms: list[LeakageAlarm] = []
    for tag in frame.columns:
        value_type = (value_types or {}).get(tag) or value_type_of(frame[tag])
        found: list[tuple[float, float, int]] = []
        for newest, rows in groups:
            auc, value = single_tag_strength(frame[tag][rows], happened[rows], value_type)
            if auc >= AUC_ALARM or value >= INFORMATION_VALUE_ALARM:
                found.append((value, auc, newest))
        if not found:
            continue
        value, auc, worst = max(found)
        alarming = tuple(sorted(at for _, _, at in found))
        proven = str(tag) in provable
        alarms.append(
            LeakageAlarm(
                tag=str(tag),
                auc=auc,
                information_value=value,
                cutoff=worst,
                cutoffs=alarming,
                only_later=groups[0][0] not in alarming,
                provable=proven,
                action="warned" if proven else "excluded",
            )
        )
    return tuple(alarms)


def single_tag_strength(
    values: pd.Series[Any], happened: BoolArray, value_type: ValueType | None = None
) -> tuple[float, float]:
    """ROC-AUC and information value of one tag alone, both out of fold.

    Numbers fall into ten quantile bins, a category into its levels, unknown into a bin of its own. Each row carries
    the weight of evidence that the other folds give its bin; the information value is the mean weight of rows with the
    outcome minus that of rows without, and the AUC that of the weights. A number is also ranked by its value, in either
    direction, among the rows that know it; the higher AUC counts.
    """
    import numpy as np

    kind = value_type or value_type_of(values)
    ranked = 0.0
    if kind == "category":
        codes, levels = level_codes(values)
        bins = np.where(codes < 0, len(levels), codes)
    else:
        numbers = read_booleans(values) if kind == "boolean" else read_numbers(values)
        bins = number_bins(numbers)
        known = ~np.isnan(numbers)
        with_outcome = int(happened[known].sum())
        if min(with_outcome, int(known.sum()) - with_outcome) >= MIN_OUTCOMES:
            ranked = roc_auc(happened[known], numbers[known])
            ranked = max(ranked, 1.0 - ranked)
    weight = _out_of_fold_evidence(bins, happened)
    value = float(weight[happened].mean() - weight[~happened].mean())
    return max(ranked, roc_auc(happened, weight)), value


def information_value(bins: npt.NDArray[np.intp], happened: BoolArray, smoothing: float = SMOOTHING) -> float:
    """The textbook information value of a binned tag: Σ (share of outcomes − share of others) · weight of evidence.

    `smoothing` is added to both counts of each bin. On the rows that it was computed from, it is too high by about
    (bins − 1) · (1/outcomes + 1/others) for pure noise, which is why alarms use the out-of-fold form.
    """
    import numpy as np

    size = int(bins.max()) + 1
    with_outcome = np.bincount(bins[happened], minlength=size) + smoothing
    others = np.bincount(bins[~happened], minlength=size) + smoothing
    p, q = with_outcome / with_outcome.sum(), others / others.sum()
    return float(np.sum((p - q) * np.log(p / q)))


def number_bins(numbers: FloatArray) -> npt.NDArray[np.intp]:
    """The quantile bin of each number, at most ten; unknown is the last bin."""
    import numpy as np

    known = ~np.isnan(numbers)
    if not known.any():
        return np.zeros(len(numbers), dtype=np.intp)
    edges = quantile_edges(numbers[known], BINS)
    return np.where(known, np.searchsorted(edges, numbers, side="right"), len(edges) + 1)


def _out_of_fold_evidence(bins: npt.NDArray[np.intp], happened: BoolArray) -> FloatArray:
    """For each row the log of how much commoner its bin is among outcomes than among others, in the other folds.

    Each bin gets half a row of the rarer class, and as many of the commoner one as the base rate asks for: a bin that
    the other folds never saw weighs nothing, and one without outcomes by chance weighs little.
    """
    import numpy as np

    size = int(bins.max()) + 1
    fold = _folds(happened)
    weight = np.zeros(len(bins), dtype=np.float64)
    for held in range(FOLDS):
        inside = fold == held
        seen, seen_happened = bins[~inside], happened[~inside]
        rate = float(seen_happened.mean())
        added = SMOOTHING / min(rate, 1.0 - rate)
        with_outcome = np.bincount(seen[seen_happened], minlength=size) + added * rate
        others = np.bincount(seen[~seen_happened], minlength=size) + added * (1.0 - rate)
        evidence = np.log(with_outcome / others) - np.log(rate / (1.0 - rate))
        weight[inside] = evidence[bins[inside]]
    return weight


def _folds(happened: BoolArray) -> npt.NDArray[np.intp]:
    """A fold for each row, in equal parts within each class; the shuffle is fixed."""
    import numpy as np

    rng = np.random.default_rng(_SEED)
    fold = np.zeros(len(happened), dtype=np.intp)
    for of_class in (np.flatnonzero(happened), np.flatnonzero(~happened)):
        fold[rng.permutation(of_class)] = np.arange(len(of_class)) % FOLDS
    return fold


def _judged_groups(happened: BoolArray, cutoffs: npt.NDArray[Any]) -> list[tuple[int, BoolArray]]:
    """The row masks to judge, each with its cutoff, oldest first; none where even all rows hold too few outcomes."""
    import numpy as np

    def enough(rows: BoolArray) -> bool:
        inside = happened[rows]
        return int(min(inside.sum(), (~inside).sum())) >= MIN_OUTCOMES

    groups = [(int(at), cutoffs == at) for at in np.unique(cutoffs)]
    judged = [(at, rows) for at, rows in groups if enough(rows)]
    if judged or not groups:
        return judged
    everyone = np.ones(len(happened), dtype=np.bool_)
    return [(groups[-1][0], everyone)] if enough(everyone) else []
