"""How the times in a column are written: ISO 8601, a format of strptime, or a number since 1970. Pure; imports nothing of Limner."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

_ISO = re.compile(
    r"\d{4}([-/])\d{1,2}\1\d{1,2}(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?(?P<offset> ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?"
)
_DAYS = ("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y年%m月%d日")
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
_OTHERS = (
    "%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%d %H:%M:%S", "%d %b %Y", "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S", "%b %d, %Y",
    "%d/%b/%Y:%H:%M:%S", "%Y年%m月%d日%H时%M分", "%d.%m.%Y, %H:%M", "%d.%m.%Y, %H:%M:%S", "%m/%d/%y", "%m/%d/%y %H:%M",
)  # fmt: skip
_FORMATS = (*(day + clock for day in _DAYS for clock in _CLOCKS), *_OTHERS)
# So many of the values must be readable; the others would be kept in the rejects.
_MOST = 0.9
_TRIED = 400
_ENOUGH_TO_TELL_ORDER = 12


@dataclass(frozen=True)
class TimeReading:
    """How times are written: `format` is None for ISO 8601; `rivals` are formats that fit as well.

    `readable` is the share of the values that can be read so, `offsets` are the offsets written beside them,
    and `with_clock` tells whether there is more than a day.
    """

    format: str | None
    readable: float = 1.0
    rivals: tuple[str, ...] = ()
    offsets: tuple[str, ...] = ()
    with_clock: bool = True
    why: str = ""


def read_times(values: Sequence[str]) -> TimeReading | None:
    """How the known values of a column are to be read as times, or None where they are none.

    >>> read_times(["31.12.2025 23:59", "01.02.2025 08:00"]).format
    '%d.%m.%Y %H:%M'
    >>> read_times(["1735689600", "1735693200"]).format
    'unix'
    >>> read_times(["12", "13"]) is None
    True
    """
    # Spread over the whole sample: the first rows of a sorted file all lie in the same month.
    step = max(1, len(values) // _TRIED)
    tried = [value.strip() for value in values[::step]][:_TRIED]
    if not tried:
        return None
    matches = [match for match in map(_ISO.fullmatch, tried) if match]
    if len(matches) >= _MOST * len(tried):
        offsets = sorted({(match["offset"] or "").strip() for match in matches})
        clock = any(":" in value for value in tried)
        return TimeReading(None, len(matches) / len(tried), (), tuple(offsets), clock)
    fitting: dict[str, float] = {}
    few = tried[:20]
    for written in (*_FORMATS, "unix", "unix_ms"):
        if sum(parse_time(value, written) is not None for value in few) < 0.75 * len(few):
            continue
        share = sum(parse_time(value, written) is not None for value in tried) / len(tried)
        if share >= _MOST:
            fitting[written] = share
    if not fitting:
        return None
    best = max(fitting.values())
    equal = [written for written, share in fitting.items() if share == best]
    why = ""
    if len(equal) > 1:
        ordered = [written for written in equal if _rises(tried, written)]
        if len(ordered) == 1:
            why = f"read so, the times rise from row to row; as {' or '.join(_shown(equal, ordered[0]))} they would not"
            equal = ordered
    chosen = equal[0]
    with_clock = "%H" in chosen or "%I" in chosen or chosen.startswith("unix")
    return TimeReading(chosen, best, tuple(_shown(equal, chosen)), (), with_clock, why)


def parse_time(text: str, written: str | None) -> datetime | None:
    """The instant that a text means when read so, or None; without an offset, as if in UTC."""
    try:
        if written is None:
            moment = datetime.fromisoformat(text.replace("/", "-"))
        elif written.startswith("unix"):
            number = float(text)
            if not number.is_integer():
                number = float(int(number))
            number /= 1000 if written == "unix_ms" else 1
            # From 1990 to 2100: a price or a small id is no instant.
            return datetime.fromtimestamp(number, UTC) if 631152000 <= number < 4102444800 else None
        elif written == "%Y%m%d" and len(text) != 8:
            return None
        else:
            moment = datetime.strptime(text, written)  # noqa: DTZ007  # no format has an offset
    except (ValueError, OverflowError, OSError):
        return None
    if not 1900 <= moment.year <= 2100:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_time(text: str, written: str | None) -> bool:
    """Whether a value of a column of times is one: cheaper than reading it, where it is ISO 8601."""
    return bool(_ISO.fullmatch(text)) if written is None else parse_time(text, written) is not None


def _shown(formats: Sequence[str], chosen: str) -> list[str]:
    return [written for written in formats if written != chosen]


def _rises(values: Sequence[str], written: str) -> bool:
    moments = [moment for moment in (parse_time(value, written) for value in values) if moment]
    different = len(set(moments))
    return different >= _ENOUGH_TO_TELL_ORDER and (all(earlier <= later for earlier, later in pairwise(moments)))
