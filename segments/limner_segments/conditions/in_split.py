"""`in_split('spring', 2, of => 3)`: one part of everyone, parted at random and for good. Imports the base and the salted shares."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import accumulate
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, SetExample, UserSet, condition
from limner_segments.conditions.ranked import Count
from limner_segments.conditions.salted import Salt, within
from limner_segments.conditions.scope import Scope

_USERS: dict[str, dict[str, int]] = {f"u{number}": {"n": number} for number in range(8)}
_SHARES = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:/[0-9]+(?:\.[0-9]+)?)+")
_MOST = 1000


@condition("in_split")
class InSplit(UserSet):
    """The user is in one part of everyone, drawn by the salted hash of the id: the same on every machine and day.

    The parts hold every user exactly once. They are equal (`of => 3`), or as large as `shares` says: `'80/20'` gives four in five
    users to part 1. A split and a sample with the same salt draw by the same number; take another salt for another draw.
    """

    kind: Literal["in_split"] = "in_split"
    salt: Salt
    part: Count
    of: Count | None = None
    shares: str | None = None

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("salt", "text", "the salt: another salt draws other users", positional=True),
        Parameter("part", "number", "which part, from 1", positional=True),
        Parameter("of", "number", "how many equal parts there are"),
        Parameter("shares", "text", "instead of equal parts: how large each is beside the others, such as '80/20'"),
    )
    SHOWN: ClassVar[str] = "in_split('spring', 1, of => 2) or in_split('spring', 1, shares => '80/20')"

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if (self.of is None) == (self.shares is None):
            raise ValueError("in_split() takes of => how many equal parts, or shares => '80/20' | write one of the two")
        if self.shares is not None and (
            not _SHARES.fullmatch(self.shares) or not all(Fraction(share) for share in self.shares.split("/"))
        ):
            raise ValueError(
                f"shares are numbers above 0 with strokes between, not {self.shares!r} | for example '50/30/20'"
            )
        if self.of is not None and not 2 <= self.of <= _MOST:
            raise ValueError(f"there are 2 to {_MOST:,} parts, not {self.of}")
        if self.part > self.parts:
            raise ValueError(f"there is no part {self.part} of {self.parts} | parts are counted from 1")
        return self

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return self.of or len((self.shares or "").split("/"))

    @property
    def ends(self) -> tuple[float, float]:
        """Where the part begins and ends between 0 and 1; a part begins at the very number at which the one before ends."""
        sizes = [Fraction(share) for share in self.shares.split("/")] if self.shares else [Fraction(1)] * self.parts
        upto = [Fraction(0), *accumulate(sizes)]
        return float(upto[self.part - 1] / upto[-1]), float(upto[self.part] / upto[-1])

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The hash of salt and id, as a number from 0 to 1, lies between the ends of the part."""
        return within(self.salt, *self.ends)

    def to_sentence(self, language: Language, words: Words) -> str:
        """`in part 2 of 3 random parts (spring)`."""
        if self.shares:
            if language == "en":
                return f"in part {self.part} of a random split {self.shares} ({self.salt})"
            return f"在按 {self.shares} 随机分组的第 {self.part} 组中（{self.salt}）"
        if language == "en":
            return f"in part {self.part} of {self.of} equal random parts ({self.salt})"
        return f"在随机均分 {self.of} 组的第 {self.part} 组中（{self.salt}）"

    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("in_split('spring', 1, of => 2)", frozenset({"u1", "u6"}), _USERS),
        SetExample("in_split('spring', 3, of => 3)", frozenset({"u0", "u2", "u3", "u4", "u7"}), _USERS),
        SetExample("in_split('spring', 2, shares => '90/5/5')", frozenset({"u2", "u3"}), _USERS),
        SetExample("not (in_split('spring', 1, shares => '80/20'))", frozenset({"u0", "u2", "u3", "u4", "u7"}), _USERS),
    )
