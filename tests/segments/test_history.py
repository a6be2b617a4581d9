from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limner_profile.predicates import Predicate
from limner_profile.snapshots import SnapshotStore
from limner_segments.audience_tables import write_audiences
from limner_segments.conditions import parse_condition
from limner_segments.conditions.linking import link
from limner_segments.expectation import Expectation, size_alerts
from limner_segments.history import HistoryPoint, build_alerts, is_stuck, segment_history
from limner_segments.leaves import leaves_of
from limner_segments.moves import Moves
from limner_segments.segment import NamedSegment, Segment
from segments.small import make_catalog

Row = tuple[str, float | None, str | None]
CATALOG = make_catalog({"age": "number", "city": "category"})


def segments_of(texts: Mapping[str, str], expected: Expectation | None = None) -> list[NamedSegment]:
    conditions = {name: parse_condition(text) for name, text in texts.items()}
    return [
        NamedSegment(name, Segment(where=condition, expect=expected), linked=_linked(condition, conditions))
        for name, condition in conditions.items()
    ]


def _linked(condition: Predicate, conditions: Mapping[str, Predicate]) -> Predicate | None:
    linked = link(condition, conditions)
    return linked if linked != condition else None


def publish(
    store: SnapshotStore, day: int, rows: Sequence[Row], texts: Mapping[str, str], expected: Expectation | None = None
) -> dict[str, list[str]]:
    """Publish a snapshot; the words of the alerts of its build."""
    current = store.current_id()
    previous = store.folder / f"{current}.duckdb" if current else None
    segments = segments_of(texts, expected)
    as_of = datetime(2025, 3, 1, tzinfo=UTC) + timedelta(days=day)
    with store.create(as_of, ZoneInfo("UTC"), 20) as writer:
        writer.connection.execute("CREATE TABLE profiles (user_id VARCHAR, age DOUBLE, city VARCHAR)")
        if rows:
            marks = ", ".join(["(?, ?, ?)"] * len(rows))
            writer.connection.execute(f"INSERT INTO profiles VALUES {marks}", [value for row in rows for value in row])
        write_audiences(writer, segments, CATALOG, previous)
        alerts = build_alerts(writer.connection, segments, previous)
    return {name: [alert.words for alert in found] for name, found in alerts.items()}


def row(user: str, age: float | None, city: str | None) -> Row:
    return (user, age, city)


def test_who_moved_and_by_which_condition(tmp_path: Path) -> None:
    store, text = SnapshotStore(tmp_path), {"them": "age >= 18 and city = 'Oslo'"}
    publish(
        store,
        0,
        [row("a", 20, "Oslo"), row("b", 17, "Oslo"), row("c", 30, "Oslo"), row("d", 40, "Oslo"), row("e", 5, "x")],
        text,
    )
    publish(
        store, 1,
        [row("a", 20, "Bern"), row("b", 18, "Oslo"), row("c", None, None), row("e", 5, "x"), row("f", 50, "Oslo")], text,
    )  # fmt: skip
    first, second = segment_history(store, "them")
    assert (first.size, first.change, first.moves) == (3, "first", None)
    assert (second.size, second.change, second.share) == (2, "same", 0.4)
    moves = second.moves
    assert moves is not None
    assert (moves.joined, moves.left, moves.new, moves.gone) == (2, 3, 1, 1)
    assert (moves.joined_by_users, moves.left_by_users, moves.joined_by_definition, moves.left_by_definition) == (
        2,
        3,
        0,
        0,
    )
    assert [(mover.change, mover.place, mover.test, mover.count, mover.alone) for mover in moves.movers] == [
        ("joined", "1", "age >= 18", 1, 1), ("left", "2", "city = 'Oslo'", 2, 1), ("left", "1", "age >= 18", 1, 0),
    ]  # fmt: skip


