"""A made-up crowd with known rules: one cutoff to mine on, a later one to judge on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limner_explain.candidates import Candidates, evaluate_conditions, make_candidates
from limner_explain.judging import Evidence, JudgedRule, JudgingSettings, judge_rules
from limner_explain.mining import MinedRule, MiningSettings, mine_rules
from limner_explain.simpson import make_strata

TAG_COUNT = 10


@dataclass(frozen=True)
class Crowd:
    """Tag values, true chances and what happened, for one cutoff."""

    frame: pd.DataFrame
    chance: NDArray[np.float64]
    outcome: NDArray[np.bool_]


def make_crowd(rows: int, seed: int, planted: bool = True) -> Crowd:
    """Users with ten numbers, three categories and a flag; when planted, two rules raise the outcome and one lowers it.

    Planted: `n0 >= 70 and city = 'north'` has a chance of 40 %, `n1 < 20` one of 20 %, `is_member = true` halves the
    chance, everybody else has 6 %.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"n{at}": rng.integers(0, 100, rows).astype(float) for at in range(TAG_COUNT)})
    frame["city"] = rng.choice(["north", "south", "east", "west"], rows)
    frame["plan"] = rng.choice(["free", "paid"], rows)
    frame["device"] = rng.choice(["ios", "android", "web"], rows)
    frame["is_member"] = rng.random(rows) < 0.4
    frame.loc[rng.random(rows) < 0.1, "n2"] = np.nan
    chance = np.full(rows, 0.06)
    if planted:
        chance = np.where(frame["n1"] < 20, 0.2, chance)
        chance = np.where((frame["n0"] >= 70) & (frame["city"] == "north"), 0.4, chance)
        chance = np.where(frame["is_member"], chance / 2, chance)
    return Crowd(frame, chance, rng.random(rows) < chance)


def imagined_scores(frame: pd.DataFrame, seed: int) -> NDArray[np.float64]:
    """Scores of a scorer that found patterns in noise: a steep function of tags that have nothing to do with it."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 1, TAG_COUNT)
    margin = (frame[[f"n{at}" for at in range(TAG_COUNT)]].fillna(50).to_numpy() - 50) / 30 @ weights
    margin = margin + np.where(frame["city"] == rng.choice(["north", "south"]), 1.0, 0.0)
    return np.asarray(0.12 / (1 + np.exp(-margin)))


def mine_and_judge(
    train: Crowd,
    holdout: Crowd,
    scores: NDArray[np.float64],
    holdout_scores: NDArray[np.float64],
    settings: JudgingSettings | None = None,
    leaking_tags: tuple[str, ...] = (),
) -> tuple[Candidates, tuple[MinedRule, ...], tuple[JudgedRule, ...], NDArray[np.bool_]]:
    """Candidates, mined rules, judged rules and the candidates' matrix on the hold-out."""
    candidates = make_candidates(train.frame)
    rules = mine_rules(candidates.matrix, candidates.tags, scores, MiningSettings(top=100))
    matrix = evaluate_conditions(candidates.conditions, holdout.frame)
    judged = judge_rules(
        rules,
        candidates.conditions,
        Evidence(candidates.matrix, train.outcome, scores),
        Evidence(matrix, holdout.outcome, holdout_scores),
        make_strata(holdout.frame),
        leaking_tags,
        settings,
    )
    return candidates, rules, judged, matrix
