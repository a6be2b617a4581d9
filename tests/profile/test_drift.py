"""Drift between two tables of profiles, against a count by hand and against the definition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile.drift import drift_words, measure_drift, population_stability
from limner_profile.sources import FieldType

COUNTS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=12)


def psi_of(
    before: Sequence[object], after: Sequence[object], kind: FieldType, days: tuple[str, str] = ("2025-03-01",) * 2
) -> float:
    types = {"number": "DOUBLE", "category": "VARCHAR", "boolean": "BOOLEAN", "date": "DATE", "time": "TIMESTAMP"}
    with duckdb.connect() as connection:
        for name, values, day in (("old", before, days[0]), ("new", after, days[1])):
            connection.execute(f"ATTACH ':memory:' AS {name}")
            connection.execute(f"CREATE TABLE {name}.snapshot AS SELECT CAST('{day}' AS TIMESTAMP) AS as_of")
            connection.execute(f'CREATE TABLE {name}.profiles (user_id VARCHAR, "my tag" {types[kind]})')
            connection.executemany(
                f"INSERT INTO {name}.profiles VALUES (?, ?)",
                [[str(index), value] for index, value in enumerate(values)],
            )
        return measure_drift(connection, "old.profiles", "new.profiles", {"my tag": kind})["my tag"]


@given(COUNTS)
def test_psi_is_not_negative_and_the_same_both_ways(counts: list[tuple[int, int]]) -> None:
    before, after = [pair[0] for pair in counts], [pair[1] for pair in counts]
    psi = population_stability(before, after)
    assert psi >= 0
    assert psi == pytest.approx(population_stability(after, before))
    assert population_stability(before, before) == 0


def test_psi_by_hand() -> None:
    # Nine cut points at 10, 20, … 90 of 1 to 100: ten bins of ten, one of none above, one of unknown.
    before, after = list(range(1, 101)), list(range(51, 101)) * 2
    old = [10.5] * 10 + [0.5]
    new = [0.5] * 5 + [20.5] * 5 + [0.5]
    wanted = sum(
        (a / sum(new) - b / sum(old)) * math.log((a / sum(new)) / (b / sum(old))) for a, b in zip(new, old, strict=True)
    )
    assert psi_of(before, after, "number") == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("number", [0.0] * 90 + [1.0, 2.0, 3.0, None]),
        ("number", [None] * 20),
        ("number", [float("inf"), -float("inf"), 0.0] * 9),
        ("category", ["a", "b", "it's", None] * 10),
        ("boolean", [True, False, None] * 10),
        ("date", ["2025-01-01", "2024-02-29", None] * 10),
    ],
)
def test_what_has_not_changed_has_not_drifted(kind: FieldType, values: list[object]) -> None:
    assert psi_of(values, values, kind) == 0


def test_unknown_and_new_values_are_drift() -> None:
    assert psi_of(["a"] * 100, ["a"] * 50 + [None] * 50, "category") > 0.25
    assert psi_of(["a"] * 100, ["a"] * 50 + ["b"] * 50, "category") > 0.25
    assert psi_of([True] * 50 + [False] * 50, [True] * 100, "boolean") > 0.25
    assert psi_of([1.0] * 100, [1.0] * 50 + [None] * 50, "number") > 0.25
    assert psi_of([None] * 100, [1.0] * 100, "number") > 0.25


def test_dates_drift_by_their_age_at_as_of() -> None:
    january = [f"2025-01-{day:02d}" for day in range(1, 29)]
    february = [f"2025-02-{day:02d}" for day in range(1, 29)]
    assert psi_of(january, february, "date", ("2025-02-01", "2025-03-04")) == 0  # 31 days later, as the dates are
    assert psi_of(january, february, "date", ("2025-02-01", "2025-02-01")) > 0.25


def test_the_words() -> None:
    assert [drift_words(psi) for psi in (None, 0.0, 0.1, 0.25, 0.3)] == ["", "stable", "moved", "moved", "shifted"]
