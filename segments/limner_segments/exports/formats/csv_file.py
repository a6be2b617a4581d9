"""Export kind `csv`: a row a user with the chosen tags, UTF-8, as RFC 4180 says but with line feeds. Imports the base."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import ClassVar

import duckdb

from limner_profile.sql_text import quoted, text_of
from limner_segments.exports.formats.base import FORMATS, Contents, FileFormat, FormatExample, Given, Options, Prepared
from limner_segments.exports.formats.cells import safe_cell, text_cell

_LINES = 20_000


def write_csv(bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
    """Write the cells of a query of texts as CSV with a header line; an unknown value is an empty cell."""
    bench.execute(
        f"COPY ({prepared.query}) TO {text_of(str(path))} (FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"', "
        "NULLSTR '')"
    )


def csv_cell(text: str) -> str:
    """SQL: a text as a cell of `write_lines`, in quotes where `write_csv` would put it into quotes."""
    return f"CASE WHEN regexp_matches({text}, '[\",#\\r\\n]') THEN '\"' || replace({text}, '\"', '\"\"') || '\"' ELSE {text} END"


def write_lines(bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
    """Write a query whose column `line` holds whole lines, below the header.

    For files of hashes: DuckDB's own writer looks at every sign for one that wants quotes, which takes as long as the hashing.
    """
    with path.open("wb") as file:
        file.write((",".join(prepared.header) + "\n").encode())
        for batch in bench.sql(prepared.query).to_arrow_reader(_LINES):
            lines = batch.column("line")
            _, offsets, data = lines.buffers()
            first, last = (memoryview(offsets).cast("i")[lines.offset + at] for at in (0, len(lines)))
            file.write(memoryview(data)[first:last])


def read_csv(path: Path) -> Contents:
    """The header and number of rows of a CSV file; raises ValueError where a row is not as wide as the header."""
    limit = csv.field_size_limit(sys.maxsize)  # of this process: a value may be as long as it likes
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            rows = 0
            for row in reader:
                if len(row) != len(header):
                    raise ValueError(f"row {rows + 1} has {len(row)} cells")
                rows += 1
        except csv.Error as error:
            raise ValueError(str(error)) from None
        finally:
            csv.field_size_limit(limit)
    return Contents(tuple(header), rows)


@FORMATS.kind("csv")
class CsvFile(FileFormat):
    """One row a user: `user_id` and the chosen tags as text. Values are written as they are; with `--safe-cells`, text that a
    spreadsheet would run as a formula gets an apostrophe.
    """

    SUFFIX: ClassVar[str] = ".csv"
    EXAMPLES: ClassVar[tuple[FormatExample, ...]] = (
        FormatExample(
            ("city", "n", "member"),
            {"u2": ("=1+1", -2.5, None), "u1": ('a,"b"', 3.0, True)},
            'user_id,city,n,member\nu1,"a,""b""",3.0,true\nu2,=1+1,-2.5,\n',
        ),
        FormatExample(
            ("city", "n"),
            {"=cmd": ("@x", -2.5), "u1": ("-", None)},
            "user_id,city,n\n'=cmd,'@x,-2.5\nu1,'-,\n",
            Options(safe_cells=True),
        ),
    )

    def prepare(self, bench: duckdb.DuckDBPyConnection, given: Given, options: Options) -> Prepared:
        """Every value as text."""
        types = {"user_id": "VARCHAR", **given.types}
        cells = []
        for column, type_ in types.items():
            cell = text_cell(column, type_)
            cells.append(
                f"{safe_cell(cell) if options.safe_cells and type_ == 'VARCHAR' else cell} AS {quoted(column)}"
            )
        (users,) = bench.execute("SELECT count(*) FROM given").fetchall()[0]
        return Prepared(f"SELECT {', '.join(cells)} FROM given ORDER BY given.user_id", tuple(types), users)

    def write(self, bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
        """As CSV."""
        write_csv(bench, prepared, path)

    def read(self, path: Path) -> Contents:
        """The header and the number of rows."""
        return read_csv(path)
