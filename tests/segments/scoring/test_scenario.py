from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.project import Project
from limner_profile.catalog import Catalog, load_catalog
from limner_profile.errors import DefinitionError, Issue, RefusedError
from limner_profile.windows import add_days
from limner_segments.scoring.scenario import (
    Scenario,
    allowed_tags,
    load_scenarios,
    plan_cutoffs,
    read_scenarios,
    score_tags,
)
from segments.small import CONFIG, TAGS, make_workspace

GOOD = """
lapse:
  title: {en: Lapse, zh: 流失}
  population: visits_30d >= 1
  outcome: {kind: did_not, event: visit, title: lapse}
  label_window: 7d
"""


def issues_of(root: Path, text: str) -> list[Issue]:
    workspace = make_workspace(root, scenarios=text)
    return read_scenarios(workspace, load_catalog(workspace))[1]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        (changed("kind: did_not", "kind: did_nt"), "unknown-kind", "5:13", "did you mean 'did_not'?"),
        (changed("kind: did_not, ", ""), "unknown-kind", "5:3", "'kind' is missing"),
        (changed("  title: {en: Lapse, zh: 流失}\n", ""), "missing-field", "2:1", "'title' is missing"),
        (changed(", title: lapse}", "}"), "missing-field", "5:3", "'title' is missing"),
        (changed("visits_30d >= 1", "visit_30d >= 1"), "unknown-tag", "4:3", "did you mean 'visits_30d'?"),
        (changed("visits_30d >= 1", "city > 3"), "wrong-type", "4:3", "city"),
        (changed("visits_30d >= 1", "city ="), "bad-value", "4:3", "population"),
        (changed("label_window: 7d", "label_window: 7 days"), "bad-value", "6:3", "write it as 30d"),
        (changed("label_window: 7d", "label_window: 0d"), "bad-value", "6:3", "the label window is empty"),
        (changed("event: visit,", "event: visit, at_least: 2,"), "unknown-field", "5:42", "at_least"),
        (changed("event: visit,", "event: visit, wher: x,"), "unknown-field", "5:42", "did you mean 'where'?"),
        (changed("event: visit,", "event: visit, where: produkt = 'x',"), "unknown-field", "5:42", "did you mean 'product'?"),
        (changed("  label_window", "  lable_window: 7d\n  label_window"), "unknown-field", "6:3", "did you mean 'label_window'?"),
        (GOOD + "  tags: {exclude: [citty]}\n", "unknown-tag", "7:10", "did you mean 'city'?"),
        (GOOD + "  trust: [citty]\n", "unknown-tag", "7:3", "did you mean 'city'?"),
        (GOOD + "  cutoffs: {every: 0d}\n", "bad-value", "7:13", "same day"),
        (GOOD + "  cutoffs: {training: 0}\n", "bad-value", "7:13", "greater than or equal to 1"),
        (changed("lapse:\n", "will-lapse:\n"), "bad-name", "2:1", "underscores"),
    ],
)  # fmt: skip
def test_every_mistake_has_a_code_a_place_and_a_remedy(
    tmp_path: Path, text: str, code: str, place: str, words: str
) -> None:
    (issue,) = issues_of(tmp_path, text)
    assert (issue.code, issue.where) == (code, f"scenarios/some.yaml:{place}")
    assert words in f"{issue.message} {issue.hint}"


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = changed("visits_30d >= 1", "vists_30d >= 1").replace("7d", "0d") + "other: {title: x}\n"
    workspace = make_workspace(tmp_path, scenarios=text)
    with pytest.raises(DefinitionError) as caught:
        load_scenarios(workspace, load_catalog(workspace))
    codes = [issue.code for issue in caught.value.issues]
    assert codes[:2] == ["unknown-tag", "bad-value"]
    assert codes.count("missing-field") == 3  # population, outcome, label_window


def test_a_name_in_two_files_and_a_tag_that_takes_the_scores_name(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, scenarios=GOOD, tags=TAGS + "lapse_score: {kind: count, event: visit}\n")
    (tmp_path / "scenarios" / "zz.yaml").write_text(GOOD, encoding="utf-8")
    scenarios, issues = read_scenarios(workspace, load_catalog(workspace))
    assert {(issue.code, issue.where) for issue in issues} == {
        ("name-taken", "scenarios/some.yaml:2:1"),
        ("duplicate-name", "scenarios/zz.yaml:2:1"),
    }
    assert scenarios == {}


def test_a_workspace_without_events_says_so(tmp_path: Path) -> None:
    config = CONFIG[: CONFIG.index("  acts:")]
    text = GOOD.replace("visits_30d >= 1", "city is known")
    workspace = make_workspace(
        tmp_path, scenarios=text, config=config, tags="city: {kind: attribute, attribute: city}\n"
    )
    _, issues = read_scenarios(workspace, load_catalog(workspace))
    assert [(issue.code, issue.where) for issue in issues] == [("no-events", "scenarios/some.yaml:5:28")]


def scenario_of(**fields: object) -> Scenario:
    outcome = {"kind": "did", "event": "visit", "title": "come"}
    content: dict[str, object] = {
        "title": "x",
        "population": "visits_30d >= 1",
        "outcome": outcome,
        "label_window": "7d",
    }
    return Scenario.model_validate({**content, **fields})


def catalog_with_sensitive(root: Path) -> Catalog:
    more = "born: {kind: attribute, attribute: born}\nincome: {kind: attribute, attribute: income, sensitivity: sensitive}\n"
    config = CONFIG.replace("attributes: [city]", "attributes: [city, income, born]")
    people = "user_id,since,city,income,born\nu1,2025-01-01,上海,3.5,1990-01-01\n"
    return load_catalog(make_workspace(root, tags=TAGS + more, config=config, people=people))


