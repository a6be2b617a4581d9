"""The overview's aggregates against counts made by hand on the rows themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.project import Project
from limner_dashboards.distributions import join_small, main_tags, read_distribution, read_score_bins
from segments.small import make_catalog, make_snapshot


def test_the_shares_of_every_tag_add_up_to_all_users(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        users = snapshot.value("SELECT count(*) FROM profiles")
        for name, entry in reading_project.catalog.tags.items():
            bars = read_distribution(snapshot, entry, "en", 10)
            assert sum(bar.users for bar in bars) == users, name
            assert sum(bar.share for bar in bars) == pytest.approx(1.0), name


def test_unknown_is_shown_and_counted_right(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        frame = snapshot.frame("SELECT gender, days_since_login FROM profiles")
        for name in ("gender", "days_since_login"):
            bars = read_distribution(snapshot, reading_project.catalog[name], "zh", 10)
            assert (bars[-1].kind, bars[-1].label, bars[-1].users) == ("unknown", "未知", int(frame[name].isna().sum()))


def test_a_time_counts_for_the_year_of_its_local_day_long_ago_and_ahead(tmp_path: Path) -> None:
    # In July Berlin is two hours ahead of UTC, at the new year one.
    until: list[list[str | None]] = [
        ["2024-12-31 22:30:00"],
        ["2026-12-31 22:30:00"],
        ["2026-12-31 23:00:00"],
        ["1985-12-31 22:30:00"],
        [None],
    ]
    july = datetime(2025, 7, 1, tzinfo=UTC)
    with make_snapshot(tmp_path, {"until": "time"}, until, "Europe/Berlin", july) as snapshot:
        bars = read_distribution(snapshot, make_catalog({"until": "time"})["until"], "en", 1)
    assert {bar.label: bar.users for bar in bars} == {"2024": 1, "2026": 1, "2027": 1, "1985": 1, "unknown": 1}


def test_values_are_counted_as_pandas_counts_them(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        counted = snapshot.frame("SELECT gender FROM profiles")["gender"].value_counts()
        bars = {
            bar.label: bar.users for bar in read_distribution(snapshot, reading_project.catalog["gender"], "en", 10)
        }
    assert {name: bars[name] for name in ("female", "male")} == {
        "female": int(counted["female"]),
        "male": int(counted["male"]),
    }


def test_bands_of_whole_numbers_hold_what_their_names_say(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        values = snapshot.frame("SELECT login_count_90d FROM profiles")["login_count_90d"]
        bars = read_distribution(snapshot, reading_project.catalog["login_count_90d"], "en", 10)
    for bar in bars:
        if bar.label.startswith("≥ "):
            expected = int((values >= int(bar.label[2:])).sum())
        else:
            ends = [int(part) for part in bar.label.split("–")]
            low, high = ends[0], ends[-1]
            expected = int(values.between(low, high).sum())
        assert bar.users == expected, bar.label
    assert len(bars) >= 3


def test_small_groups_are_never_shown_alone(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        for name in ("city", "device", "gender", "login_count_30d", "age"):
            bars = read_distribution(snapshot, reading_project.catalog[name], "en", 400)
            assert all(bar.users >= 400 for bar in bars if bar.kind != "unknown"), name


@pytest.mark.parametrize("min_group", [10, 400, 1500])
def test_a_number_has_bands_and_no_rest(reading_project: Project, min_group: int) -> None:
    with reading_project.store.open() as snapshot:
        users = snapshot.value("SELECT count(*) FROM profiles")
        for name, entry in reading_project.catalog.tags.items():
            if entry.type != "number":
                continue
            bars = read_distribution(snapshot, entry, "en", min_group)
            known = [bar for bar in bars if bar.kind != "unknown"]
            assert sum(bar.users for bar in bars) == users, name
            assert all(bar.kind == "value" and bar.users >= min_group for bar in known) or len(known) <= 1, name
            assert "other" not in {bar.label for bar in bars}, name


@given(st.lists(st.integers(0, 60), min_size=1, max_size=7), st.integers(0, 50))
def test_joined_bands_lose_nobody_and_are_large_enough(sizes: list[int], min_group: int) -> None:
    edges = [float(at) for at in range(len(sizes))]
    starts, users = join_small(edges, sizes, min_group)
    assert sum(users) == sum(sizes)
    assert starts[0] == 0.0
    assert starts == sorted(set(starts) & set(edges))
    assert len(users) == 1 or min(users) >= min_group
    ends = [*starts[1:], float(len(sizes))]
    assert users == [sum(sizes[int(low) : int(high)]) for low, high in zip(starts, ends, strict=True)]


def test_score_bins_hold_all_scored_users_and_no_small_group(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        bins = read_score_bins(snapshot, "churn", 25)
        scores = snapshot.frame("SELECT score FROM scores WHERE scenario = 'churn'")["score"]
        assert read_score_bins(snapshot, "membership", 25) == []
    assert sum(one.users for one in bins) == len(scores)
    assert all(one.users >= 25 for one in bins)
    for one in bins:
        assert one.users == int(((scores >= one.low - 1e-9) & (scores < one.high - 1e-9)).sum())


def test_main_tags_are_known_various_and_few(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        names = main_tags(snapshot, reading_project.catalog)
    assert len(names) == len(set(names)) == 12
    assert {"gender", "channel", "days_since_login"} <= set(names)
    assert len({name for name in names if name.startswith("login_count")}) == 1
    assert not any(name.endswith("_score") for name in names)
