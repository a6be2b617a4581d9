"""Texts of other people that name somebody on the erasure list: what ingestion makes of them. Pure; imports nothing of Limner.

An erasure knows the ids and looks for them; a later sync knows digests only, so it asks of each word, and of each few words in
a row, whether their digest is on the list. Both give the same text, so that a row which comes again is the same row.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# What stands in the place of an id among other text.
ERASED = "(erased)"
_WORD = re.compile(r"\w+")
_DIGIT_OR_AT = re.compile(r"[\d@]")
# An id of more words than this is found only where it is the whole value.
_WORDS = 5
# Signs that an id may begin with.
_LEADING = "+#@"


def without_erased(text: str, is_erased: Callable[[str], bool]) -> str | None:
    """The text with each erased id replaced; None where it is nothing but an id.

    >>> without_erased("lent to user-0042, again", lambda id_: id_ == "user-0042")
    'lent to (erased), again'
    >>> without_erased("user-0042", lambda id_: id_ == "user-0042") is None
    True
    """
    if is_erased(text):
        return None
    words = list(_WORD.finditer(text))
    made, done, index = "", 0, 0
    while index < len(words):
        begin = words[index].start()
        step = 1
        for last in range(min(index + _WORDS, len(words)) - 1, index - 1, -1):
            end = words[last].end()
            if last > index and not _DIGIT_OR_AT.search(text, begin, end):
                continue
            lead = begin - 1 if begin > done and text[begin - 1] in _LEADING else begin
            start = next((at for at in dict.fromkeys((lead, begin)) if is_erased(text[at:end])), None)
            if start is not None:
                made, done, step = f"{made}{text[done:start]}{ERASED}", end, last - index + 1
                break
        index += step
    return made + text[done:]
