from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from limner_profile.errors import InternalError, RefusedError
from limner_segments.scoring.evaluation import roc_auc
from limner_segments.scoring.model import Provenance, ScoringModel
from limner_segments.scoring.training import TrainingSettings, booster_parameters, train_model, validation_rows

PROVENANCE = Provenance(
    scenario="lapse_30d", scenario_text="kind: lapse", tags_hash="t1", data_hash="d1", cutoffs=("2024-03-01",)
)
FAST = TrainingSettings(max_rounds=50, learning_rate=0.1, num_threads=1)


def rows(count: int, seed: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    spend = np.where(rng.random(count) < 0.2, np.nan, rng.exponential(50, count))
    city = rng.choice(np.array(["上海", "北京", "小镇", None], dtype=object), count, p=[0.4, 0.3, 0.2, 0.1])
    member = rng.choice(np.array([True, False, None], dtype=object), count)
    log_odds = -2 + 0.02 * np.nan_to_num(spend, nan=80) + 1.2 * (city == "上海") + 0.5 * (member == True)  # noqa: E712
    outcome = (rng.random(count) < 1 / (1 + np.exp(-log_odds))).astype(np.int8)
    return pd.DataFrame({"spend": spend, "city": city, "is_member": member, "noise": rng.normal(size=count)}), outcome


def train(
    count: int, cutoffs: int, provenance: Provenance = PROVENANCE, settings: TrainingSettings = FAST
) -> ScoringModel:
    frame, outcome = rows(count)
    at = np.arange(count)
    return train_model(frame, outcome, at % cutoffs, at // cutoffs, provenance, settings=settings)


def test_it_learns_and_is_calibrated_on_unseen_users() -> None:
    model = train(3000, 2)
    frame, outcome = rows(3000, seed=4)
    score = model.score(frame)
    assert roc_auc(outcome, score) > 0.68
    assert score.mean() == pytest.approx(outcome.mean(), abs=0.03)
    assert model.record.validation == "newest-cutoff"
    assert model.record.validation_rows == 1500
    assert model.record.calibration.rows == 3000  # every training row, each with a margin from outside its fold


def test_training_stops_early_and_the_final_fit_has_as_many_rounds() -> None:
    frame, outcome = rows(600)
    at = np.arange(600)
    eager = FAST.model_copy(update={"learning_rate": 0.3, "max_rounds": 80})
    model = train_model(frame, outcome, at % 2, at // 2, PROVENANCE, settings=eager)
    assert 1 <= model.record.rounds < 40
    assert model.booster.num_trees() == model.record.rounds


@pytest.mark.parametrize("threads", [1, 2])
def test_training_twice_gives_the_same_text_and_fingerprint(threads: int, capfd: pytest.CaptureFixture[str]) -> None:
    settings = FAST.model_copy(update={"num_threads": threads, "max_rounds": 20})
    first, second = train(1200, 2, settings=settings), train(1200, 2, settings=settings)
    assert first.booster_text == second.booster_text
    assert first.record == second.record
    assert capfd.readouterr() == ("", "")  # LightGBM says nothing


def test_the_fingerprint_follows_every_input() -> None:
    prints = {train(400, 1).fingerprint}
    for changed in ({"scenario_text": "kind: other"}, {"tags_hash": "t2"}, {"data_hash": "d2"}):
        prints.add(train(400, 1, PROVENANCE.model_copy(update=changed)).fingerprint)
    frame, outcome = rows(400)
    zeros = np.zeros(400)
    prints.add(train_model(frame[["city"]], outcome, zeros, np.arange(400), PROVENANCE, settings=FAST).fingerprint)
    prints.add(train(400, 1, settings=FAST.model_copy(update={"seed": 7})).fingerprint)
    assert len(prints) == 6


def test_a_single_cutoff_splits_users_and_keeps_a_user_on_one_side() -> None:
    users = np.repeat(np.arange(300), 4)
    happened = np.arange(1200) % 3 == 0
    held, how = validation_rows(happened, np.zeros(1200), users)
    assert how == "hashed-users"
    assert set(users[held]).isdisjoint(users[~held])
    assert 0.15 < held.mean() < 0.35
    again, _ = validation_rows(happened, np.zeros(1200), users)
    np.testing.assert_array_equal(held, again)


def test_a_newest_cutoff_with_too_few_outcomes_is_not_used_for_validation() -> None:
    cutoff = np.repeat([0, 1], 200)
    happened = np.arange(400) % 4 == 0
    assert validation_rows(happened, cutoff, np.arange(400))[1] == "newest-cutoff"
    happened[200:] = np.arange(200) < 5
    assert validation_rows(happened, cutoff, np.arange(400))[1] == "hashed-users"


@pytest.mark.parametrize(
    ("with_outcome", "of", "found"),
    [
        (0, 500, "none has the outcome"),
        (500, 500, "all have the outcome"),
        (29, 500, "only 29 have the outcome"),
        (480, 500, "only 20 do not have the outcome"),
    ],
)
def test_too_few_outcomes_are_refused_with_counts_and_remedy(with_outcome: int, of: int, found: str) -> None:
    frame, _ = rows(of)
    with pytest.raises(RefusedError, match=found) as caught:
        train_model(frame, np.arange(of) < with_outcome, np.zeros(of), np.arange(of), PROVENANCE)
    assert caught.value.code == "too-few-outcomes"
    assert "of 500 training rows" in str(caught.value)
    assert "widen the label window" in caught.value.issues[0].hint


def test_no_tags_and_wrong_outcomes() -> None:
    frame, outcome = rows(200)
    with pytest.raises(RefusedError) as caught:
        train_model(frame[[]], outcome, np.zeros(200), np.arange(200), PROVENANCE)
    assert caught.value.code == "no-tags"
    with pytest.raises(InternalError, match="neither 0 nor 1"):
        train_model(frame, outcome * 2, np.zeros(200), np.arange(200), PROVENANCE)
    with pytest.raises(InternalError, match="200 rows"):
        train_model(frame, outcome[:-1], np.zeros(200), np.arange(200), PROVENANCE)


def test_tags_that_say_nothing_give_the_base_rate(capfd: pytest.CaptureFixture[str]) -> None:
    _, outcome = rows(400)
    frame = pd.DataFrame({"constant": np.ones(400), "unknown": np.full(400, np.nan)})
    model = train_model(frame, outcome, np.zeros(400), np.arange(400), PROVENANCE, settings=FAST)
    assert np.ptp(model.score(frame)) == 0.0
    assert model.score(frame)[0] == pytest.approx(outcome.mean(), abs=0.06)
    assert not model.contributions(frame).values.any()
    assert capfd.readouterr() == ("", "")


def test_leaves_grow_with_the_rows() -> None:
    leaves = [booster_parameters(FAST, count)["min_data_in_leaf"] for count in (100, 10_000, 1_000_000, 9_000_000)]
    assert leaves == [10, 50, 500, 500]
