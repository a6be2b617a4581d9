"""The schema of a snapshot, a public interface: its tables with a comment on each column, declared where they are written.

Each floor declares the tables that it writes; the reference page and the comments in the file come from the same
declarations. Imports errors only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from limner_profile.errors import InternalError
from limner_profile.sql_text import text_of

_AT_ONCE = 500  # rows of one INSERT


@contextmanager
def together(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Statements that are one transaction: each by itself is written to the disk and waited for."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@dataclass(frozen=True)
class Column:
    """One column: its name, DuckDB type and what it means."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """A table of the snapshot, with what a row is and the columns in order."""

    name: str
    comment: str
    columns: tuple[Column, ...]

    def create(self, connection: duckdb.DuckDBPyConnection, *, replace: bool = False) -> None:
        """Create the table with its comments, where it does not stand yet; with `replace`, anew and empty.

        One that stands already (in a copy of an older snapshot) gets the columns that it lacks, without values.
        """
        found = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [self.name]
        ).fetchall()
        known = {name for (name,) in found}
        if known and not replace:
            lacking = [column for column in self.columns if column.name not in known]
            for column in lacking:
                connection.execute(f'ALTER TABLE {self.name} ADD COLUMN "{column.name}" {column.type}')
            if lacking:
                self.describe(connection)
            return
        columns = ", ".join(f'"{column.name}" {column.type}' for column in self.columns)
        connection.execute(f"CREATE OR REPLACE TABLE {self.name} ({columns})")
        self.describe(connection)

    def describe(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Put the comments on the table and its columns."""
        connection.execute(f"COMMENT ON TABLE {self.name} IS {text_of(self.comment)}")
        for column in self.columns:
            connection.execute(f'COMMENT ON COLUMN {self.name}."{column.name}" IS {text_of(column.comment)}')

    def insert(self, connection: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows given as mappings; raises InternalError where one has other keys than the table's columns."""
        names = [column.name for column in self.columns]
        for row in rows:
            if set(row) != set(names):
                raise InternalError(f"a row of {self.name} has the keys {sorted(row)}, not {sorted(names)}")
        listed, marks = ", ".join(f'"{name}"' for name in names), "(" + ", ".join("?" for _ in names) + ")"
        for start in range(0, len(rows), _AT_ONCE):
            # A statement for many rows: one a row is a transaction a row, each written to disk.
            part = rows[start : start + _AT_ONCE]
            values = [row[name] for row in part for name in names]
            connection.execute(f"INSERT INTO {self.name} ({listed}) VALUES {', '.join([marks] * len(part))}", values)

    def insert_frame(self, connection: duckdb.DuckDBPyConnection, frame: Any) -> None:
        """Insert the rows of a pandas DataFrame, an Arrow table or a mapping of NumPy arrays that has the table's columns, in any order."""
        connection.register("rows_of_frame", frame)
        names = ", ".join(f'"{column.name}"' for column in self.columns)
        values = ", ".join(f'CAST("{column.name}" AS {column.type})' for column in self.columns)
        connection.execute(f"INSERT INTO {self.name} ({names}) SELECT {values} FROM rows_of_frame")
        connection.unregister("rows_of_frame")


def table(name: str, comment: str, columns: Iterable[tuple[str, str, str]]) -> Table:
    """A table from tuples of name, type and comment."""
    return Table(name, comment, tuple(Column(*column) for column in columns))
