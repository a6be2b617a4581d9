"""What a platform says of one of its fields: cleaning, value, reasons to refuse it, and the columns that it fills. Imports the cleaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from limner_segments.exports.normalise.text import Cleaning


@dataclass(frozen=True)
class Surroundings:
    """What a rule may know beside its own text: SQL for the country (ISO, upper-case, NULL where unknown), and the day of as_of."""

    country: str
    today: str


@dataclass(frozen=True)
class PlatformField:
    """A field of a platform: how its text is cleaned, its value in SQL, why a value is refused, and the columns that it fills.

    `value` and `reason` take SQL for the cleaned text; `reason` gets the value as well. `outputs` is header to SQL over the value.
    `by_country` says that they look at the country around: equal texts may then come to different values.
    """

    outputs: Mapping[str, Callable[[str], str]]
    value: Callable[[str, Surroundings], str] = lambda text, _: text
    reason: Callable[[str, str, Surroundings], str] = lambda text, value, _: "CAST(NULL AS VARCHAR)"
    cleaning: Cleaning = field(default=Cleaning())
    hashed: bool = True
    phone: bool = False
    by_country: bool = False
    # A date of birth becomes three columns: no one digest could be passed on for it.
    splits: bool = False


def same(value: str) -> str:
    """The value itself: the output of a field that fills one column."""
    return value
