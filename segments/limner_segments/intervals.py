"""Intervals, tests and pooled odds ratios for counts: the arithmetic that audiences, lifts and rules share.

Pure functions of counts, without data frames. Every function takes plain numbers or numpy arrays that broadcast and
gives back float64 arrays (of zero dimensions for plain numbers: `float(x)` turns one into a number). What cannot be
computed, such as the lift of an empty audience, is NaN. Imports numpy, and scipy inside the functions that need it.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limner_profile.errors import InternalError

Floats: TypeAlias = NDArray[np.float64]

SMALL_EXPECTED = 5.0
"""Below this expected count in any cell the normal approximation is not trusted (Cochran 1954)."""


class Interval(NamedTuple):
    """An estimate with its lower and upper confidence bound, all of the same shape."""

    estimate: Floats
    low: Floats
    high: Floats


def z_value(confidence: float) -> float:
    """The two-sided normal quantile for a confidence level.

    >>> round(z_value(0.95), 3)
    1.96
    """
    if not 0 < confidence < 1:
        raise InternalError(f"confidence must lie between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _floats(*values: ArrayLike) -> tuple[Floats, ...]:
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
    return tuple(np.array(array) for array in arrays)


def _subset_counts(
    hits_in: ArrayLike, size_in: ArrayLike, hits_all: ArrayLike, size_all: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    """Hits and sizes of the audience and of its complement, checked to be possible."""
    in_hits, in_size, all_hits, all_size = _floats(hits_in, size_in, hits_all, size_all)
    out_hits, out_size = all_hits - in_hits, all_size - in_size
    possible = (in_hits >= 0) & (out_hits >= 0) & (in_hits <= in_size) & (out_hits <= out_size)
    if not possible.all():
        raise InternalError("impossible counts: an audience has more hits than users, or more of either than the whole")
    return in_hits, in_size, out_hits, out_size


def wilson_interval(hits: ArrayLike, size: ArrayLike, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of a proportion; NaN where `size` is 0.

    centre = (p + z²/2n) / (1 + z²/n), half = z/(1 + z²/n) · √(p(1 − p)/n + z²/4n²). Wilson (1927), JASA 22, 209-212;
    recommended by Brown, Cai and DasGupta (2001), Statistical Science 16, 101-133.

    >>> [round(float(x), 3) for x in wilson_interval(8, 10)]
    [0.8, 0.49, 0.943]
    """
    z2 = z_value(confidence) ** 2
    k, n = _floats(hits, size)
    if not ((k >= 0) & (k <= n)).all():
        raise InternalError("impossible counts: more hits than users")
    with np.errstate(divide="ignore", invalid="ignore"):
        p = k / n
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Rounding must not push the bound of 0 of n below 0, or of n of n off 1.
    low = np.where(k == 0, np.where(n > 0, 0.0, np.nan), centre - half)
    high = np.where((k == n) & (n > 0), 1.0, centre + half)
    return Interval(np.asarray(p), low, high)


def lift_interval(
    hits_in: ArrayLike, size_in: ArrayLike, hits_all: ArrayLike, size_all: ArrayLike, confidence: float = 0.95
) -> Interval:
    """The lift of an audience, rate inside ÷ rate of all, where the audience is part of "all"; TGI is 100 times it.

    Delta method on the log ratio, with the covariance that comes from the audience being counted in both rates. With A
    the audience, B its complement, N = nA + nB and p = (nA·pA + nB·pB)/N, the gradient of log(pA/p) gives

        var = (1/pA − nA/(N·p))² · pA(1 − pA)/nA + (nB/(N·p))² · pB(1 − pB)/nB

    (Lehmann and Casella 1998, §1.8, for the method; the ratio of independent rates in Katz et al. 1978 leaves out the
    covariance and is too wide here.) Where a cell is empty, bounds are computed with ½ added to the hits and 1 to the
    size of both A and B; the estimate stays raw. The upper bound never exceeds N/nA, which no audience of this size
    can pass; an audience without hits has the lower bound 0; an audience that is everybody has lift 1 exactly.
    """
    in_hits, in_size, out_hits, out_size = _subset_counts(hits_in, size_in, hits_all, size_all)
    z = z_value(confidence)
    empty = (in_hits == 0) | (in_hits == in_size) | (out_hits == 0) | (out_hits == out_size)
    half = np.where(empty, 0.5, 0.0)
    n_a, n_b = in_size + 2 * half, out_size + 2 * half
    with np.errstate(divide="ignore", invalid="ignore"):
        all_rate = (in_hits + out_hits) / (in_size + out_size)
        estimate = (in_hits / in_size) / all_rate
        ceiling = (in_size + out_size) / in_size
        p_a, p_b = (in_hits + half) / n_a, (out_hits + half) / n_b
        p = (n_a * p_a + n_b * p_b) / (n_a + n_b)
        toward_a = 1 / p_a - n_a / ((n_a + n_b) * p)
        toward_b = n_b / ((n_a + n_b) * p)
        spread = z * np.sqrt(toward_a**2 * p_a * (1 - p_a) / n_a + toward_b**2 * p_b * (1 - p_b) / n_b)
        low, high = p_a / p * np.exp(-spread), p_a / p * np.exp(spread)
    low = np.minimum(np.where(in_hits == 0, 0.0, low), estimate)
    high = np.maximum(np.minimum(np.where(out_hits == 0, ceiling, high), ceiling), estimate)
    everybody = (out_size == 0) & (in_hits > 0)
    estimate, low, high = (np.where(everybody, 1.0, bound) for bound in (estimate, low, high))
    undefined = (in_size == 0) | (in_hits + out_hits == 0)
    return Interval(*(np.where(undefined, np.nan, bound) for bound in (estimate, low, high)))