def test_an_edit_is_told_apart_from_what_users_did(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    publish(
        store, 0, [row("a", 20, "x"), row("b", 25, "x"), row("c", 15, "x"), row("d", 35, "x")], {"them": "age >= 20"}
    )
    publish(
        store, 1, [row("a", 20, "x"), row("b", 10, "x"), row("c", 28, "x"), row("d", 35, "x"), row("e", 21, "x")],
        {"them": "age >= 25"},
    )  # fmt: skip
    _, second = segment_history(store, "them")
    assert (second.change, second.condition_before, second.condition) == ("redefined", "age >= 20", "age >= 25")
    moves = second.moves
    assert moves is not None
    # By their own ages b left, and c and e joined; the edit took out a and, of those who had just joined, e.
    assert (moves.joined, moves.left, moves.size_by_old_definition) == (1, 2, 4)
    assert (moves.joined_by_users, moves.left_by_users, moves.joined_by_definition, moves.left_by_definition) == (
        2,
        1,
        0,
        2,
    )
    assert [(mover.change, mover.test, mover.count) for mover in moves.movers] == [
        ("joined", "age >= 20", 1), ("left", "age >= 20", 1),  # e is new
    ]  # fmt: skip


def test_an_edit_of_an_inner_segment_is_an_edit(tmp_path: Path) -> None:
    store, rows = SnapshotStore(tmp_path), [row("a", 20, "x"), row("b", 30, "x")]
    outer = {"outer": "in_segment('inner') and city = 'x'"}
    publish(store, 0, rows, {"inner": "age >= 10", **outer})
    publish(store, 1, rows, {"inner": "age >= 25", **outer})
    publish(store, 2, [row("a", 20, "x"), row("b", 20, "x")], {"inner": "age >= 25", **outer})
    _, second, third = segment_history(store, "outer")
    assert (second.change, third.change) == ("redefined", "same")
    assert second.moves is not None
    assert (second.moves.left, second.moves.left_by_definition) == (1, 1)
    # The text of the outer one is the same: what was edited is named.
    assert (second.condition_before, second.redefined_segments) == (second.condition, ("inner",))
    assert (third.redefined_segments, second.moves.size_by_old_definition) == ((), 2)
    assert third.moves is not None
    assert third.moves.size_by_old_definition is None
    assert [(mover.test, mover.count) for mover in third.moves.movers] == [("age >= 25", 1)]


def test_an_edit_that_undoes_what_users_did_is_told(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    publish(store, 0, [row("a", 20, "x"), row("b", 25, "x")], {"them": "age >= 20"})
    publish(store, 1, [row("a", 15, "x"), row("b", 15, "x"), row("c", 40, "x")], {"them": "age between 10 and 20"})
    _, second = segment_history(store, "them")
    assert second.moves is not None
    # Nobody moved, and yet the old definition would find c alone.
    assert (second.moves.joined, second.moves.left, second.moves.size_by_old_definition) == (0, 0, 1)
    assert (second.moves.joined_by_users, second.moves.left_by_users) == (1, 2)
    assert (second.moves.joined_by_definition, second.moves.left_by_definition) == (2, 1)
    _, quick = segment_history(store, "them", explain=False)
    assert quick.moves is not None
    assert (quick.moves.size_by_old_definition, quick.moves.joined_by_definition) == (None, None)


def test_an_edited_segment_is_named_through_others(tmp_path: Path) -> None:
    store, rows = SnapshotStore(tmp_path), [row("a", 20, "x"), row("b", 30, "x")]
    through = {"middle": "not (in_segment('inner'))", "outer": "in_segment('middle') or city = 'y'", "else": "age > 1"}
    publish(store, 0, rows, {"inner": "age >= 10", **through})
    publish(store, 1, rows, {"inner": "age >= 25", **through, "else": "age > 2"})
    assert segment_history(store, "outer")[1].redefined_segments == ("inner",)
    assert segment_history(store, "else")[1].redefined_segments == ()


def test_a_list_that_changed_is_named(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    vip, staff = tmp_path / "lists" / "vip.txt", tmp_path / "lists" / "staff.txt"
    store, rows = SnapshotStore(tmp_path / ".limner"), [row(user, 20, "x") for user in "abcde"]
    texts = {"them": "age >= 18 and in_list('vip') and not (in_list('staff'))", "grown": "age >= 18"}
    vip.write_text("a\nb\n")
    staff.write_text("e\n")
    publish(store, 0, rows, texts)
    vip.write_text("b\nc\nd\ne\n")
    publish(store, 1, [*rows[:3], row("d", 10, "x"), rows[4]], texts)
    _, second = segment_history(store, "them")
    assert second.moves is not None
    assert (second.change, second.moves.joined, second.moves.left) == ("same", 1, 1)
    assert second.moves.changed_lists == ("vip",)
    assert second.moves.note == "the list vip changed (2 users)"
    assert [(mover.change, mover.test, mover.count, mover.alone) for mover in second.moves.movers] == [
        ("joined", "in_list('vip')", 1, 1), ("left", "in_list('vip')", 1, 1),
    ]  # fmt: skip
    # Changed again after the last snapshot: what it did in between is told as before.
    vip.write_text("a\n")
    again = segment_history(store, "them")[1].moves
    assert again is not None
    assert (again.changed_lists, again.note) == (("vip",), "the list vip changed (2 users)")
    publish(store, 2, rows, texts)
    vip.unlink()
    assert "unknown list 'vip'" in (segment_history(store, "them")[1].moves or again).note


def test_a_list_that_stayed_is_not_blamed(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "vip.txt").write_text("a\nb\n")
    store, text = SnapshotStore(tmp_path / ".limner"), {"them": "age >= 18 and in_list('vip')"}
    publish(store, 0, [row("a", 20, "x"), row("b", 15, "x")], text)
    publish(store, 1, [row("a", 15, "x"), row("b", 20, "x")], text)
    moves = segment_history(store, "them")[1].moves
    assert moves is not None
    assert (moves.changed_lists, moves.note) == ((), "")
    assert [(mover.test, mover.count) for mover in moves.movers] == [("age >= 18", 1), ("age >= 18", 1)]


def test_snapshots_without_the_segment_are_passed_over(tmp_path: Path) -> None:
    store, rows = SnapshotStore(tmp_path), [row("a", 20, "x")]
    publish(store, 0, rows, {"them": "age >= 18"})
    publish(store, 1, rows, {"others": "age >= 18"})
    publish(store, 2, [], {"them": "age >= 18"})
    found = segment_history(store, "them")
    assert [(point.change, point.before) for point in found] == [("first", None), ("same", found[0].snapshot)]
    assert found[1].moves is not None
    assert (found[1].moves.left, found[1].moves.gone, found[1].moves.movers) == (1, 1, ())
    assert segment_history(store, "nobody") == []
    assert segment_history(SnapshotStore(tmp_path / "none"), "them") == []


def test_what_can_no_longer_be_computed_is_said(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    publish(store, 0, [row("a", 20, "x")], {"them": "age >= 18"})
    publish(store, 1, [row("a", 17, "x")], {"them": "city = 'y'"})
    os.chmod(store.folder / f"{store.ids()[1]}.duckdb", 0o644)
    import duckdb

    with duckdb.connect(str(store.folder / f"{store.ids()[1]}.duckdb")) as connection:
        connection.execute("ALTER TABLE profiles DROP COLUMN age")
    _, second = segment_history(store, "them")
    assert second.moves is not None
    assert (second.moves.left, second.moves.left_by_users) == (1, None)
    assert "has no tag age" in second.moves.note
    _, quick = segment_history(store, "them", explain=False)
    assert quick.moves is not None
    assert (quick.moves.left, quick.moves.movers, quick.moves.note) == (1, (), "not asked for")


users = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.sampled_from([None, 10.0, 20.0, 30.0]), st.sampled_from([None, "x", "y"])),
    max_size=8,
)
TEXTS = [
    "age >= 20", "age >= 20 and city = 'x'", "not (age >= 20 or city = 'x')", "age >= 20 or city != 'y'", "city is unknown",
    "not (age is known and not (city = 'x'))", "age < 20 include_unknown",
]  # fmt: skip


def says(text: str, values: tuple[float | None, str | None]) -> bool:
    """An oracle of its own."""
    age, city = values
    return {
        "age >= 20": age is not None and age >= 20,
        "age >= 20 and city = 'x'": age is not None and age >= 20 and city == "x",
        "not (age >= 20 or city = 'x')": not ((age is not None and age >= 20) or city == "x"),
        "age >= 20 or city != 'y'": (age is not None and age >= 20) or (city is not None and city != "y"),
        "city is unknown": city is None,
        "not (age is known and not (city = 'x'))": not (age is not None and city != "x"),
        "age < 20 include_unknown": age is None or age < 20,
    }[text]


@settings(max_examples=3, deadline=None)
@given(before=users, after=users, edited=st.permutations(TEXTS))
def test_every_move_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Any], after: dict[str, Any], edited: list[str]
) -> None:
    store, names = SnapshotStore(tmp_path_factory.mktemp("moves")), [f"s{number}" for number in range(len(TEXTS))]
    publish(store, 0, [(user, *values) for user, values in before.items()], dict(zip(names, TEXTS, strict=True)))
    publish(store, 1, [(user, *values) for user, values in after.items()], dict(zip(names, edited, strict=True)))
    for name, old, new in zip(names, TEXTS, edited, strict=True):
        first, second = segment_history(store, name)
        check_moves(first, second, old, new, before, after)


