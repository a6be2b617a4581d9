"""Lists of users from files: reading, bad rows, merged ids, changes, and what is said about lists that are gone."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from limner_profile.errors import SourceError, UserError
from limner_profile.predicates import FieldWords, load
from limner_segments.conditions import parse_condition
from limner_segments.conditions.base import Vocabulary, user_sets
from limner_segments.conditions.in_list import InList
from limner_segments.conditions.lists import BadRow, list_names, prepared_path, read_list, read_words
from segments.conditions.sets import found, profiles, scope


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / ".limner").mkdir()
    return tmp_path


def write(root: Path, name: str, text: str | bytes) -> None:
    (root / "lists" / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def everyone(root: Path) -> duckdb.DuckDBPyConnection:
    connection = profiles({f"u{number}": {"n": number} for number in range(6)})
    connection.execute("SET GLOBAL file_search_path = ?", [str(root / ".limner")])
    return connection


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vip.txt", "u1\nu3\n"),
        ("vip.txt", "user_id\r\n u1 \r\n\r\nu3\r\nu1\r\nstranger\r\n"),
        ("vip.csv", "user_id\nu1\nu3\n"),
        ("vip.csv", '\ufeffname;user_id\nAnn;u1\n"Bo; b";u3\n'),
    ],
)
def test_a_list_finds_its_users(root: Path, name: str, text: str) -> None:
    write(root, name, text)
    with everyone(root) as connection:
        at = scope(root / ".limner", "s1")
        assert found(connection, "in_list('vip')", at) == {"u1", "u3"}
        assert found(connection, "n > 2 and not (in_list('vip'))", at) == {"u4", "u5"}


def test_bad_rows_are_counted(root: Path) -> None:
    write(root, "vip.csv", "id,user_id\n1,u1\n2,\n3\n4,u1\n\n5,u2,x\n6,\x00\n,\n")
    found_list = read_list(root, "vip")
    assert found_list.users == ("u1",)
    assert (found_list.rows, found_list.repeated) == (6, 1)
    assert found_list.bad == (
        BadRow(3, "missing-user"),
        BadRow(4, "broken-row"),
        BadRow(7, "broken-row"),
        BadRow(8, "broken-row"),
    )
    with everyone(root) as connection:
        found(connection, "in_list('vip')", scope(root / ".limner"))
    words = read_words(root / ".limner" / prepared_path(root, "vip", ""))
    assert words == {"rows": "6", "repeated": "1", "bad": "4"}


def test_a_list_that_changes_is_read_again(root: Path) -> None:
    write(root, "vip.txt", "u1")
    at = scope(root / ".limner", "s1")
    with everyone(root) as connection:
        assert found(connection, "in_list('vip')", at) == {"u1"}
        write(root, "vip.txt", "u2")
        os.utime(root / "lists" / "vip.txt", ns=(1, 1))
        assert found(connection, "in_list('vip')", at) == {"u2"}
        write(root, "vip.txt", "")
        assert found(connection, "in_list('vip')", at) == set()
        assert found(connection, "not (in_list('vip'))", at) == {f"u{number}" for number in range(6)}
    assert len(list((root / ".limner" / "lists").iterdir())) == 3


def test_merged_ids_stand_for_their_user(root: Path) -> None:
    write(root, "vip.txt", "phone-1\nu4")
    with everyone(root) as connection:
        connection.execute("CREATE TABLE identities AS SELECT 'phone-1' AS id, 'u2' AS user_id")
        assert found(connection, "in_list('vip')", scope(root / ".limner", "s1")) == {"u2", "u4"}
        connection.execute("UPDATE identities SET user_id = 'u3'")
        assert found(connection, "in_list('vip')", scope(root / ".limner", "s2")) == {"u3", "u4"}


def test_a_list_that_is_gone_is_named_with_the_nearest(root: Path) -> None:
    write(root, "vips.txt", "u1")
    write(root, "no name.txt", "u1")
    assert list_names(root) == ["vips"]
    [node] = user_sets(parse_condition("in_list('vip')"))
    with pytest.raises(UserError) as raised:
        node.in_scope(scope(root / ".limner"))
    [issue] = raised.value.issues
    assert (issue.code, issue.message, issue.hint) == ("unknown-list", "unknown list 'vip'", "did you mean 'vips'?")
    vocabulary = Vocabulary({}, root=root)
    assert [issue.code for issue in node.complaints(vocabulary, "w")] == ["unknown-list"]
    assert node.complaints(Vocabulary({}), "w") == []
    assert InList(name="../limner").complaints(vocabulary, "w")[0].code == "unknown-list"


@pytest.mark.parametrize(
    ("name", "text", "code", "hint"),
    [
        ("vip.csv", "id\nu1\n", "unknown-column", "name the column of the ids user_id, or save them one a line"),
        ("vip.csv", "userid\nu1\n", "unknown-column", "did you mean 'userid'?"),
        ("vip.csv", "", "unknown-column", "name the column of the ids"),
        ("vip.txt", b"\xff\xfeu\x001\x00", "unreadable-file", "save it as CSV UTF-8"),
    ],
)
def test_a_file_that_is_no_list(root: Path, name: str, text: str | bytes, code: str, hint: str) -> None:
    write(root, name, text)
    with pytest.raises(SourceError) as raised:
        read_list(root, "vip")
    [issue] = raised.value.issues
    assert issue.code == code
    assert hint in issue.hint
    if code == "unknown-column":
        [complaint] = InList(name="vip").complaints(Vocabulary({}, root=root), "here")
        assert (complaint.code, complaint.where) == (code, "here")


def test_two_files_of_one_name_are_refused(root: Path) -> None:
    write(root, "vip.txt", "u1")
    write(root, "vip.csv", "user_id\nu2")
    [issue] = InList(name="vip").complaints(Vocabulary({}, root=root), "w")
    assert (issue.code, issue.message) == ("ambiguous-list", "the list 'vip' stands in two files, vip.csv and vip.txt")


@pytest.mark.parametrize("name", ["vip", "it's", "名单", "a*b", "'; --"])
def test_round_trips_and_sentences(name: str) -> None:
    node = InList(name=name)
    assert parse_condition(node.to_text()) == node == load(node.model_dump())
    assert node.to_sentence("en", FieldWords) == f"in the list {name}"
    assert node.to_sentence("zh", FieldWords) == f"在名单 {name} 中"
    literal = name.replace("'", "''")
    assert f"READ_PARQUET('lists/{literal}.parquet')" in node.in_scope(scope()).sql("duckdb")
