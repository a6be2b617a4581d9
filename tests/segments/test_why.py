from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from limner_profile.errors import UnknownNameError
from limner_profile.predicates import Predicate, parse
from limner_profile.snapshots import Snapshot
from limner_segments.conditions import parse_condition
from limner_segments.flips import Fact, World, nearest, smallest_flips
from limner_segments.leaves import holds, leaves_of
from limner_segments.why import _fulfils, explain, explain_membership
from limner_segments.why_words import standing_words, why_sentence
from segments.small import make_catalog, make_snapshot
from segments.test_audience import ROWS, TYPES, conditions


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with make_snapshot(tmp_path_factory.mktemp("state"), TYPES, ROWS) as opened:
        yield opened


def trees(names: int) -> st.SearchStrategy[str]:
    leaves = st.integers(0, names - 1).map(lambda number: f"x{number} = 1")
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: " and ".join(f"({part})" for part in parts)),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: " or ".join(f"({part})" for part in parts)),
            inner.map(lambda one: f"not ({one})"),
        ),
        max_leaves=8,
    )


def free_facts(condition: Predicate) -> list[Fact]:
    """A fact for each name, which may be either way."""
    groups: dict[str, list[int]] = {}
    for leaf in leaves_of(condition):
        groups.setdefault(leaf.condition.to_text(), []).append(leaf.number)
    worlds = {
        key: tuple(World(flag, dict.fromkeys(group, flag)) for flag in (True, False)) for key, group in groups.items()
    }
    return [Fact(key, tuple(group), worlds[key]) for key, group in groups.items()]


@settings(max_examples=150, deadline=None)
@given(text=trees(6), state=st.lists(st.booleans(), min_size=6, max_size=6))
def test_no_smaller_set_of_leaves_turns_the_condition(text: str, state: list[bool]) -> None:
    condition = parse(text)
    facts = free_facts(condition)
    now = {f"x{number} = 1": flag for number, flag in enumerate(state)}
    leaves = [leaf.condition.to_text() for leaf in leaves_of(condition)]
    truths = [now[leaf] for leaf in leaves]
    member = holds(condition, truths)

    def turned(flipped: tuple[str, ...]) -> bool:
        return holds(condition, [now[leaf] != (leaf in flipped) for leaf in leaves]) != member

    keys = [fact.key for fact in facts]
    by_size = [
        {frozenset(flipped) for flipped in combinations(keys, size) if turned(flipped)} for size in range(len(keys) + 1)
    ]
    smallest = next((found for found in by_size if found), set())
    flips = smallest_flips(condition, truths, facts, member)
    assert flips.exact
    found = [frozenset(way) for way in flips.ways]
    assert set(found) <= smallest
    assert bool(found) == bool(smallest)
    if not flips.more:
        assert set(found) == smallest


VALUES: dict[str, list[Any]] = {
    "age": [None, -2.0, -1.0, 0.0, 1.0, 17.9, 18.0, 18.1, 89.0, 90.0, 91.0],
    "city": [None, "", "上海", "Oslo", "O'Neil", "elsewhere"],
    "member": [None, True, False],
}


@settings(max_examples=25, deadline=None)
@given(text=conditions(), row=st.integers(0, len(ROWS) - 1))
def test_the_values_told_really_turn_membership_and_fewer_tags_do_not(snapshot: Snapshot, text: str, row: int) -> None:
    condition = parse(text)
    why = explain_membership(snapshot, condition, f"u{row:05d}")
    present = dict(zip(TYPES, ROWS[row], strict=True))
    assert why.values == {name: present[name] for name in sorted(condition.fields())}
    types = {"age": "DOUBLE", "city": "VARCHAR", "member": "BOOLEAN"}

    def member(values: dict[str, Any]) -> bool:
        row = "SELECT " + ", ".join(f"CAST(? AS {types[name]}) AS {name}" for name in types)
        sql = condition.to_sql(exp.column).sql(dialect="duckdb")
        return bool(snapshot.value(f"SELECT coalesce({sql}, false) FROM ({row})", [values[name] for name in types]))

    assert why.member == member(present)
    for way in why.flips.ways:
        changed = dict(present)
        for key, asked in way.items():
            value = nearest(why.facts[key], asked).value
            known = {"age": 5.0, "city": "elsewhere", "member": True}  # which one does not matter where any will do
            changed[key] = known[key] if isinstance(value, str) and value.startswith("\0") else value
        assert member(changed) != why.member
    fewest = len(why.flips.ways[0]) if why.flips.ways else len(TYPES) + 1
    for names in (names for size in range(min(fewest, 3)) for names in combinations(TYPES, size)):
        for values in product(*(VALUES[name] for name in names)):
            assert member({**present, **dict(zip(names, values, strict=True))}) == why.member


