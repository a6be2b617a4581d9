from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_segments.exports.formats import file_format
from limner_segments.exports.formats.base import Options, Prepared
from limner_segments.exports.normalise.text import Cleaning, clean, clean_plain, is_plain
from segments.exports.bench import write_file

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MARY = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"  # mary@example.com

# Platform, field, a tag's value, the text that is hashed, and its SHA-256 by coreutils' sha256sum. The region is CN.
DIGESTS: list[tuple[str, str, Any, str, str]] = [
    (
        "google",
        "email",
        "Mary.Ann@Gmail.com",
        "maryann@gmail.com",
        "da6c5852e5eb237e28a2853b73ffef584c1fc90600f7845ddd31e07160587517",
    ),  # dots at Gmail
    (
        "google",
        "email",
        "mary.ann+shop@googlemail.com",
        "maryann@googlemail.com",
        "1ffb55e3b2c2ff1a66ad166f88261368e5fc47bede30e20152991e57f2e17ef9",
    ),  # suffix and dots at Googlemail
    (
        "google",
        "email",
        "mary.ann+shop@example.com",
        "mary.ann+shop@example.com",
        "e4a509fe05e5c3f17c840e807e3c16695626762e45a6428d28a1131b1062b916",
    ),  # dots and suffix elsewhere
    (
        "google",
        "email",
        "a.b@notgmail.com",
        "a.b@notgmail.com",
        "d556c9c919c09ec38051edb410f3de6701b32a2bcc2f901ed8a937d8a11b1723",
    ),  # another domain that ends so
    (
        "google",
        "email",
        "a.b@gmail.com.cn",
        "a.b@gmail.com.cn",
        "06b08ae265bd262e24a56248ba270ec2c98d9c4730f3fe8e759da1d0ff666b19",
    ),  # another domain that begins so
    (
        "google",
        "email",
        " MARY @ Example.COM\t",
        "mary@example.com",
        "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79",
    ),  # white space anywhere
    (
        "google",
        "email",
        "Ｍａｒｙ＠Ｅｘａｍｐｌｅ．ｃｏｍ",
        "mary@example.com",
        "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79",
    ),  # full-width letters
    (
        "google",
        "email",
        "\xa0mary@example.com\u200b",
        "mary@example.com",
        "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79",
    ),  # invisible white space
    (
        "google",
        "email",
        "JÖRG@Example.de",
        "jörg@example.de",
        "2437ebb027b40ee855df05f604a3e407375ca750458215189263e8f849514b26",
    ),  # letters beyond ASCII
    (
        "meta",
        "email",
        " Mary.Ann+shop@Gmail.com ",
        "mary.ann+shop@gmail.com",
        "db9b079bf8f7798b860eb62cc6474f487cae6c4210bc4f0c1dab0cd79a496140",
    ),  # Meta keeps dots and suffix
    (
        "meta",
        "email",
        "Ｍａｒｙ＠Ｅｘａｍｐｌｅ．ｃｏｍ",
        "mary@example.com",
        "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79",
    ),  # full-width letters
    (
        "google",
        "phone",
        "138 0013-8000",
        "+8613800138000",
        "ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5",
    ),  # a number of the region
    (
        "google",
        "phone",
        "+86 138 0013 8000",
        "+8613800138000",
        "ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5",
    ),  # a country code
    (
        "google",
        "phone",
        "008613800138000",
        "+8613800138000",
        "ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5",
    ),  # a prefix for calls abroad
    (
        "google",
        "phone",
        "8613800138000",
        "+8613800138000",
        "ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5",
    ),  # a country code without plus
    (
        "google",
        "phone",
        "+1 (650) 253-0000",
        "+16502530000",
        "3ad9f10d73829a714b1383221691d4dbf08484f3ceeae884f53053a1c7bb0a92",
    ),  # another country
    (
        "google",
        "phone",
        "+44 (0)20 7031 3000",
        "+442070313000",
        "f3d7e96c73fb0de1b66acfce541d7af758fbd4f3fa3af0ea4e10110000d3625e",
    ),  # a zero in brackets
    (
        "google",
        "phone",
        "+39 06 6982",
        "+39066982",
        "12e25e3e76b63688c62271306ac6ea3a4c90d7a415774915d9e3d0f89def76cc",
    ),  # a leading zero that belongs to the number
    (
        "google",
        "phone",
        "１３８００１３８０００",
        "+8613800138000",
        "ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5",
    ),  # full-width digits
    (
        "google",
        "phone",
        13800138000.0,
        "+8613800138000",
        "ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5",
    ),  # a number that is a number
    (
        "meta",
        "phone",
        "138 0013-8000",
        "8613800138000",
        "bf08aacce7f9b2452863cf99373043c3333f0e3127f1f787c4abb46ab6cf2b83",
    ),  # Meta: no plus
    (
        "meta",
        "phone",
        "+1 (650) 253-0000",
        "16502530000",
        "67d3cb9e9b1b64b913a5f2508beac167cfa7d3fb943f6a52e6767392d425a536",
    ),  # Meta: another country
    (
        "meta",
        "phone",
        "+44 (0)20 7031 3000",
        "442070313000",
        "6c91c4c640f6ef0162833260db4f13dec0df2b683092f4dba7e874bef1acea37",
    ),  # Meta: no zeros
    (
        "google",
        "first_name",
        "  Mary  Ann ",
        "mary ann",
        "343b97011010c3549fe7fcd6c226ed9431ea37b0b77ed78f6300a0098925faf1",
    ),  # trimmed, lower-case
    (
        "google",
        "last_name",
        "O'Neil-Smith",
        "o'neil-smith",
        "03a6e0bd58e6195e25e2f15f5831864e152a4e100961c438edab4e8812815bd9",
    ),  # Google keeps punctuation
    (
        "google",
        "last_name",
        "ÉTIENNE",
        "étienne",
        "128fbd3431d2306cb83fa0c5c8467acc84c78325d7d9631d4382b450ad7fbb0c",
    ),  # accents stay
    ("google", "last_name", "王", "王", "3399a0e651ad104cd1f53cd0c44d08b70c6c2e8e1eba56f2d244368264322118"),  # Chinese
    (
        "google",
        "last_name",
        "İnan",
        "i̇nan",
        "b4b8e29e4ce2cd2d02c22b4a6edce75448f855bbe3183ea34dda870d0094e54d",
    ),  # a letter that becomes two
    (
        "meta",
        "first_name",
        " Mary-Ann, ",
        "maryann",
        "16b3f07f0ec2f9dd127b71dc2e6c791b7d93116a1c3bc99d057eaa7a8a077e73",
    ),  # Meta: no punctuation
    (
        "meta",
        "last_name",
        "O’Neil",
        "oneil",
        "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c",
    ),  # Meta: a typographic apostrophe
    (
        "meta",
        "last_name",
        "Ｓｍｉｔｈ",
        "smith",
        "6627835f988e2c5e50533d491163072d3f4f41f5c8b04630150debb3722ca2dd",
    ),  # full-width letters
    (
        "meta",
        "last_name",
        "王。",
        "王",
        "3399a0e651ad104cd1f53cd0c44d08b70c6c2e8e1eba56f2d244368264322118",
    ),  # Chinese punctuation
    (
        "meta",
        "country",
        "CN",
        "cn",
        "ff2082aa78aea80a27cb4fb91f0350153702c16dce790a77f0bb0bfbf6899977",
    ),  # Meta: lower-case, hashed
    (
        "meta",
        "country",
        " de ",
        "de",
        "959a45d44e6fcf58361ed004681556fe50129f2109e817dec098c00c9e5d2578",
    ),  # Meta: white space
    (
        "meta",
        "postcode",
        "SW1A 1AA",
        "sw1a1aa",
        "830e1d4b9838bab1f5c2acdb23e0b502ff13a9832c4632e8d67a1d43d3b7f614",
    ),  # Meta: no spaces
    (
        "meta",
        "postcode",
        "200 000",
        "200000",
        "b552e632666bbf6125e3109e28a4fecc08340d017e44109dadbf497a280b8f82",
    ),  # Meta: no spaces
    ("meta", "gender", "F", "f", "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"),  # gender
    ("meta", "gender", "Male", "m", "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a"),  # gender
    ("meta", "gender", "女", "f", "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"),  # gender
    ("meta", "gender", "男", "m", "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a"),  # gender
]


