"""Differences of audiences that may overlap: against the formulas by hand, against scipy, and against simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import variance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from limner_profile.errors import InternalError
from limner_segments.differences import (
    Moments,
    mean_difference,
    share_effect,
    share_p_value,
    share_ratio_interval,
)
from limner_segments.intervals import complement_p_value, lift_interval

Parts = tuple[int, int, int]


@st.composite
def parts(draw: st.DrawFn) -> tuple[Parts, Parts]:
    """Hits and sizes of the users only in A, in both and only in B; both audiences have somebody."""
    sizes = [draw(st.integers(0, 300)) for _ in range(3)]
    if sizes[0] + sizes[1] == 0 or sizes[1] + sizes[2] == 0:
        sizes[1] = draw(st.integers(1, 300))
    hits = [draw(st.integers(0, size)) for size in sizes]
    return (hits[0], hits[1], hits[2]), (sizes[0], sizes[1], sizes[2])


def column(values: Sequence[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64).reshape(3, 1)


def moments(*groups: Sequence[float]) -> Moments:
    return Moments(
        column([len(group) for group in groups]),
        column([sum(group) for group in groups]),
        column([sum(value * value for value in group) for group in groups]),
    )


def test_ratio_of_audiences_that_share_nobody_is_katzs_by_hand() -> None:
    ratio, low, high = (float(bound[0]) for bound in share_ratio_interval(column([30, 0, 20]), column([100, 0, 200])))
    spread = 1.959964 * math.sqrt(0.7 / 30 + 0.9 / 20)
    assert ratio == pytest.approx(3.0)
    assert (low, high) == pytest.approx((3 * math.exp(-spread), 3 * math.exp(spread)), rel=1e-6)


def test_ratio_of_audiences_that_overlap_by_hand() -> None:
    # A: 20 of 50 and 30 of 100; B: 30 of 100 and 12 of 60.
    ratio, low, high = (float(bound[0]) for bound in share_ratio_interval(column([20, 30, 12]), column([50, 100, 60])))
    rate_a, rate_b = 50 / 150, 42 / 160
    variance = (
        (50 / 150 / rate_a) ** 2 * 0.4 * 0.6 / 50
        + (100 / 150 / rate_a - 100 / 160 / rate_b) ** 2 * 0.3 * 0.7 / 100
        + (60 / 160 / rate_b) ** 2 * 0.2 * 0.8 / 60
    )
    assert ratio == pytest.approx(rate_a / rate_b)
    assert math.log(high / low) / 2 == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-6)


@given(parts())
def test_ratio_to_everyone_is_the_lift(counts: tuple[Parts, Parts]) -> None:
    (a, _, b), (n_a, _, n_b) = counts
    if n_a == 0 or a + b == 0:
        return
    ours = share_ratio_interval(column([0, a, b]), column([0, n_a, n_b]))
    lift = lift_interval(a, n_a, a + b, n_a + n_b)
    for bound, expected in zip(ours, lift, strict=True):
        assert float(bound[0]) == pytest.approx(float(expected), rel=1e-9)


@given(parts())
def test_swapping_the_audiences_turns_everything_round(counts: tuple[Parts, Parts]) -> None:
    hits, sizes = counts
    ratio = share_ratio_interval(column(hits), column(sizes))
    swapped = share_ratio_interval(column(hits[::-1]), column(sizes[::-1]))
    estimate, low, high = (float(bound[0]) for bound in ratio)
    other, other_low, other_high = (float(bound[0]) for bound in swapped)
    if hits[0] + hits[1] == 0 and hits[1] + hits[2] == 0:
        assert math.isnan(estimate)
        assert math.isnan(other)
    else:
        for one, inverse in ((estimate, other), (low, other_high), (high, other_low)):
            assert (math.inf if one == 0 else 1 / one) == pytest.approx(inverse, rel=1e-9)
        assert low <= estimate <= high
    p, mirrored = (float(share_p_value(column(h), column(n))[0]) for h, n in ((hits, sizes), (hits[::-1], sizes[::-1])))
    assert p == pytest.approx(mirrored, rel=1e-6, abs=1e-12, nan_ok=True)
    assert math.isnan(p) or 0 <= p <= 1


@given(parts())
@settings(max_examples=50)
def test_p_value_without_a_true_overlap_is_that_of_the_complement(counts: tuple[Parts, Parts]) -> None:
    (a, _, b), (n_a, _, n_b) = counts
    if not n_a or not n_b:
        return
    expected = float(complement_p_value(a, n_a, a + b, n_a + n_b))
    for hits, sizes in (([a, 0, b], [n_a, 0, n_b]), ([0, a, b], [0, n_a, n_b]), ([a, b, 0], [n_a, n_b, 0])):
        assert float(share_p_value(column(hits), column(sizes))[0]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("sizes", "rates"),
    [
        ((400, 300, 800), (0.2, 0.2, 0.2)),  # nothing differs
        ((300, 500, 300), (0.1, 0.6, 0.1)),  # the users in both are of another kind, which tells nothing of A and B
        ((200, 600, 1200), (0.35, 0.15, 0.25)),  # 80 of 800 more, 390 of 1800
    ],
)
def test_ratio_covers_the_truth_and_the_test_errs_as_often_as_it_says(sizes: Parts, rates: Sequence[float]) -> None:
    rng = np.random.default_rng(5)
    runs = 20_000
    hits = np.stack([rng.binomial(size, rate, runs) for size, rate in zip(sizes, rates, strict=True)])
    expected = np.array(sizes) * np.array(rates)
    truth = (expected[0] + expected[1]) / (sizes[0] + sizes[1]) / ((expected[1] + expected[2]) / (sizes[1] + sizes[2]))
    interval = share_ratio_interval(hits, np.array(sizes))
    covered = float(((interval.low <= truth) & (truth <= interval.high)).mean())
    assert 0.94 <= covered <= 0.96
    if truth == pytest.approx(1.0):
        assert 0.04 <= float((share_p_value(hits, np.array(sizes)) < 0.05).mean()) <= 0.06


def test_shares_at_the_edges() -> None:
    none_in_b = share_ratio_interval(column([5, 0, 0]), column([50, 0, 50]))
    assert math.isinf(float(none_in_b.estimate[0]))
    assert 0 < float(none_in_b.low[0]) < math.inf
    assert math.isinf(float(none_in_b.high[0]))
    same = share_ratio_interval(column([0, 5, 0]), column([0, 50, 0]))
    assert [float(bound[0]) for bound in same] == [1, 1, 1]
    assert math.isnan(float(share_p_value(column([0, 5, 0]), column([0, 50, 0]))[0]))
    with pytest.raises(InternalError, match="impossible counts"):
        share_ratio_interval(column([6, 0, 0]), column([5, 0, 5]))
    assert float(share_effect(1.0, 0.0)) == pytest.approx(math.pi)


@st.composite
def numbers(draw: st.DrawFn) -> list[list[float]]:
    return [draw(st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=30)) for _ in range(2)]


@given(numbers())
def test_means_of_audiences_that_share_nobody_are_welchs(groups: list[list[float]]) -> None:
    a, b = groups
    ours = mean_difference(moments(a, [], b))
    if len({*a}) == 1 and len({*b}) == 1:
        assert math.isnan(float(ours.p_value[0]))
        return
    spread_a, spread_b = variance(a) / len(a), variance(b) / len(b)
    freedom = (spread_a + spread_b) ** 2 / (spread_a**2 / (len(a) - 1) + spread_b**2 / (len(b) - 1))
    difference, error = sum(a) / len(a) - sum(b) / len(b), math.sqrt(spread_a + spread_b)
    p = 2 * float(stats.t.sf(abs(difference) / error, freedom))
    reach = float(stats.t.ppf(0.975, freedom)) * error
    assert float(ours.estimate[0]) == pytest.approx(difference, abs=1e-9)
    assert float(ours.p_value[0]) == pytest.approx(p, rel=1e-6, abs=1e-12)
    bounds = (float(ours.low[0]), float(ours.high[0]))
    assert bounds == pytest.approx((difference - reach, difference + reach), rel=1e-6, abs=1e-9)
    pooled = ((len(a) - 1) * variance(a) + (len(b) - 1) * variance(b)) / (len(a) + len(b) - 2)
    assert float(ours.effect[0]) == pytest.approx(float(ours.estimate[0]) / math.sqrt(pooled), rel=1e-6, abs=1e-9)
    # Everyone's mean differs from that of A by the rest alone: the same test, a smaller difference.
    inside = mean_difference(moments([], a, b))
    assert float(inside.p_value[0]) == pytest.approx(p, rel=1e-6, abs=1e-12)
    shrunk = len(b) / (len(a) + len(b))
    assert float(inside.estimate[0]) == pytest.approx(shrunk * float(ours.estimate[0]), rel=1e-6, abs=1e-9)


@given(st.lists(st.lists(st.integers(-9, 9).map(float), min_size=2, max_size=12), min_size=3, max_size=3))
def test_swapping_the_audiences_turns_the_mean_difference_round(groups: list[list[float]]) -> None:
    ours, swapped = mean_difference(moments(*groups)), mean_difference(moments(*groups[::-1]))
    for one, other in ((ours.estimate, swapped.estimate), (ours.low, swapped.high), (ours.effect, swapped.effect)):
        assert float(one[0]) == pytest.approx(-float(other[0]), rel=1e-9, abs=1e-12, nan_ok=True)
    assert float(ours.p_value[0]) == pytest.approx(float(swapped.p_value[0]), rel=1e-9, abs=1e-15, nan_ok=True)


def test_means_of_audiences_that_overlap_cover_the_truth() -> None:
    rng = np.random.default_rng(11)
    runs, sizes = 4_000, (60, 90, 150)
    drawn = [rng.exponential(scale, (runs, size)) for scale, size in zip((2.0, 6.0, 3.0), sizes, strict=True)]
    found = mean_difference(
        Moments(
            np.repeat(np.array(sizes, dtype=np.float64)[:, None], runs, axis=1),
            np.stack([values.sum(axis=1) for values in drawn]),
            np.stack([(values**2).sum(axis=1) for values in drawn]),
        )
    )
    truth = (60 * 2 + 90 * 6) / 150 - (90 * 6 + 150 * 3) / 240
    covered = float(((found.low <= truth) & (truth <= found.high)).mean())
    assert 0.935 <= covered <= 0.96


def test_means_of_the_same_users_do_not_differ() -> None:
    found = mean_difference(moments([], [1.0, 2.0, 4.0], []))
    assert (float(found.estimate[0]), float(found.effect[0])) == (0, 0)
    assert math.isnan(float(found.p_value[0]))
