"""`in_top(spend, 1000)` and `in_top(spend, percent => 10)`: the users with the highest values of a tag. Imports extreme."""

from __future__ import annotations

from typing import ClassVar, Literal

from limner_segments.conditions.base import Parameter, SetExample, condition
from limner_segments.conditions.extreme import PARAMETERS, Extreme

_SPEND: dict[str, dict[str, float | None]] = {
    "ann": {"spend": 40}, "bob": {"spend": 10}, "cyd": {"spend": 30}, "dan": {"spend": 30},
    "eve": {"spend": None}, "fay": {"spend": 20},
}  # fmt: skip


@condition("in_top")
class InTop(Extreme):
    """The user is among those with the highest values of a tag: so many of them, or so many per cent of all with a value.

    Where values are equal at the cut, the later user_id is in, so that the number is exact. A percentage is rounded to whole users;
    `in_top(spend, percent => 10)` is `in_percentile(spend, 90, 100)`. A user without a value is never in.
    """

    kind: Literal["in_top"] = "in_top"

    FROM_TOP: ClassVar[bool] = True
    PARAMETERS: ClassVar[tuple[Parameter, ...]] = PARAMETERS
    SHOWN: ClassVar[str] = "in_top(spend, 1000) or in_top(spend, percent => 10)"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("in_top(spend, 1)", frozenset({"ann"}), _SPEND),
        SetExample("in_top(spend, 2)", frozenset({"ann", "dan"}), _SPEND),
        SetExample("in_top(spend, 99)", frozenset({"ann", "bob", "cyd", "dan", "fay"}), _SPEND),
        SetExample("in_top(spend, percent => 40)", frozenset({"ann", "dan"}), _SPEND),
        SetExample("not (in_top(spend, 3))", frozenset({"bob", "eve", "fay"}), _SPEND),
    )