def told(text: str, values: dict[str, Any], types: dict[str, str], language: str = "en", **more: Any) -> str:
    condition = parse(text)
    truths = [_fulfils(leaf.condition, values[next(iter(leaf.condition.fields()))]) for leaf in leaves_of(condition)]
    why = explain(condition, truths, values, types, "u1", **more)
    catalog = make_catalog(dict.fromkeys(types, "number"))
    return why_sentence(why, "zh" if language == "zh" else "en", catalog)


@pytest.mark.parametrize(
    ("text", "values", "types", "en", "zh"),
    [
        ("n >= 5", {"n": 2}, {"n": "BIGINT"}, "the n: 3 more (5 instead of 2)", "某n：再多 3（由 2 到 5）"),
        ("n > 5", {"n": 2}, {"n": "BIGINT"}, "the n: 4 more (6 instead of 2)", "某n：再多 4（由 2 到 6）"),
        ("n > 5", {"n": 2.5}, {"n": "DOUBLE"},
         "the n: more than 2.5 more (above 5 instead of 2.5)", "某n：再多超过 2.5（由 2.5 到 高于 5）"),
        ("n < 5", {"n": 9}, {"n": "BIGINT"}, "the n: 5 fewer (4 instead of 9)", "某n：再少 5（由 9 到 4）"),
        ("n > 5", {"n": 5.0}, {"n": "DOUBLE"}, "the n: above 5 instead of 5", "某n：由 5 变为高于 5"),
        ("n between 3 and 6", {"n": None}, {"n": "BIGINT"}, "the n: 3 (unknown now)", "某n：3（现为未知）"),
        ("n is unknown", {"n": 4}, {"n": "BIGINT"}, "the n: become unknown", "某n：变为未知"),
        ("c = 'Oslo'", {"c": "Bern"}, {"c": "VARCHAR"}, "the c: Oslo instead of Bern", "某c：由Bern变为Oslo"),
        ("c = 'Oslo'", {"c": "Oslo"}, {"c": "VARCHAR"}, "the c: anything but Oslo", "某c：不是Oslo的其他值"),
        ("c is unknown", {"c": None}, {"c": "VARCHAR"}, "the c: any known value", "某c：任意已知值"),
        ("n is known", {"n": None}, {"n": "BIGINT"}, "the n: any known value", "某n：任意已知值"),
        ("not (b is unknown)", {"b": None}, {"b": "BOOLEAN"}, "the b: any known value", "某b：任意已知值"),
        ("b = true", {"b": False}, {"b": "BOOLEAN"}, "the b: yes instead of no", "某b：由否变为是"),
        ("d >= date '2025-02-10'", {"d": date(2025, 2, 8)}, {"d": "DATE"},
         "the d: 2 days later (2025-02-10 instead of 2025-02-08)", "某d：再晚 2 天（由 2025-02-08 到 2025-02-10）"),
    ],
)  # fmt: skip
def test_by_how_much_in_both_languages(
    text: str, values: dict[str, Any], types: dict[str, str], en: str, zh: str
) -> None:
    assert en in told(text, values, types)
    assert zh in told(text, values, types, "zh")


def test_one_value_decides_all_tests_of_a_tag() -> None:
    # Two leaves are wrong, yet one value puts both right; and leaving takes only one step over the nearer end.
    types = {"n": "BIGINT"}
    assert "16 more (18 instead of 2)" in told("n >= 18 and n != 2 and n < 60", {"n": 2}, types)
    assert "1 fewer (17 instead of 18)" in told("n >= 18 and n < 60", {"n": 18}, types)


