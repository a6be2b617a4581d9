"""Lists of users in the workspace's folder `lists`: finding, reading and preparing them for SQL.

A list is `vip.txt`, one id a line, or `vip.csv` with a column `user_id`. What SQL reads is a Parquet file of its own below
`.limner/lists`, named by the digest of the list, so that a list which changes is another file. Imports floor 1.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from limner_profile.csv_dialect import csv_delimiter
from limner_profile.errors import Issue, RefusedError, SourceError, did_you_mean, unknown_name
from limner_profile.workspace import is_name

FOLDER = "lists"
COLUMN = "user_id"
_ENDINGS = (".csv", ".txt")


@dataclass(frozen=True)
class BadRow:
    """A row that gives no user: its line in the file, and a stable word for why (missing-user, broken-row)."""

    line: int
    reason: str


@dataclass(frozen=True)
class UserList:
    """What a list holds: its users once each, sorted; how many rows it has, how many repeat a user, and the bad ones."""

    name: str
    path: Path
    users: tuple[str, ...]
    rows: int
    repeated: int
    bad: tuple[BadRow, ...]


def list_names(root: Path) -> list[str]:
    """The names of the lists of a workspace, sorted."""
    return sorted({path.stem for path in _files(root)})


def list_path(root: Path, name: str) -> Path:
    """The file of a list; raises UnknownNameError where there is none, RefusedError where there are two."""
    found = [path for path in _files(root) if path.stem == name]
    if not found:
        raise unknown_name("list", name, list_names(root), FOLDER)
    if len(found) > 1:
        both = " and ".join(sorted(path.name for path in found))
        message = f"the list {name!r} stands in two files, {both}"
        raise RefusedError(Issue("ambiguous-list", f"{FOLDER}/{found[0].name}", message, "keep one of them"))
    return found[0]


def read_list(root: Path, name: str) -> UserList:
    """A list of the workspace in the folder `root`.

    Blanks around an id are no part of it; empty lines count for nothing. Raises UnknownNameError (`unknown-list`), SourceError
    (`unreadable-file`, `unknown-column`).
    """
    path = list_path(root, name)
    place = f"{FOLDER}/{path.name}"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(
            Issue("unreadable-file", place, "the file is not text in UTF-8", "save it as CSV UTF-8")
        ) from None
    rows, users, bad = 0, [], []
    for line, user in _rows(path, text, place):
        rows += 1
        if isinstance(user, BadRow):
            bad.append(user)
        elif "\x00" in user:
            bad.append(BadRow(line, "broken-row"))
        else:
            users.append(user)
    different = sorted(set(users))
    return UserList(name, path, tuple(different), rows, len(users) - len(different), tuple(bad))


def check_list(root: Path, name: str) -> None:
    """Nothing; raises what `read_list` raises for the file's name and header, without reading its rows."""
    path = list_path(root, name)
    if path.suffix == ".csv":
        with path.open("rb") as file:
            header = file.readline().decode("utf-8-sig", errors="replace")
        _column(path, next(csv.reader([header.rstrip("\r\n")], delimiter=csv_delimiter(path)), []))


def prepared_path(root: Path, name: str, snapshot: str) -> str:
    """The file that SQL reads for a list and a snapshot, relative to `.limner`: another one for every content."""
    path = list_path(root, name)
    status = path.stat()
    content = _digest(path, status.st_mtime_ns, status.st_size)
    key = hashlib.sha256(f"{content}:{snapshot}".encode()).hexdigest()[:12]
    return f"{FOLDER}/{name}-{key}.parquet"


def prepare_list(root: Path, state: Path, name: str, snapshot: str, merged: Mapping[str, str]) -> Path:
    """The Parquet file of a list below `state`, written unless it is there; `merged` says which user an id belongs to."""
    path = state / prepared_path(root, name, snapshot)
    if not path.exists():
        found = read_list(root, name)
        users = sorted({merged.get(user, user) for user in found.users})
        words = {"rows": found.rows, "repeated": found.repeated, "bad": len(found.bad)}
        write_users(path, {COLUMN: users}, {key: str(value) for key, value in words.items()})
    return path


def write_users(path: Path, columns: Mapping[str, object], words: Mapping[str, str]) -> None:
    """Write a Parquet file with words about it, in one step: a reader finds all of it or nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {
        name: pa.array(values, type=pa.string()) if name == COLUMN else pa.array(values)
        for name, values in columns.items()
    }
    table = pa.table(arrays).replace_schema_metadata({f"limner.{key}": value for key, value in words.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        pq.write_table(table, temporary, compression="zstd")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_words(path: Path) -> dict[str, str]:
    """The words about a Parquet file that `write_users` wrote."""
    import pyarrow.parquet as pq

    found: Mapping[bytes, bytes] = pq.read_schema(path).metadata or {}
    return {
        key.decode().removeprefix("limner."): value.decode()
        for key, value in found.items()
        if key.startswith(b"limner.")
    }


def _files(root: Path) -> list[Path]:
    folder = root / FOLDER
    if not folder.is_dir():
        return []
    # The name goes into that of a file that SQL reads, where * and ? would mean other files.
    return sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS and is_name(path.stem))


def _rows(path: Path, text: str, place: str) -> Iterator[tuple[int, str | BadRow]]:
    """The line and the id, or what is wrong with it, of every row that is not empty."""
    if path.suffix == ".txt":
        for line, raw in enumerate(text.splitlines(), start=1):
            if raw.strip() and not (line == 1 and raw.strip() == COLUMN):
                yield line, raw.strip()
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=csv_delimiter(path))
    header, width = None, 0
    try:
        for row in reader:
            if header is None:
                header, width = _column(path, row), len(row)
            elif len(row) != width and row:
                yield reader.line_num, BadRow(reader.line_num, "broken-row")
            elif row and not row[header].strip():
                if any(cell.strip() for cell in row):
                    yield reader.line_num, BadRow(reader.line_num, "missing-user")
            elif row:
                yield reader.line_num, row[header].strip()
    except csv.Error as error:
        where = f"{place}:{reader.line_num}"
        raise SourceError(
            Issue("unreadable-file", where, f"the file cannot be read as CSV: {error}", "is it CSV?")
        ) from None
    if header is None:
        _column(path, [])


def _column(path: Path, header: list[str]) -> int:
    names = [name.strip() for name in header]
    if COLUMN in names:
        return names.index(COLUMN)
    fallback = f"name the column of the ids {COLUMN}, or save them one a line as {path.stem}.txt"
    message = f"the list has no column {COLUMN!r}"
    raise SourceError(
        Issue("unknown-column", f"{FOLDER}/{path.name}:1", message, did_you_mean(COLUMN, names, "") or fallback)
    )


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int, size: int) -> str:
    """The SHA-256 of a file; read again when it has changed."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
