"""Reading what a proposal is made from: the data files of a folder, their columns and first rows. Imports sources and their readers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.csv_dialect import csv_reader, is_csv, needs_leniency
from limner_profile.errors import Issue, SourceError, did_you_mean
from limner_profile.json_lines import json_relation
from limner_profile.source_files import file_columns
from limner_profile.sources import EPOCHS, is_json
from limner_profile.sql_text import quoted
from limner_profile.staging import forget_faults

SAMPLE_ROWS = 10_000
_FILES = 8
# A number or a time at the head of a column is no name.
_VALUE = re.compile(r"[+-]?\d[\d.,:/ T-]*")


@dataclass(frozen=True)
class FileSample:
    """Files of one shape that make one source, their columns, and the first rows of some of them, values as text.

    `pattern` is the name that stands for all of them, in the folder of the first; `retyped` are columns of which the first
    file alone would suggest another type.
    """

    files: tuple[Path, ...]
    pattern: str
    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, str | None]]
    retyped: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """What the files are called, for messages and names."""
        return self.pattern

    @property
    def path(self) -> Path:
        """The path with its pattern."""
        return self.files[0].parent / self.pattern


def data_files(given: Sequence[Path]) -> list[Path]:
    """The files among what is given, and those of known kinds in the folders among it, each once, in name order.

    Raises SourceError for what is not there, for a file of another kind, and for a folder without any data file.
    """
    found: dict[Path, Path] = {}
    for path in given:
        if path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if file.is_file() and _is_data(file)]
            if not inside:
                raise SourceError(Issue("missing-file", str(path), "the folder holds no data files", _KINDS))
        elif path.is_file():
            inside = [path]
            if not _is_data(path):
                raise SourceError(
                    Issue("unknown-format", str(path), f"{path.name!r} is no data file that can be read here", _KINDS)
                )
        else:
            near = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
            hint = did_you_mean(path.name, near, "name files or folders that exist")
            raise SourceError(Issue("missing-file", str(path), "there is no such file or folder", hint))
        found |= {file.resolve(): file for file in inside}
    return list(found.values())


def read_samples(
    files: Sequence[Path], on_fault: Callable[[Path, SourceError], None] | None = None
) -> list[FileSample]:
    """The files, those of one shape together: such as visits-2025-01.csv and visits-2025-02.csv with the same columns.

    Raises SourceError for a file that cannot be read, has no rows, or no names in its first line; with `on_fault` that is
    called instead, and the file left out.
    """
    columns: dict[Path, dict[str, str]] = {}
    groups: dict[tuple[Path, str, tuple[str, ...]], list[Path]] = {}
    for file in files:
        try:
            columns[file] = file_columns(file, str(file))
            _check_header(file, list(columns[file]))
        except SourceError as error:
            if on_fault is None:
                raise
            on_fault(file, error)
            continue
        shape = re.sub(r"\d+", "*", file.name)
        groups.setdefault((file.parent, shape, tuple(sorted(columns[file]))), []).append(file)
    samples = []
    for (folder, shape, _), group in groups.items():
        pattern = re.sub(r"\*([-_.]?\*)+", "*", shape)
        # The pattern must stand for these files and no others, such as one with other columns.
        whole = len(group) > 1 and sorted(folder.glob(pattern)) == sorted(group)
        for part in [group] if whole else [[file] for file in group]:
            try:
                samples.append(_sample(part, pattern if whole else part[0].name, columns))
            except SourceError as error:
                if on_fault is None:
                    raise
                on_fault(part[0], error)
    return samples


def _sample(files: Sequence[Path], pattern: str, columns: Mapping[Path, Mapping[str, str]]) -> FileSample:
    """The sample of files of one shape: some rows of each of a few, since what the first month lacks the second may have."""
    looked = files[:: -(-len(files) // _FILES)]
    taken = [sample_rows(file, list(columns[file]), SAMPLE_ROWS // len(looked)) for file in looked]
    merged = _merged([columns[file] for file in looked], taken)
    retyped = frozenset(name for name, kind in merged.items() if columns[files[0]][name] != kind)
    rows = [row for found in taken for row in found]
    if not rows:
        hint = "a source needs at least one row"
        raise SourceError(Issue("empty-source", str(files[0]), f"{files[0].name} holds no rows", hint))
    return FileSample(tuple(files), pattern, merged, rows, retyped)


def sample_rows(file: Path, columns: Sequence[str], limit: int = SAMPLE_ROWS) -> list[dict[str, str | None]]:
    """The first rows of a file, every value as text; raises SourceError where it cannot be read."""
    names = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in columns)
    with duckdb.connect() as con:
        found = _query(con, file, columns, names, f"LIMIT {limit}")
    return [dict(zip(columns, row, strict=True)) for row in found]


def value_counts(
    files: Sequence[Path], column: str, beside: str | None = None, limit: int = 500
) -> dict[str, tuple[int, int]]:
    """How often the most frequent values of a column occur in the files as a whole, and how often `beside` has a value there.

    Raises SourceError where a file cannot be read.
    """
    counts: dict[str, tuple[int, int]] = {}
    other = f"count(nullif(CAST({quoted(beside)} AS VARCHAR), ''))" if beside else "0"
    value = f"CAST({quoted(column)} AS VARCHAR)"
    columns = [column, *([beside] if beside else [])]
    rest = f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
    with duckdb.connect() as con:
        for file in files:
            for found, count, having in _query(con, file, columns, f"{value}, count(*), {other}", rest):
                if found is not None and found.strip():
                    before = counts.get(found, (0, 0))
                    counts[found] = (before[0] + count, before[1] + having)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1][0], pair[0])))


def time_span(files: Sequence[Path], column: str, written: str | None) -> tuple[datetime, datetime] | None:
    """The earliest and the latest time in a column of whole files, as written (without zones), or None where no value is a time.

    `written` is None for ISO 8601, a format of strptime, `unix` or `unix_ms`. Raises SourceError where a file cannot be read.
    """
    text = f"trim(CAST({quoted(column)} AS VARCHAR))"
    if written and written in EPOCHS:
        moment = f"make_timestamp(CAST(round(TRY_CAST({text} AS DOUBLE) / {EPOCHS[written]} * 1000000) AS BIGINT))"
    elif written:
        moment = f"try_strptime({text}, '{written.replace(chr(39), chr(39) * 2)}')"
    else:
        moment = f"TRY_CAST({text} AS TIMESTAMP)"
    found: list[datetime] = []
    with duckdb.connect() as con:
        for file in files:
            ends = _query(con, file, [column], f"min({moment}), max({moment})", "")[0]
            found += [end for end in ends if end is not None]
    return (min(found), max(found)) if found else None


_KINDS = "files end in .csv, .tsv, .jsonl (each also .gz or .zst) or .parquet"


def _is_data(file: Path) -> bool:
    return is_json(file) or file.suffix == ".parquet" or (is_csv(file) and not file.name.startswith("."))


def _merged(columns: Sequence[Mapping[str, str]], rows: Sequence[Sequence[Mapping[str, str | None]]]) -> dict[str, str]:
    """Column to type: what all files agree on that have a value there, text where they do not."""
    merged = {}
    for name, first in columns[0].items():
        kinds = {
            kinds[name]
            for kinds, found in zip(columns, rows, strict=True)
            if any(row[name] is not None for row in found)
        }
        merged[name] = kinds.pop() if len(kinds) == 1 else "VARCHAR" if kinds else first
    return merged


def _query(
    con: duckdb.DuckDBPyConnection, file: Path, columns: Sequence[str], select: str, rest: str
) -> list[tuple[Any, ...]]:
    """What `SELECT select FROM … rest` gives of the file's rows; raises SourceError where it cannot be read."""

    def rows_of(relation: str) -> list[tuple[Any, ...]]:
        return con.execute(f"SELECT {select} FROM {relation} {rest}", [str(file)]).fetchall()

    try:
        if is_json(file):
            return rows_of(json_relation(columns))
        if not is_csv(file):
            return rows_of("read_parquet(?)")
        try:
            return rows_of(csv_reader(file))
        except duckdb.Error as error:
            if not needs_leniency(error):
                raise
            return rows_of(csv_reader(file, strict=False))
    except (duckdb.Error, OSError, EOFError, zlib.error) as error:
        first = str(error).splitlines()[0]
        raise SourceError(
            Issue("unreadable-file", str(file), f"{file.name} cannot be read: {first}", "is it what its name says?")
        ) from None
    finally:
        forget_faults(con)


def _check_header(file: Path, names: Sequence[str]) -> None:
    """Nothing for columns with names; raises SourceError where the first line of a text file holds values."""
    values = [name for name in names if _VALUE.fullmatch(name)]
    if is_csv(file) and 2 * len(values) >= len(names) and len(values) >= 2:
        hint = "put the names of the columns into the first line, such as user_id,time,event"
        message = f"the first line of {file.name} holds values ({', '.join(values[:3])}), and no names"
        raise SourceError(Issue("no-header", str(file), message, hint))
