"""Postcodes: Google takes them as they are; Meta lower-case, without spaces, of the US the first five digits. SQL texts; pure."""

from __future__ import annotations


def google_postcode(text: str) -> str:
    """SQL: a cleaned text as it is, ZIP+4 included."""
    return text


def meta_postcode(text: str, country: str) -> str:
    """SQL: a cleaned, lower-case text without spaces; `country` is SQL for the ISO code (upper-case), NULL where it is unknown."""
    text = f"replace({text}, ' ', '')"
    return f"CASE WHEN {country} = 'US' AND {_is_zip(text)} THEN left({text}, 5) ELSE {text} END"


def postcode_reason(text: str, country: str, *, needs_country: bool) -> str:
    """SQL: why a postcode cannot be used: it is no ZIP code though it is of the United States; or it may be a ZIP+4, and nobody knows of
    which country (others write nine digits, too): then a platform that wants five of them cannot be given either with certainty.
    """
    text = f"replace({text}, ' ', '')"
    unplaced = f"WHEN {country} IS NULL AND regexp_full_match({text}, '[0-9]{{5}}-?[0-9]{{4}}') THEN 'unknown-country' "
    return f"CASE WHEN {country} = 'US' AND NOT {_is_zip(text)} THEN 'invalid-postcode' {unplaced if needs_country else ''}END"


def _is_zip(text: str) -> str:
    return f"regexp_full_match({text}, '[0-9]{{5}}(?:-?[0-9]{{4}})?')"
