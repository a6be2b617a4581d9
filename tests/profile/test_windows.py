"""Windows, lengths, instants and time zones: by hand around daylight-saving changes, and as properties."""
# ruff: noqa: DTZ001  (stored instants are UTC without a zone, and so are the ones compared with them)

from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile import windows
from limner_profile.errors import UserError
from limner_profile.windows import (
    add_days,
    check_length,
    check_window,
    days_of,
    midnight,
    parse_as_of,
    parse_timezone,
    window_start,
)

ZONES = [ZoneInfo(name) for name in ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")]
instants = st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


def test_examples_of_the_docstrings() -> None:
    found = doctest.testmod(windows)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("text", ["all", "1d", "30d", "99999d", "1h", "24h"])
def test_windows_that_are_read(text: str) -> None:
    assert check_window(text) == text


@pytest.mark.parametrize(
    "text", ["", "0d", "07d", "d", "30", "30 d", "30D", "-1d", "1w", "1.5d", "123456d", "30d\n", "٣d"]
)
def test_windows_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a window"):
        check_window(text)


def test_lengths() -> None:
    assert days_of(check_length("0d")) == 0
    assert days_of(check_length("56d")) == 56
    for text in ("", "24h", "1", "-1d", "30d\n"):
        with pytest.raises(ValueError, match="is not a number of days"):
            check_length(text)


@pytest.mark.parametrize(
    ("zone", "as_of", "window", "start"),
    [
        # The day on which clocks go forward has 23 hours, the day on which they go back 25.
        ("Europe/Berlin", "2025-03-31", "1d", "2025-03-29T23:00:00"),
        ("Europe/Berlin", "2025-03-31", "24h", "2025-03-29T22:00:00"),
        ("America/New_York", "2025-11-03", "1d", "2025-11-02T04:00:00"),
        ("America/New_York", "2025-11-03", "24h", "2025-11-02T05:00:00"),
        ("Australia/Lord_Howe", "2025-04-07", "1d", "2025-04-05T13:00:00"),  # clocks change by half an hour
        ("Asia/Shanghai", "2024-03-01", "1d", "2024-02-28T16:00:00"),  # 29 February
        ("Asia/Shanghai", "2025-03-01", "1d", "2025-02-27T16:00:00"),
        ("Asia/Shanghai", "2025-03-01T15:30", "2d", "2025-02-26T16:00:00"),  # from a midnight on, whatever the hour
        ("America/Sao_Paulo", "2018-11-05", "1d", "2018-11-04T03:00:00"),  # a day that began at one o'clock
    ],
)
def test_where_a_window_begins(zone: str, as_of: str, window: str, start: str) -> None:
    where = ZoneInfo(zone)
    assert window_start(window, parse_as_of(as_of, where), where) == datetime.fromisoformat(start).replace(tzinfo=UTC)


def test_all_has_no_beginning_and_nonsense_is_refused() -> None:
    assert window_start("all", datetime(2025, 1, 1, tzinfo=UTC), ZONES[0]) is None
    with pytest.raises(ValueError, match="not a window"):
        window_start("1w", datetime(2025, 1, 1, tzinfo=UTC), ZONES[0])


@given(instants, st.integers(-4000, 4000), st.sampled_from(ZONES))
def test_add_days_lands_on_the_first_instant_of_a_day(instant: datetime, days: int, zone: ZoneInfo) -> None:
    result = add_days(instant, days, zone)
    day = instant.astimezone(zone).date() + timedelta(days=days)
    assert result.astimezone(zone).date() == day
    assert (result - timedelta(microseconds=1)).astimezone(zone).date() == day - timedelta(days=1)
    assert result == midnight(day, zone)


@given(instants, st.integers(1, 400), st.integers(1, 400), st.sampled_from(ZONES))
def test_longer_windows_begin_earlier(instant: datetime, short: int, more: int, zone: ZoneInfo) -> None:
    starts = [window_start(f"{days}d", instant, zone) for days in (short, short + more)]
    assert starts[0] is not None
    assert starts[1] is not None
    assert starts[1] < starts[0] < instant


@given(instants, st.sampled_from(ZONES))
def test_an_instant_written_with_its_offset_is_read_back(instant: datetime, zone: ZoneInfo) -> None:
    assert parse_as_of(instant.astimezone(zone).isoformat(), ZONES[0]) == instant


def test_as_of_is_local_unless_it_says_otherwise() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    assert parse_as_of("2025-12-01", shanghai) == datetime(2025, 11, 30, 16, tzinfo=UTC)
    assert parse_as_of("2025-12-01T08:30", shanghai) == datetime(2025, 12, 1, 0, 30, tzinfo=UTC)
    assert parse_as_of("2025-12-01T08:30+01:00", shanghai) == datetime(2025, 12, 1, 7, 30, tzinfo=UTC)
    assert parse_as_of("2025-12-01T08:30Z", shanghai) == datetime(2025, 12, 1, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2025-02-29", "2025-13-01", "0001-01-01", "9999-12-31T23:59"])
def test_as_of_that_is_no_time(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_as_of(text, ZoneInfo("America/New_York"))
    assert caught.value.code == "bad-time"
    assert caught.value.issues[0].hint


def test_time_zones() -> None:
    assert parse_timezone("Europe/Berlin").key == "Europe/Berlin"
    with pytest.raises(ValueError, match=r"unknown time zone 'Asia/Shangai' \| did you mean 'Asia/Shanghai'\?"):
        parse_timezone("Asia/Shangai")
    assert midnight(date(2025, 7, 1), ZoneInfo("Europe/Berlin")) == datetime(2025, 6, 30, 22, tzinfo=UTC)
