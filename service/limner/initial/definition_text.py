"""The text of a definition file, entry by entry, so that entries can be changed or put in comments and the rest stays as it is.

For the templates' own files: an entry begins at the left edge. Pure; imports PyYAML only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

_NAME = re.compile(r"^([^\W\d]\w*):", re.MULTILINE)
_EVENT = re.compile(r"^(\s+event: )(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class EntryText:
    """One entry: its name (empty for what stands before the first), its text, and why it is off, if it is."""

    name: str
    text: str
    off: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """The definition as data; empty for the head of the file."""
        return dict(yaml.safe_load(self.text)[self.name]) if self.name else {}

    def shown(self) -> str:
        """The text as it stands in the file: in comments, with the reason, where it is off."""
        if not self.off:
            return self.text
        lines = "".join(f"# {line}".rstrip() + "\n" for line in self.text.splitlines())
        return f"# off: {self.off}\n{lines}"


def split_entries(text: str) -> list[EntryText]:
    """The head of a file (comments before the first entry) and its entries, in order."""
    starts = [match.start() for match in _NAME.finditer(text)]
    pieces = [text[: starts[0]] if starts else text]
    pieces += [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    names = ["", *(match[1] for match in _NAME.finditer(text))]
    return [EntryText(name, piece) for name, piece in zip(names, pieces, strict=True) if piece]


def join_entries(entries: Sequence[EntryText]) -> str:
    """The text of the file."""
    return "".join(entry.shown() for entry in entries)


def entry_at(entries: Sequence[EntryText], line: int) -> int:
    """The index of the entry that a line of the joined text, counted from 1, belongs to."""
    last = 0
    for index, entry in enumerate(entries):
        last += entry.shown().count("\n")
        if line <= last:
            return index
    return len(entries) - 1


def with_events(entry: EntryText, rename: Callable[[list[str]], list[str]]) -> EntryText:
    """The entry with its event names, one or a list, changed by `rename`."""

    def change(found: re.Match[str]) -> str:
        value = yaml.safe_load(found[2])
        names = rename(value if isinstance(value, list) else [value])
        if isinstance(value, list) or len(names) != 1:
            return f"{found[1]}[{', '.join(scalar(name) for name in names)}]"
        return f"{found[1]}{scalar(names[0])}"

    return replace(entry, text=_EVENT.sub(change, entry.text))


def scalar(text: str) -> str:
    """A text as a YAML scalar that also fits inside brackets: bare where that is safe, else in quotes.

    >>> scalar("login"), scalar("no"), scalar("下单"), scalar("page view: home"), scalar("12")
    ('login', '"no"', '下单', '"page view: home"', '"12"')
    """
    plain = re.fullmatch(r"[^\W\d][\w ./-]*[\w./-]|[^\W\d]", text) is not None and not text.endswith(" ")
    try:
        same = plain and yaml.safe_load(text) == text
    except yaml.YAMLError:
        same = False
    return text if same else _quoted(text)


def _quoted(text: str) -> str:
    escaped = "".join(
        {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(letter, letter) for letter in text
    )
    return f'"{escaped}"'
