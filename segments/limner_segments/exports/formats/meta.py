"""Export kind `meta`: a file for Meta Custom Audiences. Imports the platform base and the rules of normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import ClassVar

from limner_segments.exports.formats.base import FORMATS, FormatExample, Options
from limner_segments.exports.formats.platform import PlatformFile
from limner_segments.exports.formats.platform_field import PlatformField, same
from limner_segments.exports.normalise.birth import birth_day, birth_month, birth_reason, birth_year, meta_birth
from limner_segments.exports.normalise.country import country_reason, meta_country
from limner_segments.exports.normalise.email import email_reason, meta_email
from limner_segments.exports.normalise.gender import gender_reason, meta_gender
from limner_segments.exports.normalise.name import META_NAME
from limner_segments.exports.normalise.postcode import meta_postcode, postcode_reason


@FORMATS.kind("meta")
class MetaFile(PlatformFile):
    """Meta Custom Audiences: everything hashed with SHA-256, phone numbers as digits with the country code and without +.

    Matched by e-mail, by phone, or by both names with country and postcode; gender and date of birth only help.
    """

    RULES: ClassVar[Mapping[str, PlatformField]] = {
        "email": PlatformField(
            {"email": same}, lambda text, _: meta_email(text), lambda _, value, __: email_reason(value)
        ),
        "phone": PlatformField({"phone": same}, lambda number, _: f"ltrim({number}, '+')", phone=True),
        "first_name": PlatformField({"fn": same}, cleaning=META_NAME),
        "last_name": PlatformField({"ln": same}, cleaning=META_NAME),
        "postcode": PlatformField(
            {"zip": same},
            lambda text, around: meta_postcode(text, around.country),
            lambda text, _, around: postcode_reason(text, around.country, needs_country=True),
            by_country=True,
        ),
        "country": PlatformField(
            {"country": same}, lambda text, _: meta_country(text), lambda _, value, __: country_reason(value)
        ),
        "gender": PlatformField(
            {"gen": same}, lambda text, _: meta_gender(text), lambda _, value, __: gender_reason(value)
        ),
        "birth": PlatformField(
            {"doby": birth_year, "dobm": birth_month, "dobd": birth_day},
            lambda text, _: meta_birth(text),
            lambda _, value, around: birth_reason(value, around.today),
            splits=True,
        ),
    }
    FIELDS: ClassVar[tuple[str, ...]] = tuple(RULES)
    IDENTIFYING: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("email",),
        ("phone",),
        ("first_name", "last_name", "country", "postcode"),
    )
    EXAMPLES: ClassVar[tuple[FormatExample, ...]] = (
        FormatExample(
            ("email", "phone", "gender", "birth"),
            {"u1": ("Mary.Ann@Gmail.com ", "+1 650-253-0000", "女", date(1990, 4, 7)), "u2": (None, None, "m", None)},
            # mary.ann@gmail.com, 16502530000, f, 1990, 04, 07
            "email,phone,gen,doby,dobm,dobd\n"
            "4156142a382c750b5838130dd2919f25679c21d5cf2e373b34162282fd6d5def,"
            "67d3cb9e9b1b64b913a5f2508beac167cfa7d3fb943f6a52e6767392d425a536,"
            "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111,"
            "a7be8e1fe282a37cd666e0632b17d933fa13f21addf4798fc0455bc166e2488c,"
            "6cd5b6e51936a442b973660c21553dd22bd72ddc8751132a943475288113b4c0,"
            "19b100ab7725c612f3d80ff203ca53cea5cadaafae3bf0f88f0fb4089fe08815\n",
            Options(region="CN"),
        ),
    )
