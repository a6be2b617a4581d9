"""Mining: all rules of one or two conditions that separate high scores from low on training rows.

Works on a boolean matrix (rows by conditions) and one score a row, without data frames or predicates. Every pair is
counted at once by two matrix products, so nothing is pruned and nothing depends on a search order. Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from limner_profile.errors import InternalError

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Direction: TypeAlias = Literal["raises", "lowers"]

DIRECTIONS: tuple[Direction, ...] = ("raises", "lowers")

BLOCK_ROWS = 8_192
"""Rows turned into float32 at once: 20 MB for 600 conditions. float32 counts exactly up to 2²⁴ rows a block."""


@dataclass(frozen=True)
class MiningSettings:
    """What is worth counting: how many users, how much better, how many rules.

    `support_exponent` is the a of the quality (n/N)^a · |mean inside − mean of all|. a = 1 is weighted relative
    accuracy (Lavrač, Flach and Zupan 1999), which prefers large groups that differ little from everybody; a = 0
    looks at the difference alone and picks the smallest groups. a = ½ orders rules as the z value of their mean would
    (Klösgen 1996, the mean test; Lemmerich and Becker 2018 for numeric targets), that is by strength of evidence.
    """

    min_share: float = 0.01
    min_count: int = 30
    support_exponent: float = 0.5
    min_lift: float = 1.2
    parent_gain: float = 0.05
    top: int = 1200
    per_tags: int = 2


@dataclass(frozen=True)
class MinedRule:
    """One or two conditions (column numbers, ascending) with what they showed on the training rows.

    `mean_score` and `score_lift` (mean inside ÷ mean of all) are in the unit of the score. `rediscovered` is the share
    of bootstrap resamples that find the rule again; NaN until `rediscovery` has been run.
    """

    conditions: tuple[int, ...]
    direction: Direction
    size: int
    share: float
    mean_score: float
    score_lift: float
    quality: float
    rediscovered: float = float("nan")


def pair_sums(matrix: Flags, scores: Floats, block_rows: int = BLOCK_ROWS) -> tuple[Floats, Floats]:
    """Counts CᵀC and score sums Cᵀ·diag(scores)·C of every pair of conditions; the diagonal holds the singles.

    `matrix` is rows by conditions. Products run in float32 over blocks of rows (memory is two blocks and two square
    matrices); blocks are added up in float64.
    """
    rows, width = matrix.shape
    counts, sums = np.zeros((width, width)), np.zeros((width, width))
    for start in range(0, rows, block_rows):
        block = matrix[start : start + block_rows].astype(np.float32)
        counts += block.T @ block
        sums += (block * scores[start : start + block_rows, None].astype(np.float32)).T @ block
    return counts, sums


def members(matrix: Flags, conditions: Sequence[int]) -> Flags:
    """The rows that meet every one of the conditions."""
    return np.asarray(matrix[:, list(conditions)].all(axis=1))


def mine_rules(
    matrix: Flags, tags: Sequence[str], scores: Floats, settings: MiningSettings | None = None
) -> tuple[MinedRule, ...]:
    """At most `settings.top` rules, best quality first, half of them for each direction where there are enough.

    `matrix` is training rows by conditions, `tags` names the tag of each condition (a pair never takes two conditions
    of one tag), `scores` are probabilities or expected values: finite, not negative. A pair is kept only where its
    mean score is at least `parent_gain` further from the rest than the better of its two conditions. At most
    `per_tags` rules share the same tags and direction, so that forty thresholds of one finding do not crowd out the
    others. The order is the same on every run: quality rounded to nine digits, then fewer conditions, then column.
    """
    settings = settings or MiningSettings()
    rows, width = matrix.shape
    if len(tags) != width or scores.shape != (rows,):
        raise InternalError("tags must name each condition and scores must hold one value a row")
    if not np.isfinite(scores).all() or (scores < 0).any():
        raise InternalError("scores to mine must be finite and not negative: probabilities or expected values")
    overall = float(scores.mean()) if rows else 0.0
    if overall <= 0 or width == 0:
        return ()
    scores = np.asarray(scores, dtype=np.float64)
    counts, centred = pair_sums(matrix, scores - overall)
    enough = counts >= max(settings.min_count, settings.min_share * rows, 1)
    safe = np.where(counts > 0, counts, 1.0)
    means = overall + centred / safe
    quality = (safe / rows) ** settings.support_exponent * np.abs(means - overall)
    single = np.diag(means)
    codes = np.unique(np.asarray(tags, dtype=object).astype(str), return_inverse=True)[1]
    allowed = (
        enough & np.triu(np.ones((width, width), dtype=bool)) & ((codes[:, None] != codes) | np.eye(width, dtype=bool))
    )
    raises, lowers = (
        _limit_per_tags(_ranked(direction, allowed, means, single, quality, overall, settings), codes, settings)
        for direction in DIRECTIONS
    )
    raises = raises[: settings.top - min(settings.top // 2, len(lowers))]
    lowers = lowers[: settings.top - len(raises)]
    mined = [_measured(matrix, scores, overall, conditions, "raises", settings) for conditions in raises]
    mined += [_measured(matrix, scores, overall, conditions, "lowers", settings) for conditions in lowers]
    return tuple(sorted(mined, key=lambda rule: (-round(rule.quality, 9), len(rule.conditions), rule.conditions)))


def _limit_per_tags(
    ranked: Iterable[tuple[int, ...]], codes: NDArray[np.intp], settings: MiningSettings
) -> list[tuple[int, ...]]:
    """The first `per_tags` rules of each set of tags, at most `top` in all."""
    taken: dict[tuple[int, ...], int] = {}
    kept: list[tuple[int, ...]] = []
    for conditions in ranked:
        key = tuple(sorted(int(codes[at]) for at in conditions))
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= settings.per_tags:
            kept.append(conditions)
        if len(kept) == settings.top:
            break
    return kept


def _ranked(
    direction: Direction,
    allowed: Flags,
    means: Floats,
    single: Floats,
    quality: Floats,
    overall: float,
    settings: MiningSettings,
) -> list[tuple[int, ...]]:
    """The rules of one direction, best first, before the limit on rules with the same tags."""
    gain = 1 + settings.parent_gain
    if direction == "raises":
        strong = means >= settings.min_lift * overall
        better = means >= gain * np.maximum(single[:, None], single)
    else:
        strong = means <= overall / settings.min_lift
        better = means <= np.minimum(single[:, None], single) / gain
    first, second = np.nonzero(allowed & strong & (better | np.eye(len(single), dtype=bool)))
    # float32 sums differ in the seventh digit between machines; rounding keeps ties tied.
    rounded = np.round(quality[first, second] / overall, 5)
    order = np.lexsort((second, first, first != second, -rounded))
    return [(int(first[at]),) if first[at] == second[at] else (int(first[at]), int(second[at])) for at in order]


def _measured(
    matrix: Flags,
    scores: Floats,
    overall: float,
    conditions: tuple[int, ...],
    direction: Direction,
    settings: MiningSettings,
) -> MinedRule:
    """A rule with its numbers recomputed in float64."""
    inside = members(matrix, conditions)
    size = int(inside.sum())
    share, mean = size / len(scores), float(scores[inside].mean())
    quality = share**settings.support_exponent * abs(mean - overall)
    return MinedRule(conditions, direction, size, share, mean, mean / overall, quality)


def rediscovery(
    rules: Sequence[MinedRule],
    matrix: Flags,
    scores: Floats,
    users: NDArray[np.generic],
    rng: np.random.Generator,
    resamples: int = 30,
    min_lift: float = 1.2,
) -> Floats:
    """For each rule, the share of bootstrap resamples in which it still lifts the mean score and beats its parents.

    `users` names the user of each training row: one user may stand at several cutoffs, so whole users are drawn, each
    with a Poisson(1) weight (the Poisson bootstrap: Hanley and MacGibbon 2006; clusters: Davison and Hinkley 1997,
    §3.8). A resample finds a rule again when mean inside ÷ mean of all is at least `min_lift` (at most 1 ÷ `min_lift`
    for a rule that lowers) and, for a pair, the mean is beyond those of both its conditions.
    """
    if not rules:
        return np.zeros(0)
    codes = np.unique(users, return_inverse=True)[1].reshape(-1)
    weights = rng.poisson(1.0, size=(resamples, int(codes.max()) + 1)).astype(np.float32)
    used = sorted({at for rule in rules for at in rule.conditions})
    place = {at: number for number, at in enumerate(used)}
    left = np.array([place[rule.conditions[0]] for rule in rules])
    right = np.array([place[rule.conditions[-1]] for rule in rules])
    raises = np.array([rule.direction == "raises" for rule in rules])
    pair = left != right
    totals = np.zeros((4, resamples, max(len(used), len(rules))))
    whole = np.zeros((2, resamples))
    for start in range(0, len(scores), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        weight = weights[:, codes[rows]]
        scored = weight * scores[rows].astype(np.float32)
        singles = matrix[rows][:, used]
        both = (singles[:, left] & singles[:, right]).astype(np.float32)
        flat = singles.astype(np.float32)
        for number, (factor, table) in enumerate([(weight, flat), (scored, flat), (weight, both), (scored, both)]):
            totals[number, :, : table.shape[1]] += factor @ table
        whole += np.stack([weight.sum(axis=1, dtype=np.float64), scored.sum(axis=1, dtype=np.float64)])
    with np.errstate(divide="ignore", invalid="ignore"):
        overall = (whole[1] / whole[0])[:, None]
        single = totals[1, :, : len(used)] / totals[0, :, : len(used)]
        inside = totals[3, :, : len(rules)] / totals[2, :, : len(rules)]
        lifts = inside / overall
        up = (lifts >= min_lift) & (~pair | (inside > np.maximum(single[:, left], single[:, right])))
        down = (lifts <= 1 / min_lift) & (~pair | (inside < np.minimum(single[:, left], single[:, right])))
    return np.asarray(np.where(raises, up, down).mean(axis=0))
