"""Phone numbers as E.164: `phonenumbers` decides, and SQL decides alike where the plan of a country leaves no doubt.

The fast path takes digits with the usual separators that fully match the mobile or fixed-line plan of the main country of a calling
code and cannot be read in any other way (no national prefix, no prefix for calls abroad). All other distinct values go to
`phonenumbers`, one by one. Pure; imports floor 1's SQL texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from limner_profile.sql_text import text_of

# E.164 has no more digits, the calling code among them.
_LONGEST = 15
# What may stand between digits without changing their meaning.
_SEPARATORS = " ().-"


@dataclass(frozen=True)
class Phone:
    """What became of a text: its number in E.164, or the reason why there is none."""

    number: str | None
    reason: str | None


def read_phone(text: str, region: str | None) -> Phone:
    """The number that a text says, read in `region` (ISO alpha-2) where it has no country code; only valid numbers count.

    >>> read_phone("138 1234-5678", "CN")
    Phone(number='+8613812345678', reason=None)
    >>> read_phone("138 1234-5678", None).reason
    'no-country-code'
    """
    import phonenumbers

    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        unplaced = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and "+" not in text
        return Phone(None, "no-country-code" if unplaced and region is None else "invalid-phone")
    if not phonenumbers.is_valid_number(parsed):
        return Phone(None, "invalid-phone")
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    # Some plans know longer ones, such as Germany's; no platform takes them for E.164.
    return Phone(number, None) if len(number) <= _LONGEST + 1 else Phone(None, "invalid-phone")


def is_region(region: str) -> bool:
    """Whether numbers can be read in a region."""
    import phonenumbers

    return region in phonenumbers.SUPPORTED_REGIONS


def calling_codes(starts: Sequence[str]) -> list[str]:
    """The calling codes with which numbers begin, given their first characters such as `+8613`; in order, each once."""
    import phonenumbers

    known = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    found: dict[str, None] = {}
    for start in starts:
        digits = re.sub(r"\D", "", start)
        code = next(
            (digits[:length] for length in (1, 2, 3) if digits[:length] and int(digits[:length]) in known), None
        )
        if start.startswith("+") and code:
            found[code] = None
    return list(found)


def bare_number(text: str) -> str:
    """SQL: a text without the usual separators, NULL where something else than digits and a leading plus is left."""
    bare = text
    for sign in _SEPARATORS:  # a third of the time that translate() takes
        bare = f"replace({bare}, '{sign}', '')"
    return f"CASE WHEN regexp_full_match({bare}, '\\+?[0-9]+') THEN {bare} END"


def certain_number(bare: str, codes: Sequence[str], region: str | None) -> str:
    """SQL: the E.164 number of a bare number that is certain without `phonenumbers`, NULL for all others.

    Numbers with a plus are certain for the calling `codes` only; without one, for the main country of its code only.
    """
    branches = []
    for code in codes:
        certain = _certain(f"substr({bare}, {len(code) + 2})", code, local=False)
        if certain:
            branches.append(f"WHEN starts_with({bare}, '+{code}') THEN CASE WHEN {certain} THEN {bare} END")
    own = _main_code(region) if region is not None else None
    certain = _certain(bare, own, local=True) if own else None
    if certain:
        branches.append(f"WHEN NOT starts_with({bare}, '+') AND {certain} THEN '+{own}' || {bare}")
    return f"CASE {' '.join(branches)} END" if branches else "CAST(NULL AS VARCHAR)"


def _main_code(region: str) -> str | None:
    """The calling code of which a region is the main country."""
    import phonenumbers

    code = phonenumbers.country_code_for_region(region)
    return str(code) if phonenumbers.region_code_for_country_code(code) == region else None


def _certain(national: str, code: str, *, local: bool) -> str | None:
    """SQL: whether the digits of a number without its calling code are valid and read in one way only; None where nothing is certain.

    A `local` number was written without the calling code, so it must not begin like one, nor like a call abroad.
    """
    import phonenumbers
    from phonenumbers import PhoneMetadata

    main = phonenumbers.region_code_for_country_code(int(code))
    plan = None if main == "001" else PhoneMetadata.metadata_for_region(main)
    anything = plan.general_desc.national_number_pattern if plan and plan.general_desc else None
    if plan is None or anything is None or plan.leading_digits:
        return None
    kinds = []
    for described in (plan.mobile, plan.fixed_line):
        if described is not None and described.national_number_pattern:
            lengths = ", ".join(str(length) for length in described.possible_length)
            fits = f"regexp_full_match({national}, {text_of(described.national_number_pattern)})"
            kinds.append(f"(length({national}) IN ({lengths}) AND {fits})" if lengths else fits)
    if not kinds:
        return None
    others = ["0", plan.national_prefix_for_parsing, *([plan.international_prefix, code] if local else [])]
    other = "|".join(f"(?:{prefix})" for prefix in others if prefix)
    return (
        f"({' OR '.join(kinds)}) AND length({national}) <= {_LONGEST - len(code)} "
        f"AND NOT regexp_matches({national}, {text_of(f'^(?:{other})')}) "
        f"AND regexp_full_match({national}, {text_of(anything)})"
    )
