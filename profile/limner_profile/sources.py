"""Where data comes from: the `sources:` of limner.yaml.

A source maps the columns of files (CSV, JSON lines, Parquet, DuckDB), of a database or of a frame to what Limner
knows: user, time, event, amount, properties and attributes. Imports errors, definitions, csv_dialect and windows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator

from limner_profile.csv_dialect import plain_name
from limner_profile.definitions import Definition
from limner_profile.windows import parse_timezone

FieldType = Literal["number", "category", "boolean", "date", "time"]

# Columns that every event has; a property may not take one of these names.
EVENT_FIELDS: Mapping[str, FieldType] = {"event": "category", "time": "time", "amount": "number", "source": "category"}
RESERVED = frozenset({*EVENT_FIELDS, "user_id", "event_id", "received"})
_PAIR_FIELDS = ("other", "kind", "until", "removed")
# What ingestion calls its own columns; names that begin with _raw_ are taken, too.
_WORKING = frozenset({"_row", "_file", "_problem"})


class ColumnMapping(Definition):
    """One column of a source: its name in the file, and the type to read it as where the file does not tell."""

    column: str
    """The column in the file."""
    type: FieldType | None = None
    """number, category, boolean, date or time, where the file does not tell. A value that does not fit rejects its row."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value


def _columns(value: Any) -> Any:
    """Allow a plain list of names where a mapping from our name to the file's is expected."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: name for name in value}
    return value


def _zone(name: str) -> str:
    parse_timezone(name)
    return name


Columns = Annotated[dict[str, ColumnMapping], BeforeValidator(_columns)]
ZoneName = Annotated[str, AfterValidator(_zone)]
# The name of an environment variable within a url: ${NAME}.
VARIABLE = re.compile(r"\$\{(\w+)\}")
# Words for `time_format` where times are numbers since 1970-01-01 UTC, and how many of them make a second.
EPOCHS: Mapping[str, int] = {"unix": 1, "unix_ms": 1000}
# The `path` of a source whose rows are handed over by a program.
FRAME = "frame"


class Source(Definition):
    """A table of users, events, orders or pairs of ids, and which of its columns mean what."""

    type: Literal["users", "events", "orders", "identities"]
    """users: a row a user. events: a row an act. orders: a row an order, which is the event `order` with an amount.
    identities: a row a pair of ids of one user."""
    path: str = ""
    """The file, relative to the folder of limner.yaml; `*` and `**` stand for many (`data/visits-*.csv`)."""
    url: str | None = None
    """A database instead of a file; `${NAME}` stands for an environment variable."""
    table: str | None = None
    """The table of a database or DuckDB file."""
    query: str | None = None
    """A SELECT instead of a table."""
    cursor: str | None = None
    """A column of a database that only grows: the next sync asks for newer rows only."""
    user: str
    """The column that says which user."""
    time: str | None = None
    """The column that says when it happened; for identities, from when on the pair was known."""
    received: str | None = None
    """The column that says when the row arrived; a build at a past as_of leaves out what arrived later."""
    event: str | None = None
    """The column that holds the event's name. For a file of one kind of event say `event_name` instead."""
    event_name: str | None = None
    """One name for all rows, where no column holds it. Orders are called `order` unless this says otherwise."""
    event_id: str | None = None
    """The column that tells events apart: of rows with the same id the first counts."""
    amount: str | None = None
    """The column with the amount of an order; a row without one is rejected."""
    since: str | None = None
    """For users: the column that says from when on they exist (sign-up)."""
    updated_at: str | None = None
    """For users: the column that says from when on a row's attributes hold. There may be many rows a user, and each stays."""
    other: str | None = None
    """For identities: the column with another id of the user."""
    kind: str | None = None
    """For identities: the column that says what `other` is, such as account, phone or device."""
    until: str | None = None
    """For identities: the column that says when a pair was taken back; empty for one that holds."""
    removed: str | None = None
    """For identities: a column that is true in rows which take the pair back as of `time`."""
    properties: Columns = {}
    """Further columns of events: a list of names, or `our_name: column`, or `our_name: {column: …, type: …}`."""
    attributes: Columns = {}
    """The same for users."""
    timezone: ZoneName | None = None
    """The time zone of times without an offset; the workspace's by default."""
    time_format: str | None = None
    """How times are written, where it is not ISO 8601: in the letters of strptime, as `%d.%m.%Y %H:%M`; or `unix`, `unix_ms`."""
    decimal_comma: bool = False
    """Whether numbers that are written as text have a comma before their decimals, as in `1.234,50`."""
    keep_duplicates: bool = False
    """Keep rows that are alike in every mapped column; without it, and without an event_id, one of them counts."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Source:
        wrong = []
        if self.type == "users":
            event_only = (
                "time",
                "received",
                "event",
                "event_name",
                "event_id",
                "amount",
                "properties",
                "keep_duplicates",
            )
            wrong = [name for name in event_only if getattr(self, name)]
            wrong += [name for name in _PAIR_FIELDS if getattr(self, name)]
        elif self.type in ("events", "orders"):
            wrong = [name for name in ("since", "updated_at", "attributes", *_PAIR_FIELDS) if getattr(self, name)]
        else:
            others = (
                "received",
                "event",
                "event_name",
                "event_id",
                "amount",
                "since",
                "updated_at",
                "properties",
                "attributes",
            )
            wrong = [name for name in others if getattr(self, name)]
        if wrong:
            raise ValueError(f"a source of type {self.type} has no field {wrong[0]!r} | remove it, or change the type")
        self._says_where()
        if self.type == "identities" and not self.other:
            raise ValueError(
                "a source of identities needs 'other' | name the column that holds the other id of the pair"
            )
        if self.removed and not self.time:
            raise ValueError(
                "'removed' needs 'time' | name the column that says since when the pair holds, or does not"
            )
        if self.has_acts and not self.time:
            raise ValueError(
                f"a source of type {self.type} needs 'time' | name the column that holds the time of the act"
            )
        if self.type == "events" and bool(self.event) == bool(self.event_name):
            raise ValueError(
                "a source of events needs either 'event' or 'event_name' | 'event' names a column, 'event_name' is one name for all rows"
            )
        if self.type == "orders" and not self.amount:
            raise ValueError("a source of orders needs 'amount' | name the column that holds the amount")
        # DuckDB tells column names apart by their letters only, not by upper and lower case.
        taken = RESERVED | _WORKING | ({"since"} if self.type == "users" else set())
        if self.updated_at:
            taken |= {"updated_at", "valid_from", "valid_to", "_part"}
        folded: dict[str, str] = {}
        for name in (*self.properties, *self.attributes):
            if not name or name.casefold() in taken or name.casefold().startswith("_raw_"):
                raise ValueError(
                    f"{name!r} is a name of Limner's own | call it otherwise: 'my_{name.strip('_')}: {name}'"
                )
            if name.casefold() in folded:
                raise ValueError(
                    f"{name!r} and {folded[name.casefold()]!r} differ in upper and lower case only | rename one of them"
                )
            folded[name.casefold()] = name
        return self

    def _says_where(self) -> None:
        if bool(self.path) == bool(self.url):
            raise ValueError("a source has either 'path' or 'url' | 'path' names files, 'url' a database")
        if self.table and self.query:
            raise ValueError("a source has either 'table' or 'query' | remove one of them")
        if self.relation and not self.url and not is_duckdb(Path(self.path)):
            word = "table" if self.table else "query"
            raise ValueError(
                f"'{word}' needs a database | 'path' ends in .duckdb there; a plain file has one table only"
            )
        if self.url and not self.relation:
            raise ValueError("a database has many tables | name one: 'table: orders', or 'query: SELECT …'")
        if self.cursor and not self.url:
            raise ValueError("'cursor' needs a database | files are read again when they change")
        password = re.search(r"://[^/@]*?:([^/]*)@", self.url or "")
        if password and VARIABLE.sub("", password[1]):
            raise ValueError("a password in a file is no secret | write the name of an environment variable: ${NAME}")

    @property
    def has_acts(self) -> bool:
        """Whether a row is an act of a user, and not a user or a pair of ids."""
        return is_acts(self.type)

    @property
    def has_files(self) -> bool:
        """Whether the rows come from files, and not from a database or a program."""
        return not self.url and self.path != FRAME

    @property
    def label(self) -> str:
        """What the rows come from, for messages: never an address."""
        return self.path or self.table or "the query"

    @property
    def relation(self) -> str | None:
        """The table or the query that is read of a database; None for plain files."""
        return self.query or self.table

    @property
    def constant_event(self) -> str | None:
        """The event name that every row gets, or None where a column holds it."""
        if self.event:
            return None
        return self.event_name or "order"

    def mapped(self) -> dict[str, str]:
        """Which YAML field names which column of the file: field path to column name."""
        single = {
            name: getattr(self, name)
            for name in (
                "user",
                "time",
                "received",
                "event",
                "event_id",
                "amount",
                "since",
                "updated_at",
                "cursor",
                *_PAIR_FIELDS,
            )
        }
        columns = {name: column for name, column in single.items() if column}
        columns |= {f"properties.{name}": mapping.column for name, mapping in self.properties.items()}
        columns |= {f"attributes.{name}": mapping.column for name, mapping in self.attributes.items()}
        return columns


def is_acts(source_type: str) -> bool:
    """Whether a source of this type holds acts (events or orders)."""
    return source_type in ("events", "orders")


def is_json(file: Path) -> bool:
    """Whether the file's name says that each of its lines is a JSON object."""
    return plain_name(file).endswith((".jsonl", ".ndjson"))


def is_duckdb(file: Path) -> bool:
    """Whether the file's name says that it is a database of DuckDB."""
    return file.suffix in (".duckdb", ".ddb")
