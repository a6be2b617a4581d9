from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from limner_segments.scoring.baselines import fit_base_rate, fit_logistic, fit_rfm
from limner_segments.scoring.encoding import fit_encoding
from limner_segments.scoring.evaluation import roc_auc


def test_logistic_learns_from_numbers_levels_and_unknowns() -> None:
    rng = np.random.default_rng(0)
    spend = np.where(rng.random(2000) < 0.3, np.nan, rng.normal(100, 20, 2000))
    city = rng.choice(np.array(["上海", "北京", None], dtype=object), 2000)
    log_odds = 0.05 * (np.nan_to_num(spend, nan=60) - 100) + (city == "上海")
    outcome = rng.random(2000) < 1 / (1 + np.exp(-log_odds))
    frame = pd.DataFrame({"spend": spend, "city": city, "unknown": np.nan})
    train, held = frame[:1500], frame[1500:]
    baseline = fit_logistic(train, outcome[:1500], fit_encoding(train))
    score = baseline.score(held)
    # the best possible order is that of the log-odds that made the outcomes
    assert roc_auc(outcome[1500:], score) > roc_auc(outcome[1500:], log_odds[1500:]) - 0.02
    assert score.mean() == pytest.approx(outcome[1500:].mean(), abs=0.06)
    unseen = pd.DataFrame({"spend": [np.nan], "city": ["新疆"], "unknown": [3.0]})
    assert 0 < baseline.score(unseen)[0] < 1


def test_rfm_ranks_by_hand() -> None:
    days = np.array([10.0, 20, 30, 40, 50, np.nan])
    frequency = np.array([5.0, 4, 3, 2, 1, 0])
    money = np.array([100.0, 50, 50, 50, 50, 0])
    outcome = np.array([1, 1, 1, 0, 0, 0])
    rfm = fit_rfm(days, frequency, money, outcome)
    assert rfm.ranks(days, frequency, money)[:, 0].tolist() == [5, 4, 3, 2, 1, 0]  # never is below the longest ago
    assert rfm.ranks(days, frequency, money)[:, 1].tolist() == [5, 4, 3, 2, 1, 1]
    # four of the five bounds are 50: those at it share the lowest rank, the one above has the highest
    assert rfm.ranks(days, frequency, money)[:, 2].tolist() == [5, 1, 1, 1, 1, 1]
    assert rfm.ranks([0.0], [99.0], [np.nan]).tolist() == [[5, 5, 0]]
    assert rfm.direction == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_rfm_direction_is_chosen_on_training_rows(sign: int) -> None:
    rng = np.random.default_rng(1)
    days, frequency, money = rng.exponential(30, 3000), rng.poisson(4, 3000), rng.gamma(2, 30, 3000)
    log_odds = sign * (0.5 * (frequency - 4) - 0.03 * (days - 30)) - 1
    outcome = rng.random(3000) < 1 / (1 + np.exp(-log_odds))
    rfm = fit_rfm(days[:2000], frequency[:2000], money[:2000], outcome[:2000])
    score = rfm.score(days[2000:], frequency[2000:], money[2000:])
    assert rfm.direction == sign
    assert roc_auc(outcome[2000:], score) > 0.6
    assert score.mean() == pytest.approx(outcome[2000:].mean(), abs=0.04)
    total = rfm.ranks(days[2000:], frequency[2000:], money[2000:]).sum(axis=1)
    order = np.argsort(total, kind="stable")
    assert np.all(sign * np.diff(score[order]) >= 0)


def test_base_rate() -> None:
    baseline = fit_base_rate(np.array([1, 0, 0, 0], dtype=np.int8))
    assert baseline.score(3).tolist() == [0.25, 0.25, 0.25]
