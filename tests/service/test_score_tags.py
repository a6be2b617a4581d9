"""Tags that are computed from a score: filled after the scorers, used by segments, and never seen by a scorer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.project import build, open_project, read_project, stale_tags, train
from limner.steps import Silent
from limner_profile.errors import RefusedError
from limner_profile.statistics import read_statistics
from limner_segments.scoring.scenario import allowed_tags

Run = Callable[..., tuple[int, str, str]]
TAGS = """
risk_twice: {kind: sql, expression: risk_place * 2, default: -1}
risk: {kind: band, of: churn_score, cuts: [0.2, 0.6], labels: [low, middle, high], freshness: 2d}
risk_place: {kind: rank, of: churn_score, as: rank}
alarm: {kind: sql, type: boolean, expression: risk = 'high' and login_count_7d > 0}
"""


@pytest.fixture
def scored(copied: Path) -> Path:
    (copied / "tags" / "risk.yaml").write_text(TAGS, encoding="utf-8")
    (copied / "segments" / "risk.yaml").write_text("at_risk: {where: risk = 'high'}\n", encoding="utf-8")
    return copied


def test_tags_of_scores_follow_the_scorers(scored: Path, run_main: Run) -> None:
    project = open_project(scored)
    assert list(project.catalog.late) == ["risk_twice", "risk", "risk_place", "alarm"]
    assert not any(project.catalog[name].provable for name in project.catalog.late)
    assert set(allowed_tags(project.scenarios["churn"].scenario, project.catalog)).isdisjoint(project.catalog.late)
    progress = Silent()
    built = build(project, None, progress)
    assert list(built.rated) == ["churn"]
    assert [line for line in progress.warnings if "'risk'" in line] == [
        "tags/risk.yaml:3:1 the tag 'risk': how old its data is cannot be known: it is computed from a score"
    ]
    with project.store.open() as snapshot:
        rows = snapshot.rows(
            "SELECT user_id, churn_score, login_count_7d, risk, risk_place, risk_twice, alarm FROM profiles"
        )
        audience = {row["user_id"] for row in snapshot.rows("SELECT user_id FROM audiences WHERE segment = 'at_risk'")}
        statistics = {row["tag"]: row for row in read_statistics(snapshot)}
        catalog = {row["name"]: row for row in snapshot.rows("SELECT name, users, distinct_values, type FROM tags")}
        assert stale_tags(project.catalog, snapshot) == []
    scores = sorted((row["churn_score"] for row in rows if row["churn_score"] is not None), reverse=True)
    assert scores
    for row in rows:
        score = row["churn_score"]
        if score is None:
            assert (row["risk"], row["risk_place"], row["risk_twice"]) == (None, None, -1)
            continue
        assert row["risk"] == ("low" if score < 0.2 else "middle" if score < 0.6 else "high")
        assert row["risk_place"] == 1 + sum(other > score for other in scores)
        assert row["risk_twice"] == 2 * row["risk_place"]
        assert row["alarm"] == (row["risk"] == "high" and row["login_count_7d"] > 0)
    assert audience == {row["user_id"] for row in rows if row["risk"] == "high"}
    assert (catalog["risk"]["users"], statistics["risk"]["users"]) == (len(scores), len(scores))
    assert statistics["risk"]["breach"].startswith("how old its data is")
    out = run_main("tags", "sql", "risk_twice", "--dir", scored)[1]
    assert "FROM profiles" in out
    lineage = json.loads(run_main("tags", "lineage", "alarm", "--dir", scored, "--format", "json")[1])
    assert sorted(lineage["tags"]) == ["churn_score", "login_count_7d", "risk"]
    assert run_main("profile", "show", rows[0]["user_id"], "--dir", scored)[0] == 0
    # Training rates anew, so what hangs on the score changes with it.
    trained = train(project, "churn", Silent())
    with project.store.open(trained.snapshot) as snapshot:
        wrong = snapshot.value("SELECT count(*) FROM profiles WHERE (churn_score >= 0.6) != (risk = 'high')")
        members = snapshot.value("SELECT count(*) FROM audiences WHERE segment = 'at_risk'")
        assert (wrong, members) == (0, snapshot.value("SELECT count(*) FROM profiles WHERE risk = 'high'"))


def test_a_scenario_knows_no_tag_of_scores(scored: Path) -> None:
    path = scored / "scenarios" / "churn.yaml"
    text = path.read_text(encoding="utf-8")
    edited = text.replace("population:", "trust: [risk]\n  population: risk is known and", 1)
    path.write_text(edited, encoding="utf-8")
    _, issues = read_project(scored)
    assert {(issue.code, issue.message.partition(",")[0]) for issue in issues} >= {
        ("late-tag", "the tag 'risk' is computed from a score"),
    }


def test_without_a_model_they_are_unknown(scored: Path) -> None:
    (scored / ".limner" / "models" / "churn" / "CURRENT").unlink()
    project = open_project(scored)
    with pytest.raises(RefusedError, match="risk"):
        train(project, "churn", Silent())  # the snapshot was built without them
    build(project, None, Silent())
    with project.store.open() as snapshot:
        assert snapshot.rows("SELECT DISTINCT risk, risk_twice FROM profiles") == [{"risk": None, "risk_twice": -1}]


def test_a_score_that_no_scenario_gives(scored: Path, run_main: Run) -> None:
    (scored / "tags" / "risk.yaml").write_text("risk: {kind: rank, of: chrn_score}\n", encoding="utf-8")
    (scored / "segments" / "risk.yaml").unlink()
    code, out, _ = run_main("check", "--dir", scored, "--format", "json")
    (issue,) = json.loads(out)
    assert (code, issue["message"], issue["hint"]) == (1, "unknown tag 'chrn_score'", "did you mean 'churn_score'?")
