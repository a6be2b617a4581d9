"""Counts: who is in the two audiences of a comparison, and how many of them have each trait. Imports floor 1 and differences."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from limner_profile.predicates.base import Predicate
from limner_segments.differences import Moments


@dataclass(frozen=True)
class Membership:
    """Who belongs to two audiences: for each user, in the order of `profiles`, whether in A and whether in B."""

    in_a: NDArray[np.bool_]
    in_b: NDArray[np.bool_]

    @property
    def parts(self) -> tuple[NDArray[np.bool_], ...]:
        """The users only in A, in both, and only in B."""
        return (self.in_a & ~self.in_b, self.in_a & self.in_b, self.in_b & ~self.in_a)


@dataclass(frozen=True)
class Count:
    """One trait of a tag: its value or band, its condition, and the users who have it: only in A, in both, only in B, and all.

    `name` is None for unknown, `rest` marks the values of a category that are not counted singly. `candidates` is how many
    traits it was picked from for its count in A or B, 1 where that played no part.
    """

    tag: str
    name: str | None
    condition: Predicate
    parts: tuple[int, int, int]
    users: int
    rest: bool = False
    candidates: int = 1


@dataclass(frozen=True)
class TagCounts:
    """The traits of a tag, whose counts add up to everyone, and for a number the moments of the three parts."""

    tag: str
    counts: tuple[Count, ...]
    moments: Moments | None = None
    centre: float = 0.0

    @property
    def known(self) -> tuple[tuple[int, int, int], int]:
        """The users with a value: only in A, in both, only in B; and all of them."""
        counts = [count for count in self.counts if count.name is not None]
        a, both, b = (sum(count.parts[at] for count in counts) for at in range(3))
        return (a, both, b), sum(count.users for count in counts)


def read_membership(cursor: duckdb.DuckDBPyConnection, inside: str, other: str) -> Membership:
    """The users of two conditions, in SQL; they stay in the temporary table `limner_membership` of this cursor as well."""
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE limner_membership AS SELECT CAST(in_a AS UTINYINT) + 2 * CAST(in_b AS UTINYINT) AS side FROM "
        f"(SELECT coalesce({inside}, FALSE) AS in_a, coalesce({other}, FALSE) AS in_b FROM profiles)"
    )
    side = np.asarray(cursor.execute("SELECT side FROM limner_membership").fetchnumpy()["side"]).astype(np.uint8)
    return Membership((side & 1).astype(np.bool_), (side >> 1).astype(np.bool_))
