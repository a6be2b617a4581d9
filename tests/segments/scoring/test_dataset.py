from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from limner.project import Project
from limner_profile.catalog import load_catalog
from limner_profile.errors import RefusedError
from limner_profile.ingest import ingest
from limner_profile.windows import add_days
from limner_segments.scoring.dataset import Dataset, ScenarioData, build_dataset
from limner_segments.scoring.scenario import load_scenarios
from segments.small import TAGS, make_workspace

SCENARIO = """
lapse:
  title: lapse
  population: visits_30d >= 1
  outcome: {kind: did, event: visit, at_least: 2, where: amount >= 3, title: come again}
  gap: 2d
  label_window: 14d
  cutoffs: {training: 2, every: 14d, history: 14d}
"""
END = datetime(2025, 5, 1, tzinfo=UTC)


def make_acts() -> pd.DataFrame:
    """Visits and orders of 80 people from January to May 2025 in local time; one in ten arrives days late."""
    rng = np.random.default_rng(11)
    count = 2500
    time = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 120 * 24 * 60, count), unit="min")
    delay = np.where(rng.random(count) < 0.1, rng.integers(0, 6 * 24 * 60, count), 0)
    return pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in rng.integers(0, 80, count)],
            "time": time,
            "event": rng.choice(np.array(["visit", "order"]), count, p=[0.6, 0.4]),
            "received": time + pd.to_timedelta(delay, unit="min"),
            "amount": rng.integers(1, 9, count),
            "product": rng.choice(np.array(["book", "pen", "ink"]), count),
        }
    )


def dataset_of(
    root: Path, acts: pd.DataFrame, scenario: str = SCENARIO, tags: str = TAGS, end: datetime = END
) -> ScenarioData:
    people = "user_id,since,city\n" + "".join(f"u{number},2025-01-01,c{number % 3}\n" for number in range(90))
    workspace = make_workspace(root, scenarios=scenario, tags=tags, acts=acts.to_csv(index=False), people=people)
    ingest(workspace)
    catalog = load_catalog(workspace)
    (named,) = load_scenarios(workspace, catalog).values()
    return build_dataset(workspace, catalog, named, end)


def rows_at(data: ScenarioData, index: int) -> pd.DataFrame:
    """The rows of one cutoff: user, features, RFM and outcome."""
    dataset: Dataset = data.holdout if index == len(data.schedule.training) else data.training
    frame = pd.concat([dataset.frame, dataset.rfm], axis=1).assign(user=dataset.user_id, outcome=dataset.outcome)
    chosen: pd.DataFrame = frame.loc[dataset.cutoff == index]
    return chosen.set_index("user")


def local(moment: datetime) -> pd.Timestamp:
    return pd.Timestamp(moment).tz_convert("Europe/Berlin").tz_localize(None)


def scramble(acts: pd.DataFrame, chosen: pd.Series[bool], seed: int) -> pd.DataFrame:
    """The acts with those chosen given to other users, with other names and amounts, and a third of them gone."""
    rng = np.random.default_rng(seed)
    other = acts.copy()
    where = chosen.to_numpy()
    for column in ("user_id", "event", "amount", "product"):
        other.loc[where, column] = rng.permutation(acts.loc[where, column].to_numpy())
    return other[~(where & (rng.random(len(acts)) < 0.33))]


@pytest.fixture(scope="module")
def acts() -> pd.DataFrame:
    return make_acts()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, acts: pd.DataFrame) -> ScenarioData:
    return dataset_of(tmp_path_factory.mktemp("whole"), acts)


Change = Callable[[pd.DataFrame, pd.Timestamp], "pd.Series[bool]"]


def happened_later(acts: pd.DataFrame, cutoff: pd.Timestamp) -> pd.Series[bool]:
    return acts["time"] >= cutoff


def was_not_known(acts: pd.DataFrame, cutoff: pd.Timestamp) -> pd.Series[bool]:
    return acts["received"] >= cutoff


@pytest.mark.parametrize("change", [happened_later, was_not_known])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_nothing_that_came_after_a_cutoff_changes_a_feature(
    tmp_path: Path, data: ScenarioData, acts: pd.DataFrame, change: Change, index: int
) -> None:
    cutoff = data.schedule.all[index]
    chosen = change(acts, local(cutoff))
    assert 100 < chosen.sum() < len(acts) - 100
    other = rows_at(dataset_of(tmp_path, scramble(acts, chosen, index)), index)
    before = rows_at(data, index)
    features = [column for column in before if column != "outcome"]
    pd.testing.assert_frame_equal(before[features], other[features])
    assert (before["outcome"] != other["outcome"]).any()  # what did change is the outcome


def test_nothing_before_a_cutoff_changes_its_outcome(tmp_path: Path, data: ScenarioData, acts: pd.DataFrame) -> None:
    cutoff = local(data.schedule.holdout)
    other = rows_at(dataset_of(tmp_path, scramble(acts, acts["time"] < cutoff, 5)), 2)
    before = rows_at(data, 2)
    both = before.index.intersection(other.index)
    assert len(both) > 20
    pd.testing.assert_series_equal(before.loc[both, "outcome"], other.loc[both, "outcome"])
    assert not before.loc[both, "visits_all"].equals(other.loc[both, "visits_all"])


