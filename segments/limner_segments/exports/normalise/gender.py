"""Gender as Meta takes it: m or f, and nothing else. Whatever is not surely one of both stays unsaid. SQL texts; pure."""

from __future__ import annotations

_MALE = ("m", "male", "man", "男", "男性")
_FEMALE = ("f", "female", "woman", "女", "女性")


def meta_gender(text: str) -> str:
    """SQL: m or f for a cleaned, lower-case text, NULL for any other."""
    return f"CASE WHEN {text} IN {_MALE} THEN 'm' WHEN {text} IN {_FEMALE} THEN 'f' END"


def gender_reason(value: str) -> str:
    """SQL: why there is no gender to send."""
    return f"CASE WHEN {value} IS NULL THEN 'unknown-gender' END"
