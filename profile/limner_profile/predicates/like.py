"""`field like 'Be%'`, its negation, and `ilike`, which takes no notice of case. Imports the base, values and wording beside it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from pydantic import field_validator
from sqlglot import exp

from limner_profile.errors import Issue, did_you_mean
from limner_profile.predicates.base import (
    PREDICATES,
    Column,
    Example,
    OnField,
    Words,
    field_text,
    operand,
    or_unknown,
)
from limner_profile.predicates.values import read_value, value_sql, value_text
from limner_profile.predicates.words import FieldType, Language, unknown_included

_CITIES = tuple({"city": city} for city in ("Bergen", "Berlin", "bern", "Bonn", None))
_CODES = tuple({"code": code} for code in ("10%", "100", "A_1", "AB1", None))
_PIECE = re.compile(r"\\(.)|([%_])|([^\\%_]+)", re.DOTALL)

_Form = Literal["is", "starts", "ends", "contains", "matches"]
_EN: dict[_Form, tuple[str, str]] = {
    "is": ("is {}", "is not {}"),
    "starts": ("starts with {}", "does not start with {}"),
    "ends": ("ends with {}", "does not end with {}"),
    "contains": ("contains {}", "does not contain {}"),
    "matches": ("matches the pattern {}", "does not match the pattern {}"),
}
_ZH: dict[_Form, tuple[str, str]] = {
    "is": ("是「{}」", "不是「{}」"),
    "starts": ("以「{}」开头", "不以「{}」开头"),
    "ends": ("以「{}」结尾", "不以「{}」结尾"),
    "contains": ("包含「{}」", "不包含「{}」"),
    "matches": ("符合模式「{}」", "不符合模式「{}」"),
}


@PREDICATES.kind("like")
class Like(OnField):
    r"""The field's known text fits the whole pattern, or, when negated, does not.

    In the pattern `%` stands for any text, none included, and `_` for any one character; `\%`, `\_` and `\\` stand for themselves.
    With `ignore_case`, written `ilike`, capital and small letters are alike.
    """

    kind: Literal["like"] = "like"
    pattern: str
    negated: bool = False
    ignore_case: bool = False
    include_unknown: bool = False

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("city like 'Ber%'", _CITIES, frozenset({0, 1})),
        Example("city like '%n'", _CITIES, frozenset({0, 1, 2, 3})),
        Example("city like 'B__n'", _CITIES, frozenset({3})),
        Example("city ilike 'ber%'", _CITIES, frozenset({0, 1, 2})),
        Example("city not like '%er%'", _CITIES, frozenset({3})),
        Example("city not like '%er%' include_unknown", _CITIES, frozenset({3, 4})),
        Example(r"code like '%\%'", _CODES, frozenset({0})),
        Example(r"code not ilike 'a\_%'", _CODES, frozenset({0, 1, 3})),
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        read_value(pattern)
        pieces(pattern)
        return pattern

    def to_sql(self, column: Column) -> exp.Expression:
        """`column LIKE pattern`, NULL for an unknown value unless unknowns are included."""
        kind = exp.ILike if self.ignore_case else exp.Like
        test: exp.Expression = kind(this=operand(column(self.field)), expression=value_sql(self.pattern))
        if "\\" in self.pattern:  # DuckDB has no escape character unless one is named
            test = exp.Escape(this=test, expression=exp.Literal.string("\\"))
        if self.negated:
            test = exp.Not(this=exp.Paren(this=test))
        return or_unknown(test, self.include_unknown)

    def to_text(self) -> str:
        """`field [not] like 'pattern' [include_unknown]`."""
        word = "ilike" if self.ignore_case else "like"
        text = f"{field_text(self.field)} {'not ' if self.negated else ''}{word} {value_text(self.pattern)}"
        return f"{text} include_unknown" if self.include_unknown else text

    def to_sentence(self, language: Language, words: Words) -> str:
        """`city starts with Be`, `contains`, `ends with`, where the pattern is of that form."""
        named = words(self.field)
        note = unknown_included(language) if self.include_unknown else ""
        form, text = form_of(self.pattern)
        wording = (_EN if language == "en" else _ZH)[form][self.negated]
        if language == "en":
            shown = text if form != "matches" and text.strip() == text != "" else f"'{text}'"
            return f"{named.title} {wording.format(shown)}{' in any case' if self.ignore_case else ''}{note}"
        return f"{named.title} {wording.format(text)}{'（不分大小写）' if self.ignore_case else ''}{note}"

    def check(
        self,
        types: Mapping[str, FieldType],
        where: str,
        values: Mapping[str, Collection[str]] | None = None,
        thing: str = "field",
    ) -> list[Issue]:
        """The complaints: an unknown field, a field that is no text, a pattern that no known value fits."""
        issues = super().check(types, where, None, thing)
        if any(issue.code == f"unknown-{thing}" for issue in issues):
            return issues
        word = "ilike" if self.ignore_case else "like"
        if types[self.field] != "category":
            message = f"{self.field!r} is a {types[self.field]}, and {word!r} compares text"
            return [Issue("wrong-type", where, message, "use =, <, > or between")]
        known = (values or {}).get(self.field)
        if not known or any(self.fits(value) for value in known):
            return []
        hint = did_you_mean(form_of(self.pattern)[1], known, f"values: {', '.join(sorted(known)[:8])}")
        return [Issue("unknown-value", where, f"no value of {self.field!r} fits {value_text(self.pattern)}", hint)]

    def fits(self, value: str) -> bool:
        """Whether a known value fits the pattern, whatever `negated` says."""
        tests = (re.escape(text) if not wild else ".*" if text == "%" else "." for wild, text in pieces(self.pattern))
        flags = re.DOTALL | (re.IGNORECASE if self.ignore_case else 0)
        return re.fullmatch("".join(tests), value, flags) is not None


def pieces(pattern: str) -> list[tuple[bool, str]]:
    r"""The parts of a pattern in order, each with whether it is a wildcard; raises ValueError for a stray backslash.

    >>> pieces(r"5\%_%")
    [(False, '5'), (False, '%'), (True, '_'), (True, '%')]
    """
    found, at = [], 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None or (piece[1] is not None and piece[1] not in "\\%_"):
            raise ValueError(r"a backslash stands before %, _ or another backslash: write \\ for one backslash")
        found.append((piece[2] is not None, piece[1] or piece[2] or piece[3]))
        at = piece.end()
    return found


def form_of(pattern: str) -> tuple[_Form, str]:
    """What a pattern says, and the text that it says it about: the pattern itself where it is of no plain form.

    >>> form_of("Be%"), form_of("%bank%"), form_of("a_c")
    (('starts', 'Be'), ('contains', 'bank'), ('matches', 'a_c'))
    """
    parts = pieces(pattern)
    first = bool(parts) and parts[0] == (True, "%")
    last = len(parts) > 1 and parts[-1] == (True, "%")
    inside = parts[first : len(parts) - last]
    if any(wild for wild, _ in inside) or (not inside and parts):
        return "matches", pattern
    form: _Form = "contains" if first and last else "ends" if first else "starts" if last else "is"
    return form, "".join(text for _, text in inside)
