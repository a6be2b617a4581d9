"""Platt scaling: the straight line that turns a margin into calibrated log-odds. Imports nothing of Limner.

A line keeps explanations honest: SHAP contributions times its slope still add up to the calibrated log-odds, which an
isotonic curve would not allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

MIN_SLOPE = 0.05
_RIDGE = 1e-3


class Calibration(BaseModel):
    """log-odds = slope · margin + intercept; `clamped` where the rows asked for a slope below the least allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(gt=0)
    intercept: float
    rows: int = 0
    outcomes: int = 0
    clamped: bool = False

    def log_odds(self, margin: FloatArray) -> FloatArray:
        """The calibrated log-odds of each margin."""
        scaled: FloatArray = self.slope * margin + self.intercept
        return scaled

    def probability(self, margin: FloatArray) -> FloatArray:
        """The calibrated probability of each margin."""
        return sigmoid(self.log_odds(margin))


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """1 / (1 + exp(−x)), without overflow at either end."""
    import numpy as np

    decay = np.exp(-np.abs(log_odds))
    probability: FloatArray = np.where(log_odds >= 0, 1.0, decay) / (1.0 + decay)
    return probability


def fit_calibration(margin: FloatArray, outcome: npt.ArrayLike) -> Calibration:
    """The Platt line of these margins and outcomes (rows that the model was not fitted on).

    Targets are smoothed as in Platt (1999), so that perfectly separated rows give a finite line; a faint pull of the
    slope towards 1 decides where all margins are equal. The slope stays positive, so that calibration never turns
    the ranking around: where the rows ask for less than 0.05, it is 0.05 and `clamped` says so.
    Newton's method after Lin, Lin and Weng, "A note on Platt's probabilistic outputs" (2007).
    """
    import numpy as np

    happened = np.asarray(outcome) > 0
    n1, n0 = int(happened.sum()), int((~happened).sum())
    target = np.where(happened, (n1 + 1.0) / (n1 + 2.0), 1.0 / (n0 + 2.0))
    start = float(np.log((n1 + 1.0) / (n0 + 1.0)))
    slope, intercept = _newton(margin, target, start, None)
    clamped = slope < MIN_SLOPE
    if clamped:
        slope, intercept = _newton(margin, target, start, MIN_SLOPE)
    return Calibration(slope=slope, intercept=intercept, rows=n1 + n0, outcomes=n1, clamped=clamped)


def _newton(margin: FloatArray, target: FloatArray, start: float, fixed_slope: float | None) -> tuple[float, float]:
    """The slope and intercept of least log loss, the slope held at `fixed_slope` where one is given."""
    import numpy as np

    slope, intercept = (0.0, start) if fixed_slope is None else (fixed_slope, start)

    def loss(a: float, b: float) -> float:
        log_odds = a * margin + b
        return float(np.sum(np.logaddexp(0.0, log_odds) - target * log_odds)) + 0.5 * _RIDGE * (a - 1.0) ** 2

    now = loss(slope, intercept)
    for _ in range(100):
        probability = sigmoid(slope * margin + intercept)
        weight = probability * (1.0 - probability)
        error = probability - target
        gradient = np.array([float(error @ margin) + _RIDGE * (slope - 1.0), float(error.sum())])
        cross = float(weight @ margin)
        curvature = np.array(
            [[float(weight @ (margin * margin)) + _RIDGE, cross], [cross, float(weight.sum()) + 1e-12]],
        )
        if fixed_slope is not None:
            step = np.array([0.0, gradient[1] / curvature[1, 1]])
        else:
            step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-10 and loss(slope - size * step[0], intercept - size * step[1]) > now:
            size /= 2.0
        slope, intercept = slope - size * float(step[0]), intercept - size * float(step[1])
        after = loss(slope, intercept)
        if now - after < 1e-12 * (1.0 + abs(now)):
            break
        now = after
    return slope, intercept