def test_population_features_and_outcome_agree_with_pandas(data: ScenarioData, acts: pd.DataFrame) -> None:
    for index, moment in enumerate(data.schedule.all):
        cutoff = local(moment)
        known = acts[(acts["time"] < cutoff) & (acts["received"] < cutoff)]
        visits = known[known["event"] == "visit"]
        recent = visits[visits["time"] >= cutoff - pd.Timedelta(days=30)].groupby("user_id").size()
        start = cutoff + pd.Timedelta(days=2)
        later = acts[(acts["time"] >= start) & (acts["time"] < start + pd.Timedelta(days=14))]
        good = later[(later["event"] == "visit") & (later["amount"] >= 3)].groupby("user_id").size()
        rows = rows_at(data, index)
        assert sorted(rows.index) == sorted(recent.index)
        assert (rows["visits_30d"] == recent.reindex(rows.index)).all()
        assert (rows["visits_all"] == visits.groupby("user_id").size().reindex(rows.index)).all()
        assert (rows["outcome"] == (good.reindex(rows.index).fillna(0) >= 2)).all()
        assert (rows["frequency"] == known.groupby("user_id").size().reindex(rows.index)).all()
        assert (rows["monetary"] == known.groupby("user_id")["amount"].sum().reindex(rows.index)).all()
        assert 0 < rows["outcome"].mean() < 1


def test_the_shape_of_a_dataset(data: ScenarioData, tmp_path: Path, acts: pd.DataFrame) -> None:
    assert data.tags == ("visits_30d", "visits_all", "days_since_visit", "city", "last_city")
    assert list(data.training.frame) == list(data.tags)
    assert set(data.training.cutoff) == {0, 1}
    assert set(data.holdout.cutoff) == {2}
    assert set(np.unique(data.training.outcome)) == {0, 1}
    assert len(data.training) == len(data.training.frame) == len(data.training.user_id)
    assert data.training.frame["visits_30d"].dtype == np.float64
    again = dataset_of(tmp_path, acts)
    assert again.training.digest == data.training.digest != data.holdout.digest


def test_no_outcome_is_looked_for_after_the_last_event(tmp_path: Path, acts: pd.DataFrame) -> None:
    """An as_of in days without data gives the cutoffs, and the outcomes, of the day on which the data end."""
    last = acts["time"].max()
    stray = acts.iloc[[0]].assign(time=pd.Timestamp("2031-01-01"), received=pd.Timestamp("2031-01-01"))
    ended = (last.normalize() + pd.Timedelta(days=1)).tz_localize("Europe/Berlin").tz_convert(UTC).to_pydatetime()
    exact = dataset_of(tmp_path / "exact", acts, end=ended)
    late = dataset_of(tmp_path / "late", pd.concat([acts, stray]), end=ended + timedelta(days=25))
    assert late.schedule == exact.schedule
    assert (exact.end, late.end) == (ended, ended)
    assert late.holdout.outcome.mean() == exact.holdout.outcome.mean() > 0
    # In the middle of a day that has events, as_of itself is the end.
    early = datetime(2025, 4, 20, 12, tzinfo=UTC)
    assert dataset_of(tmp_path / "early", acts, end=early).end == early


def test_an_empty_population_is_refused_with_its_day(tmp_path: Path, acts: pd.DataFrame) -> None:
    with pytest.raises(RefusedError, match="nobody belongs to the population of 'lapse' on 2025-03") as caught:
        dataset_of(tmp_path, acts, SCENARIO.replace("visits_30d >= 1", "visits_30d >= 1 and city = 'nowhere'"))
    assert caught.value.code == "empty-population"
    assert caught.value.issues[0].where == "scenarios/some.yaml:2:1"


def test_the_sample_agrees_with_pandas_at_the_holdout(reading_project: Project) -> None:
    workspace, named = reading_project.workspace, reading_project.scenarios["churn"]
    with reading_project.store.open() as snapshot:
        end = snapshot.as_of
    data = build_dataset(workspace, reading_project.catalog, named, end)
    zone = workspace.timezone
    assert add_days(data.schedule.holdout, 30, zone) == end
    cutoff = pd.Timestamp(data.schedule.holdout).tz_convert(str(zone)).tz_localize(None)
    events = pd.read_parquet(
        workspace.root / "data" / "events.parquet", columns=["user_id", "time", "event", "received_at"]
    )
    logins = events[(events["event"] == "login") & events["user_id"].notna() & events["time"].notna()]
    recent = logins[(logins["time"] < cutoff) & (logins["received_at"] < cutoff)]
    population = set(recent.loc[recent["time"] >= cutoff - pd.Timedelta(days=30), "user_id"])
    came = logins[(logins["time"] >= cutoff) & (logins["time"] < cutoff + pd.Timedelta(days=30))]
    lapsed = population - set(came["user_id"])
    holdout = data.holdout
    assert set(holdout.user_id) == population
    assert set(holdout.user_id[holdout.outcome == 1]) == lapsed
    assert len(population) > 3000
    assert 300 < len(lapsed) < 1000


def test_tags_of_tags_as_features_and_in_the_population(tmp_path: Path, acts: pd.DataFrame) -> None:
    """What they refer to is computed along, over everyone known at the cutoff, and is no feature itself."""
    tags = f"{TAGS}busy: {{kind: band, of: place, cuts: [11], labels: [yes, no]}}\nplace: {{kind: rank, of: visits_30d, as: rank}}\n"
    scenario = SCENARIO.replace("visits_30d >= 1", "busy = 'yes'") + "  tags: {include: [place]}\n"
    narrow = dataset_of(tmp_path / "narrow", acts, scenario, tags)
    wide = dataset_of(tmp_path / "wide", acts)
    assert narrow.tags == ("place",)
    for index in range(3):
        visits = rows_at(wide, index)["visits_30d"]
        places = visits.rank(method="min", ascending=False)
        assert rows_at(narrow, index)["place"].to_dict() == places[places <= 10].to_dict()
