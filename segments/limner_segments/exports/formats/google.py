"""Export kind `google`: a file for Google Customer Match. Imports the platform base and the rules of normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from limner_segments.exports.formats.base import FORMATS, FormatExample, Options
from limner_segments.exports.formats.platform import PlatformFile
from limner_segments.exports.formats.platform_field import PlatformField, same
from limner_segments.exports.normalise.country import country_reason, google_country
from limner_segments.exports.normalise.email import email_reason, google_email
from limner_segments.exports.normalise.name import GOOGLE_NAME
from limner_segments.exports.normalise.postcode import google_postcode, postcode_reason
from limner_segments.exports.normalise.text import Cleaning


@FORMATS.kind("google")
class GoogleFile(PlatformFile):
    """Google Customer Match: e-mail, phone (E.164 with +), names hashed with SHA-256; country and postcode as they are.

    Google matches by e-mail, by phone, or by both names with country and postcode.
    """

    RULES: ClassVar[Mapping[str, PlatformField]] = {
        "email": PlatformField(
            {"Email": same}, lambda text, _: google_email(text), lambda _, value, __: email_reason(value)
        ),
        "phone": PlatformField({"Phone": same}, phone=True),
        "first_name": PlatformField({"First Name": same}, cleaning=GOOGLE_NAME),
        "last_name": PlatformField({"Last Name": same}, cleaning=GOOGLE_NAME),
        "country": PlatformField(
            {"Country": same},
            lambda text, _: google_country(text),
            lambda _, value, __: country_reason(value),
            hashed=False,
        ),
        "postcode": PlatformField(
            {"Zip": same},
            lambda text, _: google_postcode(text),
            lambda text, _, around: postcode_reason(text, around.country, needs_country=False),
            cleaning=Cleaning(lower=False),
            by_country=True,
            hashed=False,
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
            ("email", "phone", "country"),
            {"u2": ("nobody", "138 0013 8000", "cn"), "u1": ("Mary.Ann+shop@Gmail.com", None, "DE"), "u3": ("", None, "DE")},
            # maryann@gmail.com and +8613800138000
            "Email,Phone,Country\n"
            "da6c5852e5eb237e28a2853b73ffef584c1fc90600f7845ddd31e07160587517,,DE\n"
            ",ec61f3c620a98bdead8c1f1f0ae747abd1b62a0c2dba4fd4bc22cf0d1d8653e5,CN\n",
            Options(region="CN"),
            {"email": {"invalid-email": 1}},
        ),
    )  # fmt: skip
