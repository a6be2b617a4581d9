"""Selection: few rules, little overlap, singles before pairs, and honest coverage and fidelity."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explain.crowd import make_crowd, mine_and_judge
from limner_explain.judging import JudgedRule, jaccard
from limner_explain.mining import Direction, Flags, members
from limner_explain.selection import SelectionSettings, measure_selection, select_rules, top_recall
from limner_profile.predicates import parse


def rule(text: str, low: float, direction: Direction = "raises", verdict: str = "kept") -> JudgedRule:
    """A judged rule of which only the text, the cautious bound and the verdict matter here."""
    predicate = parse(text)
    count = text.count(" and ") + 1
    return JudgedRule(
        predicate=predicate,
        text=text,
        tags=tuple(sorted(predicate.fields())),
        conditions=tuple(range(count)),
        direction=direction,
        verdict="kept" if verdict == "kept" else "dropped",
        reasons=() if verdict == "kept" else ("not-significant",),
        size=100,
        share=0.1,
        hits=30,
        outcome_rate=0.3,
        base_rate=0.1,
        lift=low,
        lift_low=low,
        lift_high=low,
        p_value=0.0,
        q_value=0.0,
        train_size=100,
        train_lift=low,
        train_low=low,
        train_high=low,
        shrinkage=0.0,
        score_lift=low,
        rediscovered=1.0,
        parent_lifts=(),
        parent_p_values=(),
        warnings=(),
    )


def flags(*ranges: tuple[int, int], rows: int = 1_000) -> Flags:
    made = np.zeros(rows, dtype=bool)
    for start, stop in ranges:
        made[start:stop] = True
    return made


def test_chosen_rules_of_a_planted_crowd_overlap_little_and_reach_the_planted_users() -> None:
    train, holdout = make_crowd(12_000, seed=1), make_crowd(6_000, seed=2)
    margin = np.log(holdout.chance / (1 - holdout.chance))
    _, _, judged, matrix = mine_and_judge(train, holdout, train.chance, holdout.chance)
    inside = np.column_stack([members(matrix, one.conditions) for one in judged])
    chosen = select_rules(judged, inside, holdout.outcome, margin)
    assert 3 <= len(chosen.chosen) <= 8
    assert all(judged[at].verdict == "kept" for at in chosen.chosen)
    for one, other in itertools.combinations(chosen.chosen, 2):
        assert jaccard(inside[:, one], inside[:, other]) <= 0.5
        assert jaccard(inside[:, one], ~inside[:, other]) <= 0.8
    assert {"n0", "n1", "is_member"} <= {tag for at in chosen.chosen for tag in judged[at].tags}
    assert chosen.coverage > chosen.reach > 0
    assert chosen.r_squared > 0.7
    assert chosen.top_decile_recall > 0.5
    again = select_rules(judged, inside, holdout.outcome, margin)
    assert again == chosen


def test_what_is_already_covered_counts_no_more() -> None:
    outcome = flags((0, 100))
    inside = np.column_stack([flags((0, 60), (200, 210)), flags((0, 40), (300, 400)), flags((60, 90), (500, 600))])
    rules = [rule("a = 1", 3.0), rule("b = 1", 2.5), rule("c = 1", 1.5)]
    chosen = select_rules(rules, inside, outcome, outcome.astype(float))
    # b lies, for outcomes, inside a: nothing is left for it to cover.
    assert chosen.chosen == (0, 2)
    assert chosen.coverage == pytest.approx(0.9)
    assert chosen.reach == pytest.approx(inside[:, [0, 2]].any(axis=1).mean())


def test_a_single_is_taken_before_a_pair_that_is_hardly_better_and_not_before_one_that_is() -> None:
    outcome = flags((0, 100))
    inside = np.column_stack([flags((0, 60)), flags((0, 60), (100, 110))])
    margin = outcome.astype(float)
    close = [rule("a = 1 and b = 1", 3.0), rule("a = 1", 2.9)]
    assert select_rules(close, inside, outcome, margin).chosen == (1,)
    apart = [rule("a = 1 and b = 1", 3.0), rule("a = 1", 1.9)]
    assert select_rules(apart, inside, outcome, margin).chosen == (0,)


def test_dropped_rules_overlapping_rules_and_opposites_are_not_chosen() -> None:
    outcome = flags((0, 100))
    inside = np.column_stack([flags((0, 200)), flags((0, 190)), ~flags((0, 200)), flags((90, 100))])
    rules = [
        rule("a = 1", 3.0),
        rule("b = 1", 2.5),
        rule("a != 1", 0.5, "lowers"),
        rule("c = 1", 9.0, verdict="dropped"),
    ]
    assert select_rules(rules, inside, outcome, outcome.astype(float)).chosen == (0,)
    lone = select_rules(rules[2:3], inside[:, 2:3], outcome, outcome.astype(float))
    assert lone.chosen == (0,)
    assert lone.coverage == 0


@given(st.integers(0, 1_000), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_the_limits_hold_for_any_rules(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    outcome = rng.random(200) < 0.2
    inside = rng.random((200, 12)) < rng.uniform(0.05, 0.8, 12)
    rules = [rule(f"t{at} = 1", float(rng.uniform(0.8, 4))) for at in range(12)]
    chosen = select_rules(rules, inside, outcome, rng.normal(size=200), SelectionSettings(limit=limit, max_jaccard=0.3))
    assert len(chosen.chosen) == len(set(chosen.chosen)) <= limit
    assert all(
        jaccard(inside[:, one], inside[:, other]) <= 0.3 for one, other in itertools.combinations(chosen.chosen, 2)
    )
    assert 0 <= chosen.coverage <= 1
    assert -1e-9 <= chosen.r_squared <= 1
    assert 0 <= chosen.top_decile_recall <= 1


def test_rules_that_lower_are_limited_in_number() -> None:
    outcome = flags((0, 100))
    groups = [(100 + 200 * at, 300 + 200 * at) for at in range(4)]
    inside = np.column_stack([flags(group) for group in groups] + [flags((0, 30))])
    rules = [*(rule(f"t{at} = 1", 0.1, "lowers") for at in range(4)), rule("a = 1", 1.3)]
    margin = outcome.astype(float)
    assert select_rules(rules, inside, outcome, margin, SelectionSettings(max_lowers=2)).chosen == (0, 1, 4)
    assert select_rules(rules, inside, outcome, margin, SelectionSettings(max_lowers=0)).chosen == (4,)
    assert len(select_rules(rules, inside, outcome, margin, SelectionSettings(max_lowers=4)).chosen) == 5


def test_fidelity_of_rules_that_are_the_scorer_is_whole_and_of_none_is_nothing() -> None:
    inside = np.column_stack([flags((0, 100)), flags((50, 300))])
    margin = -2.0 + 3.0 * inside[:, 0] + 1.0 * inside[:, 1]
    perfect = measure_selection([True, True], inside, flags((0, 80)), margin)
    assert perfect.r_squared == pytest.approx(1)
    assert perfect.top_decile_recall == pytest.approx(1)
    assert perfect.top_decile_covered == 1
    assert perfect.coverage == 1
    none = measure_selection([], inside[:, :0], flags((0, 80)), margin)
    assert none.r_squared == pytest.approx(0)
    # Any 100 of 1,000 equal rows hold a tenth of the top decile.
    assert none.top_decile_recall == pytest.approx(0.1)
    assert (none.coverage, none.reach, none.top_decile_covered) == (0, 0, 0)


def test_recall_over_ties_is_the_mean_over_random_choices() -> None:
    rng = np.random.default_rng(5)
    fitted, top = rng.integers(0, 4, 60).astype(float), np.arange(60) < 6
    drawn = [np.lexsort((rng.random(60), -fitted))[:6] for _ in range(4_000)]
    assert top_recall(fitted, top) == pytest.approx(np.mean([top[rows].mean() for rows in drawn]), abs=0.02)
    assert math.isnan(top_recall(fitted, np.zeros(60, dtype=bool)))
