"""YAML with places: every complaint names file, line and column, and the nearest valid name."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from limner_profile.definitions import Definition, Document, Title, entries, read_document, validate
from limner_profile.errors import DefinitionError, Issue


class Inner(Definition):
    size: int
    colour: Literal["red", "blue"] = "red"


class Outer(Definition):
    name: str
    title: Title | None = None
    inner: Inner | None = None
    inners: dict[str, Inner] = {}
    words: str | tuple[str, ...] = ()
    amount: float = Field(default=1, ge=0)


def read(folder: Path, text: str | bytes) -> Document:
    path = folder / "d.yaml"
    path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    return read_document(path, folder)


def issues_of(folder: Path, text: str) -> list[Issue]:
    document = read(folder, text)
    return validate(Outer, document.data, document)[1]


def failure(folder: Path, text: str | bytes) -> Issue:
    with pytest.raises(DefinitionError) as caught:
        entries(read(folder, text))
    return caught.value.issues[0]


@pytest.mark.parametrize(
    ("text", "code", "where", "message", "hint"),
    [
        ("name: a\ntitel: b\n", "unknown-field", "d.yaml:2:1", "unknown field 'titel'", "did you mean 'title'?"),
        ("name: a\nxyzzy: b\n", "unknown-field", "d.yaml:2:1", "unknown field 'xyzzy'",
         "known fields: name, title, inner, inners, words, amount"),
        ("name: a\ninner:\n  size: 1\n  color: red\n", "unknown-field", "d.yaml:4:3", "unknown field 'color'",
         "did you mean 'colour'?"),
        ("name: a\ninners:\n  one: {size: 1, sise: 2}\n", "unknown-field", "d.yaml:3:18", "unknown field 'sise'",
         "did you mean 'size'?"),
        ("name: a\ninner: {size: 1, colour: blu}\n", "bad-value", "d.yaml:2:18", "'colour' cannot be 'blu'",
         "did you mean 'blue'?"),
        ("title: a\n", "missing-field", "d.yaml:1:1", "the field 'name' is missing", "add a line 'name: …'"),
        ("name: a\ninner:\n  colour: red\n", "missing-field", "d.yaml:2:1", "the field 'size' is missing",
         "add a line 'size: …'"),
        ("name: 3\n", "bad-value", "d.yaml:1:1", "'name': input should be a valid string (got 3)", ""),
        ("name: a\namount: -1\n", "bad-value", "d.yaml:2:1",
         "'amount': input should be greater than or equal to 0 (got -1)", ""),
        ("name: a\ninner: [1, 2]\n", "bad-value", "d.yaml:2:1",
         "'inner': input should be a valid dictionary or instance of Inner", ""),
        ("- name\n- a\n", "not-a-mapping", "d.yaml:1:1", "expected 'field: value' lines",
         "known fields: name, title, inner, inners, words, amount"),
        ("just text\n", "not-a-mapping", "d.yaml:1:1", "expected 'field: value' lines",
         "known fields: name, title, inner, inners, words, amount"),
    ],
)  # fmt: skip
def test_complaints(tmp_path: Path, text: str, code: str, where: str, message: str, hint: str) -> None:
    assert issues_of(tmp_path, text) == [Issue(code, where, message, hint)]


def test_a_union_is_named_by_its_field(tmp_path: Path) -> None:
    found = issues_of(tmp_path, "name: a\nwords: 3\n")
    assert found
    assert all(issue.where == "d.yaml:2:1" and issue.message.startswith("'words': ") for issue in found)


def test_every_complaint_of_a_file_is_reported(tmp_path: Path) -> None:
    found = issues_of(tmp_path, "nmae: a\namount: x\ninner: {size: big}\n")
    assert {(issue.code, issue.where) for issue in found} == {
        ("unknown-field", "d.yaml:1:1"), ("missing-field", "d.yaml:1:1"), ("bad-value", "d.yaml:2:1"),
        ("bad-value", "d.yaml:3:9"),
    }  # fmt: skip


def test_a_sound_definition_is_frozen_and_has_a_digest(tmp_path: Path) -> None:
    document = read(tmp_path, "name: a\ntitle: {en: A, zh: 甲}\n")
    outer, found = validate(Outer, document.data, document)
    assert found == []
    assert outer is not None
    assert outer.title is not None
    assert (outer.title.of("en"), outer.title.of("zh")) == ("A", "甲")
    assert outer.digest() == Outer(name="a", title=Title(en="A", zh="甲")).digest() != Outer(name="a").digest()
    with pytest.raises(ValueError, match="frozen"):
        outer.name = "b"


def test_a_plain_title_stands_for_both_languages() -> None:
    title = Title.model_validate("spend")
    assert (title.of("en"), title.of("zh")) == ("spend", "spend")


def test_duplicate_keys_at_any_depth(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(tmp_path, "a: 1\nb:\n  c: 1\n  c: 2\na: 2\n")
    assert caught.value.issues == (
        Issue(
            "duplicate-key", "d.yaml:4:3", "'c' is defined twice", "it stands on line 3 already: rename or remove one"
        ),
        Issue(
            "duplicate-key", "d.yaml:5:1", "'a' is defined twice", "it stands on line 1 already: rename or remove one"
        ),
    )


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("a: [1, 2\nb: 3\n", "bad-yaml", "d.yaml:2:2"),
        ("a: b: c\n", "bad-yaml", "d.yaml:1:5"),
        ("a:\n\tb: 1\n", "bad-yaml", "d.yaml:2:1"),
        ("a: 1\n---\nb: 2\n", "bad-yaml", "d.yaml:2:1"),
        ("a: !!python/object:os.system x\n", "bad-yaml", "d.yaml:1:4"),
        ("a: 1\nb: 'x\x07y'\n", "bad-yaml", "d.yaml:2:6"),
        ("a: &x\n  b: *x\n", "bad-yaml", "d.yaml"),
        ("a: " + "9" * 5000 + "\n", "bad-yaml", "d.yaml"),
        ("? [a, b]\n: 1\n", "bad-yaml", "d.yaml:1:3"),
        ("- a\n", "not-a-mapping", "d.yaml:1:1"),
        ("text", "not-a-mapping", "d.yaml:1:1"),
        (b"a: \xff\xfe\n", "unreadable-file", "d.yaml"),
    ],
)
def test_what_is_no_definition_file(tmp_path: Path, text: str | bytes, code: str, where: str) -> None:
    issue = failure(tmp_path, text)
    assert (issue.code, issue.where) == (code, where)
    assert issue.hint
    assert "Traceback" not in issue.message


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_has_no_entries(tmp_path: Path, text: str) -> None:
    assert entries(read(tmp_path, text)) == {}


def test_words_stay_words(tmp_path: Path) -> None:
    data = read(tmp_path, "\ufeffa: no\nb: on\nc: true\nd: 2025-12-01\ne: ~\nf: 1.5\n").data
    assert data == {"a": "no", "b": "on", "c": True, "d": "2025-12-01", "e": None, "f": 1.5}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_document(tmp_path / "tags" / "a.yaml", tmp_path)
    assert (caught.value.code, caught.value.issues[0].where) == ("missing-file", "tags/a.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_document(tmp_path)
    assert caught.value.code == "unreadable-file"


def test_where_falls_back_to_the_deepest_known_part(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  b:\n    - c: 1\n")
    assert document.where(("a", "b", 0, "c")) == "d.yaml:3:7"
    assert document.where(("a", "b", 0, "x")) == "d.yaml:3:7"
    assert document.where(("a", "x", "y")) == "d.yaml:1:1"
    assert document.where() == "d.yaml:1:1"


class _Rule(Definition):
    where: str
    title: str = ""


@pytest.mark.parametrize(
    ("written", "whole"),
    [
        ("in_split('s', 1, of => 3)", "in_split('s', 1, of => 3)"),
        ("did('a', at_least => 2), title: x", "did('a', at_least => 2)"),
        ("x in (1, 2) and y in (3, 4)", "x in (1, 2) and y in (3, 4)"),
    ],
)
def test_a_condition_that_a_comma_cuts_is_one_complaint(tmp_path: Path, written: str, whole: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a1: {{where: {written}}}\n", encoding="utf-8")
    document = read_document(path)
    rule, issues = validate(_Rule, document.data["a1"], document, ("a1",))
    assert rule is None
    [issue] = issues
    assert (issue.code, issue.where) == ("bad-value", "a.yaml:1:6")
    assert issue.hint == f'put the condition in double quotes: where: "{whole}"'


def test_other_fields_without_a_value_are_no_part_of_a_condition(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a1: {where: did('a', owner: , title: }\n", encoding="utf-8")
    document = read_document(path)
    _, issues = validate(_Rule, document.data["a1"], document, ("a1",))
    assert "unknown field 'owner'" in [issue.message for issue in issues]
