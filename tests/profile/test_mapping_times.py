"""Reading how times are written, and the words of column names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile.mapping.times import parse_time, read_times
from limner_profile.mapping.words import folded, has_word, is_chinese, says_role, word_lists, words_of


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (["2025-01-31", "2025-02-01"], None),
        (["2025/1/31 8:05", "2025/2/1 23:59:59"], None),
        (["2025-01-31T08:05:00Z", "2025-01-31T08:05:00.123+08:00"], None),
        (["31.12.2024", "01.02.2025"], "%d.%m.%Y"),
        (["31.12.2024 23:59", "01.02.2025 00:00"], "%d.%m.%Y %H:%M"),
        (["12/31/2024 11:59 PM"], "%m/%d/%Y %I:%M %p"),
        (["31/12/2024", "01/12/2024"], "%d/%m/%Y"),
        (["20250131", "20241231"], "%Y%m%d"),
        (["2025年1月31日", "2024年12月1日"], "%Y年%m月%d日"),
        (["1735689600", "1767225600"], "unix"),
        (["1735689600.25"], "unix"),
        (["1735689600000", "1767225600123"], "unix_ms"),
    ],
)
def test_the_way_that_times_are_written_is_found(values: list[str], written: str | None) -> None:
    reading = read_times(values)
    assert reading is not None
    assert (reading.format, reading.rivals, reading.readable) == (written, (), 1.0)


@pytest.mark.parametrize(
    "values",
    [[], ["Berlin"], ["12.5", "13"], ["1", "2", "3"], ["13912345678"], ["10012025"], ["A-2025-01-01"], ["2025"]],
)
def test_other_values_are_no_times(values: list[str]) -> None:
    assert read_times(values) is None


def test_day_and_month_that_cannot_be_told_apart_are_rivals() -> None:
    reading = read_times(["01/02/2025", "03/04/2025"])
    assert reading
    assert (reading.format, reading.rivals) == ("%d/%m/%Y", ("%m/%d/%Y",))


def test_times_that_rise_tell_day_from_month() -> None:
    days = [datetime(2025, 1, 1) + timedelta(days=31 * n % 12 + n) for n in range(12)]  # noqa: DTZ001
    rising = sorted(days)
    american = read_times([f"{day:%m/%d/%Y}" for day in rising])
    assert american
    assert american.format == "%m/%d/%Y"
    one_year = [f"0{1 + n // 12}/{1 + n % 12:02}/2025" for n in range(36)]
    reading = read_times(one_year)
    assert reading
    assert (reading.format, reading.rivals) == ("%m/%d/%Y", ())
    assert "%d/%m/%Y" in reading.why


def test_a_few_unreadable_values_do_not_hide_the_times() -> None:
    reading = read_times(["31.12.2024"] * 19 + ["unknown"])
    assert reading
    assert (reading.format, reading.readable) == ("%d.%m.%Y", 0.95)
    assert read_times(["31.12.2024"] * 8 + ["unknown"] * 2) is None


def test_offsets_are_seen() -> None:
    reading = read_times(["2025-01-01T00:00:00+08:00", "2025-01-01 00:00:00Z", "2025-01-01"])
    assert reading
    assert reading.offsets == ("", "+08:00", "Z")


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2089, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S", "%d/%m/%Y %H:%M:%S", "unix", "unix_ms"]),
)
def test_what_is_written_so_is_read_back(moment: datetime, written: str) -> None:
    second = moment.replace(microsecond=0)
    number = int(second.timestamp())
    text = {"unix": str(number), "unix_ms": str(number * 1000)}.get(written) or second.strftime(written)
    assert parse_time(text, written) == second


def test_names_are_folded() -> None:
    names = {
        "CustomerID": "customer_id",
        "userId": "user_id",
        "Order Date (UTC)": "order_date_utc",
        "用户 ID": "用户id",
    }
    assert {name: folded(name) for name in names} == names
    assert folded("HTTPStatus") == "http_status"


def test_names_say_roles_the_usual_ones_most() -> None:
    assert says_role("user_id", "user") > says_role("account", "user") >= 0.8
    assert says_role("CustomerID", "user") >= 0.8
    assert says_role("my_user_key", "user") == 0.5
    assert says_role("会员编号", "user") >= 0.8
    assert says_role("flat", "time") == 0  # 'at' is a word of its own only
    assert says_role("city", "user") == 0


def test_chinese_words_are_found_inside_others() -> None:
    assert has_word("用户登录", ("登录",))
    assert not has_word("userlogin", ("login",))
    assert (is_chinese("a用"), is_chinese("é")) == (True, False)


def test_the_word_lists_hold_texts_in_folded_form() -> None:
    lists = word_lists()
    plain = {name: words_of(name) for name in lists if name not in ("exact", "parts", "files")}
    nested = {f"{name}.{role}": words for name in ("exact", "parts", "files") for role, words in lists[name].items()}
    for name, words in {**plain, **nested}.items():
        assert all(isinstance(word, str) and folded(word) == word for word in words), name
        assert len(set(words)) == len(words), name
