"""Predicates: examples run in DuckDB, injection, sentences, checks, dictionaries, the call seam."""

from __future__ import annotations

import doctest
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Literal, cast

import duckdb
import numpy as np
import pytest
import sqlglot
from pydantic import ValidationError
from sqlglot import exp

from limner_profile.errors import ConditionError, UnknownNameError
from limner_profile.predicates import (
    PREDICATES,
    AllOf,
    AnyOf,
    Between,
    CallKind,
    Compare,
    Example,
    FieldType,
    FieldWords,
    Known,
    Language,
    Not,
    OneOf,
    Parser,
    Predicate,
    all_of,
    load,
    parse,
    parser,
    values,
    words,
)
from limner_profile.predicates import base as predicate_base
from limner_profile.predicates.base import Column, Words
from limner_profile.registry import Registry


def column(name: str) -> exp.Expression:
    return exp.column(name, quoted=True)


def matching(predicate: Predicate, rows: tuple[Mapping[str, Any], ...]) -> set[int]:
    """The indices of the rows that DuckDB lets through."""
    names = list(rows[0])
    types = {name: next(_type(row[name]) for row in rows if row[name] is not None) for name in names}
    columns = ", ".join(f"{exp.to_identifier(name, quoted=True).sql('duckdb')} {types[name]}" for name in names)
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t (i INTEGER, {columns})")
        marks = ", ".join("?" * (len(names) + 1))
        con.executemany(f"INSERT INTO t VALUES ({marks})", [[i, *row.values()] for i, row in enumerate(rows)])
        found = con.execute(f"SELECT i FROM t WHERE {predicate.to_sql(column).sql('duckdb')}").fetchall()
    return {i for (i,) in found}


def _type(value: object) -> str:
    by_type = {bool: "BOOLEAN", int: "INTEGER", float: "DOUBLE", str: "VARCHAR", date: "DATE", datetime: "TIMESTAMP"}
    return by_type[type(value)]


# Higher floors add their kinds to the registry where they have been imported: those have tests of their own.
OWN = [(word, cls) for word, cls in PREDICATES if cls.__module__.startswith("limner_profile.")]
EXAMPLES = [(word, example) for word, cls in OWN for example in cls.EXAMPLES]


def test_every_kind_of_the_language_is_registered_with_examples() -> None:
    assert {"compare", "one_of", "between", "known", "like", "all_of", "any_of", "not"} <= set(PREDICATES.words())
    for word, cls in OWN:
        assert cls.model_fields["kind"].default == word
        assert cls.EXAMPLES, word


@pytest.mark.parametrize(("word", "example"), EXAMPLES, ids=[f"{w}: {e.text}" for w, e in EXAMPLES])
def test_example_matches_its_rows(word: str, example: Example) -> None:
    predicate = parse(example.text)
    assert predicate.kind == word
    assert matching(predicate, example.rows) == example.matches
    assert parse(predicate.to_text()) == predicate


NASTY = ["'; DROP TABLE t; --", "it's", "\\", "\\'", "a\nb", '"', "x' OR '1'='1", "$$", "{0}", "%s", "北京", ""]


LIKE_SQL = [
    ("s like 'Be%'", "\"s\" LIKE 'Be%'", "`s` LIKE 'Be%'"),
    ("s not ilike '%a_'", "NOT (\"s\" ILIKE '%a_')", "NOT (`s` ILIKE '%a_')"),
    ("s like '5\\%'", "\"s\" LIKE '5\\%' ESCAPE '\\'", "`s` LIKE '5\\\\%' ESCAPE '\\\\'"),
    ("s like 'a%' include_unknown", "COALESCE(\"s\" LIKE 'a%', TRUE)", "COALESCE(`s` LIKE 'a%', TRUE)"),
]


