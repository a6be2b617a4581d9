"""The sample's planted causes are found again by the whole road: mined, judged on the later hold-out, put into words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from limner_explain.discovery import discover_insights
from limner_explain.insight import Insight, InsightSet
from limner_samples.reading.truth import EFFECTS
from limner_segments.scoring.dataset import build_dataset
from limner_segments.scoring.experiment import Experiment, run_experiment

if TYPE_CHECKING:
    from limner.project import Project


def discover(project: Project, scenario: str) -> tuple[Experiment, InsightSet]:
    named = project.scenario(scenario)
    with project.store.open() as snapshot:
        end = snapshot.as_of
    data = build_dataset(project.workspace, project.catalog, named, end)
    experiment = run_experiment(named, project.catalog, data)
    return experiment, discover_insights(named, project.catalog, data, experiment)


@pytest.fixture(scope="session")
def churn(reading_project: Project) -> tuple[Experiment, InsightSet]:
    return discover(reading_project, "churn")


def held_up(found: InsightSet, direction: str) -> list[Insight]:
    return [rule for rule in found.rules if rule.status != "dropped" and rule.direction == direction]


@pytest.mark.parametrize(
    ("effect", "direction", "pieces"),
    [
        ("paid_ads", "raises", ["channel = 'paid_ads'"]),
        ("searches_but_reads_little", "raises", ["search_count_30d >=", "read_minutes_30d <"]),
        ("filled_shelf", "lowers", ["shelf_add_count_60d >="]),
        ("active_membership", "lowers", ["days_since_membership_order <"]),
        ("fading", "raises", ["login_count_14d", "login_count_90d >="]),
    ],
)
def test_causes_of_lapsing_hold_up_on_the_hold_out(
    churn: tuple[Experiment, InsightSet], effect: str, direction: str, pieces: list[str]
) -> None:
    assert any(planted.name == effect and planted.outcome == "lapse" for planted in EFFECTS)
    rules = [rule for rule in held_up(churn[1], direction) if all(piece in rule.rule for piece in pieces)]
    assert rules, f"no rule with {pieces} that {direction} lapsing held up"
    best = rules[0]
    assert best.lift_low > 1.2 if direction == "raises" else best.lift_high < 1 / 1.2


def test_the_interaction_is_more_than_its_halves(churn: tuple[Experiment, InsightSet]) -> None:
    pair = next(
        rule
        for rule in held_up(churn[1], "raises")
        if "search_count_30d >=" in rule.rule and "read_minutes_30d <" in rule.rule
    )
    singles = [
        rule.rule for rule in churn[1].rules if rule.status != "dropped" and rule.rule.startswith("search_count_30d")
    ]
    assert " and " in pair.rule
    assert pair.lift_low > 1.5
    assert singles == []


def test_gender_which_has_no_effect_is_on_no_card(churn: tuple[Experiment, InsightSet]) -> None:
    assert not [rule.rule for rule in churn[1].with_status("shown") if "gender" in rule.rule]
    assert not [rule.rule for rule in churn[1].rules if rule.status == "kept" and rule.rule.startswith("gender =")]


def test_the_leaking_column_is_flagged_and_left_out(churn: tuple[Experiment, InsightSet]) -> None:
    experiment, found = churn
    alarm = next(alarm for alarm in experiment.alarms if alarm.tag == "crm_status")
    assert alarm.action == "excluded"
    assert alarm.information_value > 1
    assert experiment.excluded == ("crm_status",)
    assert "crm_status" not in experiment.model.tags
    assert not [rule.rule for rule in found.rules if "crm_status" in rule.rule]


def test_simpson_s_reversal_is_told(churn: tuple[Experiment, InsightSet]) -> None:
    notes = [note.en for note in churn[1].reversals]
    assert (
        len([note for note in notes if note.startswith("push_enabled = true") and "acquisition channel" in note]) == 1
    )
    shown = [rule for rule in churn[1].rules if rule.status != "dropped" and rule.rule == "push_enabled = true"]
    assert shown == []


def test_the_scorer_beats_its_baselines_on_the_later_hold_out(churn: tuple[Experiment, InsightSet]) -> None:
    evaluations = churn[0].evaluations
    assert evaluations["lightgbm"].auc.value > evaluations["rfm"].auc.high
    assert evaluations["lightgbm"].auc.value >= evaluations["logistic"].auc.value - 0.01
    assert evaluations["lightgbm"].brier < evaluations["base_rate"].brier
    assert evaluations["base_rate"].auc.value == 0.5


def test_causes_of_joining_and_sharing_are_found(reading_project: Project) -> None:
    _, joining = discover(reading_project, "membership")
    assert any("chapter_order_count_30d >=" in rule.rule for rule in held_up(joining, "raises"))
    assert any("read_minutes" in rule.rule and ">=" in rule.rule for rule in held_up(joining, "raises"))
    _, sharing = discover(reading_project, "sharing")
    assert any("comment_count_30d >=" in rule.rule for rule in held_up(sharing, "raises"))
    assert any("channel = 'referral'" in rule.rule for rule in held_up(sharing, "raises"))


def test_the_same_data_give_the_same_insights(reading_project: Project, churn: tuple[Experiment, InsightSet]) -> None:
    again = discover(reading_project, "churn")
    assert again[0].model.booster_text == churn[0].model.booster_text
    assert again[1] == churn[1]
