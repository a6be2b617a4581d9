"""Conditions on users: the predicate language of floor 1, and the kinds that are written as calls, one a file."""

from __future__ import annotations

import sys
from collections.abc import Collection

from limner_profile.predicates.base import Predicate
from limner_profile.predicates.parser import parse
from limner_segments.conditions.base import CALLS

CALLS.discover(sys.modules[__name__])


def parse_condition(
    text: str,
    where: str = "where",
    tags: Collection[str] | None = None,
    position: tuple[int, int] | None = None,
) -> Predicate:
    """The condition on users that `text` says: tags, and calls such as `did('purchase', within => '30d')`.

    Raises ConditionError as `limner_profile.predicates.parse` does.
    """
    return parse(text, where, "tag", tags, position, CALLS)


__all__ = ["CALLS", "parse_condition"]
