"""Where a user stands in the order of a tag, and where a condition on that order begins and ends. Imports floor 1 and the ranking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from limner_profile.snapshots import Snapshot
from limner_profile.sql_text import quoted
from limner_segments.conditions.ranked import Ranked


@dataclass(frozen=True)
class Standing:
    """A user's `rank` (None without a value) among `users` with one, from 1 at the highest value if `from_top`, else at the lowest.

    The places from `first` to `last` fulfil the condition, none where `last` is below `first`; `edge` is the value of the place at
    `last`, or None.
    """

    rank: int | None
    users: int
    from_top: bool
    first: int
    last: int
    edge: float | int | date | None


def standing_of(snapshot: Snapshot, condition: Ranked, user_id: str) -> Standing:
    """The standing of a user, who has a profile, in the order of the condition's tag."""
    tag, way, beyond = quoted(condition.tag), *(("DESC", ">") if condition.FROM_TOP else ("ASC", "<"))
    row = snapshot.rows(
        f"WITH one AS (SELECT user_id, {tag} AS value FROM profiles WHERE user_id = ?) "
        f"SELECT count(p.{tag}) AS users, any_value(one.value) AS value, "
        f"count(*) FILTER (p.{tag} {beyond} one.value OR p.{tag} = one.value AND p.user_id {beyond}= one.user_id) AS rank "
        "FROM profiles AS p CROSS JOIN one",
        [user_id],
    )[0]
    first, last = condition.ends(row["users"])
    edge = None
    if first <= last:
        order = f"WHERE {tag} IS NOT NULL ORDER BY {tag} {way}, user_id {way}"
        edge = snapshot.value(f"SELECT {tag} FROM profiles {order} LIMIT 1 OFFSET {last - 1}")
    rank = row["rank"] if row["value"] is not None else None
    return Standing(
        rank, row["users"], condition.FROM_TOP, first, last, float(edge) if isinstance(edge, Decimal) else edge
    )
