"""Numbers as people read them: thousands separators, percentages, cut-off texts. Pure; imports the wording of cards."""

from __future__ import annotations

import math
import unicodedata

from limner_explain.wording import percent as share_in_words


def count(number: float | None) -> str:
    """A count with thousands separators, a dash where there is none.

    >>> count(1234567), count(None)
    ('1,234,567', '–')
    """
    return "–" if number is None else f"{number:,.0f}"


def percent(share: float | None) -> str:
    """A share (0 to 1) as a percentage: whole from 10 % on, two significant digits below; halves go up; a dash for none.

    >>> percent(0.3141), percent(660 / 8000), percent(0.0123), percent(0.0035), percent(0.05), percent(0.0)
    ('31 %', '8.3 %', '1.2 %', '0.35 %', '5 %', '0 %')
    """
    if share is None or math.isnan(share):
        return "–"
    return share_in_words(share)


def decimals(number: float | None, digits: int = 2) -> str:
    """A number with so many decimals, a dash where there is none.

    >>> decimals(0.80636, 3), decimals(None)
    ('0.806', '–')
    """
    return "–" if number is None else f"{number:,.{digits}f}"


def signed(number: float, digits: int = 2) -> str:
    """A number with its sign, a true minus for the negative ones.

    >>> signed(0.8), signed(-1.25), signed(0.001)
    ('+0.80', '−1.25', '0.00')
    """
    text = f"{number:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def plain(number: float) -> str:
    """A value of a tag: whole numbers without decimals, others with three significant digits.

    >>> plain(30.0), plain(0.4567), plain(12345.6)
    ('30', '0.457', '12,346')
    """
    if number == int(number) or abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def text_width(text: str) -> int:
    """How many half-width cells the text takes; a Chinese character takes two.

    >>> text_width("abc"), text_width("活跃")
    (3, 4)
    """
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def shorten(text: str, width: int) -> str:
    """The text cut to so many half-width cells, with an ellipsis where something is left out.

    >>> shorten("acquisition channel", 12), shorten("近30天登录次数", 8)
    ('acquisition…', '近30天…')
    """
    if text_width(text) <= width:
        return text
    kept, used = "", 1
    for letter in text:
        used += text_width(letter)
        if used > width:
            break
        kept += letter
    return kept.rstrip() + "…"


def wrap(text: str, width: int, lines: int = 2) -> list[str]:
    """The text in at most so many lines of so many half-width cells, broken at spaces; what is left over is cut off.

    >>> wrap("payments in the last 30 days", 20), wrap("近30天登录次数", 8)
    (['payments in the last', '30 days'], ['近30天登', '录次数'])
    """
    found: list[str] = []
    rest = text.strip()
    while len(found) < lines - 1 and text_width(rest) > width:
        fits = 0
        while text_width(rest[: fits + 1]) <= width:
            fits += 1
        space = len(rest[: fits + 1].rstrip()) if rest[fits] == " " else rest.rfind(" ", 0, fits)
        at = space if space > fits // 3 else fits
        found.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*found, shorten(rest, width)]