def test_what_contradicts_itself_cannot_be_joined() -> None:
    assert "no change of these values" in told("n > 5 and n < 3", {"n": 2}, {"n": "BIGINT"})
    assert "无论如何变化" in told("n > 5 and n < 3", {"n": 2}, {"n": "BIGINT"}, "zh")


def test_a_count_is_never_made_negative() -> None:
    assert "become unknown" in told("n >= 0", {"n": 2}, {"n": "BIGINT"}, counting=["n"])


def test_a_wide_condition_is_answered_and_says_that_it_is_not_exact() -> None:
    text = " and ".join(f"(a{n} = 1 and b{n} = 1 or b{n} = 2 and a{(n + 1) % 30} = 2 or c{n} = 1)" for n in range(30))
    condition = parse(text)
    facts = free_facts(condition)
    flips = smallest_flips(condition, [False] * len(leaves_of(condition)), facts, False)
    assert flips.ways
    long = parse(" and ".join(f"a{n} = 1" for n in range(2000)))
    many = smallest_flips(long, [False] * 2000, free_facts(long), False)
    assert (many.exact, len(many.ways), len(many.ways[0])) == (True, 1, 2000)


def test_the_place_of_each_test_and_what_helps(snapshot: Snapshot) -> None:
    row = ROWS.index([18.0, "Oslo", None])
    why = explain_membership(snapshot, parse("age >= 18 and not (city = 'Oslo' or member = true)"), f"u{row:05d}")
    assert [(test.leaf.place, test.leaf.under, test.met, test.helps, test.unknown) for test in why.tests] == [
        ("1", ("and",), True, True, False),
        ("2.1", ("and", "not", "or"), True, False, False),
        ("2.2", ("and", "not", "or"), False, True, True),
    ]
    assert not why.member
    assert [set(way) for way in why.flips.ways] == [{"city"}]


def test_a_user_without_a_profile_is_named(snapshot: Snapshot) -> None:
    with pytest.raises(UnknownNameError, match="no user 'u9999'"):
        explain_membership(snapshot, parse("age > 1"), "u9999")


@pytest.mark.parametrize(
    ("text", "zone", "said"),
    [
        ("at <= date '2025-01-28'", "Asia/Shanghai", "to join: the at: 3 days earlier (2025-01-28 instead of 2025-01-31)."),
        ("at <= date '2025-01-28'", "Asia/Tokyo", "to join: the at: 4 days earlier (2025-01-28 instead of 2025-02-01)."),
        ("at = date '2025-01-31'", "Asia/Shanghai", "to leave: the at: 1 day earlier (2025-01-30 instead of 2025-01-31)."),
        ("at > date '2025-01-31' and at is known", "UTC", "to join: the at: 1 day later (2025-02-01 instead of 2025-01-31)."),
        ("not (at between date '0001-01-01' and date '9999-12-31')", "UTC", "to join: the at: become unknown."),
    ],
)  # fmt: skip
def test_of_a_time_the_local_day_is_told(text: str, zone: str, said: str) -> None:
    condition, moment = parse(text), datetime.fromisoformat("2025-01-31 15:59:59")
    day = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()
    truths = [_fulfils(leaf.condition, day) for leaf in leaves_of(condition)]
    why = explain(condition, truths, {"at": moment}, {"at": "TIMESTAMP"}, "u1", timezone=ZoneInfo(zone))
    assert why.tests[0].values == {"at": moment}
    assert why_sentence(why, "en", make_catalog({"at": "time"})).endswith(said)


def test_a_time_of_a_snapshot_is_told_by_the_zone_of_its_workspace(tmp_path: Path) -> None:
    with make_snapshot(tmp_path, {"at": "time"}, [["2025-01-02 03:04"], [None]]) as opened:
        why, unknown = (
            explain_membership(opened, parse("at >= date '2025-01-03'"), user) for user in ("u00000", "u00001")
        )
    catalog = make_catalog({"at": "time"})
    assert why_sentence(why, "en", catalog).endswith("the at: 1 day later (2025-01-03 instead of 2025-01-02).")
    assert why_sentence(unknown, "zh", catalog).startswith("u00001 不属于该人群。进入所需最小变化：某at：")


