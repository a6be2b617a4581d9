"""Dates of birth as Meta takes them: year, month and day by themselves; from a date, `1990-04-07`, or a year alone. SQL texts; pure."""

from __future__ import annotations

_FIRST_YEAR = 1900


def meta_birth(text: str) -> str:
    """SQL: `YYYY-MM-DD` or `YYYY` for a cleaned text that is such a date or year, NULL for any other."""
    day = f"strftime(try_cast({text} AS DATE), '%Y-%m-%d')"
    return (
        f"CASE WHEN regexp_full_match({text}, '[0-9]{{4}}') THEN {text} "
        f"WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') THEN {day} END"
    )


def birth_reason(value: str, today: str) -> str:
    """SQL: why a date cannot be a date of birth: unreadable, before 1900, or after `today` (SQL, an ISO date)."""
    return (
        f"CASE WHEN {value} IS NULL THEN 'unreadable-birth' "
        f"WHEN left({value}, 4) < '{_FIRST_YEAR}' OR {value} > left({today}, length({value})) THEN 'impossible-birth' END"
    )


def birth_year(value: str) -> str:
    """SQL: the year of a date or year."""
    return f"left({value}, 4)"


def birth_month(value: str) -> str:
    """SQL: the month of a date, NULL for a year."""
    return f"nullif(substr({value}, 6, 2), '')"


def birth_day(value: str) -> str:
    """SQL: the day of a date, NULL for a year."""
    return f"nullif(substr({value}, 9, 2), '')"
