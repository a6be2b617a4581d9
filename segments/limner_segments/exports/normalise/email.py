"""E-mail addresses: lower-case; for Google without any white space and, at Gmail only, without dots and `+suffix`. SQL texts; pure."""

from __future__ import annotations

# One @, something before it, and a domain with a dot inside: what no platform could match by is not hashed.
_ADDRESS = r"[^@ ]+@[^@ .]+(?:\.[^@ .]+)+"
_GMAIL = ("@gmail.com", "@googlemail.com")


def google_email(text: str) -> str:
    """SQL: a cleaned, lower-case text as Google wants an address; an empty local part is left for the check to find."""
    text = f"replace({text}, ' ', '')"
    at = f"strpos({text}, '@')"
    local, domain = f"split_part(left({text}, {at} - 1), '+', 1)", f"substr({text}, {at})"
    return f"CASE WHEN {domain} IN {_GMAIL} THEN replace({local}, '.', '') || {domain} ELSE {text} END"


def meta_email(text: str) -> str:
    """SQL: a cleaned, lower-case text as Meta wants an address: as it is, dots kept."""
    return text


def email_reason(value: str) -> str:
    """SQL: why a normalised address cannot be used, NULL where it can."""
    return f"CASE WHEN NOT regexp_full_match({value}, '{_ADDRESS}') THEN 'invalid-email' END"
