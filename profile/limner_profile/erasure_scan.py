"""Where ids stand under .limner: every column of every Parquet file and snapshot, every line of text, and the raw bytes.

Finds tables and columns by looking, and not by a list of those that we write. Imports errors, schema and disk only.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from limner_profile.errors import Issue, RefusedError
from limner_profile.sql_text import quoted, text_of

# Columns that hold the id of a user wherever they stand, and those that do in the tables and files of identities.
_ALWAYS = frozenset({"user_id"})
_OF_IDENTITIES = frozenset({"id", "other_id", "before"})
_IDENTITY_PLACES = ("identities", "identity_refusals", "merges/")
_WORD = r"\p{L}\p{N}_"
# So many ids are looked for one by one, more of them together.
_FEW = 8
_CHUNK = 1 << 23
# So many digits tell an id from a size or a sum, in columns of numbers, too.
_TELLING_DIGITS = 9
_NUMERIC = ("INT", "DOUBLE", "FLOAT", "DECIMAL")
# In the state folder, but neither data nor text of ours.
_LEFT_OUT = frozenset({"lock"})


@dataclass(frozen=True)
class Wanted:
    """The ids that are looked for. `telling` are those that can mean nothing else wherever they stand.

    A word or a short number in a column that holds no ids may be a city or a size, so only `telling` ids are looked for there.
    """

    ids: tuple[str, ...]
    telling: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The ids as SQL literals."""
        return ", ".join(text_of(id_) for id_ in self.ids)

    @property
    def numbers(self) -> str:
        """Those of the telling ids that a column of numbers may hold, as SQL literals; empty without any."""
        return ", ".join(id_ for id_ in self.telling if re.fullmatch(rf"[1-9][0-9]{{{_TELLING_DIGITS - 1},14}}", id_))

    @property
    def token(self) -> str:
        """A regular expression (RE2) for a telling id that stands by itself, with what stands around it as groups."""
        return f"(^|[^{_WORD}])(?:{'|'.join(re.escape(id_) for id_ in self.telling)})($|[^{_WORD}])"

    def named(self, column: str) -> str:
        """The condition that a text names a telling id."""
        if not self.telling:
            return "false"
        # Looking for plain texts first is cheap, and mostly enough.
        return f"CASE WHEN {self.within(column)} THEN regexp_matches({column}, {text_of(self.token)}) ELSE false END"

    def within(self, column: str) -> str:
        """The condition that a text holds the letters of a telling id, be it within a longer word."""
        if len(self.telling) > _FEW:
            return f"regexp_matches({column}, {text_of('|'.join(re.escape(id_) for id_ in self.telling))})"
        return " OR ".join(f"contains({column}, {text_of(id_)})" for id_ in self.telling)


@dataclass(frozen=True)
class Relation:
    """One Parquet file, or one table of a snapshot: its place, and which of its columns hold ids and which text.

    `nested` are those text columns that hold more than plain text, such as lists. `numbers` are properties of users and events
    that are numbers, which an id may be. `keys` tell the events of other people apart: they are never changed.
    """

    file: Path
    place: str
    sql: str
    columns: tuple[str, ...]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    nested: frozenset[str]
    numbers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def own(self, wanted: Wanted) -> str:
        """The condition that a row is one of the wanted ids' own."""
        parts = [f"coalesce({quoted(column)} IN ({wanted.listed}), false)" for column in self.ids]
        if self.texts and "rejects" in self.place and {"field", "reason", "value"} <= set(self.columns):
            # What could not be read may be anything: here even a word or a number counts.
            inner = f"(^|[^{_WORD}])(?:{'|'.join(re.escape(id_) for id_ in wanted.ids)})($|[^{_WORD}])"
            parts.append(f"coalesce(regexp_matches(value, {text_of(inner)}), false)")
        return f"({' OR '.join(parts) or 'false'})"


@dataclass(frozen=True)
class Trace:
    """Where wanted ids stand: the rows that are theirs, and the values of other rows that name them, by column."""

    file: Path
    place: str
    rows: int
    named: dict[str, int] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """How many values of other rows name a wanted id."""
        return sum(self.named.values())


