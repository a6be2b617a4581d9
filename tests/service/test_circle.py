"""The circle through data: a score becomes a tag, a segment uses it, a build materialises the audience."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from limner.project import Project, build, open_project, train
from limner.steps import Silent
from limner_explain.cards import read_cards, save_insight
from limner_profile.errors import RefusedError, UserError
from limner_profile.snapshots import Snapshot
from limner_segments.audience import measure_audience
from limner_segments.scoring.dataset import ScenarioData
from limner_segments.scoring.shelf import staleness, take_model

LIKELY = (
    "likely_to_lapse: {where: churn_score >= 0.3 and city is known, title: {en: Likely to lapse, zh: 高流失风险}}\n"
)


def edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def scored(snapshot: Snapshot) -> int:
    return int(snapshot.value("SELECT count(churn_score) FROM profiles"))


def test_a_score_is_a_tag_of_the_snapshot(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        (tag,) = snapshot.rows("SELECT kind, type, title_zh, users, coverage FROM tags WHERE name = 'churn_score'")
        assert (tag["kind"], tag["type"], tag["title_zh"]) == ("score", "number", "评分：流失")
        population = measure_audience(snapshot, reading_project.scenarios["churn"].scenario.population).size
        assert tag["users"] == scored(snapshot) == population == snapshot.value("SELECT count(*) FROM scores")
        differing = "SELECT count(*) FROM scores JOIN profiles USING (user_id) WHERE score != churn_score"
        assert snapshot.value(differing) == 0
        low, high = snapshot.rows("SELECT min(score), max(score) FROM scores")[0].values()
        assert 0 < low < high < 1
        assert snapshot.value("SELECT count(membership_score) FROM profiles") == 0  # not trained: unknown for everyone


def test_the_leak_is_left_out_of_the_model_and_of_every_shown_rule(reading_project: Project) -> None:
    trained = take_model(reading_project.workspace, "churn")
    assert trained is not None
    assert "crm_status" not in trained.model.tags
    assert [alarm.tag for alarm in trained.alarms if alarm.action == "excluded"] == ["crm_status"]
    assert "crm_status" in reading_project.catalog  # it stays a tag like any other
    with reading_project.store.open() as snapshot:
        for card in read_cards(snapshot, status=("shown", "kept")):
            assert "crm_status" not in card["condition"]


def test_a_segment_on_a_score_is_materialised_by_a_build(copied: Path) -> None:
    (copied / "segments" / "likely.yaml").write_text(LIKELY, encoding="utf-8")
    project = open_project(copied)
    progress = Silent()
    built = build(project, None, progress)
    assert progress.warnings == []
    assert list(built.rated) == ["churn"]
    assert all(entry.reused for entry in built.ingested)
    with project.store.open() as snapshot:
        counted = "SELECT count(*) FROM scores JOIN profiles USING (user_id) WHERE score >= 0.3 AND city IS NOT NULL"
        assert built.audiences["likely_to_lapse"] == snapshot.value(counted) > 0
        assert (
            snapshot.value("SELECT size FROM segments WHERE name = 'likely_to_lapse'")
            == built.audiences["likely_to_lapse"]
        )
        cards = {card["id"]: card for card in read_cards(snapshot)}
        assert cards
    insight = next(iter(cards))
    saved = save_insight(project.workspace, project.store, insight, project.catalog, project.scenarios, "saved_card")
    assert saved.size == saved.promised == cards[insight]["size"]
    again = open_project(copied)
    with again.store.open() as snapshot:
        assert measure_audience(snapshot, again.segments["saved_card"].condition).size == saved.promised
        kept = snapshot.value("SELECT count(*) FROM audiences WHERE segment = 'likely_to_lapse'")
        assert kept == built.audiences["likely_to_lapse"]


def test_an_edited_tag_makes_the_model_stale_and_is_said(copied: Path) -> None:
    edit(copied, "tags/behaviour.yaml", "event: login, window: 7d", "event: login, window: 6d")
    project = open_project(copied)
    named = project.scenarios["churn"]
    trained = take_model(project.workspace, "churn")
    assert trained is not None
    assert staleness(trained, named, project.catalog) == "tags changed after training: login_count_7d"
    with pytest.raises(RefusedError, match="login_count_7d") as caught:  # the snapshot holds the values of before
        train(project, "churn", Silent())
    assert caught.value.code == "stale-snapshot"
    assert "limner build" in caught.value.issues[0].hint
    progress = Silent()
    built = build(project, None, progress)
    assert list(built.rated) == []
    assert progress.warnings == [
        "tags/behaviour.yaml:2:1 the tag 'login_count_7d' has changed since snapshot 20260101-0003 (window 7d → 6d), "
        "and is used by the model of churn",
        "churn was not rated: tags changed after training: login_count_7d; run 'limner scenarios train churn'",
    ]
    with project.store.open() as snapshot:
        assert scored(snapshot) == 0
        assert snapshot.value("SELECT count(*) FROM scores") == 0


def test_an_edited_scenario_makes_the_model_stale(copied: Path) -> None:
    edit(copied, "scenarios/churn.yaml", "label_window: 30d", "label_window: 21d")
    project = open_project(copied)
    trained = take_model(project.workspace, "churn")
    assert trained is not None
    assert staleness(trained, project.scenarios["churn"], project.catalog) == "the scenario was edited after training"


def test_a_tag_of_the_model_that_is_gone_is_named(copied: Path) -> None:
    edit(copied, "tags/portrait.yaml", "device:\n  kind: attribute", "gadget:\n  kind: attribute")
    project = open_project(copied)
    trained = take_model(project.workspace, "churn")
    assert trained is not None
    assert staleness(trained, project.scenarios["churn"], project.catalog) == "tags changed after training: device"


def test_a_build_of_a_day_without_a_population_rates_nobody(copied: Path) -> None:
    project = open_project(copied)
    progress = Silent()
    built = build(project, "2024-12-31", progress)
    assert list(built.rated) == ["churn"]
    assert progress.warnings == [
        "churn: nobody belongs to its population as of 2024-12-30 16:00 UTC",
        f"{built.snapshot}, as of 2024-12-31, is now current; back to 20260101-0003: 'limner snapshots rollback'",
    ]
    with project.store.open() as snapshot:
        assert snapshot.value("SELECT count(*) FROM scores") == 0
        assert scored(snapshot) == 0


def test_a_bad_as_of_is_told_before_any_work(tmp_path: Path) -> None:
    from segments.small import make_workspace

    make_workspace(tmp_path)
    with pytest.raises(UserError) as caught:
        build(open_project(tmp_path), "soon", Silent())
    assert caught.value.code == "bad-time"
    assert not (tmp_path / ".limner" / "events").exists()


def test_training_says_when_the_data_end_before_as_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no outcome is looked for after the day on which the data end."""
    import limner.project
    from segments.small import make_workspace

    class StoppedError(Exception):
        pass

    def stop(named: object, catalog: object, data: ScenarioData, tell: object) -> None:
        assert max(data.schedule.all) + timedelta(days=7) <= data.end
        raise StoppedError(data.end.isoformat())

    days = [f"2025-0{month}-{day:02}" for month in (1, 2, 3) for day in range(1, 29)]
    acts = "user_id,time,event,received,amount,product\n" + "".join(
        f"u{at % 2 + 1},{day} 10:00,visit,{day} 10:00,1,pen\n" for at, day in enumerate(days)
    )
    scenario = "lapse: {title: lapse, population: visits_30d >= 0, label_window: 7d, outcome: "
    scenario += "{kind: did_not, event: visit, title: lapse}}\n"
    make_workspace(tmp_path, acts=acts, scenarios=scenario)
    project = open_project(tmp_path)
    build(project, "2025-04-20", Silent())
    progress = Silent()
    monkeypatch.setattr(limner.project, "run_experiment", stop)
    with pytest.raises(StoppedError, match="2025-03-28T23:00:00"):
        train(project, "lapse", progress)
    assert progress.warnings == [
        "lapse: the last event is of 2025-03-28, and the snapshot's as_of is 2025-04-20; "
        "outcomes are looked for up to the last event only"
    ]