def test_a_time_beyond_the_calendar_is_told_without_guessing_at_values(tmp_path: Path) -> None:
    with make_snapshot(tmp_path, {"at": "time"}, [["290000-01-01 00:00:00"]]) as opened:
        why = explain_membership(opened, parse("at <= date '2025-01-03' and at is known"), "u00000")
    assert "begin to fulfil: the at is on or before 2025-01-03." in why_sentence(
        why, "en", make_catalog({"at": "time"})
    )


def test_the_last_day_of_the_calendar_has_none_after_it() -> None:
    # Which day comes next was asked for, and there is none.
    assert told("born <= date '9999-12-31'", {"born": date(2000, 1, 1)}, {"born": "DATE"}).endswith(
        "born: become unknown."
    )


RANKS: list[list[Any]] = [[350.0], [10.0], [None], [350.0], [40.0], [900.0], [7.0]]


@pytest.mark.parametrize(
    ("text", "user", "en", "zh"),
    [
        ("in_top(n, 2)", 4, "rank 4 of 6; the 2nd has 350", "第 4 名，共 6 人；第 2 名为 350"),
        ("in_top(n, percent => 50)", 0, "rank 3 of 6; the 3rd has 350", "第 3 名，共 6 人；第 3 名为 350"),
        ("in_bottom(n, 1)", 1, "rank 2 of 6 from the lowest; the 1st has 7", "由低到高第 2 名，共 6 人；第 1 名为 7"),
        ("in_percentile(n, 50, 84)", 1, "rank 2 of 6 from the lowest; the 4th to the 5th are in, the 5th has 350",
         "由低到高第 2 名，共 6 人；第 4 至第 5 名入选，第 5 名为 350"),
        ("in_percentile(n, 0, 1)", 1, "rank 2 of 6 from the lowest; no place is in",
         "由低到高第 2 名，共 6 人；无入选名次"),
        ("in_top(n, 99)", 2, "no rank among 6; the 6th has 7", "在 6 人中无排名；第 6 名为 7"),
    ],
)  # fmt: skip
def test_the_rank_and_where_the_places_end(tmp_path: Path, text: str, user: int, en: str, zh: str) -> None:
    catalog = make_catalog({"n": "number"})
    with make_snapshot(tmp_path, {"n": "number"}, RANKS) as opened:
        why = explain_membership(opened, parse_condition(text), f"u{user:05d}")
    standing = why.tests[0].standing
    assert standing is not None
    assert standing_words(standing, "en", catalog.words("n", "en")) == en
    assert standing_words(standing, "zh", catalog.words("n", "zh")) == zh
    assert f"({en})" in why_sentence(why, "en", catalog)
    assert f"（{zh}）" in why_sentence(why, "zh", catalog)


@settings(max_examples=30, deadline=None)
@given(
    call=st.one_of(
        st.tuples(st.sampled_from(["in_top(n, {})", "in_bottom(n, {})"]), st.integers(1, 9)),
        st.tuples(
            st.sampled_from(["in_top(n, percent => {})", "in_bottom(n, percent => {})"]),
            st.sampled_from([0.1, 10, 12.5, 33.3, 50, 87.5, 99.9]),
        ),
        st.tuples(st.sampled_from(["in_percentile(n, 20, {})", "in_percentile(n, 0, {})"]), st.integers(21, 100)),
    ),
    user=st.integers(0, len(RANKS) - 1),
)
def test_a_user_is_in_where_the_rank_is_among_the_places(ranks: Snapshot, call: tuple[str, float], user: int) -> None:
    why = explain_membership(ranks, parse_condition(call[0].format(call[1])), f"u{user:05d}")
    standing = why.tests[0].standing
    assert standing is not None
    assert why.member == (standing.rank is not None and standing.first <= standing.rank <= standing.last)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with make_snapshot(tmp_path_factory.mktemp("ranks"), {"n": "number"}, RANKS) as opened:
        yield opened
