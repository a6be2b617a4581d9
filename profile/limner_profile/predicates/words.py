"""English and Chinese wording of predicates: titles, units, verbs and lists. Imports values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal

from limner_profile.predicates.values import Value, type_of, value_text

Language = Literal["en", "zh"]
FieldType = Literal["number", "category", "boolean", "date", "time"]
Operator = Literal["=", "!=", "<", "<=", ">", ">="]

_VERBS: dict[Language, dict[str, dict[Operator, str]]] = {
    "en": {
        "text": {"=": "is", "!=": "is not", "<": "sorts before", "<=": "sorts up to", ">": "sorts after",
                 ">=": "sorts from"},
        "number": {"=": "is", "!=": "is not", "<": "is below", "<=": "is at most", ">": "is above",
                   ">=": "is at least"},
        "date": {"=": "is", "!=": "is not", "<": "is before", "<=": "is on or before", ">": "is after",
                 ">=": "is on or after"},
    },
    "zh": {
        "text": {"=": "是", "!=": "不是", "<": "排序早于", "<=": "排序不晚于", ">": "排序晚于", ">=": "排序不早于"},
        "number": {"=": "等于", "!=": "不等于", "<": "小于", "<=": "不超过", ">": "大于", ">=": "不少于"},
        "date": {"=": "是", "!=": "不是", "<": "早于", "<=": "不晚于", ">": "晚于", ">=": "不早于"},
    },
}  # fmt: skip


@dataclass(frozen=True)
class FieldWords:
    """How a field is called in one language: its title, the unit of its numbers, titles of its values.

    `value_titles` is keyed by the value as text (`'m'`, `'true'`, `'3'`).
    """

    title: str
    unit: str = ""
    value_titles: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def relation(operator: Operator, value: Value, words: FieldWords, language: Language) -> str:
    """What follows the title: verb, value and unit, as the type of the value asks."""
    kind: str = type_of(value)
    words_of = _VERBS[language]["text" if kind == "boolean" else kind][operator]
    shown = with_unit(value_title(value, words, language), (value,), words)
    return f"{words_of} {shown}"


def value_title(value: Value, words: FieldWords, language: Language) -> str:
    """The value as a reader would write it, without its unit.

    >>> value_title(12000.5, FieldWords("spend"), "en"), value_title(True, FieldWords("vip"), "zh")
    ('12,000.5', '是')
    """
    key = value if isinstance(value, str) else value.isoformat() if isinstance(value, date) else value_text(value)
    if key in words.value_titles:
        return words.value_titles[key]
    if isinstance(value, bool):
        return ({"en": "yes", "zh": "是"} if value else {"en": "no", "zh": "否"})[language]
    if isinstance(value, int | float):
        # Four digits stay together: 2024 is as often a year as an amount.
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return key if key.strip() == key != "" else f"'{key}'"


def with_unit(text: str, values: Sequence[Value], words: FieldWords) -> str:
    """`text` followed by the field's unit, where the values are numbers that carry one."""
    if not words.unit or type_of(values[0]) != "number" or any(value_text(v) in words.value_titles for v in values):
        return text
    return text + words.unit if words.unit in {"%", "‰", "°"} else f"{text} {words.unit}"


def listed(titles: Sequence[str], language: Language, last: Literal["or", "and"] = "or") -> str:
    """The titles as a list in a sentence.

    >>> listed(["a", "b", "c"], "en"), listed(["甲", "乙", "丙"], "zh")
    ('a, b or c', '甲、乙 或 丙')
    """
    if len(titles) == 1:
        return titles[0]
    word = {"en": {"or": "or", "and": "and"}, "zh": {"or": "或", "and": "和"}}[language][last]
    return f"{', '.join(titles[:-1]) if language == 'en' else '、'.join(titles[:-1])} {word} {titles[-1]}"


def unknown_included(language: Language) -> str:
    """The note that users without a value match, too."""
    return " (or is unknown)" if language == "en" else "（含未知）"


def bracketed(text: str, language: Language) -> str:
    """`text` in the brackets of its language."""
    return f"({text})" if language == "en" else f"（{text}）"
