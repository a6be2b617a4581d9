"""The predicate parser: what it accepts, and where and how it complains."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from limner_profile.errors import ConditionError
from limner_profile.predicates import Compare, Known, parse
from limner_profile.predicates.base import MAX_DEPTH

ACCEPTED: list[tuple[str, str]] = [
    ("a=1", "a = 1"),
    ("a == 1 OR a<>2", "a = 1 or a != 2"),
    ("Not A Is UnKnown", "not (A is unknown)"),
    ("not not a is known", "not (not (a is known))"),
    ("a = 1 and (b = 2 and c = 3)", "a = 1 and b = 2 and c = 3"),
    ("(a = 1 and b = 2) or c = 3", "a = 1 and b = 2 or c = 3"),
    ("a = 1 and (b = 2 or c = 3)", "a = 1 and (b = 2 or c = 3)"),
    ("a between -1 and 1e3 and b = TRUE", "a between -1 and 1000 and b = true"),
    (
        "a = 1 INCLUDE_UNKNOWN or b not in (1,2) include_unknown",
        "a = 1 include_unknown or b not in (1, 2) include_unknown",
    ),
    ("a in ('x', 'x', 'it''s')", "a in ('x', 'it''s')"),
    ('"a b" = .5 and "plain" = 1 and "in" = 2', '"a b" = 0.5 and plain = 1 and "in" = 2'),
    ("城市 = '北京'", "城市 = '北京'"),
    ("date >= date '2025-01-31'", "date >= date '2025-01-31'"),
    ("\n  a = 1\n  and b = 2\n", "a = 1 and b = 2"),
    ("a = 'and or not'", "a = 'and or not'"),
    ("a = 5.", "a = 5"),
    ("order_count = 1 and android = 2", "order_count = 1 and android = 2"),
]


@pytest.mark.parametrize(("text", "canonical"), ACCEPTED, ids=[a[0] for a in ACCEPTED])
def test_accepted(text: str, canonical: str) -> None:
    assert parse(text).to_text() == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-2.5", -2.5), ("1e3", 1000), ("1E-2", 0.01), ("true", True), ("'1'", "1"),
     ("date '2024-02-29'", date(2024, 2, 29))],
)  # fmt: skip
def test_the_type_of_a_literal(text: str, value: Any) -> None:
    node = parse(f"x = {text}")
    assert isinstance(node, Compare)
    assert (node.value, type(node.value)) == (value, type(value))


REFUSED: list[tuple[str, int, str, str]] = [
    ("", 1, "the condition is empty", "for example: age >= 18"),
    ("   ", 4, "the condition is empty", "for example"),
    ("city = Beijing", 8, "found the word 'Beijing'", "put text in single quotes: 'Beijing'"),
    ('city = "Beijing"', 8, 'found the name "Beijing"', "use single quotes: 'Beijing'"),
    ("age > income", 7, "found the word 'income'", "a field can be compared with a value, not with another field"),
    ("age = null", 7, "'null' is not a value", "is unknown"),
    ("age is null", 8, "found 'null'", "write age is unknown"),
    ("age is not null", 8, "found 'not'", "write age is known"),
    ("age is not 5", 8, "found 'not'", "write age != 5"),
    ("age is 5", 8, "found '5'", "write age = 5"),
    ("age is unknwon", 8, "found 'unknwon'", "did you mean 'unknown'?"),
    ("age not between 1 and 5", 9, "there is no 'not between'", "write not (age between … and …)"),
    ("age between 5 and 1", 1, "nothing lies between 5 and 1", "age between"),
    ("age between 1 and 'a'", 1, "of one type, not number and text", "age"),
    ("age between 1, 5", 14, "expected 'and', found ','", "write age between 1 and 5"),
    ("age in 1, 2", 8, "expected '(', found '1'", "put the values in brackets: age in ('a', 'b')"),
    ("age in ()", 9, "expected a value, found ')'", "a value is 'text'"),
    ("age in (1, 'a')", 1, "of one type", "age"),
    ("age in (1 2)", 11, "expected ',' or ')', found '2'", "put commas between the values"),
    ("age in (1, 2", 8, "the bracket '(' is never closed", "add ')'"),
    ("age not 5", 9, "expected 'in', found '5'", "write age not in (…)"),
    ("(age = 1 and age = 2", 1, "the bracket '(' is never closed", "add ')'"),
    ("(age = 1))", 10, "found ')'", "there is no open bracket before it"),
    ("(age = 1 age = 2)", 10, "expected 'and', 'or' or ')', found 'age'", "join two conditions with and, or"),
    ("age = 1 age = 2", 9, "found 'age'", "join two conditions with and, or"),
    ("age = 1 andd age = 2", 9, "found 'andd'", "did you mean 'and'?"),
    ("age != 1 include_unkown", 10, "found 'include_unkown'", "did you mean 'include_unknown'?"),
    ("age is known include_unknown", 14, "'include_unknown' says nothing", "leave it out"),
    ("age = 1 and", 12, "expected a field name, found the end", "add a condition behind 'and', or leave it out"),
    ("age = 1 and not", 16, "found the end", "add a condition behind 'not', or leave it out"),
    ("age in (1 and", 11, "expected ',' or ')', found 'and'", "close the bracket with ')' before 'and'"),
    ("age: 5", 4, "cannot read ':'", "at_least => 2"),
    ("and age = 1", 1, "expected a field name, found 'and'", 'in double quotes: "and"'),
    ("5 < age", 1, "expected a field name, found '5'", "the field comes first"),
    ("vip", 4, "expected an operator after 'vip', found the end", "vip = true"),
    ("vip and age = 1", 5, "expected an operator after 'vip', found 'and'", "vip = true"),
    ("city contains 'B'", 6, "found 'contains'", "use like '%…%'"),
    ("city lik 'B%'", 6, "found 'lik'", "did you mean 'like'?"),
    ("city like Berlin", 11, "found the word 'Berlin'", "single quotes: 'Berlin'"),
    ("age like 5", 10, "a pattern is text in single quotes, not '5'", "write age like 'Be%'"),
    ("city like 'a\\b'", 11, "a backslash stands before %, _ or another backslash", "city like"),
    ("city like '50\\'", 11, "a backslash stands before %, _ or another backslash", "city like"),
    ("city not like 'a%' escape '!'", 20, "there is no 'escape'", "write \\% and \\_"),
    ("city not lik 'a%'", 10, "expected 'in', found 'lik'", "write city not in"),
    ("age betwen 1 and 2", 5, "found 'betwen'", "did you mean 'between'?"),
    ("city = 'abc", 8, "the quote ' is never closed", "written twice"),
    ("city = ‘abc’", 8, "cannot read '‘'", "use the straight quote '"),
    ("age ≥ 5", 5, "cannot read '≥'", "use >="),
    ("age = 1 && vip = true", 9, "cannot read '&'", "use and"),
    ("age = 1; drop table users", 8, "cannot read ';'", "one condition only"),
    ("age = 5abc", 7, "cannot read '5abc' as a number", "write text in single quotes: '5abc'"),
    ("age = 1.2.3", 7, "cannot read '1.2.3' as a number", "single quotes"),
    ("age = 10%", 9, "cannot read '%'", "write a share"),
    ("age + 1 = 2", 5, "cannot read '+'", "no arithmetic"),
    ("day = date '2025-02-30'", 7, "is not a day of the calendar", "day ="),
    ("day = date '2025-1-3'", 7, "is not a date of the form YYYY-MM-DD", "day ="),
    ("age = 99999999999999999999", 7, "too large for 64 bits", "age"),
    ("age = 1e999", 7, "not finite", "age"),
    (f"age = {'9' * 5000}", 7, "too large for 64 bits", "age"),
    ("(not ()", 7, "expected a field name, found ')'", "for example"),
    ("age = 'a\x00b'", 7, "NUL", "age"),
]


@pytest.mark.parametrize(("text", "at", "message", "hint"), REFUSED, ids=[repr(r[0][:30]) for r in REFUSED])
def test_refused(text: str, at: int, message: str, hint: str) -> None:
    with pytest.raises(ConditionError) as raised:
        parse(text, "w", fields={"age", "income", "city", "vip", "day"})
    [issue] = raised.value.issues
    assert (issue.code, issue.where) == ("bad-condition", f"w:{at}")
    assert message in issue.message
    assert hint in issue.hint


def test_an_unknown_field_gets_the_nearest_name_and_a_caret() -> None:
    with pytest.raises(ConditionError) as raised:
        parse("城市 = '北京' and agee > 1", "w", thing="tag", fields=["age", "城市"])
    [issue] = raised.value.issues
    assert (issue.code, issue.where, issue.message) == ("unknown-tag", "w:15", "unknown tag 'agee'")
    # Each of the four Chinese characters takes two columns on a terminal.
    assert issue.hint == f"did you mean 'age'?\n    城市 = '北京' and agee > 1\n    {' ' * 18}^^^^"


@pytest.mark.parametrize(
    ("text", "position", "where"),
    [
        ("a = b", None, "f:5"),
        ("a = 1\nand b = c", None, "f:2:9"),
        ("a = b", (7, 12), "f:7:16"),
        ("a = 1\nand b = c", (7, 12), "f:8:20"),
    ],
)
def test_the_place_of_an_error(text: str, position: tuple[int, int] | None, where: str) -> None:
    with pytest.raises(ConditionError) as raised:
        parse(text, "f", position=position)
    assert raised.value.issues[0].where == where


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = " and ".join(["age = 1"] * 100) + " and age = x"
    with pytest.raises(ConditionError) as raised:
        parse(text)
    _, line, carets = raised.value.issues[0].hint.split("\n")
    assert len(line) <= 104
    assert line[carets.index("^")] == "x"


@pytest.mark.parametrize("opening", ["(", "not ", "not (", "(x is known or y is known and "])
def test_deep_nesting_is_refused_in_words(opening: str) -> None:
    with pytest.raises(ConditionError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse(opening * 5000 + "x is known")


def test_the_deepest_allowed_nesting_goes_through_every_form() -> None:
    tree = parse("not (" * (MAX_DEPTH // 2) + "x is known" + ")" * (MAX_DEPTH // 2))
    assert sum(isinstance(node, Known) for node in tree.walk()) == 1
    assert parse(tree.to_text()) == tree
    sql = tree.to_sql(exp.column).sql("duckdb")
    assert sql.count("NOT COALESCE") == MAX_DEPTH // 2
    assert sqlglot.parse_one(sql, dialect="duckdb").sql("duckdb") == sql


def test_a_long_flat_condition_is_fine() -> None:
    text = " or ".join(f"x = {i}" for i in range(3000))
    assert parse(text).to_text() == text
    assert parse(text).to_sql(exp.column).sql("duckdb").count(" OR ") == 2999
