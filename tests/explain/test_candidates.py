"""Candidate conditions: readable thresholds, enough support, no near-duplicates, unknowns apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_explain.candidates import CandidateSettings, make_candidates, readable, thresholds


def significant_digits(value: float) -> int:
    digits = f"{value:.12g}".replace("-", "").replace(".", "").split("e")[0].strip("0")
    return len(digits)


@given(st.floats(1e-6, 1e12))
def test_readable_numbers_have_two_digits_and_stay_near(value: float) -> None:
    rounded = readable(value, value)
    assert significant_digits(rounded) <= 2
    assert rounded == pytest.approx(value, rel=0.051)


def test_whole_tags_get_whole_thresholds() -> None:
    rng = np.random.default_rng(0)
    cuts = thresholds(rng.poisson(4, 5_000).astype(float), (0.1, 0.25, 0.5, 0.75, 0.9))
    assert cuts == [2, 3, 4, 5, 7]
    assert all(isinstance(cut, int) for cut in cuts)


def test_conditions_have_support_and_no_two_of_a_tag_are_nearly_the_same() -> None:
    rng = np.random.default_rng(1)
    rows = 4_000
    frame = pd.DataFrame(
        {
            "spend": rng.lognormal(3, 1, rows),
            "orders": rng.poisson(0.7, rows),
            "rare_flag": rng.random(rows) < 0.004,
            "city": rng.choice(["a", "b", "c"], rows, p=[0.6, 0.395, 0.005]),
            "constant": np.full(rows, 3.0),
        }
    )
    made = make_candidates(frame)
    texts = [condition.text for condition in made.conditions]
    assert made.matrix.shape == (rows, len(texts))
    assert made.matrix.sum(axis=0).min() >= 50
    assert made.matrix.sum(axis=0).max() <= rows - 50
    assert {"orders = 0", "orders >= 1", "city = 'a'", "city = 'b'"} <= set(texts)
    assert "city = 'c'" not in texts
    # `orders > 0` says what `orders >= 1` says.
    assert "orders > 0" not in texts
    assert not {"rare_flag", "constant"} & set(made.tags)
    for tag in set(made.tags):
        of_tag = made.matrix[:, [at for at, name in enumerate(made.tags) if name == tag]]
        apart = (of_tag[:, :, None] ^ of_tag[:, None, :]).sum(axis=0) + rows * np.eye(of_tag.shape[1], dtype=int)
        assert apart.min() >= 50


def test_unknown_is_a_condition_of_its_own_and_matches_no_other() -> None:
    rng = np.random.default_rng(2)
    unknown = rng.random(2_000) < 0.3
    frame = pd.DataFrame({"age": np.where(unknown, np.nan, rng.integers(18, 80, 2_000))})
    made = make_candidates(frame)
    texts = [condition.text for condition in made.conditions]
    at = texts.index("age is unknown")
    assert (made.matrix[:, at] == unknown).all()
    others = np.delete(made.matrix, at, axis=1)
    assert others.shape[1] > 5
    assert not others[unknown].any()


def test_the_same_rows_give_the_same_candidates_whatever_the_order_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"spend": rng.lognormal(3, 1, 3_000), "city": rng.choice(list("abcdef"), 3_000)})
    shuffled = frame.sample(frac=1, random_state=1)
    assert make_candidates(frame).conditions == make_candidates(shuffled).conditions


def test_no_rows_no_tags_and_columns_of_dates_give_no_candidates() -> None:
    dates = pd.DataFrame({"day": pd.to_datetime(["2025-01-31"] * 100)})
    assert make_candidates(dates).conditions == ()
    assert make_candidates(dates).matrix.shape == (100, 0)
    assert make_candidates(pd.DataFrame({"a": pd.Series([], dtype=float)})).conditions == ()


def test_many_values_of_a_category_are_limited_to_the_most_frequent() -> None:
    names = [f"v{number:02d}" for number in range(40) for _ in range(10 + number)]
    made = make_candidates(
        pd.DataFrame({"item": names}), settings=CandidateSettings(min_share=0, min_count=5, max_values=3)
    )
    assert [condition.text for condition in made.conditions] == ["item = 'v39'", "item = 'v38'", "item = 'v37'"]
