from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from limner_profile.errors import RefusedError
from limner_profile.predicates import AllOf, AnyOf, parse
from limner_profile.snapshots import Snapshot
from limner_segments.audience import audience_query, measure_audience
from limner_segments.funnel import measure_funnel
from limner_segments.leaves import holds, leaves_of, truths_of
from segments.small import make_snapshot
from segments.test_audience import ROWS, TYPES, conditions


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with make_snapshot(tmp_path_factory.mktemp("state"), TYPES, ROWS) as opened:
        yield opened


def users_of(snapshot: Snapshot, text: str) -> set[str]:
    query = audience_query(parse(text)).sql(dialect="duckdb")
    return {row["user_id"] for row in snapshot.rows(query)}


def test_each_rule_is_counted_after_those_before_it(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        [30.0, "Oslo", True],
        [30.0, "Bern", True],
        [10.0, "Oslo", True],
        [None, "Oslo", True],
        [40.0, None, False],
    ]
    with make_snapshot(tmp_path, TYPES, rows) as snapshot:
        steps = measure_funnel(snapshot, parse("age >= 18 and city = 'Oslo' and member = true"))
    assert [(step.step, step.rule, step.alone, step.count, step.change) for step in steps] == [
        ("1", "and", 3, 3, -2), ("2", "and", 3, 1, -2), ("3", "and", 4, 1, 0),
    ]  # fmt: skip
    assert [(step.unknown, step.unknown_share, step.unknown_lost) for step in steps] == [
        (1, 0.2, 1), (1, 0.2, 1), (0, 0.0, 0),
    ]  # fmt: skip


def test_branches_tell_what_each_brings_alone_and_adds(tmp_path: Path) -> None:
    rows = [[30.0, "Oslo", True], [30.0, "Bern", False], [10.0, "Oslo", True], [30.0, "Rome", True]]
    with make_snapshot(tmp_path, TYPES, rows) as snapshot:
        inner = measure_funnel(snapshot, parse("age >= 18 and (city = 'Oslo' or member = true)"))
        outer = measure_funnel(snapshot, parse("city = 'Oslo' or member = true"))
    assert [(step.step, step.rule, step.alone, step.count, step.change) for step in inner] == [
        ("1", "and", 3, 3, -1), ("2", "and", 3, 2, -1), ("2.1", "or", 2, 1, 1), ("2.2", "or", 3, 2, 1),
    ]  # fmt: skip
    assert [(step.step, step.alone, step.count, step.change) for step in outer] == [("1", 2, 2, 2), ("2", 3, 3, 1)]


@settings(max_examples=15, deadline=None)
@given(text=conditions())
def test_every_count_is_that_of_the_condition_itself(snapshot: Snapshot, text: str) -> None:
    condition = parse(text)
    steps = measure_funnel(snapshot, condition)
    size = measure_audience(snapshot, condition).size
    rules = list(condition.parts) if isinstance(condition, AllOf) else [condition]
    if isinstance(condition, AnyOf):
        rules = list(condition.parts)
    top = [step for step in steps if "." not in step.step]
    assert [step.condition for step in top] == rules
    assert top[-1].count == size
    left = {f"u{index:05d}" for index in range(len(ROWS))}
    seen: set[str] = set()
    for step in top:
        alone = users_of(snapshot, step.condition.to_text())
        assert step.alone == len(alone)
        if isinstance(condition, AnyOf):
            assert step.change == len(alone - seen)
            seen |= alone
            assert step.count == len(seen)
            continue
        inside = [inner for inner in steps if inner.step.startswith(f"{step.step}.")]
        gathered: set[str] = set()
        for branch in inside:
            more = users_of(snapshot, branch.condition.to_text()) & left
            assert branch.change == len(more - gathered)
            gathered |= more
            assert branch.count == len(gathered)
        assert not inside or inside[-1].count == step.count
        assert step.change == len(left & alone) - len(left)
        left &= alone
        assert step.count == len(left)


@settings(max_examples=15, deadline=None)
@given(text=conditions())
def test_the_tree_over_the_leaves_says_what_the_condition_says(snapshot: Snapshot, text: str) -> None:
    condition = parse(text)
    everyone = [f"u{index:05d}" for index in range(len(ROWS))]
    truths = truths_of(snapshot, condition, [*everyone, "nobody"])
    assert set(truths) == set(everyone)
    assert all(len(found) == len(leaves_of(condition)) for found in truths.values())
    assert {user for user, found in truths.items() if holds(condition, found)} == users_of(snapshot, text)


def test_a_tag_that_the_snapshot_lacks_is_refused(snapshot: Snapshot) -> None:
    with pytest.raises(RefusedError, match="has no tag height"):
        measure_funnel(snapshot, parse("height > 1"))


def test_nobody_at_all_gives_no_shares_above_zero(tmp_path: Path) -> None:
    with make_snapshot(tmp_path, TYPES, []) as empty:
        (step,) = measure_funnel(empty, parse("age > 1"))
    assert (step.count, step.unknown, step.unknown_share, step.rule) == (0, 0, 0.0, "only")
