"""What the values of a column look like: how many, how different, numbers or times. Pure; imports sources and times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limner_profile.mapping.times import TimeReading, read_times
from limner_profile.source_files import field_type
from limner_profile.sources import FieldType

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
# A number as people write it: 1.234,50 or €12.50 or 12,5, which is text to a machine.
_WRITTEN_NUMBER = re.compile(r"[€$£¥￥]? ?-?\d{1,3}([.,' ]?\d{3})*([.,]\d+)? ?(€|\$|£|¥|元|EUR|USD|CNY|RMB)?")
_FLAGS = frozenset({"0", "1", "true", "false", "yes", "no", "y", "n", "t", "f"})
_COMMA_NUMBER = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?")


@dataclass(frozen=True)
class ColumnFacts:
    """What a sample of a column's values shows. `top` holds its most frequent values, `times` how its times are written.

    `numeric` is what can be read as numbers, `written_number` what people would, with `comma` where decimals follow a comma.
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
    def examples(self) -> str:
        """A few values, for people; between values that hold commas stands something else."""
        shown = [value if len(value) <= 24 else value[:23] + "…" for value in self.top[:3]]
        return ("; " if any("," in value for value in shown) else ", ").join(shown)


def column_facts(name: str, duckdb_type: str, values: Sequence[str | None]) -> ColumnFacts:
    """What the values of a column, as text, look like; `duckdb_type` is what its file says of it."""
    known = [value.strip() for value in values if value is not None and value.strip()]
    counted = Counter(known)
    kind = field_type(duckdb_type)
    top = tuple(value for value, _ in counted.most_common(5))
    numeric = bool(known) and all(_NUMBER.fullmatch(value) for value in counted)
    times = None if kind == "boolean" else read_times(known)
    if kind in ("date", "time") and times is None:
        times = TimeReading(None, with_clock=kind == "time")
    if times and kind == "category" and numeric and duckdb_type.endswith("]"):
        times = None
    return ColumnFacts(
        name,
        kind,
        len(values),
        len(known),
        len(counted),
        top,
        times,
        numeric,
        numeric and any(not float(value).is_integer() for value in counted),
        numeric and any(float(value) < 0 for value in counted),
        bool(known) and not numeric and times is None and all(_WRITTEN_NUMBER.fullmatch(value) for value in counted),
        not numeric and times is None and _has_comma(counted),
        0 < len(counted) <= 2 and {value.casefold() for value in counted} <= _FLAGS,
        _like_id(counted),
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


def _has_comma(counted: Counter[str]) -> bool:
    """Whether all values are numbers with a decimal comma or without decimals, and one of them can be nothing else."""
    return (
        bool(counted)
        and all(_COMMA_NUMBER.fullmatch(value) for value in counted)
        # 1,234 may be a thousand and more.
        and any("," in value and not re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", value) for value in counted)
    )