def read_cells(
    tmp_path: Path, kind: str, user: Mapping[str, Any], options: Options | None = None
) -> tuple[dict[str, str], Prepared]:
    """The cells of a user, who has an address too so as not to be left out; and what was prepared."""
    path = tmp_path / "file.csv"
    hashed = options is not None and options.hashing == "off"
    wanted = {**user} if "email" in user else {**user, "email": MARY if hashed else "mary@example.com"}
    prepared = write_file(kind, path, list(wanted), {"u1": tuple(wanted.values())}, options)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return (rows[0] if rows else {}), prepared


def column_of(kind: str, field: str) -> str:
    rules: Any = file_format(kind)
    return str(next(iter(rules.RULES[field].outputs)))


@pytest.mark.parametrize(("kind", "field", "raw", "normal", "digest"), DIGESTS)
def test_a_value_has_the_known_digest(
    kind: str, field: str, raw: Any, normal: str, digest: str, tmp_path: Path
) -> None:
    assert hashlib.sha256(normal.encode()).hexdigest() == digest
    cells, prepared = read_cells(tmp_path, kind, {field: raw}, Options(region="CN"))
    assert cells[column_of(kind, field)] == digest
    assert prepared.rejected == {}


@pytest.mark.parametrize(
    ("kind", "field", "raw", "reason"),
    [
        ("google", "email", "mary", "invalid-email"),
        ("google", "email", "@example.com", "invalid-email"),
        ("google", "email", "mary@example", "invalid-email"),
        ("google", "email", "a@b@example.com", "invalid-email"),
        ("google", "email", "a@b.com@gmail.com", "invalid-email"),
        ("google", "email", "+shop@gmail.com", "invalid-email"),
        ("google", "email", "...@gmail.com", "invalid-email"),
        ("google", "email", "a@b..com", "invalid-email"),
        ("meta", "email", "ma ry@example.com", "invalid-email"),
        ("google", "email", MARY, "already-hashed"),
        ("google", "email", MARY.upper(), "already-hashed"),
        ("google", "email", "d41d8cd98f00b204e9800998ecf8427e", "already-hashed"),
        ("google", "phone", MARY, "already-hashed"),
        ("meta", "last_name", MARY, "already-hashed"),
        ("meta", "country", MARY, "already-hashed"),
        ("meta", "postcode", MARY, "already-hashed"),
        ("meta", "gender", MARY, "already-hashed"),
        ("meta", "birth", MARY, "already-hashed"),
        ("google", "phone", "12345", "invalid-phone"),
        ("google", "phone", "call me", "invalid-phone"),
        ("google", "phone", "+999 123", "invalid-phone"),
        ("meta", "phone", "13800138", "invalid-phone"),
        ("google", "country", "Germany", "unknown-country"),
        ("google", "country", "UK", "unknown-country"),
        ("meta", "country", "DEU", "unknown-country"),
        ("meta", "gender", "unknown", "unknown-gender"),
        ("meta", "gender", "diverse", "unknown-gender"),
        ("meta", "gender", "1", "unknown-gender"),
        ("meta", "birth", "07/04/1990", "unreadable-birth"),
        ("meta", "birth", "1990-02-30", "unreadable-birth"),
        ("meta", "birth", "1899-12-31", "impossible-birth"),
        ("meta", "birth", "2025-03-02", "impossible-birth"),
        ("meta", "birth", "2026", "impossible-birth"),
    ],
)
def test_what_cannot_be_normalised_is_counted_and_never_hashed(
    kind: str, field: str, raw: str, reason: str, tmp_path: Path
) -> None:
    user = {"phone": "+16502530000", field: raw} if field == "email" else {field: raw}
    cells, prepared = read_cells(tmp_path, kind, user, Options(region="CN" if field == "phone" else None))
    assert prepared.rejected == {field: {reason: 1}}
    assert prepared.missing == {}
    assert cells[column_of(kind, field)] == ""


