"""Where numbers and dates are cut, and what the bands are called."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile.predicates.base import Predicate
from limner_segments.comparison_bands import Bands, Cut, Points, date_bands, number_bands, round_between

EPOCH = date(1970, 1, 1)


def points_of(values: list[float]) -> Points:
    known = sorted(values)
    return [(value, known.index(value) / len(known)) for value in sorted(set(known))]


def holds(condition: Predicate, value: float) -> bool:
    """Whether the value fulfils the condition of a band, read from its text by Python."""
    text = condition.to_text().replace(" = ", " == ")
    return True if text == "x is known" else bool(eval(text, {"x": value}))


@given(st.lists(st.one_of(st.integers(-40, 400), st.floats(-1e6, 1e6)).map(float), min_size=1, max_size=200))
def test_every_value_is_in_one_band_and_every_band_has_a_name(values: list[float]) -> None:
    whole = all(value == int(value) for value in values)
    points = points_of(values)
    bands = number_bands(points, whole, complete=True)
    names, conditions = bands.names(), bands.conditions("x")
    assert len(names) == len(conditions) == len(bands.cuts) + 1 <= 11
    for value in values:
        assert sum(holds(condition, value) for condition in conditions) == 1
    edges = [(float(cut.value), cut.beyond) for cut in bands.cuts]  # type: ignore[arg-type]
    assert edges == sorted(set(edges))
    if len(points) > 1:
        assert len(bands.cuts) >= 1


@given(st.integers(100, 1000), st.floats(0.5, 3.0), st.booleans())
def test_bands_are_about_equally_full(size: int, power: float, whole: bool) -> None:
    values = [(step / size * 900 + 20) ** power for step in range(size)]
    values = [float(round(value)) for value in values] if whole else values
    bands = number_bands(points_of(values), whole)
    counts = [sum(holds(condition, value) for value in values) for condition in bands.conditions("x")]
    assert sum(counts) == size
    assert len(counts) == 5
    assert min(counts) >= 0.05 * size
    assert max(counts) <= 0.31 * size


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6), st.floats(0, 1))
def test_a_round_number_lies_where_it_may(lower: float, width: float, share: float) -> None:
    upper = lower + width
    if upper == lower:
        return
    assert lower < round_between(lower, upper, lower + share * width) <= upper


@pytest.mark.parametrize(
    ("lower", "upper", "near", "found"),
    [
        (17, 23, 19, 20),
        (96, 104, 99, 100),
        (1.25, 1.35, 1.3, 1.3),
        (-23, -17, -19, -20),
        (-3, 4, 1, 0),
        (4_310, 5_900, 4_800, 5_000),
    ],
)
def test_the_roundest_number_wins(lower: float, upper: float, near: float, found: float) -> None:
    assert round_between(lower, upper, near) == found


def test_zero_is_a_band_where_it_is_common_and_not_where_it_is_rare() -> None:
    common = [0.0] * 60 + [float(value) for value in range(1, 41)]
    assert number_bands(points_of(common), whole=True).names() == ["0", "1 – 19", "≥ 20"]
    assert [condition.to_text() for condition in number_bands(points_of(common), whole=True).conditions("x")] == [
        "x = 0", "x > 0 and x < 20", "x >= 20"
    ]  # fmt: skip
    rare = [float(value) for value in range(100)]
    assert "0" not in number_bands(points_of(rare), whole=True).names()
    signed = [-1.5 * value for value in range(1, 31)] + [0.0] * 30 + [1.5 * value for value in range(1, 41)]
    assert number_bands(points_of(signed), whole=False).names() == ["< -20", "-20 – < 0", "0", "> 0 – 30", "≥ 30"]


def test_few_values_are_shown_singly_and_one_that_nearly_everyone_has_stands_apart() -> None:
    few = [1.0, 1.5, 1.5, 4.0]
    assert number_bands(points_of(few), whole=False, complete=True).names() == ["1", "1.5", "4"]
    spike = [3.0] * 990 + [float(value) for value in range(4, 14)]
    assert number_bands(points_of(spike), whole=True).names() == ["3", "≥ 4"]
    assert number_bands([(7.0, 0.0)], whole=True).names() == ["7"]
    assert number_bands([], whole=True) == Bands()


@given(st.lists(st.integers(10_000, 20_000), min_size=2, max_size=300))
def test_every_day_is_in_one_band(days: list[int]) -> None:
    bands = date_bands(points_of([float(day) for day in days]))
    cuts = [cut.value for cut in bands.cuts]
    assert cuts == sorted(set(cuts))
    assert len(bands.names()) == len(cuts) + 1
    assert len(cuts) >= (1 if len(set(days)) > 1 else 0)
    low, high = EPOCH + timedelta(days=min(days)), EPOCH + timedelta(days=max(days))
    assert all(isinstance(cut, date) and low < cut <= high for cut in cuts)


def test_dates_are_cut_at_the_coarsest_first_days() -> None:
    def names(start: date, days: int) -> list[str]:
        first = (start - EPOCH).days
        return date_bands(points_of([float(first + day) for day in range(days)])).names()

    assert names(date(2015, 1, 1), 3652) == ["≤ 2016-12-31", "2017-01-01 – 2018-12-31", "2019-01-01 – 2020-12-31",
                                             "2021-01-01 – 2022-12-31", "≥ 2023-01-01"]  # fmt: skip
    months = names(date(2024, 1, 1), 366)
    assert len(months) == 5
    assert all(name[-2:] in ("31", "30", "01") for name in months)
    assert names(date(2024, 3, 4), 35)[1] == "2024-03-11 – 2024-03-17"  # weeks begin on a Monday
    assert names(date(2024, 1, 1), 1) == ["2024-01-01"]


def test_a_cut_may_stand_behind_its_value() -> None:
    bands = Bands((Cut(0, beyond=True),), whole=False, lowest=-2, highest=9)
    assert bands.names() == ["≤ 0", "> 0"]
    assert [condition.to_text() for condition in bands.conditions("x")] == ["x <= 0", "x > 0"]
