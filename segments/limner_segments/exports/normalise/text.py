"""Texts cleaned before any other rule: NFKC, no outer or repeated white space, and if asked for lower-case, without punctuation.

Python's Unicode tables decide. SQL does the same by itself where that is certain, for ASCII and Chinese characters; other values are
cleaned in Python, each distinct one once. Pure; imports nothing of Limner.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# What copying from documents leaves behind: zero-width space, word joiner, byte order mark.
_INVISIBLE = str.maketrans(dict.fromkeys("\u200b\u2060\ufeff", " "))
# ASCII counts these as punctuation, Unicode as symbols.
_ASCII_SYMBOLS = frozenset("$+<=>^`|~")
# Printable ASCII, its white space, and the Chinese characters of common use: NFKC leaves them alone, and none has a case beyond ASCII.
_PLAIN = r"[\t\n\r -~\x{4e00}-\x{9fff}]*"
_DIGESTS = r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True)
class Cleaning:
    """Which of the optional steps a field asks for."""

    lower: bool = True
    punctuation: bool = True


def clean(text: str, cleaning: Cleaning) -> str:
    """The cleaned text; empty where nothing is left.

    >>> clean("  Ｍａｒｙ\\u3000 O'Neil ", Cleaning(punctuation=False))
    'mary oneil'
    """
    text = unicodedata.normalize("NFKC", text).translate(_INVISIBLE)
    if cleaning.lower:
        text = text.lower()
    if not cleaning.punctuation:
        text = "".join(
            letter for letter in text if letter not in _ASCII_SYMBOLS and unicodedata.category(letter)[0] != "P"
        )
    return re.sub(r"\s+", " ", text).strip()


def is_plain(text: str) -> str:
    """SQL: whether SQL may clean the value of an expression by itself."""
    return f"regexp_full_match({text}, '{_PLAIN}')"


def clean_plain(text: str, cleaning: Cleaning) -> str:
    """SQL: the cleaned value of an expression for which `is_plain` holds."""
    if cleaning.lower:
        text = f"lower({text})"
    if not cleaning.punctuation:
        text = f"regexp_replace({text}, '[!-/:-@\\[-`{{-~]', '', 'g')"
    # Most values have single spaces only: just the others are worth a regular expression.
    signs = [f"contains({text}, {sign})" for sign in ("chr(9)", "chr(10)", "chr(13)", "'  '")]
    spaced = f"regexp_replace({text}, '[\\t\\n\\r ]+', ' ', 'g')"
    return f"trim(CASE WHEN {' OR '.join(signs)} THEN {spaced} ELSE {text} END)"


def is_digest(text: str) -> str:
    """SQL: whether an expression is a digest already (MD5, SHA-1 or SHA-256 in hexadecimal)."""
    return f"(length({text}) IN (32, 40, 64) AND regexp_full_match({text}, '{_DIGESTS}'))"


def is_sha256(text: str) -> str:
    """SQL: whether an expression is a SHA-256 digest in hexadecimal."""
    return f"regexp_full_match({text}, '[0-9a-fA-F]{{64}}')"
