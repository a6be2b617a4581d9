"""Arrays: numbers, dates and booleans of a comparison, counted in memory, a column at a time in buffers that are used again.

Values of users without one are filled with the median, so that nothing has to be left out on the way, and are taken off the counts in the
end. Imports floor 1, the bands and the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from numpy.typing import NDArray

from limner_profile.predicates.columns import day_start
from limner_profile.predicates.compare import Compare
from limner_profile.predicates.known import Known
from limner_profile.sql_text import quoted
from limner_segments.comparison_bands import FEW, Bands, date_bands, number_bands
from limner_segments.comparison_counts import Count, TagCounts
from limner_segments.differences import Moments

_SAMPLE, _THOUSANDTHS = 20_000, 1_000
_DAY = 86_400_000_000
_END = 2**62
_DAY_ZERO = date(1970, 1, 1)
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = ((day - _DAY_ZERO).days * _DAY for day in (date.min, date.max))  # DuckDB has years beyond
Flags = NDArray[np.bool_]
Numbers = NDArray[Any]


class Arrays:
    """Counts the columns of `profiles` for the users only in A, in both and only in B; every thread takes one of its own.

    Memory for a column of all users is taken once: to take and clear it for each would cost as much as the counting.
    """

    def __init__(self, parts: Sequence[Flags], sides: Sequence[Numbers | None]) -> None:
        self.users = len(parts[0])
        self.parts = parts
        # The parts again, as 0 and 1: what a sum over a part is weighed by. None where nobody is in it.
        self.sides = sides
        self.buffer = np.empty(self.users, dtype=np.int64)
        self.deviations = np.empty(self.users, dtype=np.float64)
        self.unknown, self.flags, self.picked = (np.empty(self.users, dtype=np.bool_) for _ in range(3))
        # The same users each time, since cuts must not move between two looks; everybody where there are few.
        drawn = np.random.default_rng(0).integers(0, max(self.users, 1), _SAMPLE)
        self.drawn = np.sort(drawn) if self.users > _SAMPLE else np.arange(self.users)

    def booleans(self, cursor: duckdb.DuckDBPyConnection, tag: str) -> TagCounts:
        """The users for whom it is true, false, and unknown."""
        values = self._read(cursor, f"SELECT {quoted(tag)} AS v FROM profiles", self.flags)
        counts = [Count(tag, "true", Compare(field=tag, operator="=", value=True), *self._in_parts(values))]
        np.logical_or(values, self.unknown, out=values)
        np.logical_not(values, out=values)
        counts.append(Count(tag, "false", Compare(field=tag, operator="=", value=False), *self._in_parts(values)))
        return TagCounts(tag, tuple(count for count in (*counts, *self._unknown(tag)) if count.users))

    def numbers(self, cursor: duckdb.DuckDBPyConnection, tag: str, column: str, whole: bool) -> TagCounts:
        """The users in each band of a number and the moments of its parts; `column` is SQL, `whole` the type's word for it."""
        target = self.buffer if whole else self.buffer.view(np.float64)
        values = self._read(cursor, f"SELECT {column} AS v FROM profiles", target)
        if not whole and np.isnan(values).any():
            values[np.isnan(values)] = np.inf  # no number is above all others, as DuckDB has it
        sample = self._sample(values)
        centre = sample[len(sample) // 2].item() if len(sample) else 0
        np.copyto(values, centre, where=self.unknown)
        points = _points(sample, values)
        if not whole:
            whole = bool(np.equal(np.floor(values, out=self.deviations), values, out=self.flags).all())
        bands = number_bands(points, whole, len(points) <= FEW and self._are_all(values, points))
        with np.errstate(invalid="ignore", over="ignore"):
            np.subtract(values, centre, out=self.deviations)
            # Not the dot product: its threads would stand in each other's way here.
            sums = [0.0 if side is None else np.einsum("i,i->", self.deviations, side) for side in self.sides]
            squares = [
                0.0 if side is None else np.einsum("i,i,i->", self.deviations, self.deviations, side)
                for side in self.sides
            ]
        counts = self._bands(tag, values, centre, bands, lambda value: value)
        known = TagCounts(tag, counts).known[0]
        moments = Moments(np.array(known, dtype=np.float64), np.array(sums), np.array(squares))
        return TagCounts(tag, counts, moments, float(centre))

    def dates(self, cursor: duckdb.DuckDBPyConnection, tag: str, timezone: ZoneInfo | None) -> TagCounts:
        """The users in each band of a date or, with the zone in which its days are counted, of a time."""
        column = f"CAST({quoted(tag)} AS TIMESTAMP)"
        # An infinite time has no microseconds, but stands before or after all others.
        end = f"CASE WHEN {column} < TIMESTAMP 'epoch' THEN {-_END} ELSE {_END} END"
        query = f"SELECT CASE WHEN isfinite({column}) THEN epoch_us({column}) WHEN {column} IS NOT NULL THEN {end} END AS v FROM profiles"
        values = self._read(cursor, query, self.buffer)
        sample = self._sample(values)
        sample = sample[(sample >= _FIRST) & (sample < _LAST + _DAY)]
        centre = sample[len(sample) // 2].item() if len(sample) else 0
        np.copyto(values, centre, where=self.unknown)
        inside = ((value, below) for value, below in _points(sample, values) if _FIRST <= value < _LAST + _DAY)
        points = [(_days(value, timezone), below) for value, below in inside]

        def begin(day: date) -> int:
            if timezone is None:
                return (day - _DAY_ZERO).days * _DAY
            return (day_start(day, timezone) - _ZERO) // timedelta(microseconds=1)

        bands = date_bands(points)
        if len(values) and values.min() < _FIRST:
            bands = replace(bands, lowest=None)  # the first band has more in it than its lowest day
        if len(values) and values.max() >= _LAST + _DAY:
            bands = replace(bands, highest=None)
        return TagCounts(tag, self._bands(tag, values, centre, bands, begin))

    def _read(self, cursor: duckdb.DuckDBPyConnection, query: str, into: Numbers) -> Numbers:
        """The column `v` of a query in `into`; `unknown` flags the users without a value.

        From the bare buffers: whatever else pyarrow offers imports pandas first, which takes half as long as a whole comparison.
        """
        at = 0
        for chunk in cursor.sql(query).to_arrow_table().column("v").chunks:
            end = at + len(chunk)
            known, data = chunk.buffers()
            self.unknown[at:end] = ~_bits(known, chunk) if chunk.null_count else False
            if str(chunk.type) == "bool":
                into[at:end] = _bits(data, chunk) & ~self.unknown[at:end]
            else:
                into[at:end] = np.frombuffer(data, np.dtype(str(chunk.type)))[chunk.offset : chunk.offset + len(chunk)]
            at = end
        return into

    def _sample(self, values: Numbers) -> Numbers:
        """Known values of some users, in order; of all who have one where few do. Finite ones unless there is no other."""
        chosen = values[self.drawn][~self.unknown[self.drawn]]
        if len(chosen) < _SAMPLE // 20 and self.users > _SAMPLE:
            chosen = values[~self.unknown][:_SAMPLE]
        chosen = np.sort(chosen)
        if chosen.dtype.kind == "f":
            finite = chosen[np.isfinite(chosen)]
            return finite if len(finite) else chosen
        return chosen

    def _are_all(self, values: Numbers, points: Sequence[tuple[float, float]]) -> bool:
        """Whether nobody has a value but these."""
        return self.users == sum(int(np.count_nonzero(np.equal(values, value, out=self.flags))) for value, _ in points)

    def _bands(
        self, tag: str, values: Numbers, centre: float, bands: Bands, read: Callable[[Any], Any]
    ) -> tuple[Count, ...]:
        """The users in each band that anybody is in, and those without a value, whom `values` counts as `centre`."""
        missing = self._in_parts(self.unknown)
        reached = [self._in_parts(None)]  # users at or above each cut; those between two cuts are in the band
        home = 0
        for cut in bands.cuts:
            edge = read(cut.value)
            above = (np.greater if cut.beyond else np.greater_equal)(values, edge, out=self.flags)
            reached.append(self._in_parts(above))
            home += centre > edge or (centre == edge and not cut.beyond)
        reached.append(((0, 0, 0), 0))
        counts = []
        for at, (name, condition) in enumerate(zip(bands.names(), bands.conditions(tag), strict=True)):
            (upper, users), (lower, fewer) = reached[at], reached[at + 1]
            off, off_users = missing if at == home else ((0, 0, 0), 0)
            a, both, b = (high - low - less for high, low, less in zip(upper, lower, off, strict=True))
            if users - fewer - off_users:
                counts.append(Count(tag, name, condition, (a, both, b), users - fewer - off_users))
        return (*counts, *self._unknown(tag))

    def _unknown(self, tag: str) -> tuple[Count, ...]:
        parts, users = self._in_parts(self.unknown)
        return (Count(tag, None, Known(field=tag, known=False), parts, users),) if users else ()

    def _in_parts(self, flags: Flags | None) -> tuple[tuple[int, int, int], int]:
        """How many of these users are only in A, in both, only in B; and how many they are. None is everybody."""
        if flags is None:
            a, both, b = (int(np.count_nonzero(part)) for part in self.parts)
            return (a, both, b), self.users
        a, both, b = (int(np.count_nonzero(np.logical_and(flags, part, out=self.picked))) for part in self.parts)
        return (a, both, b), int(np.count_nonzero(flags))


def _days(value: float, timezone: ZoneInfo | None) -> float:
    """Microseconds since 1970 as days of the calendar, with fractions; those of the zone where there is one."""
    if timezone is not None and _FIRST + _DAY <= value < _LAST:  # elsewhere the zone may have no such year
        local = (_ZERO + timedelta(microseconds=value)).astimezone(timezone).replace(tzinfo=UTC)
        return (local - _ZERO) / timedelta(days=1)
    return value / _DAY


def _bits(buffer: Any, chunk: Any) -> Flags:
    """The bits of a buffer of an Arrow array as flags."""
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=chunk.offset + len(chunk), bitorder="little")
    return bits[chunk.offset :].view(np.bool_)


def _points(sample: Numbers, values: Numbers) -> list[tuple[float, float]]:
    """The different values of a sorted sample, a thousandth of it apart, each with the share below it; between the ends of `values`."""
    if not len(sample):
        return []
    kept = np.unique(sample[np.linspace(0, len(sample) - 1, min(_THOUSANDTHS + 1, len(sample))).astype(np.int64)])
    below = np.searchsorted(sample, kept, side="left") / len(sample)
    found = list(zip(kept.tolist(), below.tolist(), strict=True))
    lowest, highest = values.min().item(), values.max().item()
    first = [(lowest, 0.0)] if lowest < found[0][0] else []
    last = [(highest, 1.0)] if highest > found[-1][0] else []
    return [(value, share) for value, share in (*first, *found, *last) if np.isfinite(value)]
