from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from limner_profile.errors import InternalError, RefusedError
from limner_segments.scoring.evaluation import (
    auc_interval,
    calibration_curve,
    evaluate,
    ks_statistic,
    population_stability,
    roc_auc,
    top_share,
)


def sample(count: int = 3000, seed: int = 0, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(1, 5, count), digits)  # many ties
    return (rng.random(count) < score).astype(np.int8), score


def test_measures_agree_with_scikit_learn_and_scipy() -> None:
    outcome, score = sample()
    found = evaluate(outcome, score)
    assert found.auc.value == pytest.approx(roc_auc_score(outcome, score), abs=1e-12)
    assert found.brier == pytest.approx(brier_score_loss(outcome, score), abs=1e-12)
    assert found.log_loss == pytest.approx(log_loss(outcome, score), abs=1e-9)
    assert found.ks == pytest.approx(ks_2samp(score[outcome == 1], score[outcome == 0]).statistic, abs=1e-12)
    assert (found.users, found.outcomes, found.base_rate) == (3000, outcome.sum(), outcome.mean())
    assert found.psi is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=30))
def test_ranking_measures_by_counting_pairs(rows: list[tuple[bool, int]]) -> None:
    outcome, score = np.array([y for y, _ in rows]), np.array([s / 4 for _, s in rows])
    if outcome.all() or not outcome.any():
        with pytest.raises(RefusedError, match="cannot be judged"):
            evaluate(outcome, score)
        return
    pairs = [(a > b) + (a == b) / 2 for a in score[outcome] for b in score[~outcome]]
    assert roc_auc(outcome, score) == pytest.approx(np.mean(pairs))
    cuts = [abs(np.mean(score[outcome] >= t) - np.mean(score[~outcome] >= t)) for t in score]
    assert ks_statistic(outcome, score) == pytest.approx(max(cuts))
    found = evaluate(outcome, score, score)
    assert found.auc.low <= found.auc.value <= found.auc.high
    for top in found.top:
        assert top.gain.low <= top.gain.value <= top.gain.high <= 1.0 + 1e-12
        assert top.lift.low <= top.lift.value <= top.lift.high <= 1 / found.base_rate + 1e-12
    assert found.psi == pytest.approx(0.0, abs=1e-12)
    assert sum(one.users for one in found.calibration) == len(rows)


def test_delong_by_its_definition() -> None:
    outcome, score = sample(300, seed=3, digits=1)
    positive, negative = score[outcome == 1], score[outcome == 0]
    beats = (positive[:, None] > negative) + (positive[:, None] == negative) / 2
    variance = np.var(beats.mean(axis=1), ddof=1) / len(positive) + np.var(beats.mean(axis=0), ddof=1) / len(negative)
    auc = beats.mean()
    half = 1.959964 * math.sqrt(variance) / (auc * (1 - auc))
    found = auc_interval(outcome, score)
    expected = [1 / (1 + math.exp(-(math.log(auc / (1 - auc)) + side * half))) for side in (-1, 1)]
    assert [found.low, found.high] == pytest.approx(expected, abs=1e-7)


def test_delong_covers_the_true_auc() -> None:
    rng = np.random.default_rng(8)
    true_auc = 0.7602499389065233  # of two normals one standard deviation apart: Φ(1/√2)
    outcome = np.arange(400) < 60
    hits = 0
    for _ in range(300):
        found = auc_interval(outcome, rng.normal(size=400) + outcome)
        hits += found.low <= true_auc <= found.high
    assert 0.92 <= hits / 300 <= 0.98


def test_a_perfect_ranking_is_not_certain_and_no_ranking_is_a_half() -> None:
    outcome = np.repeat([0, 1], [90, 10])
    perfect = auc_interval(outcome, outcome)
    assert perfect.value == 1.0
    assert 0.6 < perfect.low < 0.8
    assert perfect.high == 1.0
    flat = auc_interval(outcome, np.full(100, 0.1))
    assert (flat.low, flat.value, flat.high) == pytest.approx((0.5, 0.5, 0.5))


