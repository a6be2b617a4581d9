"""The lines of a text file at which its rows begin, for pointing at a row that cannot be read. Imports csv_dialect only.

DuckDB numbers rows, not lines; in CSV a quoted value may span several lines, and empty lines are no rows.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from limner_profile.csv_dialect import csv_delimiter, open_bytes


def lines_of(file: Path, sound: set[int], broken: set[int]) -> tuple[dict[int, int], dict[int, int]]:
    """The lines of a CSV file at which rows begin: of `sound` rows (by their number among the rows that DuckDB
    accepts) and of `broken` ones (by their number among all rows). A quoted value may span lines.
    """
    sound_lines: dict[int, int] = {}
    broken_lines: dict[int, int] = {}
    csv.field_size_limit(1 << 30)  # DuckDB reads longer values than the 128 kB that Python stops at
    with open_bytes(file) as raw, io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="") as text:
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


def lines_of_json(file: Path, numbers: set[int]) -> dict[int, int]:
    """The lines of a file of JSON lines on which rows stand, by the numbers that DuckDB gives to what it takes for lines.

    A line that ends in CR and LF counts twice there, so a file may be counted otherwise than an editor counts it.
    """
    lines: dict[int, int] = {}
    last = max(numbers, default=0)
    with open_bytes(file) as raw:
        count = 0
        for line, content in enumerate(raw, start=1):
            taken = range(count + 1, count + 2 + content.count(b"\r"))
            lines |= {number: line for number in taken if number in numbers}
            count = taken[-1]
            if count >= last:
                break
    return lines