@pytest.mark.parametrize("kind", ["google", "meta"])
@pytest.mark.parametrize("blank", [None, "", "  ", "\u3000\u200b", "\t\n"])
def test_an_empty_value_is_never_hashed(kind: str, blank: str | None, tmp_path: Path) -> None:
    fields = [name for name in file_format(kind).FIELDS if name not in ("email", "birth")]
    cells, prepared = read_cells(tmp_path, kind, dict.fromkeys(fields, blank))
    assert EMPTY not in cells.values()
    assert [column for column, cell in cells.items() if cell] == [column_of(kind, "email")]
    assert prepared.missing == dict.fromkeys([name for name in file_format(kind).FIELDS if name in fields], 1)
    assert prepared.rejected == {}


def test_a_name_of_punctuation_alone_is_nothing(tmp_path: Path) -> None:
    cells, prepared = read_cells(tmp_path, "meta", {"first_name": "-", "last_name": "。"})
    assert (cells["fn"], cells["ln"]) == ("", "")
    assert prepared.missing == {"first_name": 1, "last_name": 1}


def test_a_phone_without_country_code_is_not_guessed(tmp_path: Path) -> None:
    cells, prepared = read_cells(tmp_path, "google", {"phone": "138 0013 8000"})
    assert (cells["Phone"], prepared.rejected) == ("", {"phone": {"no-country-code": 1}})
    cells, prepared = read_cells(tmp_path, "google", {"phone": "+8613800138000"})
    # +8613800138000
    assert cells["Phone"] == "ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5"
    cells, prepared = read_cells(tmp_path, "google", {"phone": "138 0013 8000"}, Options(region="US"))
    assert (cells["Phone"], prepared.rejected) == ("", {"phone": {"invalid-phone": 1}})


