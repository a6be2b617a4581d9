"""`in_bottom(spend, 1000)` and `in_bottom(spend, percent => 10)`: the users with the lowest values of a tag. Imports extreme."""

from __future__ import annotations

from typing import ClassVar, Literal

from limner_segments.conditions.base import Parameter, SetExample, condition
from limner_segments.conditions.extreme import PARAMETERS, Extreme

_VISITS: dict[str, dict[str, int | None]] = {
    "ann": {"visits": 4}, "bob": {"visits": 0}, "cyd": {"visits": 0}, "dan": {"visits": 7}, "eve": {"visits": None},
}  # fmt: skip


@condition("in_bottom")
class InBottom(Extreme):
    """The user is among those with the lowest values of a tag: so many of them, or so many per cent of all with a value.

    Where values are equal at the cut, the earlier user_id is in. `in_bottom(spend, percent => 90)` and `in_top(spend, percent => 10)`
    part all users with a value. A user without a value is never in.
    """

    kind: Literal["in_bottom"] = "in_bottom"

    FROM_TOP: ClassVar[bool] = False
    PARAMETERS: ClassVar[tuple[Parameter, ...]] = PARAMETERS
    SHOWN: ClassVar[str] = "in_bottom(spend, 1000) or in_bottom(spend, percent => 10)"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("in_bottom(visits, 1)", frozenset({"bob"}), _VISITS),
        SetExample("in_bottom(visits, 3)", frozenset({"ann", "bob", "cyd"}), _VISITS),
        SetExample("in_bottom(visits, percent => 25)", frozenset({"bob"}), _VISITS),
        SetExample("in_bottom(visits, percent => 10)", frozenset(), _VISITS),
    )
