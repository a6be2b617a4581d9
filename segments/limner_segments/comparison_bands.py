"""Bands: where a number or a date is cut for a comparison, what each band is called, and the condition that it is.

Cuts follow the quantiles of all users, moved to the nearest round number or first day of a year, quarter, month or week that
leaves the bands about equally full; zero stands apart where it is common. Pure; imports the predicates of floor 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise

from limner_profile.predicates.all_of import AllOf
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.compare import Compare
from limner_profile.predicates.known import Known

BANDS = 5
COMMON_ZERO = 0.05
"""From this share of the users on, zero is a band of its own."""
FEW = 7  # so many different values are a band each
_SLACK = 0.25  # how far a cut may move for a round number, in bands
_SMALLEST = -12  # the last power of ten that is tried for a round number
_DAY_ZERO = date(1970, 1, 1)

Points = Sequence[tuple[float, float]]
"""Finite values in order, each with the share of the known users whose value is lower."""


@dataclass(frozen=True)
class Cut:
    """An edge between two bands: values from `value` on lie above it; `beyond` says that `value` itself lies below."""

    value: int | float | date
    beyond: bool = False


@dataclass(frozen=True)
class Bands:
    """The bands of a tag, one more than there are cuts, between the `lowest` and the `highest` value that anybody has.

    `whole` says that every value is a whole number, `single` that each band holds one value: the lowest, or its lower cut.
    """

    cuts: tuple[Cut, ...] = ()
    whole: bool = False
    lowest: int | float | date | None = None
    highest: int | float | date | None = None
    single: bool = False

    def names(self) -> list[str]:
        """What each band is called, lowest first: `0`, `1 – 4`, `≥ 5`, both ends inside it for whole numbers and days.

        Of other numbers the upper end lies outside: `2.5 – 5` and `≥ 5` have no value in common.
        """
        if self.single and self.lowest is not None:
            return [_plain(value) for value in (self.lowest, *(cut.value for cut in self.cuts))]
        return [self._name(low, high) for low, high in pairwise((None, *self.cuts, None))]

    def _name(self, low: Cut | None, high: Cut | None) -> str:
        first = None if low is None else _stepped(low.value, 1) if self.whole and low.beyond else low.value
        closed = high is not None and (high.beyond or self.whole or isinstance(high.value, date))
        last = None if high is None else high.value if high.beyond or not closed else _stepped(high.value, -1)
        least, most = self.lowest if first is None else first, self.highest if last is None else last
        if (
            least is not None
            and least == most
            and (closed or last is None)
            and (self.whole or not (low and low.beyond))
        ):
            return _plain(least)
        if isinstance(first, date) and isinstance(last, date) and _is_year(first, last):
            return str(first.year)
        if last is None:
            return "–" if first is None else f"{'>' if first == 0 and low and low.beyond else '≥'} {_plain(first)}"
        if first is None:
            return f"{'≤' if closed else '<'} {_plain(last)}"
        above = "> " if low is not None and low.beyond and not self.whole else ""
        below = "< " if last == 0 and not closed else ""
        return f"{above}{_plain(first)} – {below}{_plain(last)}"

    def conditions(self, tag: str) -> list[Predicate]:
        """The condition of each band, lowest first: whoever matches it is in the band."""
        if not self.cuts:
            return [Known(field=tag, known=True)]
        if self.single and self.lowest is not None:
            values = (self.lowest, *(cut.value for cut in self.cuts))
            return [Compare(field=tag, operator="=", value=value) for value in values]
        edges: list[Cut | None] = [None, *self.cuts, None]
        if edges[1] == Cut(self.lowest or 0, beyond=True) and self.lowest is not None:
            edges[0] = Cut(self.lowest)  # nothing lies below it
        return [_condition(tag, low, high) for low, high in pairwise(edges)]


def _condition(tag: str, low: Cut | None, high: Cut | None) -> Predicate:
    if low is not None and high is not None and low.value == high.value:
        return Compare(field=tag, operator="=", value=low.value)
    parts: list[Predicate] = []
    if low is not None:
        parts.append(Compare(field=tag, operator=">" if low.beyond else ">=", value=low.value))
    if high is not None:
        parts.append(Compare(field=tag, operator="<=" if high.beyond else "<", value=high.value))
    return parts[0] if len(parts) == 1 else AllOf(parts=tuple(parts))


def number_bands(points: Points, whole: bool, complete: bool = False) -> Bands:
    """The bands of a number whose values stand like `points`; `complete` says that there is no other value.

    >>> number_bands([(value, value / 100) for value in range(100)], whole=True).names()
    ['≤ 19', '20 – 39', '40 – 59', '60 – 79', '≥ 80']
    """
    if not points:
        return Bands()
    lowest, highest = _exact(points[0][0]), _exact(points[-1][0])
    if len(points) == 1 or (complete and len(points) <= FEW):
        return Bands(tuple(Cut(_exact(value)) for value, _ in points[1:]), whole, lowest, highest, single=complete)
    cuts: list[Cut] = []
    for side in _sides(points):
        if isinstance(side, Cut):
            cuts.append(side)
        else:
            cuts += [Cut(_exact(edge)) for edge in _side_cuts(side, whole)]
    return Bands(tuple(cuts) or (_spike_cut(points),), whole, lowest, highest)


def _sides(points: Points) -> Iterator[Cut | tuple[Points, float]]:
    """The points below and above zero, each with the share below their end, and the cuts around zero; else all the points."""
    ends = [*(below for _, below in points[1:]), 1.0]
    at = next((place for place, (value, _) in enumerate(points) if value == 0), None)
    if at is None or ends[at] - points[at][1] < COMMON_ZERO:
        yield points, 1.0
        return
    if at > 0:
        yield points[:at], ends[at - 1]
        yield Cut(0)
    if at < len(points) - 1:
        yield Cut(0, beyond=True)
        yield points[at + 1 :], 1.0


def _side_cuts(side: tuple[Points, float], whole: bool) -> list[float]:
    points, end = side
    start = points[0][1]
    width = end - start
    count = min(max(math.ceil(BANDS * width), 2), BANDS)
    slack = width / count * _SLACK
    chosen: list[float] = []
    for number in range(1, count):
        target = start + width * number / count
        lower, near, upper = (_value_at(points, share) for share in (target - slack, target, target + slack))
        if lower < upper:
            edge = round_between(lower, upper, near, whole)
        else:  # many users share one value: the cut stands on the side of it that is nearer
            at = next(place for place, (value, _) in enumerate(points) if value == near)
            after = points[at + 1] if at + 1 < len(points) else (math.inf, end)
            edge = min((points[at], after), key=lambda point: abs(point[1] - target))[0]
        if edge > points[0][0] and math.isfinite(edge) and (not chosen or edge > chosen[-1]):
            chosen.append(edge)
    return chosen


def _spike_cut(points: Points) -> Cut:
    """The cut where nearly everyone has one value: above it, or at it where it is the highest."""
    ends = [*(below for _, below in points[1:]), 1.0]
    at = max(range(len(points)), key=lambda place: ends[place] - points[place][1])
    return Cut(_exact(points[min(at + 1, len(points) - 1)][0]))


def _value_at(points: Points, share: float) -> float:
    """The highest value that no more than `share` of the users lie below."""
    return next((value for value, below in reversed(points) if below <= share), points[0][0])


def round_between(lower: float, upper: float, near: float, whole: bool = False) -> float:
    """The roundest number above `lower` and not above `upper`, of several equally round ones that nearest to `near`.

    >>> round_between(17.3, 22.9, 19.1), round_between(961, 1044, 1000.5), round_between(0.0312, 0.0391, 0.034)
    (20.0, 1000.0, 0.035)
    """
    low, high, middle = Decimal(repr(lower)), Decimal(repr(upper)), Decimal(repr(near))
    power = max(abs(low), abs(high)).adjusted() + 1
    while power >= (0 if whole else _SMALLEST):
        for digit in (5, 2, 1):
            step = Decimal(digit).scaleb(power)
            first, last = _floor(low / step) + 1, _floor(high / step)
            if first <= last:
                return float(min(max(_floor(middle / step + Decimal("0.5")), first), last) * step)
        power -= 1
    return upper


def _floor(value: Decimal) -> Decimal:
    return value.to_integral_value(rounding=ROUND_FLOOR)


def date_bands(points: Points) -> Bands:
    """The bands of a date whose values stand like `points`, days since 1970-01-01 with fractions for times.

    >>> [str(cut.value) for cut in date_bands([(19_000 + 2 * day, day / 1000) for day in range(1000)]).cuts]
    ['2023-01-01', '2024-01-01', '2025-01-01', '2026-07-01']
    """
    if not points:
        return Bands()
    days = [(float(math.floor(value)), below) for value, below in points]
    lowest, highest = _day(days[0][0]), _day(days[-1][0])
    if lowest == highest:
        return Bands((), lowest=lowest, highest=highest)
    chosen: list[float] = []
    for number in range(1, BANDS):
        target, slack = number / BANDS, _SLACK / BANDS
        lower, near, upper = (_value_at(days, share) for share in (target - slack, target, target + slack))
        edge = _first_day(lower, upper, near) if lower < upper else near
        if edge > days[0][0] and (not chosen or edge > chosen[-1]):
            chosen.append(edge)
    chosen = chosen or [days[-1][0]]
    return Bands(tuple(Cut(_day(edge)) for edge in chosen), lowest=lowest, highest=highest)


def _first_day(lower: float, upper: float, near: float) -> float:
    """The first day of a year, else quarter, month or week, after `lower` and not after `upper`, nearest to `near`."""
    start, end = _day(lower), _day(upper)
    for months in (12, 3, 1):
        at = date(start.year, 1, 1)
        found: list[float] = []
        while at <= end:
            if at > start:
                found.append(float((at - _DAY_ZERO).days))
            year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
            if year > date.max.year:
                break
            at = date(year, month + 1, 1)
        if found:
            return min(found, key=lambda day: abs(day - near))
    mondays = [float(day) for day in range(int(lower) + 1, int(upper) + 1) if (day + 3) % 7 == 0]
    return min(mondays, key=lambda day: abs(day - near)) if mondays else near if near > lower else upper


def _day(number: float) -> date:
    return _DAY_ZERO + timedelta(days=int(number))


def _exact(value: float) -> int | float:
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _stepped(value: int | float | date, step: int) -> int | float | date:
    return value + timedelta(days=step) if isinstance(value, date) else value + step


def _is_year(first: date, last: date) -> bool:
    return (first.month, first.day, last.month, last.day) == (1, 1, 12, 31) and first.year == last.year


def _plain(value: int | float | date) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"