@pytest.mark.parametrize(
    ("postcode", "country", "region", "digest", "rejected"),
    [
        # 94025
        ("94025-1234", "US", None, "b9a9cf3cd3723a2e91b7c23ecf68456e872b6e5d86e5cab7f3d45a7302da32c7", {}),
        ("940251234", "us", None, "b9a9cf3cd3723a2e91b7c23ecf68456e872b6e5d86e5cab7f3d45a7302da32c7", {}),
        ("94025", "US", None, "b9a9cf3cd3723a2e91b7c23ecf68456e872b6e5d86e5cab7f3d45a7302da32c7", {}),
        ("94025-1234", None, "US", "b9a9cf3cd3723a2e91b7c23ecf68456e872b6e5d86e5cab7f3d45a7302da32c7", {}),
        (94025, "US", None, "b9a9cf3cd3723a2e91b7c23ecf68456e872b6e5d86e5cab7f3d45a7302da32c7", {}),
        # 94025-1234: Saudi Arabia writes nine digits, too, and means all of them
        ("94025-1234", "SA", None, "e78b2a787abb2ffbd13721c22b603e3b5542a72f7200871e62e6b2e7cb567cca", {}),
        ("94025-1234", None, None, "", {"postcode": {"unknown-country": 1}}),
        # 94025
        ("94025", None, None, "b9a9cf3cd3723a2e91b7c23ecf68456e872b6e5d86e5cab7f3d45a7302da32c7", {}),
        # A leading zero that was lost when the postcode became a number is not put back.
        (2138, "US", None, "", {"postcode": {"invalid-postcode": 1}}),
        # k1a0b1
        ("K1A 0B1", "CA", "US", "3e8d74314dc02166b1ea8c7bd8c2357fb3f9898074395b8c57f8799848b4daa1", {}),
    ],
)
def test_meta_gets_five_digits_of_american_postcodes_only(
    postcode: Any,
    country: str | None,
    region: str | None,
    digest: str,
    rejected: dict[str, dict[str, int]],
    tmp_path: Path,
) -> None:
    user = {"postcode": postcode, "country": country}
    cells, prepared = read_cells(tmp_path, "meta", user, Options(region=region))
    assert (cells["zip"], prepared.rejected) == (digest, rejected)


def test_google_gets_country_and_postcode_as_they_are(tmp_path: Path) -> None:
    cells, _ = read_cells(tmp_path, "google", {"country": " us ", "postcode": " 94025-1234 "})
    assert (cells["Country"], cells["Zip"]) == ("US", "94025-1234")
    cells, _ = read_cells(tmp_path, "google", {"country": "gb", "postcode": "SW1A  1AA"})
    assert (cells["Country"], cells["Zip"]) == ("GB", "SW1A 1AA")
    cells, _ = read_cells(tmp_path, "google", {"postcode": "94025-1234"})
    assert cells["Zip"] == "94025-1234"


@pytest.mark.parametrize(
    ("birth", "type_", "expected"),
    [
        (date(1990, 4, 7), "DATE", ("1990", "04", "07")),
        ("1990-04-07", "VARCHAR", ("1990", "04", "07")),
        ("1990", "VARCHAR", ("1990", None, None)),
        (1990, "BIGINT", ("1990", None, None)),
        (1990.0, "DOUBLE", ("1990", None, None)),
        # The day is the local one: 23:00 in UTC is the next morning in Shanghai.
        ("1990-04-06 23:00:00", "TIMESTAMP", ("1990", "04", "07")),
    ],
)
def test_birth_is_sent_as_year_month_and_day(
    birth: Any, type_: str, expected: tuple[str | None, ...], tmp_path: Path
) -> None:
    known = {
        "1990": "a7be8e1fe282a37cd666e0632b17d933fa13f21addf4798fc0455bc166e2488c",
        "04": "6cd5b6e51936a442b973660c21553dd22bd72ddc8751132a943475288113b4c0",
        "07": "19b100ab7725c612f3d80ff203ca53cea5cadaafae3bf0f88f0fb4089fe08815",
    }
    path = tmp_path / "file.csv"
    write_file("meta", path, ["email", "birth"], {"u1": ("mary@example.com", birth)}, types={"birth": type_})
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["doby"], row["dobm"], row["dobd"]) == tuple(known[part] if part else "" for part in expected)


