"""How a CSV file is read: its delimiter and column names from the header line, its types from the first rows.

DuckDB's own sniffer refuses a whole file for one broken row among the first 20,000, or takes it for a table of one
column, so nothing is left to it: every column is read as text. Imports nothing of Limner.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import BinaryIO, cast

import duckdb

from limner_profile.sql_text import quoted, text_of

SAMPLE_ROWS = 20_480


def is_csv(file: Path) -> bool:
    """Whether the file's name says that it is delimited text."""
    return plain_name(file).endswith((".csv", ".tsv", ".txt"))


def plain_name(file: Path) -> str:
    """The file's name without the ending that says how it is packed."""
    return file.name.removesuffix(".gz").removesuffix(".zst")


def open_bytes(file: Path) -> BinaryIO:
    """The bytes of a file, unpacked where its name says that they are packed (.gz, .zst)."""
    if file.suffix == ".zst":
        import pyarrow as pa

        return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(str(file), "zstd")))
    return cast("BinaryIO", gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def csv_delimiter(file: Path) -> str:
    """The delimiter that occurs most often in the header line: a comma, semicolon, tab or bar."""
    return max(",;\t|", key=header_line(file).count)


def csv_names(file: Path) -> list[str]:
    """The column names in the header line; one that stands there again gets a number."""
    names: list[str] = []
    for position, name in enumerate(next(csv.reader([header_line(file)], delimiter=csv_delimiter(file)), []), start=1):
        base = name.strip() or f"column{position}"
        taken = {known.casefold() for known in names}
        numbered = (f"{base}_{number}" for number in range(1, 10_000))
        names.append(base if base.casefold() not in taken else next(n for n in numbered if n.casefold() not in taken))
    return names


def header_line(file: Path) -> str:
    """The first line of the file without its end, and without a byte-order mark."""
    with open_bytes(file) as raw:
        lines = raw.readline().decode("utf-8-sig", errors="replace").splitlines()
    return lines[0] if lines else ""


def csv_reader(file: Path, *, strict: bool = True, keep_broken: bool = True) -> str:
    """DuckDB's table function for the file, every column as text; the path is its one parameter.

    Broken rows are kept in `reject_errors`; without `keep_broken` the first one is an error. `strict=False` reads what
    the strict parser gives up on: lines that end in different ways.
    """
    columns = ", ".join(f"{text_of(name)}: 'VARCHAR'" for name in csv_names(file))
    rejects = "store_rejects=true, rejects_limit=0, " if keep_broken else ""
    return (
        f"read_csv(?, auto_detect=false, header=true, delim={text_of(csv_delimiter(file))}, quote='\"', escape='\"', "
        f"strict_mode={str(strict).lower()}, {rejects}columns={{{columns}}})"
    )


def needs_leniency(error: duckdb.Error) -> bool:
    """Whether DuckDB gave up on the file as a whole, as it does for mixed line ends, rather than on a row."""
    return "invalid state" in str(error)


def csv_types(connection: duckdb.DuckDBPyConnection, file: Path) -> dict[str, str]:
    """Column name to DuckDB type: the narrowest that all values among the first rows can be read as.

    Raises duckdb.Error where the file cannot be read at all.
    """
    names = csv_names(file)
    columns = [quoted(name) for name in names]
    checks = ", ".join(
        f"count({name}), count(TRY_CAST({name} AS DOUBLE)), "
        f"count(*) FILTER (WHERE lower({name}) IN ('true', 'false')), "
        f"count(*) FILTER (WHERE TRY_CAST({name} AS DATE) IS NOT NULL AND length({name}) <= 10), "
        f"count(TRY_CAST({name} AS TIMESTAMP))"
        for name in columns
    )
    try:
        query = f"SELECT {checks} FROM (SELECT * FROM {csv_reader(file)} LIMIT {SAMPLE_ROWS})"
        row = connection.execute(query, [str(file)]).fetchall()[0]
    except duckdb.Error as error:
        if not needs_leniency(error):
            raise
        query = f"SELECT {checks} FROM (SELECT * FROM {csv_reader(file, strict=False)} LIMIT {SAMPLE_ROWS})"
        row = connection.execute(query, [str(file)]).fetchall()[0]
    types = {}
    for at, name in enumerate(names):
        known, numbers, flags, days, times = row[5 * at : 5 * at + 5]
        fits = ((numbers, "DOUBLE"), (flags, "BOOLEAN"), (days, "DATE"), (times, "TIMESTAMP"))
        types[name] = next((kind for count, kind in fits if known and count == known), "VARCHAR")
    return types
