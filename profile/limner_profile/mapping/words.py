"""What columns tend to be called, in English and Chinese: by the names alone one can often tell what they hold.

The words stand in words.yaml. Imports nothing of Limner.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SPLIT = re.compile(r"[\W_]+")


@lru_cache(maxsize=1)
def word_lists() -> Mapping[str, Any]:
    """The lists of words.yaml."""
    text = (resources.files("limner_profile") / "mapping" / "words.yaml").read_text(encoding="utf-8")
    lists: Mapping[str, Any] = yaml.safe_load(text)
    return lists


def words_of(name: str) -> tuple[str, ...]:
    """One of the plain lists: things, acts, personal, about_users, flags, codes."""
    return tuple(word_lists()[name])


def folded(name: str) -> str:
    """The name in one way of writing: small letters, words joined by underscores.

    >>> folded("CustomerID"), folded("Order Total (EUR)"), folded("用户 ID")
    ('customer_id', 'order_total_eur', '用户id')
    """
    parts = [part for part in _SPLIT.split(_CAMEL.sub("_", name).casefold()) if part]
    joined = "_".join(parts)
    # Chinese has no spaces between words.
    return re.sub(r"(?<=[\u4e00-\u9fff])_|_(?=[\u4e00-\u9fff])", "", joined)


def tokens(name: str) -> frozenset[str]:
    """The words of a name, folded."""
    return frozenset(folded(name).split("_"))


def is_chinese(text: str) -> bool:
    """Whether the text has Chinese characters."""
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def has_word(name: str, words: Collection[str]) -> bool:
    """Whether one of the words is a word of the name; a Chinese one, a part of it."""
    text, own = folded(name), tokens(name)
    return any(word in own or (is_chinese(word) and word in text) for word in words)


def says_role(name: str, role: str) -> float:
    """How much a name says that a column has this role: 1 to 0.8 for a usual name, 0.5 where a part hints at it, 0."""
    text = folded(name)
    exact = word_lists()["exact"][role]
    if text in exact:
        return 1 - 0.2 * float(exact.index(text)) / len(exact)
    return 0.5 if has_word(name, word_lists()["parts"][role]) else 0.0