def complement_p_value(hits_in: ArrayLike, size_in: ArrayLike, hits_all: ArrayLike, size_all: ArrayLike) -> Floats:
    """The two-sided p-value of "the audience has the same rate as everybody outside it"; NaN where either is empty.

    Two-proportion z test with the pooled rate, z = (pA − pB) / √(p(1 − p)(1/nA + 1/nB)); Fisher's exact test where an
    expected count is below 5 (Cochran 1954, Biometrics 10, 417-451).
    """
    from scipy.special import erfc
    from scipy.stats import fisher_exact

    in_hits, in_size, out_hits, out_size = _subset_counts(hits_in, size_in, hits_all, size_all)
    total = in_size + out_size
    hits = in_hits + out_hits
    with np.errstate(divide="ignore", invalid="ignore"):
        p = hits / total
        z = (in_hits / in_size - out_hits / out_size) / np.sqrt(p * (1 - p) * (1 / in_size + 1 / out_size))
        expected = np.minimum(in_size, out_size) * np.minimum(hits, total - hits) / total
    values = np.asarray(erfc(np.abs(z) / np.sqrt(2)), dtype=np.float64)
    comparable = (in_size > 0) & (out_size > 0)
    flat = values.reshape(-1)
    for at in np.flatnonzero(comparable & (expected < SMALL_EXPECTED)):
        a, n_a, b, n_b = (float(counts.flat[at]) for counts in (in_hits, in_size, out_hits, out_size))
        table = np.array([[round(a), round(n_a - a)], [round(b), round(n_b - b)]])
        flat[at] = fisher_exact(table).pvalue
    return np.where(comparable, flat.reshape(values.shape), np.nan)


def false_discovery(p_values: ArrayLike) -> Floats:
    """The q-value of each p-value over the whole array (Benjamini and Hochberg 1995, JRSS B 57, 289-300).

    Keeping every test with q ≤ .05 holds the expected share of false ones among the kept at .05 or less, for tests
    that are independent or positively dependent. NaN stays NaN and does not count as a test.
    """
    from scipy.stats import false_discovery_control

    (p,) = _floats(p_values)
    tested = ~np.isnan(p)
    q = np.full(p.shape, np.nan)
    if tested.any():
        q[tested] = false_discovery_control(p[tested], method="bh")
    return q


def odds_ratio(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, confidence: float = 0.95) -> Interval:
    """The odds ratio ad/bc of a two-by-two table with Woolf's interval on the log scale; NaN where a row is empty.

    Rows are inside and outside the audience, columns with and without the outcome: a, b inside; c, d outside. Standard
    error √(1/a + 1/b + 1/c + 1/d) (Woolf 1955); ½ is added to each cell of a table with an empty one (Haldane 1956).
    """
    cells = _floats(a, b, c, d)
    empty = np.any(np.stack(cells) == 0, axis=0)
    a_, b_, c_, d_ = (cell + np.where(empty, 0.5, 0.0) for cell in cells)
    log_ratio = np.log(a_ * d_ / (b_ * c_))
    spread = z_value(confidence) * np.sqrt(1 / a_ + 1 / b_ + 1 / c_ + 1 / d_)
    undefined = (cells[0] + cells[1] == 0) | (cells[2] + cells[3] == 0)
    bounds = (np.exp(log_ratio), np.exp(log_ratio - spread), np.exp(log_ratio + spread))
    return Interval(*(np.where(undefined, np.nan, bound) for bound in bounds))


def pooled_odds_ratio(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, confidence: float = 0.95) -> Interval:
    """The Mantel-Haenszel odds ratio pooled within strata, with the Robins-Breslow-Greenland interval.

    Cells as in `odds_ratio`, strata along the last axis, which the result loses. With n the stratum's size,
    R = ad/n, S = bc/n, P = (a + d)/n, Q = (b + c)/n:

        ratio = ΣR/ΣS,   var(log ratio) = ΣPR/2(ΣR)² + Σ(PS + QR)/2ΣRΣS + ΣQS/2(ΣS)²

    Mantel and Haenszel (1959), JNCI 22, 719-748; Robins, Breslow and Greenland (1986), Biometrics 42, 311-323. Strata
    that lie wholly inside or outside, or have one outcome only, add nothing. Where ΣR or ΣS is 0, ½ is added to the
    cells of the strata that have both sides; NaN where no stratum has.
    """
    cells = _floats(a, b, c, d)
    if cells[0].ndim == 0:
        raise InternalError("pooled_odds_ratio needs strata along the last axis")
    both = (cells[0] + cells[1] > 0) & (cells[2] + cells[3] > 0)
    size = np.where(both, sum(cells), 1.0)
    degenerate = (np.sum(cells[0] * cells[3] / size * both, axis=-1) == 0) | (
        np.sum(cells[1] * cells[2] / size * both, axis=-1) == 0
    )
    half = 0.5 * (degenerate[..., None] & both)
    a_, b_, c_, d_ = (np.where(both, cell, 0.0) + half for cell in cells)
    n = np.where(both, a_ + b_ + c_ + d_, 1.0)
    r, s, p, q = a_ * d_ / n, b_ * c_ / n, (a_ + d_) / n, (b_ + c_) / n
    sum_r, sum_s = r.sum(axis=-1), s.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (
            (p * r).sum(axis=-1) / (2 * sum_r**2)
            + (p * s + q * r).sum(axis=-1) / (2 * sum_r * sum_s)
            + (q * s).sum(axis=-1) / (2 * sum_s**2)
        )
        log_ratio = np.log(sum_r) - np.log(sum_s)
        spread = z_value(confidence) * np.sqrt(variance)
    return Interval(
        np.asarray(np.exp(log_ratio)), np.asarray(np.exp(log_ratio - spread)), np.asarray(np.exp(log_ratio + spread))
    )