@pytest.mark.parametrize(("text", "duck", "spark"), LIKE_SQL, ids=[row[0] for row in LIKE_SQL])
def test_like_in_both_engines(text: str, duck: str, spark: str) -> None:
    tree = parse(text).to_sql(column)
    assert (tree.sql("duckdb"), tree.sql("spark")) == (duck, spark)
    for dialect in ("duckdb", "spark"):
        assert sqlglot.parse_one(tree.sql(dialect), dialect=dialect).sql(dialect) == tree.sql(dialect)


def test_a_pattern_is_checked_against_type_and_known_values() -> None:
    types: dict[str, FieldType] = {"city": "category", "n": "number"}
    cities = {"city": ["Bergen", "Oslo"]}
    assert parse("city like 'O%'").check(types, "w", cities) == []
    assert parse("city ilike 'o%'").check(types, "w", cities) == []
    [issue] = parse("city not like 'Osla%'").check(types, "w", cities)
    assert (issue.code, issue.message) == ("unknown-value", "no value of 'city' fits 'Osla%'")
    assert issue.hint == "did you mean 'Oslo'?"
    [issue] = parse("n like '1%'").check(types, "w")
    assert (issue.code, issue.message) == ("wrong-type", "'n' is a number, and 'like' compares text")
    [issue] = parse("citi like '1%'").check(types, "w")
    assert (issue.code, issue.hint) == ("unknown-field", "did you mean 'city'?")


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_a_string_stays_one_literal(text: str, dialect: str) -> None:
    predicate = OneOf(field="s", values=(text, "other"))
    tree = sqlglot.parse_one(predicate.to_sql(column).sql(dialect), dialect=dialect)
    assert isinstance(tree, exp.In)
    assert [node.this for node in tree.expressions] == [text, "other"]
    assert parse(predicate.to_text()) == predicate


@pytest.mark.parametrize("text", NASTY)
def test_a_string_finds_itself_in_duckdb(text: str) -> None:
    assert matching(Compare(field="odd \"na'me", operator="=", value=text), ({"odd \"na'me": text + "x"},)) == set()
    assert matching(Compare(field="odd \"na'me", operator="=", value=text), ({"odd \"na'me": text},)) == {0}


def test_a_column_that_is_an_expression_keeps_together() -> None:
    def spend(_: str) -> exp.Expression:
        return cast("exp.Expression", sqlglot.parse_one("a OR b"))

    assert Compare(field="x", operator="=", value=True).to_sql(spend).sql("duckdb") == "(a OR b) = TRUE"
    assert Known(field="x", known=False).to_sql(spend).sql("duckdb") == "(a OR b) IS NULL"
    plain = parse("x < 1").to_sql(lambda _: exp.Sum(this=exp.column("y")))
    assert plain.sql("duckdb") == "SUM(y) < 1"


def test_the_column_is_not_moved_out_of_the_callers_tree() -> None:
    shared = exp.column("x")
    owner = exp.Paren(this=shared)
    parse("x = 1 or x = 2").to_sql(lambda _: shared)
    assert shared.parent is owner


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (12.0, "12"),
        (-5, "-5"),
        (0.1, "0.1"),
        (0.30000000000000004, "0.30000000000000004e0"),
        (1e-7, "1e-07"),
        (True, "TRUE"),
        (date(2025, 1, 31), "CAST('2025-01-31' AS DATE)"),
        (np.float64(2.5), "2.5"),
        (np.int64(7), "7"),
    ],
)
def test_value_in_sql(value: Any, sql: str) -> None:
    assert Compare(field="x", operator="=", value=value).to_sql(column).sql("duckdb") == f'"x" = {sql}'


@pytest.mark.parametrize("number", [0.30000000000000004, 1 / 3, 1e300, 5e-324, 123456789012345.6, 2**63 - 1, -(2**53)])
def test_a_number_reaches_duckdb_exactly(number: float) -> None:
    assert matching(Compare(field="x", operator="=", value=number), ({"x": float(number)},)) == {0}


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**63, "a\x00b", "\ud800", None, [1], datetime(2025, 1, 1, tzinfo=UTC)]
)
def test_a_value_that_is_no_literal_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Compare(field="x", operator="=", value=value)


