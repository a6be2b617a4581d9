"""Linking: each `in_segment('x')` and `like_segment('x', …)` of a condition gets the condition of x, through others. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from limner_profile.dependencies import circles_of
from limner_profile.errors import Issue
from limner_profile.predicates.all_of import AllOf
from limner_profile.predicates.any_of import AnyOf
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.negation import Not
from limner_segments.conditions.in_segment import InSegment
from limner_segments.conditions.like_segment import LikeSegment


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
