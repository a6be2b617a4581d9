"""Funnels against an oracle that walks through every attempt in Python, and the definitions in funnels/*.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_profile.errors import DefinitionError
from limner_profile.predicates.parser import parse
from limner_profile.tags.acts import Acts
from limner_segments.audience import audience_query
from limner_segments.conditions import parse_condition
from limner_segments.conditions.scope import Scope
from limner_segments.funnel_definition import check_events, read_funnels, steps_of
from limner_segments.funnels import Step, funnel_query
from segments.small import make_workspace

BERLIN = ZoneInfo("Europe/Berlin")
# Two days after the clocks went forward; an as_of that is no midnight.
AS_OF = datetime(2025, 4, 1, 10, tzinfo=UTC)
SPRING = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)
ACTS = tuple[str, datetime, str]


def oracle(acts: Sequence[ACTS], steps: Sequence[Step], *, strict: bool = False) -> dict[str, Any]:
    """The answer by walking from every first step of every user, one act after another."""
    best: dict[str, list[datetime]] = {}
    hopeful = set()
    for user in sorted({act[0] for act in acts}):
        mine = sorted((time, event) for who, time, event in acts if who == user and time < AS_OF)
        taken = [[time for time, event in mine if event in step.acts.events] for step in steps]
        for start in sorted(set(taken[0])):
            chain, ended = [start], False
            for number in range(1, len(steps)):
                after = [time for time in taken[number] if time > chain[-1]]
                found = min(after, default=None)
                if strict:
                    foreign = [
                        time for each in range(len(steps)) if each not in (number - 1, number) for time in taken[each]
                    ]
                    between = [time for time in foreign if chain[-1] < time and (found is None or time < found)]
                    if between:
                        ended = True
                        break
                if found is None or not inside(start, found, steps[number].within):
                    break
                chain.append(found)
            if not ended and all(open_still(start, step.within) for step in steps[len(chain) :]):
                hopeful.add(user)
            if len(chain) > len(best.get(user, [])):
                best[user] = chain
    total = len(steps)
    told: dict[str, Any] = {"open": sum(len(best[user]) < total for user in hopeful)}
    for number in range(1, total + 1):
        there = [chain for chain in best.values() if len(chain) >= number]
        told[f"users_{number}"] = len(there)
        if number > 1:
            lengths = [(chain[number - 1] - chain[number - 2]) // timedelta(microseconds=1) for chain in there]
            told[f"median_{number}"] = median(lengths) if lengths else None
    return told


def inside(start: datetime, moment: datetime, within: str | None) -> bool:
    if within is None:
        return True
    hours = int(within[:-1]) * (24 if within.endswith("d") else 1)
    return moment <= start + timedelta(hours=hours)


def open_still(start: datetime, within: str | None) -> bool:
    return inside(start, AS_OF, within)


def run(
    acts: Sequence[ACTS], steps: Sequence[Step], *, strict: bool = False, since: datetime | None = None
) -> dict[str, Any]:
    query = funnel_query(parse("known_user = true"), steps, Scope(AS_OF, BERLIN), strict_order=strict, since=since)
    names, found = run_sql(acts, query.sql(dialect="duckdb"))
    row = dict(zip(names, found[0], strict=True))
    assert row.pop("users") == len({act[0] for act in acts}) + 1
    return row


CONNECTION = duckdb.connect(config={"threads": 1})  # one for all: opening it takes longer than a question


def run_sql(acts: Sequence[ACTS], query: str) -> tuple[list[str], list[Any]]:
    """Columns and rows of a query over these acts and those of a user who is not in the audience."""
    users = sorted({act[0] for act in acts})
    rows = [*acts, ("stranger", AS_OF - timedelta(days=1), "a")]
    CONNECTION.execute("CREATE OR REPLACE TABLE profiles (user_id VARCHAR, known_user BOOLEAN)")
    CONNECTION.execute("CREATE OR REPLACE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR)")
    CONNECTION.execute(
        f"INSERT INTO profiles VALUES ('idle', true), ('stranger', false) {', (?, true)' * len(users)}", users
    )
    CONNECTION.execute(
        f"INSERT INTO events VALUES {', '.join(['(?, ?, ?)'] * len(rows))}",
        [value for user, time, event in rows for value in (user, time.replace(tzinfo=None), event)],
    )
    cursor = CONNECTION.execute(query)
    return [column[0] for column in cursor.description or ()], cursor.fetchall()


def at(text: str) -> datetime:
    """A local time in Berlin as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def step(events: str, within: str | None = None) -> Step:
    return Step(events, Acts(tuple(events)), within)