def test_groups_flatten_and_collapse() -> None:
    a, b, c = (Known(field=name, known=True) for name in "abc")
    assert (
        AllOf(parts=(a, AllOf(parts=(b, c))))
        == AllOf(parts=(a, b, c))
        == parse("a is known and (b is known and c is known)")
    )
    assert AnyOf(parts=(AnyOf(parts=(a, b)), c)).parts == (a, b, c)
    assert parse("((a is known))") == a == all_of([a])
    with pytest.raises(ValidationError, match="at least two"):
        AllOf(parts=(a,))


def test_walk_and_fields() -> None:
    tree = parse("a = 1 and not (b is known or a in (2))")
    assert [node.kind for node in tree.walk()] == ["all_of", "compare", "not", "any_of", "known", "one_of"]
    assert tree.fields() == {"a", "b"}


SENTENCES: list[tuple[str, str, str]] = [
    ("days >= 12", "days since last login is at least 12 days", "距上次登录天数 不少于 12 天"),
    ("city in ('bj', 'sh')", "city is 北京 or 上海", "城市 是 北京 或 上海"),
    ("gender is unknown", "gender is unknown", "性别 未知"),
    ("city not in ('bj', 'sh', 'gz')", "city is none of 北京, 上海 and gz", "城市 不属于 北京、上海 和 gz"),
    ("city != 'bj' include_unknown", "city is not 北京 (or is unknown)", "城市 不是 北京（含未知）"),
    ("vip = true", "has a card: yes", "持卡：是"),
    ("vip != true", "has a card: no", "持卡：否"),
    ("days between 1.0 and 5", "days since last login is from 1 to 5 days", "距上次登录天数 在 1 到 5 天之间"),
    ("days > 12000", "days since last login is above 12,000 days", "距上次登录天数 大于 12,000 天"),
    ("day >= date '2025-01-31'", "birthday is on or after 2025-01-31", "生日 不早于 2025-01-31"),
    ("seen <= date '2025-01-31'", "last seen is on or before 2025-01-31", "最近访问 不晚于 2025-01-31"),
    (
        "(days > 1 or vip = true) and city = 'bj'",
        "(days since last login is above 1 days or has a card: yes) and city is 北京",
        "（距上次登录天数 大于 1 天 或 持卡：是） 且 城市 是 北京",
    ),
    (
        "city = 'bj' and vip = true or gender is known",
        "(city is 北京 and has a card: yes) or gender is known",
        "（城市 是 北京 且 持卡：是） 或 性别 已知",
    ),
    (
        "city in ('bj', 'sh') and gender is known",
        "city is 北京 or 上海, and gender is known",
        "城市 是 北京 或 上海，且 性别 已知",
    ),
    ("not (city = 'bj')", "not (city is 北京)", "不满足（城市 是 北京）"),
    ("city like 'b%'", "city starts with b", "城市 以「b」开头"),
    ("city not like 'b%'", "city does not start with b", "城市 不以「b」开头"),
    ("city like '%j'", "city ends with j", "城市 以「j」结尾"),
    ("city ilike '%5\\%%'", "city contains 5% in any case", "城市 包含「5%」（不分大小写）"),
    ("city like 'b_%'", "city matches the pattern 'b_%'", "城市 符合模式「b_%」"),
    (
        "city not like '% ' include_unknown",
        "city does not end with ' ' (or is unknown)",
        "城市 不以「 」结尾（含未知）",
    ),
]
TYPES: dict[str, FieldType] = {
    "days": "number", "city": "category", "gender": "category", "vip": "boolean", "day": "date", "seen": "time",
}  # fmt: skip
TITLES: dict[str, dict[Language, str]] = {
    "days": {"en": "days since last login", "zh": "距上次登录天数"},
    "city": {"en": "city", "zh": "城市"},
    "gender": {"en": "gender", "zh": "性别"},
    "vip": {"en": "has a card", "zh": "持卡"},
    "day": {"en": "birthday", "zh": "生日"},
    "seen": {"en": "last seen", "zh": "最近访问"},
}


