"""Intervals against published values, against scipy, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from limner_profile.errors import InternalError
from limner_segments.intervals import (
    complement_p_value,
    false_discovery,
    lift_interval,
    odds_ratio,
    pooled_odds_ratio,
    wilson_interval,
    z_value,
)


@st.composite
def subset_counts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Hits and size of an audience, hits and size of the whole it is part of."""
    size_in, size_out = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    hits_in, hits_out = draw(st.integers(0, size_in)), draw(st.integers(0, size_out))
    return hits_in, size_in, hits_in + hits_out, size_in + size_out


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(size: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, size))
    ours = wilson_interval(hits, size, 0.9)
    theirs = stats.binomtest(hits, size).proportion_ci(0.9, method="wilson")
    assert float(ours.low) == pytest.approx(theirs.low, abs=1e-12)
    assert float(ours.high) == pytest.approx(theirs.high, abs=1e-12)


def test_wilson_of_nobody_is_unknown_and_arrays_keep_their_shape() -> None:
    interval = wilson_interval(np.array([[0, 5], [3, 0]]), np.array([[0, 5], [9, 7]]))
    assert interval.low.shape == (2, 2)
    assert np.isnan([bound[0, 0] for bound in interval]).all()
    assert interval.high[0, 1] == 1.0
    assert interval.low[1, 1] == 0.0


@pytest.mark.parametrize(
    ("rate_in", "rate_out", "size_in", "size_out"),
    [(0.10, 0.04, 300, 2_000), (0.30, 0.35, 1_000, 1_000), (0.05, 0.05, 1_500, 500), (0.5, 0.02, 100, 4_000)],
)
def test_lift_interval_covers_the_truth_as_often_as_it_says(
    rate_in: float, rate_out: float, size_in: int, size_out: int
) -> None:
    rng = np.random.default_rng(7)
    runs = 20_000
    hits_in, hits_out = rng.binomial(size_in, rate_in, runs), rng.binomial(size_out, rate_out, runs)
    truth = rate_in / ((size_in * rate_in + size_out * rate_out) / (size_in + size_out))
    interval = lift_interval(hits_in, size_in, hits_in + hits_out, size_in + size_out)
    covered = float(((interval.low <= truth) & (truth <= interval.high)).mean())
    # Two standard errors of a share of 20,000 are .003; the delta method itself is off by up to a point.
    assert 0.935 <= covered <= 0.965


def test_lift_interval_is_narrower_than_that_of_independent_rates() -> None:
    # An audience of 90 % of everybody is nearly the whole: treating the two rates as independent is far too wide.
    interval = lift_interval(900, 9_000, 950, 10_000)
    independent = 1.96 * math.sqrt(0.9 / 900 + (1 - 0.095) / 950)
    assert float(np.log(interval.high / interval.low)) / 2 < independent / 3


@given(subset_counts())
def test_lift_interval_holds_its_estimate_and_stays_below_the_ceiling(counts: tuple[int, int, int, int]) -> None:
    hits_in, size_in, hits_all, size_all = counts
    estimate, low, high = (float(bound) for bound in lift_interval(*counts))
    if hits_all == 0:
        assert math.isnan(estimate)
        assert math.isnan(low)
        assert math.isnan(high)
    else:
        assert estimate == pytest.approx((hits_in / size_in) / (hits_all / size_all))
        assert 0 <= low <= estimate <= high <= size_all / size_in * (1 + 1e-12)
        assert low < high


def test_lift_interval_at_the_edges() -> None:
    without_hits = lift_interval(0, 50, 40, 1_000)
    assert float(without_hits.estimate) == 0
    assert float(without_hits.low) == 0
    assert 0 < float(without_hits.high) < 5
    every_hit = lift_interval(40, 50, 40, 1_000)
    assert float(every_hit.estimate) == float(every_hit.high) == 20
    assert float(every_hit.low) > 5
    assert [float(bound) for bound in lift_interval(40, 1_000, 40, 1_000)] == [1, 1, 1]
    assert np.isnan(lift_interval(0, 0, 40, 1_000).estimate)


def test_impossible_counts_are_our_own_fault() -> None:
    with pytest.raises(InternalError, match="impossible counts"):
        lift_interval(5, 10, 4, 100)
    with pytest.raises(InternalError, match="impossible counts"):
        wilson_interval(11, 10)
    with pytest.raises(InternalError, match="confidence"):
        z_value(95)


def test_p_value_is_fishers_where_counts_are_small_and_chi_squares_where_not() -> None:
    p_small, p_large = complement_p_value([3, 90], [20, 1_000], [7, 250], [300, 5_000])
    assert p_small == pytest.approx(stats.fisher_exact(np.array([[3, 17], [4, 276]])).pvalue)
    chi = stats.chi2_contingency(np.array([[90, 910], [160, 3_840]]), correction=False)
    assert p_large == pytest.approx(chi.pvalue)