# Hours around the change of the clocks and around as_of, with ties and instants a microsecond beside each other.
MOMENTS = st.builds(
    lambda hours, beside: SPRING + timedelta(hours=hours, microseconds=beside),
    st.one_of(st.integers(0, 6), st.integers(-96, 60)),
    st.sampled_from([0, 0, 0, 1, -1]),
)
BEHAVIOUR = st.lists(st.tuples(st.sampled_from(["u1", "u2", "u3"]), MOMENTS, st.sampled_from("abc")), max_size=20)
WINDOWS = st.sampled_from([None, "1d", "2d", "1h", "24h", "25h", "3h"])
STEPS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "ab", "bc"]), WINDOWS), min_size=2, max_size=4)


@settings(max_examples=50, deadline=None)
@given(BEHAVIOUR, STEPS, st.booleans())
def test_the_query_counts_as_the_oracle_does(
    acts: list[ACTS], drawn: list[tuple[str, str | None]], strict: bool
) -> None:
    steps = [step(events, within if number else None) for number, (events, within) in enumerate(drawn)]
    assert run(acts, steps, strict=strict) == oracle(acts, steps, strict=strict)


def reached(acts: Sequence[tuple[str, str]], steps: Sequence[Step], *, strict: bool = False, **more: Any) -> int:
    """How many steps the one user takes."""
    row = run([("u1", at(time), event) for time, event in acts], steps, strict=strict, **more)
    return sum(row[f"users_{number}"] for number in range(1, len(steps) + 1))


def test_a_later_attempt_counts_where_the_first_fails() -> None:
    acts = [("2025-03-01 10:00", "a"), ("2025-03-10 10:00", "a"), ("2025-03-11 10:00", "b"), ("2025-03-12 10:00", "c")]
    assert reached(acts, [step("a"), step("b", "7d"), step("c", "7d")]) == 3
    assert reached(acts[:1] + acts[2:], [step("a"), step("b", "7d"), step("c", "7d")]) == 1


@pytest.mark.parametrize("within", ["7d", "168h"])
def test_windows_end_to_the_instant_across_a_change_of_clocks(within: str) -> None:
    # Seven days of 24 hours after 15:00 winter time it is 16:00 summer time.
    steps = [step("a"), step("b", within)]
    first = ("2025-03-24 15:00", "a")
    assert reached([first, ("2025-03-31 16:00:00", "b")], steps) == 2
    assert reached([first, ("2025-03-31 16:00:00.000001", "b")], steps) == 1


def test_acts_of_one_instant_do_not_follow_each_other() -> None:
    day = "2025-03-01 00:00"
    assert reached([(day, "a"), (day, "b")], [step("a"), step("b")]) == 1
    assert reached([(day, "a"), ("2025-03-01 00:00:00.000001", "b")], [step("a"), step("b")]) == 2
    assert reached([(day, "a")], [step("a"), step("a")]) == 1
    assert reached([(day, "a"), ("2025-03-01 00:01", "a")], [step("a"), step("a")]) == 2


def test_strict_order_ends_an_attempt_at_a_foreign_step_and_lets_the_same_one_repeat() -> None:
    steps = [step("a"), step("b"), step("c")]
    detour = [
        ("2025-03-01 10:00", "a"),
        ("2025-03-01 11:00", "c"),
        ("2025-03-01 12:00", "b"),
        ("2025-03-01 13:00", "c"),
    ]
    assert reached(detour, steps) == 3
    assert reached(detour, steps, strict=True) == 1
    repeated = [
        ("2025-03-01 10:00", "a"),
        ("2025-03-01 11:00", "a"),
        ("2025-03-01 12:00", "b"),
        ("2025-03-01 12:30", "b"),
    ]
    assert reached([*repeated, ("2025-03-01 13:00", "c")], steps, strict=True) == 3


@settings(max_examples=30, deadline=None)
@given(BEHAVIOUR, WINDOWS)
def test_two_steps_count_those_who_match_the_sequence(acts: list[ACTS], within: str | None) -> None:
    limit = f", within => '{within}'" if within else ""
    same = parse_condition(f"sequence('a', step('b', 'c'{limit}))")
    query = audience_query(same, Scope(AS_OF, BERLIN)).sql(dialect="duckdb")
    steps = [step("a"), step("bc", within)]
    assert run(acts, steps)["users_2"] == len(run_sql(acts, query)[1])