def check_moves(
    first: HistoryPoint, second: HistoryPoint, old: str, new: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    was = {user for user, values in before.items() if says(old, values)}
    now = {user for user, values in after.items() if says(new, values)}
    by_old = {user for user, values in after.items() if says(old, values)}
    moves = second.moves
    assert moves is not None
    assert (first.size, second.size, second.change) == (len(was), len(now), "same" if old == new else "redefined")
    assert (moves.joined, moves.left) == (len(now - was), len(was - now))
    assert second.size == first.size + moves.joined - moves.left
    assert (moves.new, moves.gone) == (len(now - was - set(before)), len(was - now - set(after)))
    joined, left = by_old - was, was - by_old
    assert (moves.joined_by_users, moves.left_by_users) == (len(joined), len(left))
    assert (moves.joined_by_definition, moves.left_by_definition) == (len(now - by_old), len(by_old - now))
    assert moves.size_by_old_definition == (None if old == new else len(by_old))
    assert moves.joined_by_users is not None
    assert moves.left_by_users is not None
    assert moves.joined_by_definition is not None
    assert moves.left_by_definition is not None
    # Two steps, each of which adds up.
    assert first.size + moves.joined_by_users - moves.left_by_users == len(by_old)
    assert len(by_old) + moves.joined_by_definition - moves.left_by_definition == second.size
    for change, movers in (("joined", joined & set(before)), ("left", left & set(after))):
        counted = [mover for mover in moves.movers if mover.change == change]
        # Nobody moves unless a test has turned, and whom one test alone moves is counted once.
        assert sum(mover.count for mover in counted) >= len(movers)
        assert all(mover.alone <= mover.count <= len(movers) for mover in counted)
        if len(leaves_of(parse_condition(old))) == 1 and movers:
            assert [(mover.count, mover.alone) for mover in counted] == [(len(movers), len(movers))]


def point(day: int, joined: int = 0, change: str = "same") -> HistoryPoint:
    moves = Moves(joined, 0, joined, 0, 0, 0, 0, 0, (), ())
    return HistoryPoint(f"s{day}", f"2025-03-0{day}", datetime.now(UTC), 5, 0.5, "a = 1", change, None, None, moves)


def test_a_size_that_is_stuck_is_told(tmp_path: Path) -> None:
    days = [replace(point(1), moves=None, change="first"), point(2), point(3), point(4)]
    assert is_stuck(days)
    assert not is_stuck(days[:-1])
    assert not is_stuck([*days[:-1], point(4, joined=1)])
    assert not is_stuck([*days[:-1], point(4, change="redefined")])
    assert not is_stuck([*days[:-1], point(3)])  # another build as of the same day
    store = SnapshotStore(tmp_path)
    for day in range(4):
        publish(store, day, [row("a", 20, "x")], {"them": "age >= 18"})
    assert [[alert.code for alert in found.alerts] for found in segment_history(store, "them")] == [
        [], [], [], ["audience-stale"],
    ]  # fmt: skip


def test_a_size_out_of_its_range_is_told_at_the_build_and_in_the_history(tmp_path: Path) -> None:
    store, expected = SnapshotStore(tmp_path), Expectation(min=2, max=4, change=0.5)
    sizes = [2, 5, 4, 1]
    told = [
        publish(store, day, [row(f"u{n}", 20, "x") for n in range(size)], {"them": "age >= 18"}, expected)
        for day, size in enumerate(sizes)
    ]
    assert told[0] == {}
    assert told[1] == {
        "them": [
            "5 users, and at most 4 are expected",
            "5 users after 2, a change of 150 %, and at most 50 % is expected",
        ]
    }
    assert told[2] == {}
    assert told[3]["them"][0] == "1 user, and at least 2 are expected"
    found = segment_history(store, "them", expected)
    assert [[alert.words for alert in each.alerts] for each in found] == [each.get("them", []) for each in told]
    # After an edit the earlier size is no measure.
    assert publish(store, 9, [row(f"u{n}", 20, "x") for n in range(4)], {"them": "age >= 19"}, expected) == {}


def test_what_may_be_expected() -> None:
    assert [alert.code for alert in size_alerts(Expectation(change=0.3), 1, 0)] == ["audience-out-of-range"]
    assert size_alerts(Expectation(change=0.3), 0, 0) == []
    assert size_alerts(Expectation(change=0.3), 13, 10) == []
    assert size_alerts(None, 13, 10) == []
    for wrong in (
        {},
        {"min": 5, "max": 4},
        {"min": -1},
        {"change": 0},
        {"min": "5"},
        {"change": "0.3"},
        {"least": 5},
        {"min": 1.5},
    ):
        with pytest.raises(ValidationError):
            Expectation.model_validate(wrong)
