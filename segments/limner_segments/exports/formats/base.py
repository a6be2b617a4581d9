"""What a kind of export file can do: prepare cells from the rows of the audience, write them, read a file back.

A kind is one class in one file of this folder, with EXAMPLES that the tests run. Rows arrive in `given`, a relation of an in-memory
DuckDB (the workbench), as `user_id` and a column for each of the `columns`; all SQL runs there. Imports floor 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

import duckdb

from limner_profile.errors import Issue
from limner_profile.registry import Registry

FORMATS: Registry[FileFormat] = Registry("export")


@dataclass(frozen=True)
class Options:
    """What can be chosen for one export.

    `hashing`: on hashes what the platform wants hashed; off passes on what is hashed already. `region` is the ISO alpha-2 code of the
    country in which phone numbers without a country code are read. `safe_cells` defuses texts that a spreadsheet would run.
    """

    hashing: Literal["on", "off"] = "on"
    region: str | None = None
    safe_cells: bool = False


@dataclass(frozen=True)
class Given:
    """What the rows are: column to tag, column to DuckDB type, the local day of as_of and the time zone of days."""

    columns: Mapping[str, str]
    types: Mapping[str, str]
    today: date
    timezone: ZoneInfo


@dataclass(frozen=True)
class Prepared:
    """The cells to be written, and what became of values on the way.

    `query` gives them in the order of users. `missing` counts users without a value, `rejected` values that could not be used by
    reason, each by field; `left_out` users without anything to be matched by.
    """

    query: str
    header: tuple[str, ...]
    users: int
    hashing: str = "none"
    missing: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    left_out: int = 0


@dataclass(frozen=True)
class Contents:
    """What a file holds, as read back from it."""

    header: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class FormatExample:
    """Users with their values (the columns in order), and the file that they become, as text or as rows."""

    columns: tuple[str, ...]
    users: Mapping[str, tuple[object, ...]]
    content: str | tuple[tuple[object, ...], ...]
    options: Options = Options()
    rejected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class FileFormat(ABC):
    """A kind of export file."""

    SUFFIX: ClassVar[str]
    # The fields of a platform; none where any tag may be a column.
    FIELDS: ClassVar[tuple[str, ...]] = ()
    EXAMPLES: ClassVar[tuple[FormatExample, ...]] = ()

    def issues(self, columns: Mapping[str, str], options: Options) -> list[Issue]:
        """What of the columns or options does not fit the kind."""
        return []

    @abstractmethod
    def prepare(self, bench: duckdb.DuckDBPyConnection, given: Given, options: Options) -> Prepared:
        """The cells of the relation `given` on the bench, and the counts that go into the manifest."""

    @abstractmethod
    def write(self, bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
        """Write the cells into a new file."""

    @abstractmethod
    def read(self, path: Path) -> Contents:
        """What a file holds; raises ValueError, OSError or duckdb.Error where it is no such file."""