def test_allowed_tags(tmp_path: Path) -> None:
    catalog = catalog_with_sensitive(tmp_path)
    assert catalog.types["born"] == "date"
    plain = ("visits_30d", "visits_all", "days_since_visit", "city", "last_city")
    assert allowed_tags(scenario_of(), catalog) == plain
    assert allowed_tags(scenario_of(sensitive_tags=True), catalog) == (*plain, "income")
    assert allowed_tags(scenario_of(tags={"include": ["city", "visits_all", "income"]}), catalog) == (
        "visits_all",
        "city",
    )
    assert allowed_tags(scenario_of(tags={"exclude": ["city"]}), catalog) == tuple(
        name for name in plain if name != "city"
    )
    with pytest.raises(RefusedError) as caught:
        allowed_tags(scenario_of(tags={"include": ["born", "income"]}), catalog)
    assert caught.value.code == "no-tags"


def test_a_score_is_a_tag_but_no_scorer_may_see_it(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, scenarios=GOOD)
    catalog = load_catalog(workspace)
    scenarios = load_scenarios(workspace, catalog)
    (tag,) = score_tags(scenarios)
    assert (tag.name, tag.kind, tag.type, tag.title.zh) == ("lapse_score", "score", "number", "评分：流失")
    assert "lapse_score" not in allowed_tags(scenarios["lapse"].scenario, catalog.with_tags([tag]))


ZONES = ["UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"]


def local_days(start: datetime, end: datetime, zone: ZoneInfo) -> int:
    return (end.astimezone(zone).date() - start.astimezone(zone).date()).days


@settings(max_examples=120, deadline=None)
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    end_day=st.dates(date(2016, 1, 1), date(2026, 1, 1)),
    span=st.integers(1, 800),
    gap=st.integers(0, 20),
    label=st.integers(1, 60),
    every=st.integers(1, 45),
    training=st.integers(1, 6),
    history=st.integers(0, 90),
)
def test_no_outcome_that_training_sees_lies_in_the_time_of_the_holdout(
    zone: ZoneInfo, end_day: date, span: int, gap: int, label: int, every: int, training: int, history: int
) -> None:
    end = datetime(end_day.year, end_day.month, end_day.day, tzinfo=zone).astimezone(UTC)
    first = add_days(end, -span, zone) + timedelta(hours=5)
    cutoffs = {"training": training, "every": f"{every}d", "history": f"{history}d"}
    scenario = scenario_of(gap=f"{gap}d", label_window=f"{label}d", cutoffs=cutoffs)
    if span < 2 * (gap + label) + history:
        with pytest.raises(RefusedError) as caught:
            plan_cutoffs(scenario, first, end, zone)
        assert caught.value.code == "too-little-history"
        return
    schedule = plan_cutoffs(scenario, first, end, zone)
    for cutoff in schedule.all:
        assert (
            cutoff.astimezone(zone) == cutoff.astimezone(zone).replace(hour=0, minute=0)
            or (cutoff - timedelta(minutes=1)).astimezone(zone).date() < cutoff.astimezone(zone).date()
        )  # a midnight, or what stands for one
    ends = [add_days(add_days(cutoff, gap, zone), label, zone) for cutoff in schedule.all]
    assert ends[-1] == end
    assert all(over <= schedule.holdout for over in ends[:-1])
    assert ends[-2] == schedule.holdout  # the newest is as new as it may be
    assert 1 <= len(schedule.training) <= training
    assert list(schedule.all) == sorted(set(schedule.all))
    steps = {local_days(a, b, zone) for a, b in zip(schedule.training, schedule.training[1:], strict=False)}
    assert steps <= {every}
    assert all(local_days(first, cutoff, zone) >= history for cutoff in schedule.training)


def test_cutoffs_stay_on_local_midnights_through_a_change_of_the_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    scenario = scenario_of(label_window="7d", cutoffs={"training": 2, "every": "7d", "history": "0d"})
    schedule = plan_cutoffs(scenario, datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 3, tzinfo=berlin), berlin)
    assert [cutoff.isoformat() for cutoff in schedule.all] == [
        "2025-03-12T23:00:00+00:00", "2025-03-19T23:00:00+00:00", "2025-03-26T23:00:00+00:00",
    ]  # fmt: skip  # the clocks changed on 30 March: the last window is an hour short
    assert add_days(schedule.holdout, 7, berlin) == datetime(2025, 4, 2, 22, tzinfo=UTC)


def test_an_end_within_a_day_counts_whole_days_only() -> None:
    utc = ZoneInfo("UTC")
    scenario = scenario_of(label_window="7d", cutoffs={"training": 1, "history": "0d"})
    schedule = plan_cutoffs(scenario, datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 3, 15, tzinfo=UTC), utc)
    assert schedule.all == (datetime(2025, 3, 20, tzinfo=UTC), datetime(2025, 3, 27, tzinfo=UTC))


def test_the_scenarios_of_the_sample_are_sound(reading_project: Project) -> None:
    assert set(reading_project.scenarios) == {"churn", "membership", "sharing"}
    tags = allowed_tags(reading_project.scenarios["churn"].scenario, reading_project.catalog)
    assert "crm_status" in tags  # allowed; it is the leakage check that throws it out
    assert not any(tag.endswith("_score") for tag in tags)
