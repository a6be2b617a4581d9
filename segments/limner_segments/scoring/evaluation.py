"""How good a score is on held-out users: ranking, separation, lift and gain, calibration and drift.

Pure functions of arrays, no randomness: intervals come from formulas. Users with equal scores are never told apart;
where a cut falls among them, their average counts. Imports the errors of the profile floor and the intervals of this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner_profile.errors import InternalError, Issue, RefusedError
from limner_segments.intervals import Interval, lift_interval, wilson_interval, z_value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    BoolArray = npt.NDArray[np.bool_]

TOP_SHARES = (0.01, 0.05, 0.10, 0.20, 0.40)
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Measure:
    """A measured value with the bounds of its 95 % interval, in plain numbers."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TopShare:
    """The best-scored `share` of users, `users` of them: expected `outcomes` among them, lift and gain."""

    share: float
    users: int
    outcomes: float
    lift: Measure
    gain: Measure


@dataclass(frozen=True)
class CalibrationBin:
    """Users of similar score: their number, their mean score, and how many had the outcome."""

    users: int
    outcomes: int
    mean_score: float
    outcome_rate: Measure


@dataclass(frozen=True)
class Evaluation:
    """Every measure of one scorer on one hold-out; `psi` is None where no training scores were given."""

    users: int
    outcomes: int
    base_rate: float
    auc: Measure
    ks: float
    top: tuple[TopShare, ...]
    brier: float
    log_loss: float
    calibration: tuple[CalibrationBin, ...]
    calibration_error: float
    psi: float | None

    def to_rows(self, scenario: str, scorer: str) -> list[dict[str, str | float | None]]:
        """The measures as rows for a table: scenario, scorer, metric, k, value, low, high.

        `k` is the share of users for lift, gain and top_users, and the mean score of the bin for calibration and
        calibration_users.
        """
        rows: list[dict[str, str | float | None]] = []

        def add(metric: str, measured: float | Measure, k: float | None = None) -> None:
            if isinstance(measured, Measure):
                value, low, high = measured.value, measured.low, measured.high
            else:
                value, low, high = measured, None, None
            row = {"scenario": scenario, "scorer": scorer, "metric": metric, "k": k}
            rows.append({**row, "value": value, "low": low, "high": high})

        add("users", float(self.users))
        add("outcomes", float(self.outcomes))
        add("base_rate", self.base_rate)
        add("auc", self.auc)
        add("ks", self.ks)
        for top in self.top:
            add("lift", top.lift, top.share)
            add("gain", top.gain, top.share)
            add("top_users", float(top.users), top.share)
        add("brier", self.brier)
        add("log_loss", self.log_loss)
        add("calibration_error", self.calibration_error)
        for one in self.calibration:
            add("calibration", one.outcome_rate, one.mean_score)
            add("calibration_users", float(one.users), one.mean_score)
        if self.psi is not None:
            add("psi", self.psi)
        return rows


def evaluate(outcome: npt.ArrayLike, score: npt.ArrayLike, training_score: npt.ArrayLike | None = None) -> Evaluation:
    """Every measure of these scores (probabilities) against these outcomes (0 or 1).

    `training_score` holds the scores of the training rows, for the PSI. Raises RefusedError (`too-few-outcomes`)
    where the users all have the outcome or all lack it: nothing can be ranked then.
    """
    import numpy as np

    happened, scores = np.asarray(outcome) == 1, np.asarray(score, dtype=np.float64)
    if happened.shape != scores.shape or scores.ndim != 1:
        raise InternalError(f"outcome has shape {happened.shape}, score {scores.shape}")
    if not np.all((scores >= 0.0) & (scores <= 1.0)):
        raise InternalError("a score is not a probability")
    users, outcomes = len(happened), int(happened.sum())
    if outcomes in (0, users):
        raise RefusedError(
            Issue(
                "too-few-outcomes",
                "",
                f"of {users:,} held-out users {outcomes:,} have the outcome: a score cannot be judged on them",
                "widen the label window or the population, or hold out another cutoff",
            )
        )
    curve = calibration_curve(happened, scores)
    clipped = np.clip(scores, 1e-15, 1.0 - 1e-15)
    return Evaluation(
        users=users,
        outcomes=outcomes,
        base_rate=outcomes / users,
        auc=auc_interval(happened, scores),
        ks=ks_statistic(happened, scores),
        top=tuple(top_share(happened, scores, share) for share in TOP_SHARES),
        brier=float(np.mean((scores - happened) ** 2)),
        log_loss=float(-np.mean(np.where(happened, np.log(clipped), np.log1p(-clipped)))),
        calibration=curve,
        calibration_error=sum(one.users * abs(one.mean_score - one.outcome_rate.value) for one in curve) / users,
        psi=None if training_score is None else population_stability(np.asarray(training_score), scores),
    )