def test_first_steps_before_since_begin_nothing() -> None:
    acts = [("2025-03-01 10:00", "a"), ("2025-03-02 10:00", "b")]
    assert reached(acts, [step("a"), step("b")], since=at("2025-03-01 10:00")) == 2
    assert reached(acts, [step("a"), step("b")], since=at("2025-03-01 10:01")) == 0


def test_who_may_still_finish_is_told() -> None:
    steps = [step("a"), step("b", "2d")]
    assert run([("u1", at("2025-03-30 12:00"), "a")], steps)["open"] == 1
    assert run([("u1", at("2025-03-30 11:59"), "a")], steps)["open"] == 0
    assert run([("u1", at("2025-03-31 00:00"), "a"), ("u1", at("2025-03-31 09:00"), "b")], steps)["open"] == 0


def test_in_strict_order_nobody_may_finish_after_a_foreign_step() -> None:
    steps = [step("a"), step("b", "2d"), step("c", "2d")]
    begun = ("u1", at("2025-03-31 00:00"), "a")
    assert run([begun], steps, strict=True)["open"] == 1
    assert run([begun, ("u1", at("2025-03-31 09:00"), "c")], steps, strict=True)["open"] == 0
    assert run([begun, ("u1", at("2025-03-31 09:00"), "c")], steps)["open"] == 1


FUNNELS = """
growth:
  title: {en: growth, zh: 增长}
  stages:
    acquisition: {event: visit}
    activation: {event: [order, visit], where: amount >= 5, window: 7d}
    revenue: {event: order, window: 720h}
"""


def funnel_files(root: Path, text: str) -> Iterator[Any]:
    (root / "funnels").mkdir(parents=True)
    (root / "funnels" / "some.yaml").write_text(text, encoding="utf-8")
    workspace = make_workspace(root)
    return iter(read_funnels(workspace, workspace.schema.event_fields))


def test_a_definition_gives_its_stages_as_steps(tmp_path: Path) -> None:
    funnels, issues = funnel_files(tmp_path, FUNNELS)
    assert issues == []
    steps = funnels["growth"].funnel.steps()
    assert [(one.name, one.acts.events, one.within) for one in steps] == [
        ("acquisition", ("visit",), None),
        ("activation", ("order", "visit"), "7d"),
        ("revenue", ("order",), "720h"),
    ]
    assert steps[1].acts.where is not None
    assert steps[1].acts.where.to_text() == "amount >= 5"
    assert funnels["growth"].funnel.asked_events()[2] == (("stages", "activation", "event", 1), "visit")


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        ("activation:", "activaton:", "6:5", "unknown field 'activaton'", "did you mean 'activation'?"),
        ("window: 7d", "window: 7days", "6:", "not a length of time", "write days as 30d"),
        (
            "acquisition: {event: visit}",
            "acquisition: {event: visit, window: 7d}",
            "5:",
            "unknown field 'window'",
            "event",
        ),
        ("amount >= 5", "amout >= 5", "6:", "unknown field 'amout'", "did you mean 'amount'?"),
    ],
)
def test_mistakes_in_a_definition_are_placed(
    tmp_path: Path, old: str, new: str, place: str, message: str, hint: str
) -> None:
    funnels, issues = funnel_files(tmp_path, FUNNELS.replace(old, new))
    assert funnels == {}
    assert len(issues) == 1
    assert issues[0].where.startswith(f"funnels/some.yaml:{place}")
    assert message in issues[0].message
    assert hint in issues[0].hint


def test_one_stage_is_no_funnel(tmp_path: Path) -> None:
    _, issues = funnel_files(tmp_path, "lonely:\n  stages:\n    acquisition: {event: visit}\n")
    assert "two stages" in issues[0].message


def test_steps_are_named_with_commas_and_misspelt_events_get_the_nearest_name() -> None:
    assert [(one.name, one.within) for one in steps_of("visit, order", "7d")] == [("visit", None), ("order", "7d")]
    for text in ("visit", "visit,,order"):
        with pytest.raises(DefinitionError, match="list of steps"):
            steps_of(text, None)
    with pytest.raises(DefinitionError) as caught:
        check_events(["visit", "oder"], ["visit", "order"], "--steps")
    assert caught.value.issues[0].hint == "did you mean 'order'?"
