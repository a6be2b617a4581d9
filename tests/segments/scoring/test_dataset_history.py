"""Attributes with a history in the rows of a scenario: a cutoff sees what was known at it, and no later row changes that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from limner_profile.catalog import load_catalog
from limner_profile.ingest import ingest
from limner_segments.scoring.dataset import ScenarioData, build_dataset
from limner_segments.scoring.leakage import leakage_alarms
from limner_segments.scoring.scenario import load_scenarios
from segments.small import CONFIG, make_workspace

SCENARIO = """
quit:
  title: quit
  population: visits_30d >= 1
  outcome: {kind: did_not, event: visit, title: stay away}
  label_window: 14d
  cutoffs: {training: 2, every: 14d, history: 14d}
"""
TAGS = """
visits_30d: {kind: count, event: visit, window: 30d}
status: {kind: attribute, attribute: status}
level: {kind: attribute, attribute: level}
"""
DATED = CONFIG.replace(
    "since: since, attributes: [city]",
    "updated_at: at, attributes: {status: status, level: {column: level, type: number}}",
)
END = datetime(2025, 5, 1, tzinfo=UTC)
USERS = 120


def make_acts() -> pd.DataFrame:
    """Visits every third day until the day that a user quits; half of the users never do."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(USERS):
        last = int(rng.integers(20, 119)) if user % 2 else 119
        rows += [
            (f"u{user}", pd.Timestamp("2025-01-01 10:00") + pd.Timedelta(days=day)) for day in range(user % 3, last, 3)
        ]
    return pd.DataFrame(rows, columns=["user_id", "time"]).assign(event="visit", received="", amount="", product="")


def make_people(acts: pd.DataFrame) -> pd.DataFrame:
    """A change log: a level that grows, and a status that says 'quit' once the user has been away for ten days."""
    rows = [
        (f"u{user}", pd.Timestamp("2025-01-01") + pd.Timedelta(days=30 * step, hours=12), "active", step)
        for user in range(USERS)
        for step in range(4)
    ]
    log = pd.DataFrame(rows, columns=["user_id", "at", "status", "level"])
    away = acts.groupby("user_id")["time"].max() + pd.Timedelta(days=10)
    quitters = away[away < pd.Timestamp("2025-05-01")]
    log = log[log["at"] < log["user_id"].map(quitters).fillna(pd.Timestamp("2100-01-01"))]
    over = pd.DataFrame({"user_id": quitters.index, "at": quitters.to_numpy(), "status": "quit", "level": 9})
    return pd.concat([log, over], ignore_index=True).sample(frac=1, random_state=1)


def data_of(root: Path, acts: pd.DataFrame, people: pd.DataFrame, config: str = DATED) -> tuple[ScenarioData, set[str]]:
    """The rows of the scenario, and the tags that can be proven."""
    workspace = make_workspace(root, scenarios=SCENARIO, tags=TAGS, config=config, acts=acts.to_csv(index=False),
                               people=people.to_csv(index=False))  # fmt: skip
    ingest(workspace)
    catalog = load_catalog(workspace)
    (named,) = load_scenarios(workspace, catalog).values()
    data = build_dataset(workspace, catalog, named, END)
    return data, {name for name, tag in catalog.tags.items() if tag.provable}


def features(data: ScenarioData) -> pd.DataFrame:
    """Status and level of every row, by cutoff and user."""
    frames = [
        part.frame[["status", "level"]].assign(user=part.user_id, cutoff=part.cutoff)
        for part in (data.training, data.holdout)
    ]
    return pd.concat(frames).set_index(["cutoff", "user"]).sort_index()


def excluded(data: ScenarioData, provable: set[str]) -> set[str]:
    """The tags that alarm and would be left out of the training."""
    training = data.training
    alarms = leakage_alarms(training.frame, training.outcome, training.cutoff, provable)
    return {alarm.tag for alarm in alarms if alarm.action == "excluded"}


def local(moment: datetime) -> pd.Timestamp:
    return pd.Timestamp(moment).tz_convert("Europe/Berlin").tz_localize(None)


def test_each_cutoff_sees_the_row_that_was_known_at_it(tmp_path: Path) -> None:
    acts = make_acts()
    people = make_people(acts)
    data, provable = data_of(tmp_path, acts, people)
    assert provable == {"visits_30d", "status", "level"}
    seen = features(data)
    for index, cutoff in enumerate(data.schedule.all):
        known = people[people["at"] < local(cutoff)].sort_values("at").groupby("user_id").last()
        rows = seen.loc[index]
        pd.testing.assert_series_equal(
            rows["level"], known["level"].reindex(rows.index).astype(float), check_names=False
        )
        assert rows["status"].tolist() == known["status"].reindex(rows.index).tolist()
    assert seen.groupby("cutoff")["level"].mean().is_monotonic_increasing
    assert excluded(data, provable) == set()  # strong as they may be, they cannot know the future


def test_without_updated_at_the_same_attributes_know_the_future_and_are_left_out(tmp_path: Path) -> None:
    acts = make_acts()
    today = make_people(acts).sort_values("at").groupby("user_id", as_index=False).last()
    data, provable = data_of(tmp_path, acts, today, DATED.replace("updated_at: at, ", ""))
    assert provable == {"visits_30d"}
    assert excluded(data, provable) == {"status", "level"}


@pytest.mark.parametrize("index", [0, 1, 2])
def test_rows_from_a_cutoff_on_change_no_feature_of_it(tmp_path: Path, index: int) -> None:
    acts = make_acts()
    people = make_people(acts)
    data, _ = data_of(tmp_path / "whole", acts, people)
    cutoff = local(data.schedule.all[index])
    later = people["at"] >= cutoff
    assert later.any()
    at_cutoff = people.groupby("user_id", as_index=False).first().assign(at=cutoff, status="changed", level=77)
    other, _ = data_of(tmp_path / "other", acts, pd.concat([people[~later], at_cutoff]))
    before, after = (features(it).xs(index, level="cutoff") for it in (data, other))
    assert isinstance(before, pd.DataFrame)
    assert isinstance(after, pd.DataFrame)
    pd.testing.assert_frame_equal(before, after)