def roc_auc(outcome: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """The chance that a user with the outcome scores higher than one without, ties counting half (Mann-Whitney)."""
    import numpy as np
    from scipy.stats import rankdata

    happened, scores = np.asarray(outcome) == 1, np.asarray(score, dtype=np.float64)
    n1, n0 = int(happened.sum()), int((~happened).sum())
    if not n1 or not n0:
        raise InternalError("ROC-AUC needs users with and users without the outcome")
    return float((rankdata(scores)[happened].sum() - n1 * (n1 + 1) / 2.0) / (n1 * n0))


def auc_interval(outcome: npt.ArrayLike, score: npt.ArrayLike) -> Measure:
    """ROC-AUC with DeLong's variance (1988, by the ranks of Sun and Xu 2014), the interval taken on the logit scale.

    A perfect ranking has no such variance; its interval is Wilson's for the rarer class, which is too wide rather than
    too narrow. Rows must be independent: one row a user.
    """
    import numpy as np
    from scipy.stats import rankdata

    happened, scores = np.asarray(outcome) == 1, np.asarray(score, dtype=np.float64)
    auc = roc_auc(happened, scores)
    n1, n0 = int(happened.sum()), int((~happened).sum())
    if auc in (0.0, 1.0):
        return _measure(wilson_interval(auc * min(n1, n0), min(n1, n0)))
    together = rankdata(scores)
    above = (together[happened] - rankdata(scores[happened])) / n0
    below = 1.0 - (together[~happened] - rankdata(scores[~happened])) / n1
    variance = (float(np.var(above, ddof=1)) / n1 if n1 > 1 else 0.0) + (
        float(np.var(below, ddof=1)) / n0 if n0 > 1 else 0.0
    )
    half = z_value(0.95) * math.sqrt(variance) / (auc * (1.0 - auc))
    centre = math.log(auc / (1.0 - auc))
    return Measure(auc, 1.0 / (1.0 + math.exp(half - centre)), 1.0 / (1.0 + math.exp(-half - centre)))


def ks_statistic(outcome: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """The largest distance between the score distributions of users with and without the outcome."""
    import numpy as np

    users, outcomes = _by_score(np.asarray(outcome) == 1, np.asarray(score, dtype=np.float64))
    others = users - outcomes
    distance = np.cumsum(outcomes) / outcomes.sum() - np.cumsum(others) / others.sum()
    return float(np.max(np.abs(distance)))


def top_share(outcome: npt.ArrayLike, score: npt.ArrayLike, share: float) -> TopShare:
    """Lift and gain of the best-scored `share` of users, rounded to whole users, at least one.

    Where the cut falls among equal scores, the outcomes among them count in proportion: what a random order would give
    on average. The interval of lift is that of an audience (`lift_interval`); gain is lift times the share of users.
    """
    import numpy as np

    happened = np.asarray(outcome) == 1
    users, outcomes = _by_score(happened, np.asarray(score, dtype=np.float64))
    total = len(happened)
    wanted = max(1, math.floor(share * total + 0.5))
    reached = np.cumsum(users)
    at = int(np.searchsorted(reached, wanted))
    before = int(reached[at]) - int(users[at])
    found = float(outcomes[:at].sum() + outcomes[at] * (wanted - before) / users[at])
    outcomes_of_all = int(happened.sum())
    lift = _measure(lift_interval(found, wanted, outcomes_of_all, total))
    # the top cannot hold more outcomes than users: the ceiling of lift is 1 ÷ base rate
    lift = Measure(lift.value, lift.low, max(lift.value, min(lift.high, total / outcomes_of_all)))
    scale = wanted / total
    return TopShare(share, wanted, found, lift, Measure(lift.value * scale, lift.low * scale, lift.high * scale))


def calibration_curve(
    outcome: npt.ArrayLike, score: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> tuple[CalibrationBin, ...]:
    """Mean score and outcome rate in quantile bins of the score, low to high; equal scores share a bin."""
    import numpy as np

    happened, scores = np.asarray(outcome) == 1, np.asarray(score, dtype=np.float64)
    which = np.searchsorted(quantile_edges(scores, bins), scores, side="right")
    curve: list[CalibrationBin] = []
    for at in np.unique(which):
        inside = which == at
        users, outcomes = int(inside.sum()), int(happened[inside].sum())
        curve.append(
            CalibrationBin(users, outcomes, float(scores[inside].mean()), _measure(wilson_interval(outcomes, users)))
        )
    return tuple(curve)


def population_stability(expected: npt.ArrayLike, actual: npt.ArrayLike, bins: int = 10) -> float:
    """PSI of `actual` against `expected`, in quantile bins of `expected`, half a user added to each bin.

    Σ (a − e) · ln(a / e) over the shares; by custom below 0.1 is stable and above 0.25 has shifted.
    """
    import numpy as np

    before, now = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    edges = quantile_edges(before, bins)
    size = len(edges) + 1
    e = np.bincount(np.searchsorted(edges, before, side="right"), minlength=size) + 0.5
    a = np.bincount(np.searchsorted(edges, now, side="right"), minlength=size) + 0.5
    e, a = e / e.sum(), a / a.sum()
    return float(np.sum((a - e) * np.log(a / e)))


def quantile_edges(values: FloatArray, bins: int) -> FloatArray:
    """The inner bounds of quantile bins over `values`, rising; a value at a bound belongs to the bin above it.

    Bounds are values that occur, so that no bin is empty where many values are equal.
    """
    import numpy as np

    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="higher"))
    inner: FloatArray = edges[edges > values.min()]
    return inner


def _by_score(happened: BoolArray, scores: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Users and outcomes at each distinct score, the highest first."""
    import numpy as np

    distinct, which = np.unique(-scores, return_inverse=True)
    users = np.bincount(which, minlength=len(distinct)).astype(np.int64)
    outcomes = np.bincount(which[happened], minlength=len(distinct)).astype(np.int64)
    return users, outcomes


def _measure(interval: Interval) -> Measure:
    """The same interval in plain numbers."""
    return Measure(float(interval.estimate), float(interval.low), float(interval.high))
