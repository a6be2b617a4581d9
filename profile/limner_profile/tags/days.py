"""Days: on how many local days a user acted, counted as bits of a number. Pure.

A day before as_of is a bit, so that one pass over the acts gives the different days of any windows; counting pairs of user and day takes
two. Windows longer than MOST_DAYS would need too many numbers a user, and are counted over pairs (`acts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlglot import exp

from limner_profile.tags.acts import Acts, earliest, filtered
from limner_profile.tags.expressions import instant

# As many as a BIGINT holds without the sign, in every engine.
_BITS = 62
MOST_DAYS = 6 * _BITS - 2


@dataclass
class Days:
    """Acts by day: `ago` is the number of local days from an act to the day of as_of, and each window has a beginning and a length."""

    ago: exp.Expr
    acts: Acts
    windows: dict[datetime, int] = field(default_factory=dict)

    def add(self, start: datetime, length: int) -> str:
        """The name of the column that holds the number of days with acts since `start`, which is fewer than `length` days ago."""
        self.windows.setdefault(start, length)
        return f"d{list(self.windows).index(start)}"

    def query(self, known: exp.Expr) -> exp.Select:
        """A row for each user who acted, a column a window, over the events that fulfil `known`."""
        since = earliest(list(self.windows))
        rows = exp.and_(known, replace(self.acts, start=since).condition())
        # One place more on either side: where clocks are put back just after midnight, the day before comes again.
        later = exp.Add(this=self.ago.copy(), expression=exp.Literal.number(1))
        place = exp.Cast(this=later, to=exp.DataType.build("int"))
        days = exp.select("user_id", "time", exp.alias_(place, "place")).from_("events").where(rows)
        columns = []
        for index, (start, length) in enumerate(self.windows.items()):
            inside = [exp.GTE(this=exp.column("time"), expression=instant(start))] if start != since else []
            numbers = [_counted(first, inside) for first in range(0, length + 2, _BITS)]
            total = numbers[0]
            for number in numbers[1:]:
                total = exp.Add(this=total, expression=number)
            columns.append(exp.alias_(total, f"d{index}"))
        return exp.select("user_id", *columns).from_(days.subquery("days")).group_by("user_id")


def _counted(first: int, inside: Sequence[exp.Expr]) -> exp.Expr:
    """How many of the days from the place `first` on have an act."""
    one = exp.Cast(this=exp.Literal.number(1), to=exp.DataType.build("bigint"))
    none = exp.Cast(this=exp.Literal.number(0), to=exp.DataType.build("bigint"))
    place: exp.Expr = exp.column("place")
    within = exp.Between(this=place, low=exp.Literal.number(first), high=exp.Literal.number(first + _BITS - 1))
    if first:
        place = exp.Paren(this=exp.Sub(this=place.copy(), expression=exp.Literal.number(first)))
    shifted = exp.BitwiseLeftShift(this=one, expression=place.copy())
    bits = filtered(exp.BitwiseOrAgg(this=exp.Case(ifs=[exp.If(this=within, true=shifted)], default=none)), inside)
    return exp.Cast(this=exp.func("bit_count", bits), to=exp.DataType.build("bigint"))
