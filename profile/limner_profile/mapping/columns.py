"""What the values of a column look like: how many, how different, numbers or times. Pure; imports sources and times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limner_profile.mapping.times import TimeReading, is_time, read_times
from limner_profile.source_files import field_type
from limner_profile.sources import FieldType

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
# A number as people write it: 1.234,50 or €12.50 or 12,5, which is text to a machine.
_WRITTEN_NUMBER = re.compile(r"[€$£¥￥]? ?-?\d{1,3}([.,' ]?\d{3})*([.,]\d+)? ?(€|\$|£|¥|元|EUR|USD|CNY|RMB)?")
_FLAGS = frozenset({"0", "1", "true", "false", "yes", "no", "y", "n", "t", "f"})
# So many of the values that are not empty must be numbers (or times), and all but so many; the others are kept aside at the build.
_SOUND = 0.99
_HANDFUL = 10
_COMMA_NUMBER = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?")


@dataclass(frozen=True)
class ColumnFacts:
    """What a sample of a column's values shows. `top` holds its most frequent values, `times` how its times are written.

    `numeric` is what can be read as numbers, `written_number` what people would, with `comma` where decimals follow a comma.
    `no_numbers` and `no_times` are the few values of numbers (or times) that are none, `padded` how many differ from another one
    only in blanks at the ends.
    """

    name: str
    type: FieldType
    rows: int
    known: int
    distinct: int
    top: tuple[str, ...]
    times: TimeReading | None = None
    numeric: bool = False
    decimals: bool = False
    negative: bool = False
    written_number: bool = False
    comma: bool = False
    flags: bool = False
    like_id: bool = False
    no_numbers: tuple[str, ...] = ()
    no_times: tuple[str, ...] = ()
    padded: int = 0

    @property
    def coverage(self) -> float:
        """The share of rows with a value."""
        return self.known / self.rows if self.rows else 0.0

    @property
    def difference(self) -> float:
        """Different values by known ones: 1 where no value comes twice."""
        return self.distinct / self.known if self.known else 0.0

    @property
    def unique(self) -> bool:
        """Whether no value comes twice, among at least two."""
        return self.known >= 2 and self.distinct == self.known

    @property
    def once(self) -> bool:
        """Whether no value comes twice but for a handful."""
        return self.known >= 2 and nearly_all(self.distinct, self.known)

    @property
    def examples(self) -> str:
        """A few values, for people; between values that hold commas stands something else."""
        shown = [value if len(value) <= 24 else value[:23] + "…" for value in self.top[:3]]
        return ("; " if any("," in value for value in shown) else ", ").join(shown)


def nearly_all(sound: int, known: int) -> bool:
    """Whether so many of the known values are all of them, but for one in a hundred and a handful.

    >>> nearly_all(4059, 4060), nearly_all(99, 100), nearly_all(49, 50), nearly_all(9980, 10000)
    (True, True, False, False)
    """
    return known - sound <= min(_HANDFUL, (1 - _SOUND) * known + 1e-9)


def column_facts(name: str, duckdb_type: str, values: Sequence[str | None]) -> ColumnFacts:
    """What the values of a column, as text, look like; `duckdb_type` is what its file says of it."""
    written = [value for value in values if value is not None and value.strip()]
    known = [value.strip() for value in written]
    counted = Counter(known)
    kind = field_type(duckdb_type)
    top = tuple(value for value, _ in counted.most_common(5))
    no_numbers = _others(counted, _NUMBER)
    numeric = bool(known) and nearly_all(len(known) - len(no_numbers), len(known))
    numbers = [float(value) for value in counted if value not in no_numbers] if numeric else []
    comma, no_commas = (False, ()) if numeric else _has_comma(counted)
    times = None if kind == "boolean" else read_times(known)
    if kind in ("date", "time") and times is None:
        times = TimeReading(None, with_clock=kind == "time")
    if times and kind == "category" and numeric and duckdb_type.endswith("]"):
        times = None
    no_times: tuple[str, ...] = ()
    if times and kind not in ("date", "time"):
        no_times = tuple(value for value in counted.elements() if not is_time(value, times.format))
    if kind == "category" and not duckdb_type.endswith("]"):
        # A file gives a column as text for a single value that is none.
        if numeric and no_numbers:
            kind = "number"
        elif no_times and times and times.format is None and nearly_all(len(known) - len(no_times), len(known)):
            kind = "time" if times.with_clock else "date"
    return ColumnFacts(
        name,
        kind,
        len(values),
        len(known),
        len(counted),
        top,
        times,
        numeric,
        any(not number.is_integer() for number in numbers),
        any(number < 0 for number in numbers),
        bool(known) and not numeric and times is None and all(_WRITTEN_NUMBER.fullmatch(value) for value in counted),
        comma and times is None,
        0 < len(counted) <= 2 and {value.casefold() for value in counted} <= _FLAGS,
        _like_id(counted),
        no_numbers if numeric else no_commas,
        no_times,
        len(set(written)) - len(counted),
    )


def facts_of(columns: Mapping[str, str], rows: Sequence[Mapping[str, str | None]]) -> dict[str, ColumnFacts]:
    """The facts of every column, by name."""
    return {name: column_facts(name, kind, [row.get(name) for row in rows]) for name, kind in columns.items()}


def _like_id(counted: Counter[str]) -> bool:
    """Whether the values are many, short, and of few shapes: 10023, u_88, 3f2a-…"""
    if len(counted) < 2:
        return False
    values = list(counted)[:500]
    if any(" " in value or len(value) > 64 for value in values):
        return False
    if not any(any(letter.isdigit() for letter in value) for value in values):
        return False
    with_digits = sum(any(letter.isdigit() for letter in value) for value in values)
    return with_digits >= 0.9 * len(values)


def _others(counted: Counter[str], pattern: re.Pattern[str]) -> tuple[str, ...]:
    """The values that are not written so, each as often as it comes."""
    return tuple(value for value, count in counted.items() if not pattern.fullmatch(value) for _ in range(count))


def _has_comma(counted: Counter[str]) -> tuple[bool, tuple[str, ...]]:
    """Whether the values are numbers with a decimal comma or without decimals, one of which can be nothing else; and the few others."""
    others = _others(counted, _COMMA_NUMBER)
    if not counted or not nearly_all(counted.total() - len(others), counted.total()):
        return False, ()
    # 1,234 may be a thousand and more.
    plain = any(
        "," in value and value not in others and not re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", value) for value in counted
    )
    return plain, others if plain else ()
