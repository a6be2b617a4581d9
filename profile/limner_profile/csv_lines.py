"""The lines of a CSV file at which its rows begin, for pointing at a row that cannot be read. Imports sources only.

DuckDB numbers rows, not lines; a quoted value may span several lines, and empty lines are no rows.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

from limner_profile.csv_dialect import csv_delimiter


def lines_of(file: Path, sound: set[int], broken: set[int]) -> tuple[dict[int, int], dict[int, int]]:
    """The lines of a CSV file at which rows begin: of `sound` rows (by their number among the rows that DuckDB
    accepts) and of `broken` ones (by their number among all rows). A quoted value may span lines.
    """
    sound_lines: dict[int, int] = {}
    broken_lines: dict[int, int] = {}
    csv.field_size_limit(1 << 30)  # DuckDB reads longer values than the 128 kB that Python stops at
    opened = gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")
    with opened as raw, io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="") as text:
        reader = csv.reader(text, delimiter=csv_delimiter(file))
        next(reader, None)
        line, accepted, number = reader.line_num + 1, 0, 0
        for row in reader:
            start, line = line, reader.line_num + 1
            if not row:
                continue
            number += 1
            if number in broken:
                broken_lines[number] = start
                continue
            accepted += 1
            if accepted in sound:
                sound_lines[accepted] = start
            if len(sound_lines) == len(sound) and len(broken_lines) == len(broken):
                break
    return sound_lines, broken_lines
