"""The kinds that need no events: examples in DuckDB, round trips, positions of mistakes, sentences."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_profile.errors import ConditionError, UserError
from limner_profile.predicates import FieldWords, Not, Predicate, all_of, any_of, load
from limner_segments.conditions import CALLS, parse_condition
from limner_segments.conditions.base import SetExample, UserSet, Vocabulary, user_sets
from limner_segments.conditions.in_bottom import InBottom
from limner_segments.conditions.in_list import InList
from limner_segments.conditions.in_percentile import InPercentile
from limner_segments.conditions.in_sample import InSample
from limner_segments.conditions.in_split import InSplit
from limner_segments.conditions.in_top import InTop
from limner_segments.conditions.like_segment import LikeSegment
from limner_segments.conditions.salted import share_of, share_of_user
from segments.conditions.sets import found, profiles, scope

EXAMPLES = [
    (word, example)
    for word in ("in_top", "in_bottom", "in_percentile", "in_sample", "in_split")
    for example in getattr(CALLS.get(word), "SET_EXAMPLES", ())
]


@pytest.mark.parametrize(("word", "example"), EXAMPLES, ids=[example.text for _, example in EXAMPLES])
def test_example_finds_its_users(word: str, example: SetExample) -> None:
    tree = parse_condition(example.text)
    assert word in {node.kind for node in user_sets(tree)}
    with profiles(example.profiles) as connection:
        assert found(connection, tree) == set(example.matches)
        assert found(connection, Not(part=tree)) == set(example.profiles) - example.matches


def test_every_kind_has_examples() -> None:
    assert {word for word, _ in EXAMPLES} == {"in_top", "in_bottom", "in_percentile", "in_sample", "in_split"}


def ranked_oracle(users: dict[str, float | None]) -> list[str]:
    """Users with a value, lowest first, equal ones by id."""
    return [user for _, user in sorted((value, user) for user, value in users.items() if value is not None)]


VALUES = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5, -3.0])), min_size=1, max_size=25)


@given(values=VALUES, count=st.integers(1, 30), percent=st.sampled_from([0.1, 1, 10, 33.3, 50, 66.7, 99, 99.9]))
@settings(max_examples=60, deadline=None)
def test_top_and_bottom_are_exact_and_complete(values: list[float | None], count: int, percent: float) -> None:
    users = {f"u{at:02}": value for at, value in enumerate(values)}
    order = ranked_oracle(users)
    with profiles({user: {"v": value} for user, value in users.items()}) as connection:
        assert found(connection, InTop(tag="v", count=count)) == set(order[max(0, len(order) - count) :])
        assert found(connection, InBottom(tag="v", count=count)) == set(order[:count])
        top = found(connection, InTop(tag="v", percent=percent))
        rest = found(connection, parse_condition(f"in_percentile(v, 0, {round(100 - percent, 1)})"))
        assert abs(len(top) - len(order) * percent / 100) <= 0.5
        assert top | rest == set(order)
        assert not top & rest
        assert top == set(order[len(order) - len(top) :])


@given(values=VALUES, cuts=st.sets(st.sampled_from([0.5, 10, 12.5, 20, 33.3, 50, 75, 90, 99.5]), max_size=5))
@settings(max_examples=60, deadline=None)
def test_adjoining_percentiles_part_everybody_with_a_value(values: list[float | None], cuts: set[float]) -> None:
    users = {f"u{at:02}": value for at, value in enumerate(values)}
    order = ranked_oracle(users)
    ends = [0, *sorted(cuts), 100]
    with profiles({user: {"v": value} for user, value in users.items()}) as connection:
        for low, high in itertools.pairwise(ends):
            inside = {u for at, u in enumerate(order) if low <= 100 * (at + 0.5) / len(order) < high}
            assert found(connection, InPercentile(tag="v", low=low, high=high)) == inside


RANKED = {
    "few": "i % 7 - 3",
    "whole": "CASE WHEN i % 5 > 0 THEN CAST(i * 7919 % 900 AS BIGINT) END",
    "real": "CASE WHEN i % 50 < 4 THEN (['nan'::DOUBLE, 'inf', '-inf', '-0'])[i % 50 + 1] WHEN i % 50 = 5 THEN 0.0 "
    "ELSE i * 31 % 997 / 7.0 END",
    "money": "CAST(i * 31 % 997 / 7.0 AS DECIMAL(12, 2))",
    "day": "DATE '2024-01-01' + CAST(i * i % 400 AS INTEGER)",
    "moment": "TIMESTAMP '2024-12-31 22:00:00' + to_minutes(i * 7 % 1000)",
    "one": "CASE WHEN i = 1234 THEN 5 END",
    "never": "CAST(NULL AS DOUBLE)",
}  # fmt: skip


@pytest.mark.parametrize("tag", RANKED)
def test_percentiles_are_those_of_the_window_function(tag: str) -> None:
    """Values of every type that has an order, with many ties: the places are those of everybody in order."""
    ends = [0, 0.001, 0.01, 1, 10, 14.3, 25, 33.333, 50, 66.7, 99.9, 99.99, 100]
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE profiles AS SELECT 'u' || i AS user_id, {RANKED[tag]} AS v FROM range(5003) AS t(i) ORDER BY hash(i)"
        )
        order = [
            user
            for (user,) in connection.execute(
                "SELECT user_id FROM profiles WHERE v IS NOT NULL ORDER BY v, user_id"
            ).fetchall()
        ]
        for low, high in [*itertools.pairwise(ends), (0, 33.333), (10, 100), (0, 100)]:
            inside = {user for at, user in enumerate(order) if low <= 100 * (at + 0.5) / len(order) < high}
            condition = InPercentile(tag="v", low=low, high=high)
            assert found(connection, condition) == inside
            assert len(found(connection, Not(part=condition))) == 5003 - len(inside)


USERS = [f"user-{number}" for number in range(20_000)]


@pytest.fixture(scope="module")
def crowd() -> Any:
    with profiles({}) as connection:
        connection.execute("INSERT INTO profiles SELECT 'user-' || i FROM range(20000) AS t(i)")
        yield connection


def test_sql_and_python_draw_the_same_number(crowd: Any) -> None:
    for salt in ("spring", "it's; -- 春"):
        rows = crowd.execute(f"SELECT user_id, {share_of(salt).sql('duckdb')} FROM profiles").fetchall()
        assert dict(rows) == {user: share_of_user(salt, user) for user in USERS}
        assert all(0 <= share < 1 for _, share in rows)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1 / 3])
def test_a_sample_has_its_share_and_nests(crowd: Any, share: float) -> None:
    drawn = found(crowd, InSample(salt="spring", share=share))
    assert drawn == {user for user in USERS if share_of_user("spring", user) < share}
    deviation = (len(USERS) * share * (1 - share)) ** 0.5
    assert abs(len(drawn) - len(USERS) * share) < 5 * deviation
    assert drawn < found(crowd, InSample(salt="spring", share=share * 1.5))
    other = found(crowd, InSample(salt="autumn", share=share))
    assert abs(len(drawn & other) - len(USERS) * share**2) < 5 * (len(USERS) * share**2) ** 0.5


@pytest.mark.parametrize("named", [{"of": 2}, {"of": 3}, {"of": 7}, {"shares": "80/20"}, {"shares": "1/1/0.5/97.5"}])
def test_a_split_parts_everybody(crowd: Any, named: dict[str, Any]) -> None:
    count = named.get("of") or named["shares"].count("/") + 1
    parts = [InSplit(salt="spring", part=part, **named) for part in range(1, count + 1)]
    sizes = [float(size) for size in named["shares"].split("/")] if "shares" in named else [1.0] * count
    members = [found(crowd, part) for part in parts]
    assert sum(map(len, members)) == len(USERS)
    assert set().union(*members) == set(USERS)
    for size, part in zip(sizes, members, strict=True):
        share = size / sum(sizes)
        assert abs(len(part) - len(USERS) * share) < 5 * (len(USERS) * share * (1 - share)) ** 0.5


def test_a_halved_split_is_the_sample_of_a_half(crowd: Any) -> None:
    assert found(crowd, "in_split('x', 1, of => 2)") == found(crowd, "in_sample('x', 0.5)")


NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8),
    st.sampled_from(["and", "城市", "it's", 'a"b', "a b"]),
)
PERCENTS = st.one_of(st.integers(1, 99), st.floats(0.001, 99.9).map(lambda number: round(number, 3)))
COUNTS = st.integers(1, 10**9)


@st.composite
def percentiles(draw: st.DrawFn) -> InPercentile:
    low, high = sorted(draw(st.lists(PERCENTS, min_size=2, max_size=2, unique=True)))
    return InPercentile(tag=draw(NAMES), low=low, high=high)


@st.composite
def splits(draw: st.DrawFn) -> InSplit:
    sizes = draw(st.lists(st.one_of(st.integers(1, 99), st.sampled_from(["0.5", "33.3"])), min_size=2, max_size=5))
    part = draw(st.integers(1, len(sizes)))
    if draw(st.booleans()):
        return InSplit(salt=draw(NAMES), part=part, of=len(sizes))
    return InSplit(salt=draw(NAMES), part=part, shares="/".join(map(str, sizes)))


SETS: st.SearchStrategy[Predicate] = st.one_of(
    st.builds(InTop, tag=NAMES, count=COUNTS),
    st.builds(InTop, tag=NAMES, percent=PERCENTS),
    st.builds(InBottom, tag=NAMES, count=COUNTS),
    st.builds(InBottom, tag=NAMES, percent=PERCENTS),
    percentiles(),
    splits(),
    st.builds(InList, name=NAMES),
    st.builds(LikeSegment, segment=NAMES, top=COUNTS),
    st.builds(InSample, salt=NAMES, share=st.floats(0.001, 0.999)),
)
TREES = st.recursive(
    SETS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
        st.builds(Not, part=inner),
    ),
    max_leaves=6,
)


@given(tree=TREES)
@settings(max_examples=120, deadline=None)
def test_text_tree_and_yaml_round_trip(tree: Predicate) -> None:
    text = tree.to_text()
    assert parse_condition(text) == tree
    assert parse_condition(text).to_text() == text
    assert load(tree.model_dump()) == tree
    again = load(yaml.safe_load(yaml.safe_dump(json.loads(tree.model_dump_json()))))
    assert (again, again.to_text()) == (tree, text)


REFUSED = [
    ("in_top()", 1, "in_top() needs the tag whose values rank the users", "for example: in_top(spend, 1000)"),
    ("in_top(spend)", 1, "takes a number of users or percent => …", "for example in_top(spend, 1000)"),
    ("in_top(spend, 5, percent => 5)", 1, "takes a number of users or percent => …", ""),
    ("in_top(spend, 0)", 1, "a whole number above 0, not 0", ""),
    ("in_top(spend, 2.5)", 1, "a whole number above 0, not 2.5", ""),
    ("in_top(spend, '5')", 15, "count is a number, not '5'", "for example 3"),
    ("in_top('spend', 5)", 8, "expected a tag name, found 'spend'", ""),
    ("in_top(spend, percnt => 5)", 15, "unknown argument 'percnt' of in_top()", "did you mean 'percent'?"),
    ("in_top(spend, percent => 100)", 1, "percent lies above 0 and below 100, not 100", ""),
    ("in_botom(spend, 5)", 1, "unknown condition 'in_botom()'", "did you mean 'in_bottom'?"),
    ("in_percentile(spend, 20, 10)", 1, "the lower percentile comes first, not 20 and then 10", ""),
    ("in_percentile(spend, 90, 101)", 1, "a percentage lies from 0 to 100, not 101", ""),
    (
        "in_percentile(spend, 90)",
        1,
        "in_percentile() needs the percentile below which",
        "in_percentile(spend, 90, 100)",
    ),
    ("in_split('x', 1)", 1, "in_split() takes of => how many equal parts, or shares", ""),
    ("in_split('x', 4, of => 3)", 1, "there is no part 4 of 3", ""),
    ("in_split('x', 1, of => 1)", 1, "there are 2 to 1,000 parts, not 1", ""),
    ("in_split('x', 3, shares => '80/20')", 1, "there is no part 3 of 2", ""),
    ("in_split('x', 1, shares => '80-20')", 1, "shares are numbers above 0 with strokes between", "50/30/20"),
    ("in_split('x', 1, shares => '80/0')", 1, "shares are numbers above 0 with strokes between", ""),
    ("in_split('', 1, of => 2)", 1, "the salt is empty", ""),
    ("in_sample('x', 1.5)", 1, "a share lies above 0 and below 1, not 1.5", "write 0.1 for 10 %"),
    ("in_split('x', 1, of = 3)", 21, "expected '=>' after 'of', found '='", "write of => 3"),
    ("did('order', at_least=2)", 22, "expected '=>' after 'at_least', found '='", "write at_least => 2"),
    ("did('visit', at_least >= 2)", 23, "expected '=>' after 'at_least', found '>='", "write at_least => 2"),
    ("did('visit') > 3", 14, "found '>'", "a call takes its limits inside, as in at_least => 4"),
    ("n = 1 or (did('visit') < 3)", 24, "found '<'", "a call takes its limits inside, as in at_most => 4"),
    ("did('visit', at_least => 2 and", 28, "found 'and'", "close the bracket with ')' before 'and'"),
    ("did('visit', at_least => 2) and", 32, "found the end", "add a condition behind 'and'"),
    ("in_sample('x' 0.1)", 15, "expected ',' or ')', found '0.1'", ""),
    ("n = 1 and in_top(spnd, 5)", 18, "unknown tag 'spnd'", "did you mean 'spend'?"),
]


@pytest.mark.parametrize(("text", "at", "message", "hint"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(text: str, at: int, message: str, hint: str) -> None:
    with pytest.raises(ConditionError) as raised:
        parse_condition(text, "w", {"spend", "n"})
    [issue] = raised.value.issues
    assert issue.where == f"w:{at}"
    assert message in issue.message
    assert hint in issue.hint


@pytest.mark.parametrize(
    ("tree", "where", "message", "hint"),
    [
        ({"kind": "in_top", "tag": "a"}, "where", "in_top() takes a number of users", "for example in_top(a, 1000)"),
        ({"kind": "in_top", "tag": "a", "cuont": 3}, "where.cuont", "Extra inputs are not permitted", "'count'?"),
        ({"kind": "in_split", "salt": "", "part": 1, "of": 2}, "where.salt", "the salt is empty", "a word of its own"),
        ({"kind": "in_splitt"}, "where", "unknown condition-kind 'in_splitt'", "did you mean 'in_split'?"),
    ],
)
def test_a_tree_that_is_wrong(tree: dict[str, Any], where: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as raised:
        load(tree)
    issue = raised.value.issues[0]
    assert issue.where == where
    assert message in issue.message
    assert "|" not in issue.message
    assert hint in issue.hint


def test_complaints_name_the_nearest_tag_and_refuse_tags_without_order() -> None:
    vocabulary = Vocabulary({"spend": "number", "city": "category", "seen": "time", "vip": "boolean", "day": "date"})

    def complaints(text: str) -> list[tuple[str, str]]:
        [node] = user_sets(parse_condition(text))
        return [(issue.code, issue.hint) for issue in node.complaints(vocabulary, "w")]

    for text in ("in_top(spend, 5)", "in_bottom(seen, percent => 5)", "in_percentile(day, 0, 5)"):
        assert complaints(text) == []
    assert complaints("in_top(spendd, 5)") == [("unknown-tag", "did you mean 'spend'?")]
    for text in ("in_top(city, 5)", "in_percentile(vip, 0, 5)"):
        assert complaints(text) == [("wrong-type", "name a tag that is a number, a date or a time")]


SENTENCES = [
    ("in_top(spend, 1000)", "among the 1,000 users with the highest total spend", "属于 总消费 最高的 1,000 位用户"),
    ("in_bottom(spend, 1)", "among the user with the lowest total spend", "属于 总消费 最低的 1 位用户"),
    ("in_top(spend, percent => 0.5)", "in the top 0.5 % by total spend", "属于 总消费 最高的 0.5% 用户"),
    (
        "in_percentile(spend, 10, 21)",
        "between the 10th and the 21st percentile of total spend",
        "总消费 处于第 10 至第 21 百分位",
    ),
    ("in_sample('spring', 0.1)", "in a random 10 % of users (spring)", "在随机 10% 用户中（spring）"),
    ("in_split('s', 2, of => 3)", "in part 2 of 3 equal random parts (s)", "在随机均分 3 组的第 2 组中（s）"),
    (
        "in_split('s', 2, shares => '80/20')",
        "in part 2 of a random split 80/20 (s)",
        "在按 80/20 随机分组的第 2 组中（s）",
    ),
]


@pytest.mark.parametrize(("text", "english", "chinese"), SENTENCES, ids=[row[0] for row in SENTENCES])
def test_sentences(text: str, english: str, chinese: str) -> None:
    tree = parse_condition(text)
    assert tree.to_sentence("en", lambda _: FieldWords("total spend")) == english
    assert tree.to_sentence("zh", lambda _: FieldWords("总消费")) == chinese


def test_the_tags_of_a_ranking_count_as_fields() -> None:
    assert parse_condition("in_top(a, 1) and in_percentile(b, 0, 1) and in_sample('s', 0.5)").fields() == {"a", "b"}


@pytest.mark.parametrize("text", ["'; DROP TABLE profiles; --", 'a"b', "it's", "\\", "{0}"])
def test_no_text_of_a_user_reaches_sql_as_text(text: str) -> None:
    users = {f"u{number}": {text: float(number)} for number in range(6)}
    with profiles({}) as connection:
        name = '"' + text.replace('"', '""') + '"'
        connection.execute(f"ALTER TABLE profiles ADD COLUMN {name} DOUBLE")
        rows = [[user, tags[text]] for user, tags in users.items()]
        random.Random(7).shuffle(rows)
        connection.executemany("INSERT INTO profiles VALUES (?, ?)", rows)
        assert found(connection, InTop(tag=text, count=2)) == {"u4", "u5"}
        drawn = {user for user in users if share_of_user(text, user) < 0.5}
        assert found(connection, InSample(salt=text, share=0.5)) == drawn


def test_a_set_is_compiled_in_a_scope_only() -> None:
    from sqlglot import exp

    from limner_profile.errors import InternalError

    node = parse_condition("in_top(a, 1)")
    assert isinstance(node, UserSet)
    assert "profiles" in node.in_scope(scope()).sql("duckdb")
    with pytest.raises(InternalError, match="compiled for an audience only"):
        node.to_sql(lambda name: exp.column(name))