def test_lift_and_gain_by_hand() -> None:
    outcome = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 1])
    score = np.arange(10, 0, -1) / 10
    top = top_share(outcome, score, 0.2)
    assert (top.users, top.outcomes) == (2, 2.0)
    assert top.lift.value == pytest.approx(2.5)  # both of the top 2, of a base of 4 in 10
    assert top.gain.value == pytest.approx(0.5)
    assert top_share(outcome, score, 0.01).users == 1
    assert top_share(outcome, score, 0.4).gain.value == pytest.approx(0.75)


def test_ties_count_in_proportion_whatever_the_order() -> None:
    outcome = np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    score = np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    # the top 2 are the first and one of four tied users, two of whom have the outcome
    assert top_share(outcome, score, 0.2).outcomes == pytest.approx(1.5)
    rng = np.random.default_rng(0)
    for _ in range(5):
        order = rng.permutation(10)
        assert evaluate(outcome[order], score[order]).top == evaluate(outcome, score).top
    assert [top.lift.value for top in evaluate(outcome, np.full(10, 0.3)).top] == pytest.approx([1.0] * 5)


def test_calibration_curve_by_hand() -> None:
    score = np.repeat([0.1, 0.2, 0.6], [20, 10, 10])
    outcome = np.concatenate([np.arange(20) < 2, np.arange(10) < 4, np.arange(10) < 6])
    curve = calibration_curve(outcome, score)
    assert [(one.users, one.outcomes) for one in curve] == [(20, 2), (10, 4), (10, 6)]
    assert [one.mean_score for one in curve] == pytest.approx([0.1, 0.2, 0.6])
    assert [curve[1].outcome_rate.low, curve[1].outcome_rate.high] == pytest.approx([0.168180, 0.687326], abs=1e-5)
    assert evaluate(outcome, score).calibration_error == pytest.approx(10 * 0.2 / 40)


def test_bins_of_distinct_scores_are_equal_in_size() -> None:
    outcome, _ = sample(1000)
    curve = calibration_curve(outcome, np.random.default_rng(2).permutation(1000) / 1000)
    assert [one.users for one in curve] == [100] * 10


def test_psi_by_hand_and_on_a_shift() -> None:
    before, now = np.repeat([0.0, 1.0], [50, 50]), np.repeat([0.0, 1.0], [20, 80])
    e, a = np.array([50.5, 50.5]) / 101, np.array([20.5, 80.5]) / 101
    assert population_stability(before, now) == pytest.approx(np.sum((a - e) * np.log(a / e)))
    rng = np.random.default_rng(0)
    assert population_stability(rng.normal(size=5000), rng.normal(size=5000)) < 0.02
    assert population_stability(rng.normal(size=5000), rng.normal(1, 1, 5000)) > 0.25
    assert population_stability(np.full(9, 0.2), np.full(5, 0.2)) == 0.0


def test_rows_for_the_table() -> None:
    outcome, score = sample()
    found = evaluate(outcome, score, score)
    rows = found.to_rows("lapse", "scorer")
    assert {tuple(row) for row in rows} == {("scenario", "scorer", "metric", "k", "value", "low", "high")}
    assert {(row["scenario"], row["scorer"]) for row in rows} == {("lapse", "scorer")}
    lift = [row for row in rows if row["metric"] == "lift"]
    assert [row["k"] for row in lift] == [0.01, 0.05, 0.1, 0.2, 0.4]
    assert [lift[2]["value"], lift[2]["low"], lift[2]["high"]] == [
        found.top[2].lift.value,
        found.top[2].lift.low,
        found.top[2].lift.high,
    ]
    single = {row["metric"]: row["value"] for row in rows if row["k"] is None}
    assert single == {
        "users": 3000,
        "outcomes": found.outcomes,
        "base_rate": found.base_rate,
        "auc": found.auc.value,
        "ks": found.ks,
        "brier": found.brier,
        "log_loss": found.log_loss,
        "calibration_error": found.calibration_error,
        "psi": found.psi,
    }
    assert len({(row["metric"], row["k"]) for row in rows}) == len(rows)


def test_what_is_no_probability_is_our_fault() -> None:
    with pytest.raises(InternalError, match="not a probability"):
        evaluate([0, 1], [0.5, 1.5])
    with pytest.raises(InternalError, match="not a probability"):
        evaluate([0, 1], [0.5, math.nan])
    with pytest.raises(InternalError, match="shape"):
        evaluate([0, 1, 1], [0.5, 0.5])
