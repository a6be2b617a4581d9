"""Lists of users whom exports leave out: files in the workspace's folder `lists/`. Imports floor 1 only."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from limner_profile.errors import Issue, SourceError, did_you_mean

FOLDER = "lists"
COLUMN = "user_id"


def read_suppressed(root: Path, names: Iterable[str]) -> dict[str, frozenset[str]]:
    """The ids of each list in `lists/` of a workspace; raises SourceError for one that cannot be obeyed."""
    return {name: read_list(root / FOLDER / name, f"{FOLDER}/{name}") for name in names}


def read_list(path: Path, shown: str) -> frozenset[str]:
    """The ids in a file of one id a line, or in the column `user_id` of a CSV (`.csv`, or a first line that names it).

    Blank lines do not count. An id with white space around it or in quotes stands for itself and for the id without them: a
    list may rather name too many than miss one. Raises SourceError: a list that cannot be read must stop an export.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        if "\0" in text:  # UTF-16 without its mark reads as UTF-8, and names nobody
            raise ValueError("it holds zero bytes")
    except FileNotFoundError:
        raise SourceError(
            Issue(
                "missing-list",
                shown,
                f"there is no list {shown!r}",
                "put the file there, or take it out of limner.yaml",
            )
        ) from None
    except (OSError, ValueError) as error:
        raise SourceError(
            Issue("unreadable-list", shown, f"the list cannot be read: {error}", "save it as UTF-8 text")
        ) from None
    lines = re.split(r"\r\n|\r|\n", text)  # an id may hold what Unicode calls a line break
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((mark for mark in (",", ";", "\t") if mark in first), ",")
    header = [name.strip().casefold() for name in next(csv.reader([first], delimiter=delimiter), [])]
    if COLUMN not in header:
        if path.suffix.casefold() != ".csv":
            return frozenset(id_ for line in lines for id_ in _readings(line))
        if not first:
            return frozenset()
        hint = did_you_mean(COLUMN, header, f"name the column of ids {COLUMN}, or save one id a line as .txt")
        raise SourceError(Issue("no-user-column", shown, f"the list has no column {COLUMN!r}", hint))
    at = header.index(COLUMN)
    ids = set()
    reader = csv.reader(io.StringIO(text[text.index(first) :], newline=""), delimiter=delimiter)
    next(reader)
    for number, row in enumerate(reader, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            message = f"row {number} has {len(row)} cells, and the header {len(header)}"
            raise SourceError(Issue("bad-list", shown, message, "every row needs a cell for each column of the header"))
        ids.update(_readings(row[at]))
    return frozenset(ids)


def _readings(text: str) -> set[str]:
    """The ids that a line or cell may mean; none where it is blank."""
    bare = text.strip()
    if not bare:
        return set()
    quoted = len(bare) > 2 and bare[0] == bare[-1] == '"'
    return {text, bare, *([bare[1:-1].replace('""', '"').strip()] if quoted else [])}
