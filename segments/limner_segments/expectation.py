"""What size an audience is expected to have, and the words of an alert when it has another one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from limner_profile.definitions import Definition


class Expectation(Definition):
    """The sizes that an audience should keep to; a build warns when it leaves them."""

    min: Annotated[int, Field(ge=0, strict=True)] | None = None
    """The smallest size that is expected."""
    max: Annotated[int, Field(ge=0, strict=True)] | None = None
    """The largest size that is expected."""
    change: Annotated[float, Field(gt=0, strict=True)] | None = None
    """The largest change from one snapshot to the next, as a share of the earlier size: 0.3 is 30 %."""

    @model_validator(mode="after")
    def _says_something(self) -> Expectation:
        if self.min is None and self.max is None and self.change is None:
            raise ValueError("nothing is expected | give min, max or change, such as expect: {min: 100}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no size is at least {self.min} and at most {self.max} | swap them")
        return self


@dataclass(frozen=True)
class Alert:
    """Something about an audience that somebody should look at: a stable `code`, and the words."""

    code: str
    words: str


OUT_OF_RANGE = "audience-out-of-range"
STALE = "audience-stale"


def size_alerts(expected: Expectation | None, size: int, before: int | None = None) -> list[Alert]:
    """An alert for each limit that the size does not keep; `before` is the size of the snapshot before, by the same definition.

    >>> [alert.words for alert in size_alerts(Expectation(min=100, change=0.5), 40, 100)]
    ['40 users, and at least 100 are expected', '40 users after 100, a change of 60 %, and at most 50 % is expected']
    """
    if expected is None:
        return []
    words = []
    if expected.min is not None and size < expected.min:
        words.append(f"{_users(size)}, and at least {expected.min:,} are expected")
    if expected.max is not None and size > expected.max:
        words.append(f"{_users(size)}, and at most {expected.max:,} are expected")
    if expected.change is not None and before is not None and abs(size - before) > expected.change * before:
        moved = f", a change of {100 * abs(size - before) / before:.0f} %" if before else ""
        words.append(f"{_users(size)} after {before:,}{moved}, and at most {100 * expected.change:g} % is expected")
    return [Alert(OUT_OF_RANGE, text) for text in words]


def _users(size: int) -> str:
    return "1 user" if size == 1 else f"{size:,} users"