def test_who_cannot_be_matched_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    users = {
        "u1": ("mary@example.com", None, None, None, None),
        "u2": ("nobody", "Mary", "Smith", "US", "94025"),
        "u3": ("", "Mary", "Smith", "US", None),
        "u4": (None, "Mary", "Smith", "Atlantis", "94025"),
        "u5": (None, None, None, None, None),
    }
    prepared = write_file("google", path, ["email", "first_name", "last_name", "country", "postcode"], users)
    assert (prepared.users, prepared.left_out) == (5, 3)
    assert prepared.rejected == {"email": {"invalid-email": 1}, "country": {"unknown-country": 1}}
    assert prepared.missing == {"email": 3, "first_name": 2, "last_name": 2, "country": 2, "postcode": 3}
    assert file_format("google").read(path).rows == 2


def test_what_is_hashed_already_is_passed_on_and_raw_input_is_not(tmp_path: Path) -> None:
    off = Options(hashing="off")
    cells, prepared = read_cells(tmp_path, "google", {"email": MARY.upper(), "phone": " " + MARY}, off)
    assert (cells["Email"], cells["Phone"]) == (MARY, MARY)
    assert (prepared.rejected, prepared.hashing) == ({}, "as-given")
    for raw, reason in [("mary@example.com", "not-hashed"), (MARY[:-1], "not-hashed"), (EMPTY, "hash-of-nothing")]:
        cells, prepared = read_cells(tmp_path, "google", {"email": raw, "phone": MARY}, off)
        assert (cells["Email"], prepared.rejected) == ("", {"email": {reason: 1}})
    cells, prepared = read_cells(tmp_path, "google", {"country": "us", "postcode": "94025"}, off)
    assert (cells["Country"], cells["Zip"], prepared.rejected) == ("US", "94025", {})
    cells, prepared = read_cells(tmp_path, "meta", {"country": "us", "postcode": ""}, off)
    assert (cells["country"], cells["zip"], prepared.rejected) == ("", "", {"country": {"not-hashed": 1}})
    assert prepared.missing == {"postcode": 1}


CLEANINGS = [Cleaning(lower, punctuation) for lower in (True, False) for punctuation in (True, False)]
TEXTS = st.text(
    st.one_of(
        st.characters(min_codepoint=9, max_codepoint=126), st.sampled_from("王ÀÉßİſﬁＡ１　\u200b\u00a0\ufeffΣ’“。·　ǅ")
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=20), st.sampled_from(CLEANINGS))
def test_sql_cleans_as_python_does_where_it_is_certain(texts: list[str], cleaning: Cleaning) -> None:
    with duckdb.connect() as bench:
        found = bench.execute(
            f"SELECT text, {clean_plain('text', cleaning)} FROM (SELECT unnest($texts) AS text) WHERE {is_plain('text')}",
            {"texts": texts},
        ).fetchall()
    for text, cleaned in found:
        assert cleaned == clean(text, cleaning)
    plain = [
        text for text in texts if all(letter in "\t\n\r" or " " <= letter <= "~" or letter == "王" for letter in text)
    ]
    assert len(found) == len(plain)


def google_oracle(text: str) -> str | None:
    """The rule for addresses in plain words, written apart from the product."""
    text = "".join(unicodedata.normalize("NFKC", text).replace("\u200b", "").lower().split())
    local, _, domain = text.partition("@")
    if domain in {"gmail.com", "googlemail.com"}:
        local = local.split("+")[0].replace(".", "")
    whole = f"{local}@{domain}"
    return whole if re.fullmatch(r"[^@]+@[^@.]+(\.[^@.]+)+", whole) else None


ADDRESSES = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            ["a", "B", ".", "+", "@", " ", "Ａ", "é", "\u200b", "@gmail.com", "@GoogleMail.com", "@x.de", "-"]
        ),
        max_size=6,
    ),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ADDRESSES, min_size=1, max_size=30, unique=True))
def test_addresses_agree_with_an_oracle(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("export") / "file.csv"
    users = {f"u{index:03d}": (text, "+16502530000") for index, text in enumerate(texts)}
    write_file("google", path, ["email", "phone"], users)
    with path.open(newline="") as file:
        found = [row["Email"] for row in csv.DictReader(file)]
    expected = [google_oracle(text) for text in texts]
    assert found == ["" if text is None else hashlib.sha256(text.encode()).hexdigest() for text in expected]
