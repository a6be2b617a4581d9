"""Which tags fill the fields of an ad platform: the sections `google:` and `meta:` below `exports:` in limner.yaml. Imports floor 1."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from limner_profile.definitions import Definition
from limner_profile.errors import Issue, UserError, did_you_mean


class PlatformFields(Definition):
    """Fields that every platform has, and how values are read. A field is filled by the tag that it names; empty ones are not sent."""

    email: str = ""
    """The tag that holds the e-mail address."""
    phone: str = ""
    """The tag that holds the phone number."""
    first_name: str = ""
    """The tag that holds the first name."""
    last_name: str = ""
    """The tag that holds the last name."""
    country: str = ""
    """The tag that holds the country, an ISO code of two letters."""
    postcode: str = ""
    """The tag that holds the postcode."""
    region: str = Field(default="", pattern="^([A-Z]{2})?$")
    """The country, as CN, in which phone numbers without a country code are read, and of postcodes where no tag says it."""
    hashed: bool = False
    """Whether the tags hold SHA-256 digests already: these are passed on, and everything else is rejected."""

    def tags(self) -> dict[str, str]:
        """Field to tag, those that are filled."""
        return {name: tag for name, tag in self.model_dump(exclude={"region", "hashed"}).items() if tag}


class GoogleFields(PlatformFields):
    """The tags that fill the fields of Google Customer Match."""


class MetaFields(PlatformFields):
    """The tags that fill the fields of Meta Custom Audiences."""

    gender: str = ""
    """The tag that holds the gender."""
    birth: str = ""
    """The tag that holds the date of birth, or its year."""


def read_map(pairs: Mapping[str, str] | list[str]) -> dict[str, str]:
    """Field to tag of `--map email=email_address`; raises UserError for a text without `=`, or a field that comes twice.

    >>> read_map(["email=email_address"])
    {'email': 'email_address'}
    """
    if isinstance(pairs, Mapping):
        return dict(pairs)
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, tag = (part.strip() for part in pair.partition("="))
        if not (name and equals and tag) or name in found:
            message = f"{name!r} is mapped twice" if name in found else f"{pair!r} is not FIELD=TAG"
            raise UserError(Issue("bad-value", "--map", message, "for example --map email=email_address"))
        found[name] = tag
    return found


def field_issues(fields: PlatformFields, places: Mapping[str, str], tags: Mapping[str, object]) -> list[Issue]:
    """An issue for each field that names a tag which does not exist; `places` is field to `file:line:column`."""
    return [
        Issue("unknown-tag", places[name], f"unknown tag {tag!r}", did_you_mean(tag, tags, "name a tag of tags/"))
        for name, tag in fields.tags().items()
        if tag not in tags
    ]
