"""Windows of time before an instant: `30d` in local days, `24h` in hours, `all`. Pure; imports only errors.

`as_of` is exclusive. A window in days begins at the local midnight that many days before the local day of
`as_of`, so that it keeps whole days through changes of daylight-saving time; a window in hours is exact.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

from limner_profile.errors import Issue, UserError, did_you_mean

_PATTERN = re.compile(r"^([1-9][0-9]{0,4})([dh])\Z")


def check_window(text: str) -> str:
    """`text` itself when it is a window; raises ValueError otherwise."""
    if text != "all" and not _PATTERN.match(text):
        raise ValueError(f"{text!r} is not a window | write days as 30d, hours as 24h, or all")
    return text


def check_length(text: str) -> str:
    """`text` itself when it is a length of time in days (`0d` allowed); raises ValueError otherwise."""
    if not re.match(r"^[0-9]{1,5}d\Z", text):
        raise ValueError(f"{text!r} is not a number of days | write it as 30d")
    return text


def check_span(text: str) -> str:
    """`text` itself when it is a window with a beginning, such as `30d` or `24h`; raises ValueError otherwise."""
    if not _PATTERN.match(text):
        raise ValueError(f"{text!r} is not a length of time | write days as 30d, hours as 24h")
    return text


Window = Annotated[str, AfterValidator(check_window)]
Span = Annotated[str, AfterValidator(check_span)]
Length = Annotated[str, AfterValidator(check_length)]


def days_of(length: str) -> int:
    """The number of days of a length such as `30d`.

    >>> days_of("30d")
    30
    """
    return int(length[:-1])


def window_start(window: str, as_of: datetime, timezone: ZoneInfo, times: int = 1) -> datetime | None:
    """The UTC instant at which `window` before `as_of` begins, or None for `all`.

    With `times` = 2 the instant at which the window before that one begins.

    >>> window_start("1d", datetime(2025, 3, 30, 22, tzinfo=UTC), ZoneInfo("Europe/Berlin")).isoformat()
    '2025-03-29T23:00:00+00:00'
    """
    if window == "all":
        return None
    match = _PATTERN.match(window)
    if not match:
        raise ValueError(f"not a window: {window!r}")
    amount, unit = int(match[1]), match[2]
    if unit == "h":
        return (as_of - timedelta(hours=amount * times)).astimezone(UTC)
    return add_days(as_of, -amount * times, timezone)


def add_days(instant: datetime, days: int, timezone: ZoneInfo) -> datetime:
    """The UTC instant of the local midnight `days` after (before, when negative) the local day of `instant`."""
    day = instant.astimezone(timezone).date() + timedelta(days=days)
    return midnight(day, timezone)


@lru_cache(maxsize=256)
def offsets_before(as_of: datetime, timezone: ZoneInfo, years: int = 6) -> tuple[tuple[datetime, timedelta], ...]:
    """The offsets from UTC in the years before `as_of`, newest first, each with the UTC instant from which it held.

    The oldest is cut where the years begin.

    >>> summer, winter, _ = offsets_before(datetime(2025, 6, 1, tzinfo=UTC), ZoneInfo("Europe/Berlin"), 1)
    >>> summer[0].isoformat(), str(summer[1]), winter[0].isoformat(), str(winter[1])
    ('2025-03-30T01:00:00+00:00', '2:00:00', '2024-10-27T01:00:00+00:00', '1:00:00')
    """
    spans = []
    later = as_of.astimezone(UTC)
    begin = later - timedelta(days=365.25 * years)
    while later > begin:
        offset, earlier = _offset(later, timezone), max(later - timedelta(days=1), begin)
        if _offset(earlier, timezone) != offset:
            low, high = earlier, later  # the change lies in (low, high]
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (low, middle) if _offset(middle, timezone) == offset else (middle, high)
            spans.append((high.replace(microsecond=0), offset))
        later = earlier
    spans.append((begin, _offset(begin, timezone)))
    return tuple(spans)


def _offset(moment: datetime, timezone: ZoneInfo) -> timedelta:
    return moment.astimezone(timezone).utcoffset() or timedelta(0)


def midnight(day: date, timezone: ZoneInfo) -> datetime:
    """The UTC instant at which the local `day` begins."""
    return datetime.combine(day, time(0), tzinfo=timezone).astimezone(UTC)


def parse_as_of(text: str, timezone: ZoneInfo) -> datetime:
    """The UTC instant for `2025-12-01`, `2025-12-01T08:00` (local) or one with an offset; raises UserError."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            Issue("bad-time", "as_of", f"{text!r} is not a date or time", "write it as 2025-12-31 or 2025-12-31T08:00")
        ) from None
    if not 1900 <= instant.year <= 9000:
        raise UserError(Issue("bad-time", "as_of", f"the year {instant.year} is out of range", "1900 to 9000"))
    return (instant if instant.tzinfo else instant.replace(tzinfo=timezone)).astimezone(UTC)


@lru_cache(maxsize=1)
def _timezones() -> frozenset[str]:
    """The names of all zones, which are looked for on the disk."""
    return frozenset(available_timezones())


def parse_timezone(name: str) -> ZoneInfo:
    """The time zone called `name`; raises ValueError with the nearest name."""
    if name not in _timezones():
        raise ValueError(
            f"unknown time zone {name!r} | {did_you_mean(name, _timezones(), 'an IANA name such as Asia/Shanghai')}"
        )
    return ZoneInfo(name)
