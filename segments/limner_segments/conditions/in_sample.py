"""`in_sample('salt', 0.1)`: a random share of the users that stays the same until the salt changes. Imports the base."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import field_validator
from sqlglot import exp

from limner_profile.predicates.base import Words
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, SetExample, UserSet, condition
from limner_segments.conditions.salted import Salt, within
from limner_segments.conditions.scope import Scope

_USERS: dict[str, dict[str, int]] = {f"u{number}": {"n": number} for number in range(8)}


@condition("in_sample")
class InSample(UserSet):
    """The user is in a share of everyone drawn by the salted hash of the id: the same on every machine and day.

    A larger share with the same salt holds everybody of a smaller one.
    """

    kind: Literal["in_sample"] = "in_sample"
    salt: Salt
    share: float | int

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("salt", "text", "the salt: another salt draws other users", positional=True),
        Parameter("share", "number", "the share of the users, above 0 and below 1", positional=True),
    )
    SHOWN: ClassVar[str] = "in_sample('spring', 0.1)"

    @field_validator("share")
    @classmethod
    def _check_share(cls, share: float) -> float:
        if not 0 < share < 1:
            raise ValueError(f"a share lies above 0 and below 1, not {share} | write 0.1 for 10 %")
        return share

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The hash of salt and id, as a number from 0 to 1, is below the share."""
        return within(self.salt, 0, self.share)

    def to_sentence(self, language: Language, words: Words) -> str:
        """`in a random 10 % of users (spring)`."""
        percent = f"{self.share * 100:g}"
        return (
            f"in a random {percent} % of users ({self.salt})"
            if language == "en"
            else f"在随机 {percent}% 用户中（{self.salt}）"
        )

    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("in_sample('spring', 0.5)", frozenset({"u1", "u6"}), _USERS),
        SetExample("in_sample('spring', 0.9)", frozenset({"u1", "u4", "u5", "u6"}), _USERS),
        SetExample("n < 4 and not (in_sample('spring', 0.5))", frozenset({"u0", "u2", "u3"}), _USERS),
    )
