"""Looks: the arithmetic of a comparison, for every share and mean that it looks at together.

Pure functions of counts and moments. Imports counts, differences and intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner_segments.comparison_counts import TagCounts
from limner_segments.differences import (
    Moments,
    effect_error,
    mean_difference,
    share_effect,
    share_p_value,
    share_ratio_interval,
)
from limner_segments.intervals import Floats, false_discovery, z_value


@dataclass(frozen=True)
class Look:
    """The numbers of one share or mean by their names in a result, and the least that the effect is at 95 % confidence."""

    shown: dict[str, float | None]
    certainty: float


class Looks:
    """Everything that a comparison looks at, computed at once: a row a trait in `counts`, then a row a mean.

    `size` holds the users only in A, in both and only in B. With `whole_base`, B is everyone: the test and the effect are those of A
    against the rest, as B differs from A by the rest alone.
    """

    def __init__(self, counted: Sequence[TagCounts], size: tuple[int, int, int], *, whole_base: bool) -> None:
        self.counts = [count for each in counted for count in each.counts]
        self.size = np.array(size, dtype=np.float64)
        self.hits = np.array([count.parts for count in self.counts], dtype=np.float64).T.reshape(3, -1)
        self.ratio = share_ratio_interval(self.hits, self.size)

        def apart(parts: Floats) -> Floats:
            return np.stack([parts[1], np.zeros_like(parts[1]), parts[2]]) if whole_base else parts

        hits, sizes = apart(self.hits), apart(self.size)
        size_a, size_b = sizes[0] + sizes[1], sizes[1] + sizes[2]
        tested = np.array([count.candidates for count in self.counts], dtype=np.float64)
        self.p_values = np.minimum(share_p_value(hits, sizes) * tested, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.effects = share_effect((hits[0] + hits[1]) / size_a, (hits[1] + hits[2]) / size_b)
        self.error = float(effect_error(size_a, size_b, sizes[1]))
        moments = [each.moments for each in counted if each.moments is not None]
        self.centres = [each.centre for each in counted if each.moments is not None]
        self.moments = Moments(*(np.array([each[at] for each in moments]).T.reshape(3, -1) for at in range(3)))
        self.means = mean_difference(self.moments)
        self.mean_effects = mean_difference(Moments(*(apart(each) for each in self.moments)))

    def q_values(self, fixed: object) -> Floats:
        """The q-value of each row. What a definition fixes is no discovery: it does not ease the test of the others."""
        p_values = np.concatenate([self.p_values, self.mean_effects.p_value])
        free = false_discovery(np.where(np.asarray(fixed, dtype=np.bool_), np.nan, p_values))
        return np.where(np.isnan(free), false_discovery(p_values), free)

    def share(self, at: int) -> Look:
        """The shares of a trait, their ratio and the effect size; a number that does not exist is None or not finite."""
        only_a, both, only_b = (float(hits) for hits in self.hits[:, at])
        size_a, size_b = float(self.size[0] + self.size[1]), float(self.size[1] + self.size[2])
        tgi, low, high = (100 * float(bound[at]) for bound in self.ratio)
        base, effect = both + only_b, float(self.effects[at])
        shown = {
            "audience_share": (only_a + both) / size_a, "base_share": base / size_b, "tgi": tgi, "tgi_low": low, "tgi_high": high,
            "ceiling": 100 * size_b / base if base else None, "effect_size": effect,
        }  # fmt: skip
        return Look(shown, _certainty(effect, self.error))

    def mean(self, at: int) -> Look:
        """The means of a number, their difference and the effect size; a number that does not exist is not finite."""
        users, total = self.moments.users[:, at], self.moments.total[:, at]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_a = self.centres[at] + (total[0] + total[1]) / (users[0] + users[1])
            mean_b = self.centres[at] + (total[1] + total[2]) / (users[1] + users[2])
        effect, error = float(self.mean_effects.effect[at]), float(self.mean_effects.effect_error[at])
        shown: dict[str, float | None] = {
            "audience_mean": float(mean_a), "base_mean": float(mean_b), "mean_difference": float(self.means.estimate[at]),
            "mean_low": float(self.means.low[at]), "mean_high": float(self.means.high[at]), "effect_size": effect,
        }  # fmt: skip
        return Look(shown, _certainty(effect, error))


def _certainty(effect: float, error: float) -> float:
    """The bound of an effect's 95 % interval that lies nearer to none, without its sign."""
    return max(abs(effect) - z_value(0.95) * error, 0.0) if math.isfinite(effect) and math.isfinite(error) else 0.0
