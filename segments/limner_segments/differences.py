"""Differences between two audiences that may overlap: ratios of shares and differences of means, with intervals and tests.

Two audiences A and B part the users into those only in A, those in both, and those only in B. Shares and means of these three parts
are independent; those of A and B are not, where somebody is in both. Pure functions of counts and sums; imports intervals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limner_profile.errors import InternalError
from limner_segments.intervals import SMALL_EXPECTED, Floats, Interval, complement_p_value, z_value

# Which of the three parts (only in A, in both, only in B) make up A, and which B.
_IN_A = np.array([[1.0], [1.0], [0.0]])
_IN_B = np.array([[0.0], [1.0], [1.0]])


class Moments(NamedTuple):
    """Users, sum and sum of squares of a number in the three parts, each of shape (3, …); sums are of deviations from one centre."""

    users: Floats
    total: Floats
    squares: Floats


class MeanDifference(NamedTuple):
    """Mean of A − mean of B with its bounds, two-sided p-value, and Cohen's d with its standard error; arrays of one shape."""

    estimate: Floats
    low: Floats
    high: Floats
    p_value: Floats
    effect: Floats
    effect_error: Floats


def share_ratio_interval(hits: ArrayLike, sizes: ArrayLike, confidence: float = 0.95) -> Interval:
    """The share of a trait in A ÷ its share in B, with an interval on the log ratio; TGI is 100 times it.

    `hits` and `sizes` have shape (3, n): only in A, in both, only in B. With pA = Σ wA·p over the parts (wA is a part's share of A)

        var(log pA/pB) = Σ (wA/pA − wB/pB)² · p(1 − p)/n

    by the delta method (Lehmann and Casella 1998, §1.8), the sizes of the parts taken as given. Without an overlap this is the interval
    of Katz et al. (1978); with A inside B it is that of `lift_interval`. Where a part has no hit or no miss, bounds are computed with ½
    added to the hits and 1 to the size of every part that is not empty; the estimate stays raw. No hit in A gives 0 and the lower bound
    0, none in B infinity and the upper bound infinity, none at all NaN. With A inside B the upper bound never exceeds nB/nA.
    """
    k, n = _parts(hits, sizes)
    estimate = _ratio(k, n)
    there = n > 0
    extreme = np.any(there & ((k == 0) | (k == n)), axis=0)
    half = np.where(extreme & there, 0.5, 0.0)
    padded, size = k + half, n + 2 * half
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(there, padded / size, 0.0)
        in_a, in_b = _IN_A * size, _IN_B * size
        rate_a, rate_b = (in_a * p).sum(axis=0) / in_a.sum(axis=0), (in_b * p).sum(axis=0) / in_b.sum(axis=0)
        pull = in_a / in_a.sum(axis=0) / rate_a - in_b / in_b.sum(axis=0) / rate_b
        variance = (pull**2 * np.where(there, p * (1 - p) / size, 0.0)).sum(axis=0)
        spread = z_value(confidence) * np.sqrt(variance)
        low, high = rate_a / rate_b * np.exp(-spread), rate_a / rate_b * np.exp(spread)
        # Every user of A who has the trait is in B, too: the ratio cannot pass nB/nA, and is 1 where both are the same.
        inside, around = n[0] == 0, n[2] == 0
        ceiling = np.where(inside, (n[1] + n[2]) / n[1], np.inf)
        floor = np.where(around, n[1] / (n[0] + n[1]), 0.0)
    hits_a, hits_b = k[0] + k[1], k[1] + k[2]
    low = np.where(hits_a == 0, 0.0, np.maximum(np.where(around & (k[0] == 0), floor, low), floor))
    high = np.where(hits_b == 0, np.inf, np.minimum(np.where(inside & (k[2] == 0), ceiling, high), ceiling))
    low, high = np.minimum(low, estimate), np.maximum(high, estimate)
    undefined = np.isnan(estimate)
    return Interval(estimate, *(np.where(undefined, np.nan, bound) for bound in (low, high)))


def share_p_value(hits: ArrayLike, sizes: ArrayLike) -> Floats:
    """The two-sided p-value of "A and B have the trait equally often"; NaN where there is nothing to tell apart.

    Shapes as in `share_ratio_interval`. Where one lies inside the other, or they share nobody, this is `complement_p_value` of the
    users who are in one only and the rest. With a true overlap, users in both add the same to either side but for the
    sizes: z = (pA − pB)/√var with

        var = q(1 − q)·(nOnlyA/nA² + nOnlyB/nB²) + r(1 − r)·nBoth·(1/nA − 1/nB)²

    where q is the rate of everyone in one only (pooled, as they are equal under the hypothesis) and r that of the users in both. Where an
    expected count is below 5, Fisher's exact test of those only in A against those only in B.
    """
    from scipy.special import erfc

    k, n = _parts(hits, sizes)
    values = np.full(k.shape[1:], np.nan)
    apart, inside, around = n[1] == 0, n[0] == 0, n[2] == 0
    for case, first, second in ((inside & ~apart, 1, 2), (around & ~apart, 0, 1), (apart, 0, 2)):
        if case.any():
            one, other = k[first][case], k[second][case]
            n_one, n_other = n[first][case], n[second][case]
            values[case] = complement_p_value(one, n_one, one + other, n_one + n_other)
    crossed = ~(apart | inside | around)
    if crossed.any():
        (a, both, b), (n_a, n_both, n_b) = k[:, crossed], n[:, crossed]
        size_a, size_b = n_a + n_both, n_b + n_both
        alone, r = (a + b) / (n_a + n_b), both / n_both
        variance = alone * (1 - alone) * (n_a / size_a**2 + n_b / size_b**2)
        variance += r * (1 - r) * n_both * (1 / size_a - 1 / size_b) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            z = ((a + both) / size_a - (b + both) / size_b) / np.sqrt(variance)
        p = np.where(variance > 0, np.asarray(erfc(np.abs(z) / np.sqrt(2)), dtype=np.float64), 1.0)
        few = np.minimum(n_a, n_b) * np.minimum(alone, 1 - alone) < SMALL_EXPECTED
        if few.any():
            p[few] = complement_p_value(a[few], n_a[few], (a + b)[few], (n_a + n_b)[few])
        values[crossed] = p
    return values


