"""Linking: each `in_segment('x')` and `like_segment('x', …)` of a condition gets the condition of x, through others. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from limner_profile.dependencies import circles_of, stages_of
from limner_profile.errors import Issue
from limner_profile.predicates.all_of import AllOf
from limner_profile.predicates.any_of import AnyOf
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.negation import Not
from limner_segments.conditions.in_segment import InSegment
from limner_segments.conditions.like_segment import LikeSegment

# What a condition may grow to by the segments that it asks for, which are written out in it: brackets, `not` and segments inside each
# other (Python, sqlglot and DuckDB all recurse), and single conditions. A segment asked for twice on each of 20 levels would be a million.
MAX_LINKED_DEPTH = 100
MAX_LINKED_PARTS = 2_000


@dataclass(frozen=True)
class Extent:
    """How large a condition is once it is linked: levels inside each other, and single conditions."""

    depth: int
    parts: int

    @property
    def fits(self) -> bool:
        """Whether it is small enough to be linked."""
        return self.depth <= MAX_LINKED_DEPTH and self.parts <= MAX_LINKED_PARTS


def asked_segments(tree: Predicate) -> list[str]:
    """The names that a condition asks for, in order; those of linked ones are not looked into."""
    if isinstance(tree, InSegment | LikeSegment):
        return [tree.segment]
    return list(dict.fromkeys(name for child in tree.children() for name in asked_segments(child)))


def link(tree: Predicate, conditions: Mapping[str, Predicate]) -> Predicate:
    """The condition with those of the segments that it asks for; `conditions` holds them, unlinked, and has no circle."""
    if isinstance(tree, InSegment | LikeSegment):
        known = conditions.get(tree.segment)
        return tree if known is None else tree.model_copy(update={"inner": link(known, conditions)})
    if isinstance(tree, AllOf | AnyOf):
        return tree.model_copy(update={"parts": tuple(link(part, conditions) for part in tree.parts)})
    if isinstance(tree, Not):
        return tree.model_copy(update={"part": link(tree.part, conditions)})
    return tree


def full_text(tree: Predicate) -> str:
    """The text of a condition with those of the segments that it asks for: alike only where the same users match."""
    inner = [
        f"{node.to_text()}: {node.inner.to_text()}"
        for node in tree.walk()
        if isinstance(node, InSegment | LikeSegment) and node.inner is not None
    ]
    return "; ".join([tree.to_text(), *dict.fromkeys(inner)])


def circle_issues(conditions: Mapping[str, Predicate], where: Mapping[str, str]) -> tuple[list[Issue], set[str]]:
    """An issue for each circle of segments, with the path, and the names of all that lead into one."""
    references = {name: asked_segments(tree) for name, tree in conditions.items()}
    circles = circles_of(references)
    issues = [
        Issue(
            "segment-circle",
            where.get(path[0], ""),
            f"these segments ask for each other: {' → '.join(path)}",
            "take in_segment() out of one of them",
        )
        for path in circles
    ]
    caught = {name for path in circles for name in path}
    while more := {name for name, asked in references.items() if name not in caught and caught.intersection(asked)}:
        caught |= more
    return issues, caught


def extent_of(tree: Predicate, known: Mapping[str, Extent]) -> Extent:
    """How large a condition gets by linking, found without linking it; `known` has the extents of the segments that it asks for."""
    inner = [extent_of(child, known) for child in tree.children()]
    if isinstance(tree, InSegment | LikeSegment) and tree.segment in known:
        inner = [known[tree.segment]]
    if not inner:
        return Extent(1, 1)
    return Extent(1 + max(each.depth for each in inner), sum(each.parts for each in inner))


def extent_issues(
    conditions: Mapping[str, Predicate], where: Mapping[str, str]
) -> tuple[list[Issue], dict[str, Extent], set[str]]:
    """An issue for each segment that gets too large, the extents of those that do not, and the names of the others.

    A segment that asks for one that is too large is too large, too, and gets no issue of its own. `conditions` has no circle.
    """
    references = {
        name: [asked for asked in asked_segments(tree) if asked in conditions] for name, tree in conditions.items()
    }
    extents: dict[str, Extent] = {}
    issues: list[Issue] = []
    too_large: set[str] = set()
    for stage in stages_of(references):
        for name in stage:
            if not too_large.isdisjoint(references[name]):
                too_large.add(name)
                continue
            extent = extent_of(conditions[name], extents)
            if extent.fits:
                extents[name] = extent
            else:
                too_large.add(name)
                issues.append(too_large_issue(extent, where.get(name, ""), f"the segment {name!r}"))
    return issues, extents, too_large


def too_large_issue(extent: Extent, where: str, what: str) -> Issue:
    """The issue `segment-too-large` for a condition that gets too large by linking."""
    found = (
        f"is {extent.depth:,} levels deep, and {MAX_LINKED_DEPTH} are possible"
        if extent.depth > MAX_LINKED_DEPTH
        else f"has {extent.parts:,} conditions, and {MAX_LINKED_PARTS:,} are possible"
    )
    message = f"with the segments that it asks for, {what} {found}"
    hint = "ask for each segment once, and for fewer segments that ask for segments; a list (in_list) or a tag can stand for one"
    return Issue("segment-too-large", where, message, hint)
