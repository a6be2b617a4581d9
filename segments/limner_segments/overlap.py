"""How audiences overlap: counts, Jaccard and containment of each pair, and the largest exclusive intersections. Pure.

Works on bitmaps of users' positions, so that fifty segments of a million users take milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyroaring import BitMap

# Of so few segments every combination is looked at; of more, so many splits are made: milliseconds, and the largest come first.
_FEW, _MOST_SPLITS = 12, 800


@dataclass(frozen=True)
class Overlap:
    """Two segments: users in both and in either, their Jaccard index, and the share of each that is in the other, 0 to 1.

    Shares are None where nobody is in the first, or in the second, or in either. `small` where a count, or its difference to
    a size or to all users, tells of fewer than `min_group` users but not of none.
    """

    first: str
    second: str
    both: int
    either: int
    jaccard: float | None
    share_of_first: float | None
    share_of_second: float | None
    small: bool


@dataclass(frozen=True)
class Intersection:
    """The users who are in all of `segments` and in none of the others."""

    segments: tuple[str, ...]
    count: int
    share: float
    small: bool


@dataclass(frozen=True)
class Intersections:
    """The largest exclusive intersections, largest first, and how many users of any segment are in others (`rest`)."""

    shown: tuple[Intersection, ...]
    union: int
    rest: int


def overlap_pairs(bitmaps: Mapping[str, BitMap], min_group: int = 0, users: int = 0) -> list[Overlap]:
    """Every pair in the order of the segments; `users` are all there are."""
    sizes = {name: len(bitmap) for name, bitmap in bitmaps.items()}
    pairs = []
    for first, second in combinations(bitmaps, 2):
        both = bitmaps[first].intersection_cardinality(bitmaps[second])
        either = sizes[first] + sizes[second] - both
        apart = (both, sizes[first] - both, sizes[second] - both, users - either)
        pairs.append(
            Overlap(
                first, second, both, either, _share(both, either), _share(both, sizes[first]), _share(both, sizes[second]),
                any(0 < count < min_group for count in apart),
            )
        )  # fmt: skip
    return pairs


def exclusive_intersections(
    bitmaps: Mapping[str, BitMap], limit: int = 20, users: int = 0, min_group: int = 0
) -> Intersections:
    """The `limit` largest sets of users who are in the same segments; `share` is of `users`.

    Exact: a set is split by one segment after the other, the largest first, so what is whole first is largest. Where many
    segments make thousands of sets of like size, fewer than `limit` are shown and the others are in `rest`.
    """
    from pyroaring import BitMap

    names = list(bitmaps)
    # A segment that parts the users evenly tells most, and comes first.
    union = BitMap.union(*bitmaps.values()) if bitmaps else BitMap()
    order = sorted(names, key=lambda name: abs(len(union) - 2 * len(bitmaps[name])))
    heap: list[tuple[int, int, int, BitMap, tuple[str, ...]]] = [(-len(union), 0, 0, union, ())] if union else []
    shown: list[tuple[tuple[str, ...], int]] = []
    for splits in range(2 << len(order) if len(order) <= _FEW else _MOST_SPLITS):
        if not heap or len(shown) == limit:
            break
        negative, _, depth, users_in, inside = heapq.heappop(heap)
        if depth == len(order):
            shown.append((tuple(name for name in names if name in inside), -negative))
            continue
        with_it = users_in & bitmaps[order[depth]]
        without = users_in - with_it
        if with_it:
            heapq.heappush(heap, (-len(with_it), 2 * splits + 1, depth + 1, with_it, (*inside, order[depth])))
        if without:
            heapq.heappush(heap, (-len(without), 2 * splits + 2, depth + 1, without, inside))
    found = [Intersection(inside, count, _share(count, users) or 0.0, count < min_group) for inside, count in shown]
    found.sort(key=lambda one: (-one.count, one.segments))
    return Intersections(tuple(found), len(union), len(union) - sum(one.count for one in found))


def note_small(results: Sequence[Overlap | Intersection], min_group: int) -> str:
    """What to say beside results of which some are of small groups, empty where none is."""
    small = sum(one.small for one in results)
    if not small:
        return ""
    rows = "1 row tells" if small == 1 else f"{small} rows tell"
    return f"{rows} of a group of fewer than {min_group} users: leave them out of what you share"


def _share(count: int, of: int) -> float | None:
    return count / of if of else None
