from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import minimize

from limner_segments.scoring.calibration import MIN_SLOPE, Calibration, fit_calibration, sigmoid


def draw(slope: float, intercept: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    margin = rng.normal(-1, 2, rows)
    return margin, (rng.random(rows) < sigmoid(slope * margin + intercept)).astype(np.int8)


def test_the_line_that_made_the_outcomes_is_found() -> None:
    margin, outcome = draw(0.4, -0.7)
    line = fit_calibration(margin, outcome)
    assert line.slope == pytest.approx(0.4, abs=0.05)
    assert line.intercept == pytest.approx(-0.7, abs=0.1)
    assert (line.rows, line.outcomes, line.clamped) == (4000, int(outcome.sum()), False)


def test_newton_agrees_with_a_general_optimiser() -> None:
    margin, outcome = draw(0.8, 0.3, 200)
    n1 = int(outcome.sum())
    target = np.where(outcome == 1, (n1 + 1) / (n1 + 2), 1 / (200 - n1 + 2))

    def loss(line: np.ndarray) -> float:
        z = line[0] * margin + line[1]
        return float(np.sum(np.logaddexp(0, z) - target * z) + 0.0005 * (line[0] - 1) ** 2)

    best = minimize(loss, np.array([0.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
    line = fit_calibration(margin, outcome)
    assert [line.slope, line.intercept] == pytest.approx(best, abs=1e-5)


def test_brier_of_a_miscalibrated_margin_improves_on_other_rows() -> None:
    margin, outcome = draw(0.4, -0.7)
    line = fit_calibration(margin[:2000], outcome[:2000])
    before = np.mean((sigmoid(margin[2000:]) - outcome[2000:]) ** 2)
    after = np.mean((line.probability(margin[2000:]) - outcome[2000:]) ** 2)
    assert after < before - 0.01


def test_a_reversed_margin_keeps_its_order() -> None:
    margin, outcome = draw(-1.0, 0.0)
    line = fit_calibration(margin, outcome)
    assert line.clamped
    assert line.slope == MIN_SLOPE
    assert line.probability(margin).mean() == pytest.approx(outcome.mean(), abs=0.01)


def test_equal_margins_give_the_base_rate_and_separated_ones_a_finite_line() -> None:
    flat = fit_calibration(np.full(100, -2.0), np.arange(100) < 30)
    assert flat.slope == pytest.approx(1.0)
    assert flat.probability(np.array([-2.0]))[0] == pytest.approx(0.3, abs=0.02)
    split = fit_calibration(np.repeat([-1.0, 1.0], 50), np.repeat([0, 1], 50))
    assert split.probability(np.array([-1.0, 1.0])) == pytest.approx([1 / 52, 51 / 52], abs=1e-3)


def test_a_slope_that_is_not_positive_is_no_calibration() -> None:
    with pytest.raises(ValidationError):
        Calibration(slope=0.0, intercept=1.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=1, max_size=30),
)
def test_any_rows_give_a_finite_rising_line(rows: list[tuple[float, bool]]) -> None:
    margin = np.array([m for m, _ in rows])
    line = fit_calibration(margin, np.array([happened for _, happened in rows]))
    assert line.slope >= MIN_SLOPE
    assert np.isfinite([line.slope, line.intercept]).all()
    assert np.all(np.diff(line.log_odds(np.sort(margin))) >= 0)


def test_sigmoid_does_not_overflow() -> None:
    np.testing.assert_allclose(sigmoid(np.array([-800.0, 0.0, 800.0])), [0.0, 0.5, 1.0])
