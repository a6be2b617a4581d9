"""Privacy: which counts of a comparison stay hidden, so that no small group can be read off it or computed from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from limner_segments.comparison_counts import TagCounts


class Protection:
    """Which counts are small: of users in an audience, outside it, and in every difference of two numbers that are shown.

    Those are the users of A and those not in A; the same of B where B has a definition of its own; those only in one of them
    where the other holds the rest of it; and those in neither where nobody is in both. What all users have is no secret.
    """

    def __init__(self, size: tuple[int, int, int], users: int, min_group: int, sides: str) -> None:
        self.min_group = min_group
        only_a, both, only_b = size
        cells = [(1, 1, 0, 0), (0, 0, 1, 1)]
        if sides == "ab":
            cells += [(0, 1, 1, 0), (1, 0, 0, 1)]
            cells += [(0, 0, 1, 0)] * (only_a == 0) + [(1, 0, 0, 0)] * (only_b == 0) + [(0, 0, 0, 1)] * (both == 0)
        self.cells = cells
        self.all_hidden = any(map(self.is_small, self.counts(size, users)))

    def is_any_small(self, parts: tuple[int, int, int], users: int) -> bool:
        """Whether a protected cell of these users is small, or an audience is."""
        return self.all_hidden or any(map(self.is_small, self.counts(parts, users)))

    def counts(self, parts: tuple[int, int, int], users: int) -> list[int]:
        """The users in each protected cell, given those only in A, in both, only in B, and all."""
        four = (*parts, users - sum(parts))
        return [sum(part for part, counts in zip(four, cell, strict=True) if counts) for cell in self.cells]

    def is_small(self, count: int) -> bool:
        """Whether so few users may not be told of; none may."""
        return 0 < count < self.min_group

    def hidden(self, counted: TagCounts) -> list[bool]:
        """Which traits of a tag stay hidden: those with a small cell, and as many more as keep subtraction from telling one.

        All are where an audience, or what is left without it, is itself a small group: even a zero would tell of everyone in it.
        """
        if self.all_hidden:
            return [True] * len(counted.counts)
        rows = [self.counts(count.parts, count.users) for count in counted.counts]
        hides = [any(map(self.is_small, row)) for row in rows]
        order = sorted(range(len(rows)), key=lambda row: counted.counts[row].users)
        while more := self._one_more(rows, hides, order):
            hides[more[0]] = True
        return hides

    def _one_more(self, rows: Sequence[Sequence[int]], hides: Sequence[bool], order: Sequence[int]) -> list[int]:
        """The smallest shown trait that the sum of the hidden ones needs to be a large one, if there is such a need."""
        for cell in range(len(self.cells)):
            if self.is_small(sum(row[cell] for row, hides_it in zip(rows, hides, strict=True) if hides_it)):
                more = [row for row in order if not hides[row] and rows[row][cell] > 0]
                if more:
                    return more[:1]
        return []