def wanted_ids(ids: Sequence[str], *, everywhere: bool = False) -> Wanted:
    """The ids to look for; with `everywhere` each of them counts as telling.

    >>> wanted_ids(["anna", "7", "user-0042", "a@b.de", "20251231"]).telling
    ('user-0042', 'a@b.de')
    """
    unique = tuple(dict.fromkeys(ids))
    return Wanted(unique, tuple(id_ for id_ in unique if everywhere or _telling(id_)))


def _telling(id_: str) -> bool:
    digits = sum(letter.isdigit() for letter in id_)
    return "@" in id_ or digits >= _TELLING_DIGITS or (len(id_) >= 6 and 0 < digits < len(id_))


def files_of(state: Path) -> list[Path]:
    """Every file under .limner that may hold an id, in name order."""
    return sorted(path for path in state.rglob("*") if path.is_file() and path.name not in _LEFT_OUT)


def scan(
    state: Path, wanted: Wanted, leave_out: Sequence[Path] = (), on_file: Callable[[str], None] = lambda name: None
) -> list[Trace]:
    """Where the ids stand under .limner, a trace for each relation or text that has them."""
    traces = []
    for path in files_of(state):
        if path not in leave_out:
            on_file(path.relative_to(state).as_posix())
            traces += trace_file(state, path, wanted)
    return traces


def trace_file(state: Path, path: Path, wanted: Wanted) -> list[Trace]:
    """Where the ids stand in one file: in its columns and, where those are clean, in its bytes."""
    place = path.relative_to(state).as_posix()
    if path.suffix not in (".parquet", ".duckdb"):
        return _in_text(path, place, wanted)
    traces = []
    with opened(path, place) as (connection, relations):
        for relation in relations:
            trace = _in_relation(connection, relation, wanted)
            if trace:
                traces.append(trace)
    if traces or not wanted.telling:
        return traces
    # No value holds an id. Nor may the bytes.
    hidden = hidden_in(path, wanted)
    return [Trace(path, place, 0, {"(bytes)": hidden})] if hidden else []


