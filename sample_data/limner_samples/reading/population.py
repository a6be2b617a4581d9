"""Who the generated users are: attributes that the app knows, and propensities that nobody sees.

Draws arrays with numpy, one element a user. Imports only the planted truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from limner_samples.reading import truth

DAY: Final = 86_400
YEAR_DAYS: Final = 365
GENDERS: Final = ("female", "male")
CHANNELS: Final = ("organic", "app_store", "paid_ads", "referral", "campus")
DEVICES: Final = ("Android", "iOS", "HarmonyOS", "iPadOS", "Web")
GENRES: Final = ("玄幻", "言情", "都市", "悬疑", "科幻", "历史")
CITIES: Final = (
    "上海", "北京", "广州", "深圳", "成都", "杭州", "武汉", "西安", "重庆", "南京", "长沙", "苏州", "郑州", "青岛",
    "Shanghai", "Beijing", "Guangzhou", "Shenzhen", "Chengdu", "Hong Kong", "Taipei", "Singapore", "Kuala Lumpur",
    "Vancouver",
)  # fmt: skip

CHANNEL_SHARES: Final = (0.28, 0.18, 0.38, 0.09, 0.07)
DEVICE_SHARES: Final = (0.44, 0.33, 0.16, 0.03, 0.04)
CITY_SHARES: Final = (
    .095, .085, .07, .07, .065, .055, .05, .045, .055, .045, .04, .04, .04, .035,
    .045, .035, .02, .02, .015, .025, .015, .015, .01, .01,
)  # fmt: skip
# The genre that pays is as common among women as among men: otherwise gender would reach lapse by way of membership.
GENRE_SHARES: Final = (
    (0.26, 0.42, 0.08, 0.14, 0.05, 0.05),
    (0.26, 0.14, 0.25, 0.12, 0.13, 0.10),
)
HOUR_WEIGHTS: Final = (3, 2, 1, 1, 1, 1, 2, 4, 5, 4, 4, 4, 8, 8, 5, 4, 4, 5, 6, 7, 10, 12, 12, 8)
BEFORE_2025: Final = 0.50
"""Share of the users who registered before the year began."""
HISTORY_DAYS: Final = 900
"""How long before the year the earliest user registered."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Population:
    """Users as arrays of equal length: first what the app knows (codes; -1 is unknown), then what drives them."""

    number: Ints
    registered: Ints  # seconds since 2025-01-01T00:00 local, negative before
    gender: Ints
    birth_year: Ints
    city: Ints
    channel: Ints
    device: Ints
    push: NDArray[np.bool_]
    genre: Ints  # the favourite, as the user knows it
    sessions: Floats  # a week, while active
    reads: Floats  # a session
    read_minutes: Floats  # a read
    searches: Floats  # a session
    shelf: Floats  # a session
    comments: Floats  # a session
    shares: Floats  # a session, before the planted effects
    chapters: Floats  # orders a session, before the planted effects
    gifts: Floats  # orders a session
    gift_scale: Floats  # typical amount, CNY

    def __len__(self) -> int:
        return len(self.number)


def choose(cumulative: Any, draws: Floats) -> Ints:
    """Codes 0, 1, …, one for each uniform draw, by cumulative shares (the last is taken as 1)."""
    steps = np.asarray(cumulative, dtype=np.float64)
    return np.minimum(np.searchsorted(steps, draws, side="right"), len(steps) - 1).astype(np.int64)


def time_of_day(draws: Floats) -> Ints:
    """Seconds after midnight, one for each uniform draw, with peaks at noon and in the evening."""
    edges = np.concatenate([[0.0], np.cumsum(HOUR_WEIGHTS) / np.sum(HOUR_WEIGHTS)])
    seconds: Floats = np.interp(draws, edges, np.arange(25.0)) * 3600
    return np.minimum(seconds, DAY - 1).astype(np.int64)


def _registration(quantile: Floats) -> Ints:
    """Registration times that grow with the quantile: a long slow start, then a year that grows less and less."""
    before = -HISTORY_DAYS * (1 - quantile / BEFORE_2025).clip(0, 1) ** 1.4
    during = YEAR_DAYS * ((quantile - BEFORE_2025) / (1 - BEFORE_2025)).clip(0, 1) ** 1.3
    days = np.where(quantile < BEFORE_2025, before, during)
    whole = np.floor(days)
    return (whole * DAY).astype(np.int64) + time_of_day(days - whole)


def _gamma(rng: np.random.Generator, shape: float, mean: float, size: int) -> Floats:
    return rng.standard_gamma(shape, size) * (mean / shape)


def draw_population(rng: np.random.Generator, first: int, size: int, users: int) -> Population:
    """Users number `first` … `first + size - 1` of `users`, in the order of their registration."""
    number = np.arange(first, first + size, dtype=np.int64)
    registered = _registration((number + rng.random(size)) / users)
    gender = choose(np.cumsum([0.44, 0.38, 0.18]), rng.random(size))
    birth = (2025 - 13 - _gamma(rng, 2.2, 14, size)).astype(np.int64).clip(1948)
    draw = rng.random(size)
    birth = np.where(draw < 0.3, -1, np.where(draw < 0.304, 1900, np.where(draw < 0.306, 2025, birth)))
    city = np.where(rng.random(size) < 0.08, -1, choose(np.cumsum(CITY_SHARES), rng.random(size)))
    channel = choose(np.cumsum(CHANNEL_SHARES), rng.random(size))
    paid = channel == CHANNELS.index("paid_ads")
    push = rng.random(size) < np.where(paid, truth.PUSH_SHARE_PAID_ADS, truth.PUSH_SHARE_OTHERS)
    # Users of unstated gender read like women or like men, at even odds.
    taste = np.where(gender == 2, rng.random(size) < 0.5, gender == 1)
    draw = rng.random(size)
    genre = np.where(taste, choose(np.cumsum(GENRE_SHARES[1]), draw), choose(np.cumsum(GENRE_SHARES[0]), draw))
    keen = rng.random(size) < 0.12  # looks for much and reads much: shows that searching alone is no sign of lapse
    pays = rng.random(size) < 0.75
    gifting = rng.random(size)
    return Population(
        number=number,
        registered=registered,
        gender=np.where(gender == 2, -1, gender),
        birth_year=birth,
        city=city,
        channel=channel,
        device=choose(np.cumsum(DEVICE_SHARES), rng.random(size)),
        push=push,
        genre=genre,
        sessions=(1.1 * np.exp(0.45 * rng.standard_normal(size))).clip(0.7, 4.0),
        reads=_gamma(rng, 4.0, 0.62, size) * np.where(keen, 1.3, 1.0),
        read_minutes=28 * np.exp(0.45 * rng.standard_normal(size)) * np.where(keen, 1.4, 1.0),
        searches=_gamma(rng, 1.0, 0.10, size) + np.where(keen, 0.8, 0.0),
        shelf=_gamma(rng, 0.7, 0.16, size),
        comments=np.where(rng.random(size) < 0.2, _gamma(rng, 1.5, 0.28, size), 0.004),
        shares=_gamma(rng, 1.5, 0.022, size),
        chapters=np.where(pays, _gamma(rng, 0.9, 0.16, size), 0.004),
        gifts=np.where(gifting < 0.006, 0.22, np.where(gifting < 0.05, 0.05, 0.0006)),
        gift_scale=np.where(gifting < 0.006, 260.0, 26.0),
    )