@given(subset_counts())
@settings(max_examples=40)
def test_p_value_is_the_same_for_the_complement(counts: tuple[int, int, int, int]) -> None:
    hits_in, size_in, hits_all, size_all = counts
    mirrored = complement_p_value(hits_all - hits_in, size_all - size_in, hits_all, size_all)
    p = float(complement_p_value(*counts))
    assert 0 <= p <= 1
    assert p == pytest.approx(float(mirrored), rel=1e-6, abs=1e-12)


def test_p_value_of_everybody_is_unknown() -> None:
    assert math.isnan(float(complement_p_value(5, 10, 5, 10)))


def test_false_discovery_follows_the_definition_and_passes_over_nan() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.9])
    # Sorted .01 .03 .04 .9 times 4 ÷ rank: .04 .06 .0533 .9, then the smallest of each and what follows it.
    assert false_discovery(p) == pytest.approx([0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.9], nan_ok=True)
    assert np.isnan(false_discovery(np.array([np.nan]))).all()


def test_odds_ratio_and_woolfs_interval_by_hand() -> None:
    ratio, low, high = (float(bound) for bound in odds_ratio(20, 80, 10, 90))
    assert ratio == pytest.approx(2.25)
    half = 1.959964 * math.sqrt(1 / 20 + 1 / 80 + 1 / 10 + 1 / 90)
    assert (math.log(low), math.log(high)) == pytest.approx((math.log(2.25) - half, math.log(2.25) + half), rel=1e-5)
    assert math.isfinite(float(odds_ratio(0, 80, 10, 90).low))
    assert math.isnan(float(odds_ratio(0, 0, 10, 90).estimate))


# Admissions to Berkeley, autumn 1973, departments A to F: men admitted, men rejected, women admitted, women rejected.
# Bickel, Hammel and O'Connell (1975); R's `mantelhaen.test(UCBAdmissions)` gives .9046968 (.7719074, 1.0603298).
BERKELEY = np.array(
    [
        [512, 353, 120, 138, 53, 22],
        [313, 207, 205, 279, 138, 351],
        [89, 17, 202, 131, 94, 24],
        [19, 8, 391, 244, 299, 317],
    ]
)


def test_pooled_odds_ratio_gives_the_published_value() -> None:
    ratio, low, high = (float(bound) for bound in pooled_odds_ratio(*BERKELEY))
    assert ratio == pytest.approx(0.9046968, abs=1e-6)
    assert (low, high) == pytest.approx((0.7719074, 1.0603298), abs=1e-6)
    crude = odds_ratio(*BERKELEY.sum(axis=1))
    assert float(crude.low) > 1.6


def test_pooled_odds_ratio_of_one_stratum_is_the_plain_one_and_vectors_agree_with_scalars() -> None:
    single = pooled_odds_ratio([20], [80], [10], [90])
    assert float(single.estimate) == pytest.approx(2.25)
    both = pooled_odds_ratio(*np.stack([BERKELEY, BERKELEY[:, ::-1]], axis=1))
    assert both.estimate.shape == (2,)
    assert both.low[0] == pytest.approx(both.low[1])


def test_pooled_odds_ratio_ignores_strata_with_one_side_and_says_nan_for_none() -> None:
    padded = np.concatenate([BERKELEY, [[40], [60], [0], [0]]], axis=1)
    assert float(pooled_odds_ratio(*padded).high) == pytest.approx(float(pooled_odds_ratio(*BERKELEY).high))
    assert math.isnan(float(pooled_odds_ratio([4], [6], [0], [0]).estimate))
    empty_cell = pooled_odds_ratio([5, 0], [0, 0], [3, 2], [7, 9])
    assert all(math.isfinite(float(bound)) for bound in empty_cell)
    with pytest.raises(InternalError, match="last axis"):
        pooled_odds_ratio(1, 2, 3, 4)


def test_pooled_interval_covers_a_common_odds_ratio() -> None:
    rng = np.random.default_rng(3)
    truth, runs = 2.0, 4_000
    base = np.array([0.05, 0.2, 0.5, 0.7])
    inside = truth * base / (1 - base) / (1 + truth * base / (1 - base))
    sizes_in, sizes_out = np.array([200, 100, 60, 80]), np.array([300, 400, 50, 90])
    a = rng.binomial(sizes_in, inside, (runs, 4))
    c = rng.binomial(sizes_out, base, (runs, 4))
    interval = pooled_odds_ratio(a, sizes_in - a, c, sizes_out - c)
    covered = float(((interval.low <= truth) & (truth <= interval.high)).mean())
    assert 0.935 <= covered <= 0.965
