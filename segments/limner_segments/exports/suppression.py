"""Lists of users whom exports leave out: files in the workspace's folder `lists/`. Imports floor 1 only."""

from __future__ import annotations

import csv
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

    Blank lines and white space around ids do not count. Raises SourceError: a list that cannot be read must stop an export.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SourceError(
            Issue(
                "missing-list",
                shown,
                f"there is no list {shown!r}",
                "put the file there, or take it out of limner.yaml",
            )
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            Issue("unreadable-list", shown, f"the list cannot be read: {error}", "save it as UTF-8 text")
        ) from None
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = ";" if ";" in first and "," not in first else ","
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    if COLUMN not in header:
        if path.suffix.casefold() != ".csv":
            return frozenset(line.strip() for line in lines if line.strip())
        if not first:
            return frozenset()
        hint = did_you_mean(COLUMN, header, f"name the column of ids {COLUMN}, or save one id a line as .txt")
        raise SourceError(Issue("no-user-column", shown, f"the list has no column {COLUMN!r}", hint))
    at = header.index(COLUMN)
    ids = set()
    reader = csv.reader(text[text.index(first) :].splitlines(keepends=True), delimiter=delimiter)
    next(reader)
    for number, row in enumerate(reader, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            message = f"row {number} has {len(row)} cells, and the header {len(header)}"
            raise SourceError(Issue("bad-list", shown, message, "every row needs a cell for each column of the header"))
        if row[at].strip():
            ids.add(row[at].strip())
    return frozenset(ids)
