"""Small groups: whatever is shown of a tag, no small number can be computed from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile.predicates.base import Predicate
from limner_profile.predicates.known import Known
from limner_profile.predicates.parser import parse
from limner_profile.sources import FieldType
from limner_segments.comparison import compare_audience
from limner_segments.comparison_counts import Count, TagCounts
from limner_segments.comparison_privacy import Protection
from segments.small import make_catalog, make_snapshot

ANY: Predicate = Known(field="city", known=True)
Four = tuple[int, int, int, int]


def counted(rows: list[Four]) -> TagCounts:
    return TagCounts("city", tuple(Count("city", str(at), ANY, row[:3], sum(row)) for at, row in enumerate(rows)))


def sizes(rows: list[Four]) -> tuple[tuple[int, int, int], int]:
    a, both, b, _ = (sum(row[at] for row in rows) for at in range(4))
    return (a, both, b), sum(sum(row) for row in rows)


cells = st.one_of(st.just(0), st.integers(1, 15), st.integers(20, 300))
tables = st.lists(st.tuples(cells, cells, cells, cells), min_size=1, max_size=6)


@given(tables, st.sampled_from(["apart", "inside", "around", "crossed"]), st.sampled_from(["a", "ab"]))
def test_no_small_number_is_shown_or_left_over(rows: list[Four], overlap: str, sides: str) -> None:
    blank = {"apart": 1, "inside": 0, "around": 2}.get(overlap)
    rows = [tuple(0 if at == blank else cell for at, cell in enumerate(row)) for row in rows]  # type: ignore[misc]
    if sides == "a":  # the base is the complement: nobody is in both, nobody in neither
        rows = [(a, 0, b, 0) for a, _, b, _ in rows]
    size, users = sizes(rows)
    protection = Protection(size, users, 10, sides)
    hides = protection.hidden(counted(rows))

    def small(count: int) -> bool:
        return 0 < count < 10

    shown = [row for row, hidden in zip(rows, hides, strict=True) if not hidden]
    hidden_rows = [row for row, hidden in zip(rows, hides, strict=True) if hidden]
    # What anybody can compute: an audience, its complement, and the difference of two of which one holds the other.
    views = {"a": (1, 1, 0, 0), "not a": (0, 0, 1, 1)}
    if sides == "ab":
        views |= {"b": (0, 1, 1, 0), "not b": (1, 0, 0, 1)}
        for name, at, empty in (("b - a", 2, 0), ("a - b", 0, 2), ("neither", 3, 1)):
            if size[empty] == 0:
                views[name] = tuple(int(at == place) for place in range(4))  # type: ignore[assignment]
    for mask in views.values():
        of = [sum(count for count, wanted in zip(row, mask, strict=True) if wanted) for row in shown]
        assert not any(small(count) for count in of)
        left = sum(count for row in hidden_rows for count, wanted in zip(row, mask, strict=True) if wanted)
        assert not small(left) or not shown or all(count == 0 for count in of)


def test_what_is_left_over_of_one_audience_inside_another_is_protected(tmp_path: Path) -> None:
    # All 60 buyers from A pay but 4: both numbers are large, their difference is not.
    types: dict[str, FieldType] = {"buys": "boolean", "pays": "boolean", "city": "category"}
    rows = [[True, True, "A"]] * 56 + [[True, False, "A"]] * 4 + [[True, True, "B"]] * 50 + [[True, False, "B"]] * 50
    rows += (
        [[True, True, "C"]] * 70
        + [[True, False, "C"]] * 80
        + [[False, False, city] for city in "ABC" for _ in range(40)]
    )
    with make_snapshot(tmp_path, types, rows) as snapshot:
        found = compare_audience(snapshot, parse("pays = true"), make_catalog(types), against=parse("buys = true"))
    hidden = {trait.trait for trait in found.traits if trait.tag == "city" and trait.suppressed}
    assert hidden == {"A", "B"}


@pytest.mark.parametrize(("unknown", "shown"), [(4, False), (40, True)])
def test_the_number_of_known_values_is_hidden_with_that_of_unknown_ones(
    tmp_path: Path, unknown: int, shown: bool
) -> None:
    types: dict[str, FieldType] = {"pays": "boolean", "age": "number"}
    rows: list[list[Any]] = [[True, float(20 + step % 30)] for step in range(100)] + [[True, None]] * unknown
    rows += [[False, float(20 + step % 40)] for step in range(200)] + [[False, None]] * 50
    with make_snapshot(tmp_path, types, rows) as snapshot:
        (mean,) = compare_audience(snapshot, parse("pays = true"), make_catalog(types)).means
    assert mean.audience_mean == pytest.approx(sum(20 + step % 30 for step in range(100)) / 100)
    assert (mean.audience_known, mean.base_known) == ((100, 300) if shown else (None, None))


def test_the_mean_of_a_few_is_hidden(tmp_path: Path) -> None:
    types: dict[str, FieldType] = {"pays": "boolean", "age": "number"}
    rows: list[list[Any]] = [[True, 30.0]] * 9 + [[True, None]] * 90 + [[False, float(step)] for step in range(200)]
    with make_snapshot(tmp_path, types, rows) as snapshot:
        found = compare_audience(snapshot, parse("pays = true"), make_catalog(types))
    (mean,) = found.means
    assert mean.suppressed
    numbers = (mean.audience_mean, mean.base_mean, mean.mean_difference, mean.mean_low, mean.effect_size, mean.q_value)
    assert {*numbers, mean.audience_known} == {None}
    assert found.differences[-1].suppressed
