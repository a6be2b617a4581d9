"""From weekly counts to rows with times: the events, the orders and the campaign messages of some users.

Imports only the population and the weeks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from limner_samples.reading.behaviour import CAMPAIGN_DAYS, Counts, Weeks
from limner_samples.reading.population import (
    DAY,
    GENRE_SHARES,
    YEAR_DAYS,
    Floats,
    Ints,
    Population,
    choose,
    time_of_day,
)

EVENTS: Final = ("login", "read", "search", "share", "comment", "add_to_shelf")
PRODUCTS: Final = ("chapters", "membership", "gift")
PLAN_AMOUNTS: Final = (15.0, 45.0, 148.0)
CHAPTER_AMOUNTS: Final = (1.2, 1.98, 2.5, 3.6, 4.95, 6.0, 9.9, 12.0, 19.8)
CHAPTER_SHARES: Final = (0.24, 0.2, 0.15, 0.13, 0.1, 0.08, 0.06, 0.03, 0.01)
GIFT_LARGEST: Final = 6480.0
WEEKDAY_WEIGHTS: Final = (0.125, 0.125, 0.125, 0.13, 0.15, 0.18, 0.165)  # Monday first
FIRST_WEEKDAY: Final = 2  # 2025-01-01 is a Wednesday
LOYALTY: Final = 0.72  # share of a user's reads that are of the favourite genre
LATE_SHARE: Final = 0.02
LATE_HOURS: Final = 20.0
BATCH_SECONDS: Final = 60
YEAR_SECONDS: Final = YEAR_DAYS * DAY
DELAYS: Final[dict[str, tuple[int, int]]] = {  # seconds after the login
    "read": (20, 400),
    "search": (5, 90),
    "share": (300, 2400),
    "comment": (300, 2400),
    "add_to_shelf": (60, 700),
    "order": (60, 1500),
}


@dataclass(frozen=True)
class Rows:
    """Rows of one chunk of users, unsorted; `*_user` are user numbers, times are seconds since the year began."""

    user: Ints
    time: Ints
    received: Ints
    kind: NDArray[np.int8]
    genre: NDArray[np.int8]  # -1 where the event has none
    minutes: NDArray[np.float32]  # NaN where the event has none
    order_user: Ints
    order_time: Ints
    product: NDArray[np.int8]
    amount: Floats
    campaign: Ints
    campaign_user: Ints
    campaign_time: Ints
    campaign_treated: NDArray[np.bool_]
    last_login: Ints  # one element a user, very negative where there is none

    @staticmethod
    def joined(chunks: list[Rows]) -> Rows:
        """All chunks as one."""
        if len(chunks) == 1:
            return chunks[0]
        return Rows(**{f.name: np.concatenate([getattr(c, f.name) for c in chunks]) for f in fields(Rows)})


def _sessions(pop: Population, weeks: Weeks, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Cells (week × users + user) of all logins, their times, and where each cell's logins start."""
    counts = weeks.logins.ravel().astype(np.int64)
    n = len(pop)
    cell = np.repeat(np.arange(counts.size), counts)
    start = np.cumsum(counts) - counts
    user, week = cell % n, cell // n
    base = weeks.base_day[user]
    weekday = choose(np.cumsum(WEEKDAY_WEIGHTS), rng.random(cell.size))
    ahead = (weekday - (base + FIRST_WEEKDAY)) % 7
    # In the week of the registration the first login is the registration itself, and the others follow it.
    new = (week == weeks.first_week[user]) & (base + 7 * week == pop.registered[user] // DAY)
    first = np.zeros(cell.size, dtype=bool)
    first[start[counts > 0]] = True
    ahead = np.where(new & (ahead == 0), 1 + cell % 6, ahead)
    time = (base + 7 * week + ahead) * DAY + time_of_day(rng.random(cell.size))
    return cell, np.where(new & first, pop.registered[user], time), start


def expand(pop: Population, weeks: Weeks, rng: np.random.Generator) -> Rows:
    """Every act of these users within 2025, with its time; events that arrive after the year are not there yet."""
    n = len(pop)
    logins, login_time, start = _sessions(pop, weeks, rng)
    visits = weeks.logins.ravel()

    def spread(counts: Counts, delay: str) -> tuple[Ints, Ints]:
        """Cells and times of acts that happen during one of the week's visits."""
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        visit = start[cell] + np.floor(rng.random(cell.size) * visits[cell]).astype(np.int64)
        low, high = DELAYS[delay]
        return cell, login_time[visit] + rng.integers(low, high, cell.size)

    def genre_of(cell: Ints) -> NDArray[np.int8]:
        own = rng.random(cell.size) < LOYALTY
        other = choose(np.cumsum(np.mean(GENRE_SHARES, axis=0)), rng.random(cell.size))
        return np.where(own, pop.genre[cell % n], other).astype(np.int8)

    cells, times, genres, lengths = [logins], [login_time], [np.full(logins.size, -1, np.int8)], []
    lengths.append(np.full(logins.size, np.nan, np.float32))
    tables = (weeks.reads, weeks.searches, weeks.shares, weeks.comments, weeks.shelf)
    for name, counts in zip(EVENTS[1:], tables, strict=True):
        cell, time = spread(counts, name)
        cells.append(cell)
        times.append(time)
        genres.append(genre_of(cell) if name in ("read", "search", "add_to_shelf") else np.full(cell.size, -1, np.int8))
        if name == "read":
            length = weeks.minutes.ravel()[cell] * rng.uniform(0.6, 1.4, cell.size)
            lengths.append(np.maximum(np.round(length), 1).astype(np.float32))
        else:
            lengths.append(np.full(cell.size, np.nan, np.float32))
    kind = np.repeat(np.arange(len(EVENTS), dtype=np.int8), [len(cell) for cell in cells])
    user, time = np.concatenate(cells) % n, np.concatenate(times)
    late = rng.random(time.size) < LATE_SHARE
    wait = np.where(late, 3600 * (1 + rng.standard_exponential(time.size) * LATE_HOURS), 0)
    # Events arrive in batches, one a minute, as collectors send them.
    received = (time + wait.astype(np.int64)) // BATCH_SECONDS * BATCH_SECONDS + BATCH_SECONDS
    kept = (time >= 0) & (received < YEAR_SECONDS)
    last_login = np.full(n, -(10**9), dtype=np.int64)
    known = kept & (kind == 0)
    np.maximum.at(last_login, user[known], time[known])
    order_user, order_time, product, amount = _orders(pop, weeks, rng, spread)
    sent = np.array(CAMPAIGN_DAYS)[weeks.campaign] * DAY + 10 * 3600 + rng.integers(0, 1800, weeks.campaign.size)
    return Rows(
        user=pop.number[user[kept]], time=time[kept], received=received[kept], kind=kind[kept],
        genre=np.concatenate(genres)[kept], minutes=np.concatenate(lengths)[kept],
        order_user=pop.number[order_user], order_time=order_time, product=product, amount=amount,
        campaign=weeks.campaign, campaign_user=pop.number[weeks.campaign_user], campaign_time=sent,
        campaign_treated=weeks.campaign_treated, last_login=last_login,
    )  # fmt: skip


def _orders(
    pop: Population, weeks: Weeks, rng: np.random.Generator, spread: Callable[[Counts, str], tuple[Ints, Ints]]
) -> tuple[Any, Any, Any, Any]:
    """User positions, times, products and amounts of the orders of the year."""
    n = len(pop)
    chapter, chapter_time = spread(weeks.chapters, "order")
    member, member_time = spread((weeks.plan > 0).astype(np.uint8), "order")
    gift, gift_time = spread(weeks.gifts, "order")
    price = np.array(CHAPTER_AMOUNTS)[choose(np.cumsum(CHAPTER_SHARES), rng.random(chapter.size))]
    fee = np.array(PLAN_AMOUNTS)[weeks.plan.ravel()[member].astype(np.int64) - 1]
    given = pop.gift_scale[gift % n] * np.exp(1.2 * rng.standard_normal(gift.size))
    given = np.round(given.clip(1.0, GIFT_LARGEST))
    product = np.repeat(np.arange(3, dtype=np.int8), [chapter.size, member.size, gift.size])
    time = np.concatenate([chapter_time, member_time, gift_time])
    kept = (time >= 0) & (time < YEAR_SECONDS)
    user = np.concatenate([chapter, member, gift]) % n
    return user[kept], time[kept], product[kept], np.concatenate([price, fee, given])[kept]
