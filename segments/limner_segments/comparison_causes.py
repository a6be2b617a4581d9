"""Causes: which traits the definition of a segment fixes, so that finding them in its audience tells nothing new.

A tag of the condition is fixed; so is one computed from it, or that it is computed from, where the counts show it; and a trait that
nobody or everybody has, inside the audience or outside, beyond chance. Pure; imports floor 1 and the counts.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from limner_profile.catalog import Catalog, CatalogTag
from limner_segments.comparison_counts import Count, TagCounts

Cause = Literal["condition", "derived", "data"]

_EXPECTED = 20
"""An empty cell where at least this many users would be by chance is no chance."""
_MOST = 0.5
"""A tag whose fixed values hold this share of the known users on one side says what the condition says."""


def causes_of(
    counted: TagCounts, size: tuple[int, int, int], users: int, own: Collection[str], catalog: Catalog, sides: str
) -> tuple[list[Cause | None], Cause | None]:
    """Why each trait of a tag is fixed, None where it is not; and the same of the tag as a whole.

    `size` holds the users only in A, in both and only in B; `sides` names the audiences whose definitions count: `a` or `ab`.
    """
    if counted.tag in own:
        return ["condition"] * len(counted.counts), "condition"
    fixed = [
        any(_is_fixed(_inside(count, side), count.users, _whole(size, side), users) for side in sides)
        for count in counted.counts
    ]
    known_fixed = [
        count for count, is_fixed in zip(counted.counts, fixed, strict=True) if is_fixed and count.name is not None
    ]
    whole: Cause | None = None
    if known_fixed and _is_related(catalog, counted.tag, own):
        whole = "derived"
    elif any(_holds_most(counted, known_fixed, side) for side in sides):
        whole = "data"
    return [whole or ("data" if is_fixed else None) for is_fixed in fixed], whole


def _inside(count: Count, side: str) -> int:
    a, both, b = count.parts
    return both + (a if side == "a" else b)


def _whole(size: tuple[int, int, int], side: str) -> int:
    return size[1] + (size[0] if side == "a" else size[2])


def _is_fixed(inside: int, having: int, size: int, users: int) -> bool:
    """Whether one of the four cells, having the trait or not by inside the audience or not, is empty beyond chance."""
    if not users:
        return False
    cells = (
        (inside, having * size),
        (size - inside, (users - having) * size),
        (having - inside, having * (users - size)),
        (users - size - having + inside, (users - having) * (users - size)),
    )
    return any(found == 0 and expected >= _EXPECTED * users for found, expected in cells)


def _holds_most(counted: TagCounts, fixed: list[Count], side: str) -> bool:
    """Whether the fixed values hold most of the users with a value inside the audience, or most of those outside it.

    Only values that one side lacks count: most people may well have what everybody in the audience has.
    """
    known = [count for count in counted.counts if count.name is not None]
    inside, everyone = sum(_inside(count, side) for count in known), sum(count.users for count in known)
    lacking_inside = sum(count.users for count in fixed if _inside(count, side) == 0)
    lacking_outside = sum(count.users for count in fixed if _inside(count, side) == count.users)
    outside = everyone - inside
    return (outside > 0 and lacking_inside >= _MOST * outside) or (inside > 0 and lacking_outside >= _MOST * inside)


def _is_related(catalog: Catalog, tag: str, own: Collection[str]) -> bool:
    """Whether the tag is computed from one of `own`, or one of `own` from it, through however many tags."""
    if tag not in catalog:
        return False
    above = _ancestors(catalog[tag])
    return any(name in above or (name in catalog and tag in _ancestors(catalog[name])) for name in own)


def _ancestors(tag: CatalogTag) -> set[str]:
    found: set[str] = set()
    waiting = list(tag.parents)
    while waiting:
        parent = waiting.pop()
        if parent.name not in found:
            found.add(parent.name)
            waiting += parent.parents
    return found