def share_effect(share_a: ArrayLike, share_b: ArrayLike) -> Floats:
    """Cohen's h of two shares, 2·asin√pA − 2·asin√pB: .2 is small, .5 medium, .8 large (Cohen 1988, §6.2).

    >>> round(float(share_effect(0.5, 0.25)), 3)
    0.524
    """
    a, b = np.asarray(share_a, dtype=np.float64), np.asarray(share_b, dtype=np.float64)
    return np.asarray(2 * np.arcsin(np.sqrt(a)) - 2 * np.arcsin(np.sqrt(b)))


def effect_error(size_a: ArrayLike, size_b: ArrayLike, size_both: ArrayLike = 0) -> Floats:
    """The standard error of an effect near zero, √(1/nA + 1/nB − 2·nBoth/(nA·nB)); 0 where both are the same users."""
    a, b, both = (np.asarray(size, dtype=np.float64) for size in (size_a, size_b, size_both))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(np.maximum(1 / a + 1 / b - 2 * both / (a * b), 0.0)))


def mean_difference(moments: Moments, confidence: float = 0.95) -> MeanDifference:
    """The mean in A minus the mean in B, with Welch's interval and test; NaN where a part has one user, or nothing varies.

    With wA a part's share of A, and s² the variance within a part,

        var = Σ (wA − wB)² · s²/n,   df = var² ÷ Σ ((wA − wB)² · s²/n)²/(n − 1)

    which without an overlap is Welch (1947), and with A inside B is Welch's test of A against the rest of B. The effect is Cohen's d,
    the difference in units of the pooled standard deviation of A and B (Cohen 1988, §2.5).
    """
    from scipy.special import stdtr, stdtrit

    n, total, squares = (np.asarray(values, dtype=np.float64) for values in moments)
    there = n > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.maximum(squares - total**2 / n, 0.0) / (n - 1)
        weight = _IN_A * n / (_IN_A * n).sum(axis=0) - _IN_B * n / (_IN_B * n).sum(axis=0)
        # A part that weighs nothing (all of it in both, of equal size) or has nobody adds nothing.
        share = np.where(there & (weight != 0), weight**2 * within / n, 0.0)
        variance = share.sum(axis=0)
        freedom = variance**2 / np.where(share > 0, share**2 / (n - 1), 0.0).sum(axis=0)
        (mean_a, spread_a, n_a), (mean_b, spread_b, n_b) = (_whole(n * side, total, squares) for side in (_IN_A, _IN_B))
        estimate = mean_a - mean_b
        error = np.sqrt(variance)
        reach = np.asarray(stdtrit(freedom, 0.5 + confidence / 2), dtype=np.float64) * error
        p_value = 2 * np.asarray(stdtr(freedom, -np.abs(estimate / error)), dtype=np.float64)
        effect = estimate / np.sqrt((spread_a + spread_b) / (n_a + n_b - 2))
        slack = np.sqrt(effect_error(n_a, n_b, n[1]) ** 2 + effect**2 / (2 * (n_a + n_b)))
    same = (n[0] == 0) & (n[2] == 0) & (n[1] > 0)
    known = ~same & (variance > 0)
    return MeanDifference(
        np.where(same, 0.0, estimate),
        *(np.where(known, values, np.nan) for values in (estimate - reach, estimate + reach, p_value)),
        *(np.where(same, 0.0, np.where(known, values, np.nan)) for values in (effect, slack)),
    )


def _whole(n: Floats, total: Floats, squares: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, sum of squared deviations from it, and count over the parts that have a count in `n`."""
    chosen = n > 0
    count = n.sum(axis=0)
    summed = np.where(chosen, total, 0.0).sum(axis=0)
    deviations = np.where(chosen, squares, 0.0).sum(axis=0) - summed**2 / count
    return summed / count, np.maximum(deviations, 0.0), count


def _ratio(k: Floats, n: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(((k[0] + k[1]) / (n[0] + n[1])) / ((k[1] + k[2]) / (n[1] + n[2])))


def _parts(hits: ArrayLike, sizes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k = np.asarray(hits, dtype=np.float64)
    n = np.asarray(sizes, dtype=np.float64)
    n = np.broadcast_to(n.reshape(n.shape + (1,) * (k.ndim - n.ndim)), k.shape)
    if k.shape[0] != 3 or k.ndim < 2 or not ((k >= 0) & (k <= n)).all():
        raise InternalError("impossible counts: hits and sizes of the three parts of two audiences are needed")
    return k, n
