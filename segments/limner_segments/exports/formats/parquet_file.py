"""Export kind `parquet`: the chosen tags with their types. Imports the base."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import duckdb

from limner_profile.sql_text import quoted, text_of
from limner_segments.exports.formats.base import FORMATS, Contents, FileFormat, FormatExample, Given, Options, Prepared


@FORMATS.kind("parquet")
class ParquetFile(FileFormat):
    """One row a user: `user_id` and the chosen tags in their own types, compressed, in groups of 122,880 rows."""

    SUFFIX: ClassVar[str] = ".parquet"
    EXAMPLES: ClassVar[tuple[FormatExample, ...]] = (
        FormatExample(
            ("city", "n", "member"),
            {"u2": (None, -2.5, None), "u1": ("上海", 3.0, True)},
            (("u1", "上海", 3.0, True), ("u2", None, -2.5, None)),
        ),
    )

    def prepare(self, bench: duckdb.DuckDBPyConnection, given: Given, options: Options) -> Prepared:
        """Every value as it is."""
        columns = ["user_id", *given.types]
        cells = ", ".join(quoted(column) for column in columns)
        (users,) = bench.execute("SELECT count(*) FROM given").fetchall()[0]
        return Prepared(f"SELECT {cells} FROM given ORDER BY given.user_id", tuple(columns), users)

    def write(self, bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
        """As Parquet, by one thread: where a group of rows ends must not depend on which thread was faster."""
        bench.execute("SET threads = 1")
        try:
            bench.execute(
                f"COPY ({prepared.query}) TO {text_of(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
            )
        finally:
            bench.execute("RESET threads")

    def read(self, path: Path) -> Contents:
        """The columns and the number of rows."""
        with duckdb.connect() as connection:
            source = f"read_parquet({text_of(str(path))})"
            header = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
            (rows,) = connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0]
        return Contents(tuple(header), rows)
