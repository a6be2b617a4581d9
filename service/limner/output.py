"""Results on stdout as a table, JSON or CSV; notes and errors on stderr. Imports rich, and errors."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limner.heads import heads_of, said
from limner_profile.errors import UserError

_PIPED = 160
# A column is not squeezed below the first width; of a row that is turned on its side, texts are folded at the second.
_READABLE, _SIDE = 12, 30


class Format(StrEnum):
    """How a result is printed."""

    table = "table"
    json = "json"
    csv = "csv"


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    style: Format,
    columns: Sequence[str] | None = None,
    title: str = "",
    language: str = "en",
) -> None:
    """Print rows with these columns (all keys of the first row by default); JSON keys are the column names.

    Only a table has its heads in `language`: keys and the columns of CSV are read by programs.
    """
    names = list(columns) if columns is not None else list(rows[0]) if rows else []
    if style is Format.json:
        print(json.dumps([{name: _plain(row[name]) for name in names} for row in rows], ensure_ascii=False, indent=2))
    elif style is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([[_cell(row[name]) for name in names] for row in rows])
    else:
        if title:
            console().print(Text(title, style="italic"))
        output = console()
        shown = [[show(row[name], language) for name in names] for row in rows]
        heads = heads_of(names, language)
        if rows and not _fits(heads, shown, output.width):
            _print_on_its_side(heads, shown, output)
            return
        table = Table(header_style="bold", box=None, pad_edge=False)
        for name, head in zip(names, heads, strict=True):
            numeric = any(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in rows)
            table.add_column(head, justify="right" if numeric else "left", overflow="fold")
        for cells in shown:
            table.add_row(*(Text(cell) for cell in cells))
        output.print(table)
        if not rows:
            console().print(said("(no rows)", "（无）", language))


def _fits(names: Sequence[str], shown: Sequence[Sequence[str]], width: int) -> bool:
    """Whether every column can have the width that it is readable in; longer texts are folded."""
    wanted = (max(cell_len(text) for text in (name, *cells)) for name, *cells in zip(names, *shown, strict=True))
    return sum(min(_READABLE, each) + 2 for each in wanted) - 2 <= width


def _print_on_its_side(names: Sequence[str], shown: Sequence[Sequence[str]], output: Console) -> None:
    """Print a line a column, and beside each other as many rows as fit, under their numbers."""
    head = max(cell_len(name) for name in names) + 2
    start = 0
    while start < len(shown):
        end, used = start, head
        while end < len(shown):
            used += min(_SIDE, max(cell_len(text) for text in (str(end + 1), *shown[end]))) + 2
            if end > start and used - 2 > output.width:
                break
            end += 1
        table = Table(header_style="bold", box=None, pad_edge=False)
        table.add_column(style="dim", overflow="fold")
        for number in range(start, end):
            table.add_column(str(number + 1), overflow="fold")
        for name, *cells in zip(names, *shown[start:end], strict=True):
            table.add_row(Text(name), *(Text(cell) for cell in cells))
        if start:
            output.print()
        output.print(table)
        start = end


def print_object(content: Mapping[str, Any], style: Format, language: str = "en") -> None:
    """Print one result: JSON as an object, otherwise a line a field, named in `language` where people read it."""
    if style is Format.json:
        print(json.dumps({key: _plain(value) for key, value in content.items()}, ensure_ascii=False, indent=2))
    elif style is Format.csv:
        print_rows([content], style)
    else:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for head, value in zip(heads_of(list(content), language), content.values(), strict=True):
            table.add_row(Text(head), Text(show(value, language)))
        console().print(table)


def show(value: Any, language: str = "en") -> str:
    """A value as text for people: unknown as a dash, numbers with separators, shares with four digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return said("yes", "是", language) if value else said("no", "否", language)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float | Decimal):
        number = float(value)
        if not math.isfinite(number):
            return str(number)
        if number == int(number) and abs(number) < 1e15:
            return f"{number:,.0f}"
        return f"{number:,.2f}" if abs(number) >= 100 else f"{number:.4g}"
    if isinstance(value, dict | list | tuple):
        return json.dumps(_whole(_plain(value)), ensure_ascii=False)
    return str(value)


def local_time(value: Any, timezone: ZoneInfo) -> Any:
    """A time, which is stored in UTC, by the clock of a zone with its offset; anything else as it is.

    >>> local_time(datetime(2025, 1, 31, 16, 30), ZoneInfo("Asia/Shanghai"))
    '2025-02-01 00:30:00+08:00'
    """
    if not isinstance(value, datetime):
        return value
    moment = value.replace(tzinfo=UTC)
    try:
        return moment.astimezone(timezone).isoformat(sep=" ")
    except OverflowError:  # at the ends of the calendar
        return moment.isoformat(sep=" ")


def percent(share: float | None) -> str | None:
    """A share in per cent, as tables show it; None stays unknown.

    >>> percent(0.0385)
    '3.9%'
    """
    return None if share is None else f"{share:.1%}"


def _whole(value: Any) -> Any:
    """The same with whole numbers as such: 169 and not 169.0, which only says how it is stored."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value == int(value) and abs(value) < 1e15 else value


def _cell(value: Any) -> Any:
    """A value in a CSV cell: unknown is empty, booleans are true and false, lists and mappings are JSON."""
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, bool | dict | list):
        return json.dumps(plain, ensure_ascii=False)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def console() -> Console:
    """The console for results. Piped output is as wide as the variable COLUMNS says, and not wrapped at 80 columns without it."""
    stated = os.environ.get("COLUMNS", "")
    piped = int(stated) if stated.isdecimal() and int(stated) > 0 else _PIPED
    return Console(width=None if sys.stdout.isatty() else piped, highlight=False)


def print_error(error: UserError) -> None:
    """Print every issue of a user's mistake on stderr, with its code."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    for issue in error.issues:
        place = f"{issue.where}  " if issue.where else ""
        errors.print(Text.assemble((place, "bold"), (issue.message, "red"), (f"  [{issue.code}]", "dim")))
        if issue.hint:
            errors.print(Text("\n".join(f"  {line}" for line in issue.hint.splitlines())))
    if len(error.issues) > 1:
        errors.print(Text(f"{len(error.issues)} issues", style="bold"))