@pytest.mark.parametrize(("text", "english", "chinese"), SENTENCES, ids=[s[0] for s in SENTENCES])
def test_sentence(text: str, english: str, chinese: str) -> None:
    def named(language: Language) -> Words:
        unit = {"en": "days", "zh": "天"}[language]
        cities = {"bj": "北京", "sh": "上海"}
        return lambda name: FieldWords(TITLES[name][language], unit if name == "days" else "", cities)

    assert parse(text).to_sentence("en", named("en")) == english
    assert parse(text).to_sentence("zh", named("zh")) == chinese


CHECKS: list[tuple[str, list[tuple[str, str]]]] = [
    ("days >= 12 and city = 'bj' and vip = true and day > date '2025-01-01' and seen < date '2025-01-01'", []),
    ("gendr >= 12", [("unknown-tag", "did you mean 'gender'?")]),
    ("zzzzzz is known", [("unknown-tag", "known tag names: city, day, days, gender, seen, vip")]),
    ("days = '12'", [("wrong-type", "write a number without quotes, like 12 or 0.5")]),
    ("city in (1, 2)", [("wrong-type", "write text in single quotes, like 'abc'")] * 2),
    ("vip = 'true'", [("wrong-type", "write true or false")]),
    ("seen > '2025-01-01'", [("wrong-type", "write a date like date '2025-01-31'")]),
    ("city < 'm'", [("wrong-type", "use =, != or in (…)")]),
    ("city between 'a' and 'b'", [("wrong-type", "use =, != or in (…)")]),
    ("city = 'bei'", [("unknown-value", "did you mean 'beij'?")]),
    ("not (gendr = 1 or vip = 1)", [("unknown-tag", "did you mean 'gender'?"), ("wrong-type", "write true or false")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CHECKS, ids=[c[0] for c in CHECKS])
def test_check(text: str, expected: list[tuple[str, str]]) -> None:
    issues = parse(text).check(TYPES, "s.yaml:3:4", {"city": ["bj", "beij"]}, thing="tag")
    assert [(issue.code, issue.hint) for issue in issues] == expected
    assert all(issue.where == "s.yaml:3:4" for issue in issues)


def test_a_dictionary_goes_through_json() -> None:
    tree = parse("a = date '2025-01-31' and not (b in ('2025-01-31', 'x') or c between 0.5 and 2) and d is known")
    dumped = json.loads(json.dumps(tree.model_dump()))
    assert dumped["parts"][0]["value"] == {"date": "2025-01-31"}
    assert load(dumped) == tree
    assert json.loads(tree.model_dump_json()) == dumped


@pytest.mark.parametrize(
    ("tree", "where", "message"),
    [
        ({"kind": "compare", "field": "x"}, "s.operator", "Field required"),
        ({"kind": "known", "field": "x", "known": 1}, "s.known", "valid boolean"),
        ({"kind": "known", "field": "", "known": True}, "s.field", "may not be empty"),
        ({"kind": "between", "field": "x", "low": 5, "high": 1}, "s", "nothing lies between 5 and 1"),
        ({"kind": "between", "field": "x", "low": 5, "high": "a"}, "s", "number and text"),
        ({"kind": "one_of", "field": "x", "values": []}, "s.values", "is empty"),
        ({"kind": "compare", "field": "x", "operator": "=", "value": {"date": "2025-02-30"}}, "s.value", "calendar"),
        ({"field": "x"}, "s", "mapping with a 'kind'"),
    ],
)
def test_a_bad_dictionary_is_the_users_fault(tree: dict[str, Any], where: str, message: str) -> None:
    with pytest.raises(ConditionError) as raised:
        load(tree, "s")
    assert (raised.value.code, raised.value.issues[0].where) == ("bad-condition", where)
    assert message in raised.value.issues[0].message


def test_a_dictionary_of_an_unknown_kind_or_depth() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'compare'"):
        load({"kind": "compere"})
    with pytest.raises(ConditionError, match="did you mean 'negated'"):
        load({"kind": "one_of", "field": "x", "values": [1], "negatd": True})
    deep: dict[str, Any] = {"kind": "known", "field": "x", "known": True}
    for _ in range(5000):
        deep = {"kind": "not", "part": deep}
    with pytest.raises(ConditionError, match="nested deeper"):
        load(deep)


CALLS: Registry[CallKind] = Registry("condition")


@CALLS.kind("did")
class Did(Predicate):
    """A call kind such as segments add."""

    kind: Literal["did"] = "did"
    event: str
    where: Predicate | None = None
    FIELDS: ClassVar[set[str]] = {"amount"}

    @classmethod
    def read_call(cls, parser: Parser) -> Predicate:
        event = str(parser.value())
        where = None
        if parser.accept(","):
            parser.expect("where")
            where = parser.inner("column", cls.FIELDS)
        parser.expect(")")
        return cls(event=event, where=where)

    def to_sql(self, column: Column) -> exp.Expression:
        return column(self.event)

    def to_text(self) -> str:
        return f"did('{self.event}'{f', where {self.where.to_text()}' if self.where else ''})"

    def to_sentence(self, language: Language, words: Words) -> str:
        return self.event


def test_a_call_kind_is_read_where_it_is_allowed() -> None:
    tree = parse(
        "a = 1 and not DID('buy', where amount > 5 or amount is unknown) or (did('x'))", fields={"a"}, calls=CALLS
    )
    assert tree.to_text() == "a = 1 and not (did('buy', where amount > 5 or amount is unknown)) or did('x')"
    assert parse(tree.to_text(), calls=CALLS) == tree


@pytest.mark.parametrize(
    ("text", "code", "where", "hint"),
    [
        ("a = 1 and dit('x')", "unknown-condition", "where:11", "did you mean 'did'?"),
        ("zzz('x')", "unknown-condition", "where:1", "known: did"),
        ("did('x', where amont > 1)", "unknown-column", "where:16", "did you mean 'amount'?"),
        ("did('x', where did('y'))", "unknown-condition", "where:16", "write a column"),
        ("did('x', where amount > 1) and amount = 1", "unknown-tag", "where:32", "known tag names: a"),
        ("did(x)", "bad-condition", "where:5", "put text in single quotes: 'x'"),
    ],
)
def test_errors_around_calls(text: str, code: str, where: str, hint: str) -> None:
    with pytest.raises(ConditionError) as raised:
        parse(text, thing="tag", fields={"a"}, calls=CALLS)
    issue = raised.value.issues[0]
    assert (issue.code, issue.where) == (code, where)
    assert issue.hint.startswith(hint)


def test_without_call_kinds_a_call_is_an_error() -> None:
    with pytest.raises(ConditionError) as raised:
        parse("did('x')")
    assert raised.value.code == "unknown-condition"


@pytest.mark.parametrize("module", [predicate_base, parser, values, words])
def test_doctests(module: Any) -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_negation_and_between_hold_in_filter_clauses() -> None:
    rows = ", ".join(["(1)", "(7)", "(NULL)"])
    for predicate, count in [(Not(part=Between(field="n", low=1, high=5)), 2), (Between(field="n", low=1, high=5), 1)]:
        sql = predicate.to_sql(column).sql("duckdb")
        found = duckdb.execute(f"SELECT count(*) FILTER ({sql}) FROM (VALUES {rows}) AS t(n)").fetchall()
        assert found == [(count,)]