@contextmanager
def opened(path: Path, place: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Relation]]]:
    """A connection that reads a Parquet file or a snapshot, and its relations."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        try:
            relations = _relations(connection, path, place)
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            hint = "remove it, and run 'limner sync' or 'limner snapshots prune'; then try again"
            raise RefusedError(Issue("damaged-file", str(path), f"it cannot be read: {first}", hint)) from None
        yield connection, relations


def _relations(connection: duckdb.DuckDBPyConnection, path: Path, place: str) -> list[Relation]:
    if path.suffix == ".parquet":
        sql = f"read_parquet({text_of(str(path))})"
        found = connection.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()
        return [_relation(path, place, place, sql, [(row[0], row[1]) for row in found])]
    connection.execute(f"ATTACH {text_of(str(path))} AS scanned (READ_ONLY)")
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'scanned' ORDER BY ALL"
    ).fetchall()
    relations = []
    for schema, name in tables:
        sql = f"scanned.{quoted(schema)}.{quoted(name)}"
        found = connection.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()
        relations.append(_relation(path, f"{place} {name}", name, sql, [(row[0], row[1]) for row in found]))
    return relations


def _relation(path: Path, place: str, name: str, sql: str, columns: Sequence[tuple[str, str]]) -> Relation:
    of_identities = any(name.startswith(start) for start in _IDENTITY_PLACES)
    texts = [column for column, kind in columns if any(word in kind for word in ("VARCHAR", "ENUM", "JSON", "BLOB"))]
    ids = [name for name in texts if name in _ALWAYS or (of_identities and name in _OF_IDENTITIES)]
    # What blanks the id of an event makes the same event in another file another one, and counts it twice.
    keys = ("event_id",) if place.startswith("events/") and "event_id" in texts else ()
    others = tuple(column for column in texts if column not in (*ids, *keys))
    of_users = name == "profiles" or name.startswith(("events/", "users/"))
    numbers = [column for column, kind in columns if kind.endswith(_NUMERIC) or kind.startswith(_NUMERIC)]
    numbers = [column for column in numbers if of_users and column != "amount"]
    nested = frozenset(column for column, kind in columns if kind != "VARCHAR")
    names = tuple(column for column, _ in columns)
    return Relation(path, place, sql, names, tuple(ids), others, nested, tuple(numbers), keys)


def _in_relation(connection: duckdb.DuckDBPyConnection, relation: Relation, wanted: Wanted) -> Trace | None:
    own = relation.own(wanted)
    rows = 0
    if own != "(false)":
        rows = int(connection.execute(f"SELECT count(*) FROM {relation.sql} WHERE {own}").fetchall()[0][0])
    named: dict[str, int] = {}
    conditions = {column: wanted.named(as_text(column)) for column in relation.texts if wanted.telling}
    conditions |= {column: f"{quoted(column)} IN ({wanted.numbers})" for column in relation.numbers if wanted.numbers}
    if conditions:
        parts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions.values())
        where = f" WHERE NOT {own}" if rows else ""
        counts = connection.execute(f"SELECT {parts} FROM {relation.sql}{where}").fetchall()[0]
        named = {column: int(count) for column, count in zip(conditions, counts, strict=True) if count}
    return Trace(relation.file, relation.place, rows, named) if rows or named else None


def _longer(connection: duckdb.DuckDBPyConnection, relations: Sequence[Relation], wanted: Wanted) -> bool:
    """Whether a value holds the letters of a telling id as part of something longer, or the id of an event does."""
    for relation in relations:
        columns = (*relation.ids, *relation.texts, *relation.keys)
        parts = [f"({wanted.within(as_text(column))})" for column in columns]
        if parts:
            query = f"SELECT 1 FROM {relation.sql} WHERE {' OR '.join(parts)} LIMIT 1"
            if connection.execute(query).fetchall():
                return True
    return False


def hidden_in(path: Path, wanted: Wanted) -> int:
    """How often telling ids stand in the bytes of a file whose values hold none of them, unless longer texts explain it.

    DuckDB fills the unused ends of blocks with whatever its memory held (its issue 23382): such bytes are no value, and stay.
    """
    count = _in_bytes(path, wanted)
    if not count:
        return 0
    with opened(path, path.name) as (connection, relations):
        return 0 if _longer(connection, relations, wanted) else count


def _in_bytes(path: Path, wanted: Wanted) -> int:
    """How often the letters of telling ids stand in the bytes of a file."""
    import numpy as np

    letters = [id_.encode() for id_ in wanted.telling]
    count = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        together: dict[bytes, list[bytes]] = {}
        for id_ in letters:
            if len(letters) > _FEW and len(id_) >= 3:
                together.setdefault(id_[:3], []).append(id_)
                continue
            at = -1
            while (at := content.find(id_, at + 1)) >= 0:
                count += 1
        if not together:
            return count
        # Many ids: one pass over the bytes finds where any of them may begin, by its first three letters.
        begins = np.zeros(1 << 24, dtype=bool)
        begins[[int.from_bytes(start, "big") for start in together]] = True
        for start in range(0, len(content), _CHUNK):
            part = np.frombuffer(content[start : start + _CHUNK + 2], dtype=np.uint8).astype(np.uint32)
            found = np.flatnonzero(begins[(part[:-2] << 16) | (part[1:-1] << 8) | part[2:]]) if len(part) > 2 else ()
            for begin in found:
                place = start + int(begin)
                count += sum(content[place : place + len(id_)] == id_ for id_ in together[content[place : place + 3]])
    return count


def _in_text(path: Path, place: str, wanted: Wanted) -> list[Trace]:
    if not wanted.telling:
        return []
    content = path.read_bytes()
    if not any(id_.encode() in content for id_ in wanted.telling):
        return []
    ids = "|".join(re.escape(id_) for id_ in wanted.telling)
    found = len(re.findall(rf"(?<!\w)(?:{ids})(?!\w)", content.decode("utf-8", errors="replace")))
    return [Trace(path, place, 0, {"(text)": found})] if found else []


def as_text(column: str) -> str:
    """A column as text, whatever its type."""
    return f"CAST({quoted(column)} AS VARCHAR)"
