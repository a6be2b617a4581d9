from __future__ import annotations

import random

import duckdb
import phonenumbers
import pytest

from limner_segments.exports.normalise.phone import (
    Phone,
    bare_number,
    calling_codes,
    certain_number,
    is_region,
    read_phone,
)

SEPARATORS = [" ", "-", ".", "(", ")", " - "]


def spellings(region: str, rng: random.Random) -> list[str]:
    """Numbers near those that phonenumbers gives as examples: digits changed, prefixes added, separators put in."""
    code = str(phonenumbers.country_code_for_region(region))
    found = set()
    for kind in range(11):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        for _ in range(8):
            digits = list(phonenumbers.national_significant_number(example))
            for _ in range(rng.randint(0, 3)):
                digits[rng.randrange(len(digits))] = rng.choice("0123456789")
            if rng.random() < 0.25:
                digits.insert(0, rng.choice(["0", "00", "1", "8", "011", code]))
            if rng.random() < 0.3:
                digits.insert(rng.randint(0, len(digits)), rng.choice(SEPARATORS))
            text = "".join(digits)
            found |= {text, f"+{code}{text}", f"+{code} {text}"}
    return sorted(found)


def test_what_sql_is_certain_of_is_what_phonenumbers_reads() -> None:
    rng, certain = random.Random(7), 0
    with duckdb.connect() as bench:
        for region in sorted(phonenumbers.SUPPORTED_REGIONS):
            texts = spellings(region, rng)
            sql = certain_number("bare", calling_codes([text[:5] for text in texts]), region)
            query = (
                f"SELECT text, {sql} FROM (SELECT text, {bare_number('text')} AS bare FROM (SELECT unnest(?) AS text))"
            )
            for text, number in bench.execute(query, [texts]).fetchall():
                if number is not None:
                    certain += 1
                    assert read_phone(text, region) == Phone(number, None), (region, text)
    assert certain > 5000


@pytest.mark.parametrize("region", ["CN", "US", "DE", "GB", "JP"])
def test_sql_is_certain_of_ordinary_mobiles(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    spaced = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    with duckdb.connect() as bench:
        sql = certain_number(bare_number("text"), calling_codes([number[:5]]), None)
        found = bench.execute(f"SELECT {sql} FROM (SELECT unnest(?) AS text)", [[number, spaced]]).fetchall()
    assert found == [(number,), (number,)]


def test_nothing_is_certain_without_a_plus_and_a_region() -> None:
    with duckdb.connect() as bench:
        for sql in (certain_number("text", ["86"], None), certain_number("text", [], None)):
            assert bench.execute(f"SELECT {sql} FROM (SELECT '13800138000' AS text)").fetchall() == [(None,)]


def test_calling_codes_and_regions() -> None:
    assert calling_codes(["+8613", "+1650", "+3531", "8613", "+999", "+8615"]) == ["86", "1", "353"]
    assert is_region("CN")
    assert not is_region("China")


def test_no_number_is_longer_than_e164_allows() -> None:
    assert phonenumbers.is_valid_number(phonenumbers.parse("+49912861124446489"))
    assert read_phone("+49912861124446489", None) == Phone(None, "invalid-phone")
    with duckdb.connect() as bench:
        sql = certain_number(bare_number("text"), ["49"], "DE")
        texts = ["+49912861124446489", "912861124446489"]
        assert bench.execute(f"SELECT {sql} FROM (SELECT unnest(?) AS text)", [texts]).fetchall() == [(None,), (None,)]
