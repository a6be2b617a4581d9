"""Tokens of the predicate language, and errors that point at a place in its text. Imports only the errors."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from limner_profile.errors import ConditionError, Issue

TokenKind = Literal["name", "quoted-name", "text", "number", "mark", "end"]


@dataclass(frozen=True)
class Token:
    """A piece of the text: its kind, its characters, what they mean, and where they start."""

    kind: TokenKind
    text: str
    value: str
    start: int

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the unquoted words, in any case."""
        return self.kind == "name" and self.text.lower() in words

    def is_mark(self, *marks: str) -> bool:
        """Whether this is one of the operators, brackets or the comma."""
        return self.kind == "mark" and self.text in marks


@dataclass(frozen=True)
class Source:
    """The text being read, and where it stands: what to call the place, and its line and column in a file."""

    text: str
    where: str
    position: tuple[int, int] | None = None

    def place(self, start: int) -> str:
        """`where:column` (or `where:line:column`) of the character at `start`, counted from 1."""
        line = self.text.count("\n", 0, start)
        column = start - (self.text.rfind("\n", 0, start) + 1)
        if self.position:
            # A block of several lines in a file is indented alike on each.
            numbers = [self.position[0] + line, self.position[1] + column]
        else:
            numbers = [line + 1, column + 1] if "\n" in self.text else [column + 1]
        return ":".join([*([self.where] if self.where else []), *map(str, numbers)])

    def caret(self, start: int, length: int = 1) -> str:
        """Two lines to put under a hint: the line of the text, and carets under the piece."""
        begin = self.text.rfind("\n", 0, start) + 1
        line = self.text[begin:].split("\n", 1)[0]
        at = start - begin
        first = max(0, at - 50)
        shown, before = line[first : first + 100], line[first:at]
        piece = line[at : min(at + length, first + 100)]
        return f"\n    {_flat(shown)}\n    {' ' * _width(before)}{'^' * max(1, _width(piece))}"

    def error(self, start: int, message: str, hint: str = "", length: int = 1) -> ConditionError:
        """The error `bad-condition` at `start`, with the caret line under its hint."""
        hint = (hint + self.caret(start, length)).lstrip("\n ")
        return ConditionError(Issue("bad-condition", self.place(start), message, hint))


def _flat(line: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in line)


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
  | (?P<name>[^\W\d]\w*)
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<mark>=>|<=|>=|!=|<>|==|[=<>(),])
    """,
    re.VERBOSE,
)

# What people type instead, and what the language wants.
_INSTEAD = {
    "‘": "use the straight quote '", "’": "use the straight quote '", "“": "use the straight quote '",
    "”": "use the straight quote '", "`": "use the straight quote '", "（": "use the bracket (",
    "）": "use the bracket )", "，": "use the comma ,", "、": "use the comma ,", "＝": "use =", "＞": "use >",
    "＜": "use <", "≥": "use >=", "≤": "use <=", "≠": "use !=", "！": "use !=", "!": "use != or not (…)",
    "&": "use and", "|": "use or", "~": "use not (…)", "%": "write a share, like 0.05 for 5 %",
    ";": "one condition only: join several with and, or", "[": "use the bracket (", "]": "use the bracket )",
    "*": "a field is compared with a value; there is no arithmetic",
    "+": "a field is compared with a value; there is no arithmetic",
    "/": "a field is compared with a value; there is no arithmetic",
    "-": "a minus sign stands directly before a number, as in -5",
    ".": "put a name with a dot in double quotes",
    ":": "an argument is written name => value, as in at_least => 2",
}  # fmt: skip
_ALIASES = {"==": "=", "<>": "!="}


def tokenize(source: Source) -> list[Token]:
    """The tokens of the text, an `end` token last; raises ConditionError at the first character out of place."""
    tokens: list[Token] = []
    at, text = 0, source.text
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise _unreadable(source, at)
        piece, group = found.group(), found.lastgroup
        if group == "number":
            tokens.append(Token("number", piece, piece, at))
        elif group == "name":
            tokens.append(Token("name", piece, piece, at))
        elif group == "text":
            tokens.append(Token("text", piece, piece[1:-1].replace("''", "'"), at))
        elif group == "quoted":
            tokens.append(Token("quoted-name", piece, piece[1:-1].replace('""', '"'), at))
        elif group == "mark":
            tokens.append(Token("mark", _ALIASES.get(piece, piece), piece, at))
        at = found.end()
    return [*tokens, Token("end", "", "", len(text))]


def _unreadable(source: Source, at: int) -> ConditionError:
    letter = source.text[at]
    if letter in "'\"":
        hint = "close it; a quote inside text is written twice, as in 'it''s'" if letter == "'" else "close it"
        return source.error(at, f"the quote {letter} is never closed", hint)
    number = re.compile(r"-?[0-9.][\w.]*").match(source.text, at)
    if number and number.group().strip("-."):
        piece = number.group()
        hint = f"write text in single quotes: '{piece}'"
        return source.error(at, f"cannot read {piece!r} as a number", hint, len(piece))
    return source.error(at, f"cannot read {letter!r} here", _INSTEAD.get(letter, ""))
