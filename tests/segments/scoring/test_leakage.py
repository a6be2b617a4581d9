from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from limner_segments.scoring.evaluation import roc_auc
from limner_segments.scoring.leakage import (
    information_value,
    leakage_alarms,
    number_bins,
    single_tag_strength,
)

RNG = np.random.default_rng(4)
N = 3000
OUTCOME = RNG.random(N) < 0.1
CUTOFF = np.repeat([0, 1, 2], N // 3)
HONEST = RNG.normal(size=N) + 0.8 * OUTCOME


def as_object(values: object) -> np.ndarray:
    return np.array(values, dtype=object)


LEAKS = {
    "number": OUTCOME + RNG.normal(0, 0.2, N),
    "reversed": -1.0 * OUTCOME + RNG.normal(0, 0.2, N),
    "known_only_with_outcome": np.where(OUTCOME, 7.0, np.nan),
    "hill": np.where(OUTCOME, RNG.normal(0, 0.1, N), RNG.choice([-1, 1], N) * RNG.uniform(1, 2, N)),
    "status": np.where(OUTCOME, "流失", "活跃").astype(object),
    "many_levels": as_object([f"{'out' if y else 'in'}-{at % 40}" for at, y in enumerate(OUTCOME)]),
    "flag": as_object([None if rare else y for rare, y in zip(RNG.random(N) < 0.02, OUTCOME, strict=True)]),
}
HARMLESS = {
    "honest": HONEST,
    "noise": RNG.normal(size=N),
    "levels_500": RNG.integers(0, 500, N).astype(str).astype(object),
    "own_level_each": np.arange(N).astype(str).astype(object),
    "mostly_unknown": np.where(RNG.random(N) < 0.95, np.nan, RNG.normal(size=N)),
    "nobody": np.full(N, np.nan),
    "constant": np.ones(N),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_flagged(name: str) -> None:
    (alarm,) = leakage_alarms(pd.DataFrame({name: LEAKS[name], "honest": HONEST}), OUTCOME, CUTOFF, set())
    assert alarm.tag == name
    assert alarm.information_value >= 1 or alarm.auc >= 0.95
    assert alarm.cutoffs == (0, 1, 2)
    assert not alarm.only_later
    assert (alarm.provable, alarm.action) == (False, "excluded")


def test_noise_and_honest_tags_are_not_flagged() -> None:
    assert leakage_alarms(pd.DataFrame(HARMLESS), OUTCOME, CUTOFF, set()) == ()


def test_noise_with_many_levels_would_alarm_by_the_textbook() -> None:
    rng = np.random.default_rng(6)
    levels, outcome = rng.integers(0, 500, 1000), np.arange(1000) % 2 == 0
    assert information_value(levels, outcome, smoothing=0.05) > 2
    assert information_value(levels, outcome) > 0.8
    auc, value = single_tag_strength(pd.Series(levels.astype(str).astype(object)), outcome)
    assert abs(value) < 0.1
    assert auc < 0.6


def test_few_outcomes_do_not_make_noise_alarm() -> None:
    rng = np.random.default_rng(9)
    outcome = np.arange(2000) < 20
    frame = pd.DataFrame({f"noise_{at}": rng.normal(size=2000) for at in range(60)})
    assert leakage_alarms(frame, outcome, np.zeros(2000), set()) == ()


def test_a_provable_tag_is_warned_about() -> None:
    frame = pd.DataFrame({"a": LEAKS["number"], "b": LEAKS["status"]})
    actions = {alarm.tag: (alarm.provable, alarm.action) for alarm in leakage_alarms(frame, OUTCOME, CUTOFF, {"a"})}
    assert actions == {"a": (True, "warned"), "b": (False, "excluded")}


def test_a_leak_at_later_cutoffs_only() -> None:
    values = np.where(CUTOFF >= 1, OUTCOME * 1.0, RNG.normal(size=N))
    (alarm,) = leakage_alarms(pd.DataFrame({"filled_in_later": values}), OUTCOME, CUTOFF, set())
    assert alarm.cutoffs == (1, 2)
    assert alarm.only_later
    assert alarm.cutoff in (1, 2)


def test_the_measures_are_those_of_the_worst_cutoff() -> None:
    values = np.where(CUTOFF == 1, OUTCOME * 1.0, OUTCOME + RNG.normal(0, 0.4, N))
    (alarm,) = leakage_alarms(pd.DataFrame({"a": values}), OUTCOME, CUTOFF, set())
    assert alarm.cutoffs == (0, 1, 2)
    assert alarm.cutoff == 1
    assert (alarm.auc, alarm.information_value) == single_tag_strength(
        pd.Series(values[CUTOFF == 1]), OUTCOME[CUTOFF == 1]
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_number_is_ranked_in_either_direction(sign: float) -> None:
    auc, _ = single_tag_strength(pd.Series(sign * HONEST), OUTCOME)
    assert auc == pytest.approx(roc_auc(OUTCOME, HONEST), abs=1e-12)


def test_thin_cutoffs_are_passed_over_or_judged_together() -> None:
    outcome = np.zeros(600, dtype=bool)
    outcome[:250:10] = True  # 25 in the first cutoff
    outcome[300:350:10] = True  # 5 in the second
    cutoff = np.repeat([0, 1], 300)
    only_second = pd.DataFrame({"a": np.where(cutoff == 1, outcome * 1.0, 0.0)})
    assert leakage_alarms(only_second, outcome, cutoff, set()) == ()
    outcome[:100] = False  # now both are thin: 15 and 5 are 20 together
    (alarm,) = leakage_alarms(pd.DataFrame({"a": outcome * 1.0}), outcome, cutoff, set())
    assert alarm.cutoffs == (1,)
    outcome[:300] = False
    assert leakage_alarms(pd.DataFrame({"a": outcome * 1.0}), outcome, cutoff, set()) == ()


def test_information_value_by_hand() -> None:
    bins = np.repeat([0, 1], [10, 10])
    happened = np.concatenate([np.arange(10) < 8, np.arange(10) < 2])
    # shares of outcomes .8 and .2, of others .2 and .8: 2 × .6 × ln 4
    assert information_value(bins, happened, smoothing=0.0) == pytest.approx(1.2 * np.log(4))
    p, q = 8.5 / 11, 2.5 / 11
    assert information_value(bins, happened) == pytest.approx(2 * (p - q) * np.log(p / q))


def test_out_of_fold_and_textbook_agree_on_many_rows() -> None:
    rng = np.random.default_rng(2)
    happened = rng.random(20_000) < 0.2
    values = rng.normal(size=20_000) + 0.7 * happened
    _, value = single_tag_strength(pd.Series(values), happened)
    assert value == pytest.approx(information_value(number_bins(values), happened), abs=0.02)
    assert value == pytest.approx(0.49, abs=0.06)  # a shift of d standard deviations has d²


def test_bins_hold_tenths_and_unknown_is_the_last() -> None:
    numbers = np.append(np.arange(100.0), [np.nan, np.nan])
    assert np.bincount(number_bins(numbers)).tolist() == [10] * 10 + [2]
    assert number_bins(np.array([np.nan, np.nan])).tolist() == [0, 0]


def test_the_answer_does_not_change_from_call_to_call() -> None:
    frame = pd.DataFrame(LEAKS)
    assert leakage_alarms(frame, OUTCOME, CUTOFF, set()) == leakage_alarms(frame, OUTCOME, CUTOFF, set())
