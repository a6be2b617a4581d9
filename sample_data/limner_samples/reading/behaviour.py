"""What the generated users do, week by week: activity, lapse, return, orders, and answers to campaigns.

A loop over weeks, vectorised over users; every user's week begins on the weekday of the registration, so that
nothing happens to all users on the same day. Imports only the population and the planted truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from limner_samples.reading import truth
from limner_samples.reading.population import CHANNELS, DAY, DEVICES, GENRES, YEAR_DAYS, Ints, Population

WARM_UP_WEEKS: Final = 10
WEEKS: Final = WARM_UP_WEEKS + YEAR_DAYS // 7 + 2

LAPSE_BASE: Final = 0.0265  # weekly, for a user with none of the planted causes
FOR_GOOD: Final = 0.28  # share of the lapsed who do not return by themselves
FADE: Final = np.array([0.6, 0.35, 0.15])  # activity in the weeks before a lapse that announces itself
FADE_SHARE: Final = 0.62
RETURN_EARLY: Final = 0.003  # weekly, in the first weeks of absence
RETURN_LATE: Final = 0.045  # weekly, afterwards: readers look in again when their serial has gone on
RETURN_LATE_WEEKS: Final = 12
STUCK_ONSET: Final = 0.014  # weekly: the user looks for a book and finds none
STUCK_WEEKS: Final = 7.0
STUCK_SEARCHES: Final = 3.4  # a week
JOIN_BASE: Final = 0.0108  # weekly
RENEWAL: Final = 0.5
FORMER_WEEKS: Final = 8
PLAN_SHARES: Final = (0.62, 0.26, 0.12)
PLAN_WEEKS: Final = np.array([4, 13, 52])
CAMPAIGN_DAYS: Final = (68, 96, 127, 155, 187, 218, 247, 278, 309, 340)
CAMPAIGN_REACH: Final = 0.85  # share of the quiet whom a campaign takes in
QUIET_WEEKS: Final = (5, 9)  # quiet for about 29 to 69 days

UNBORN, ACTIVE, FADING, DORMANT = range(4)
Counts = NDArray[np.uint8]


@dataclass(frozen=True)
class Weeks:
    """What happened: arrays of (WEEKS, users) counts, and the campaigns as (campaign, user, treated) rows."""

    base_day: Ints  # the day of the year on which week 0 of each user begins
    first_week: Ints
    logins: Counts
    reads: Counts
    minutes: NDArray[np.float32]  # a read
    searches: Counts
    shelf: Counts
    shares: Counts
    comments: Counts
    chapters: Counts
    gifts: Counts
    plan: Counts  # 1, 2, 3 where a membership of 30, 90, 365 days was bought
    campaign: Ints
    campaign_user: Ints
    campaign_treated: NDArray[np.bool_]


def chance(base: float, log_odds: Any) -> Any:
    """The probability whose log-odds are those of `base` plus `log_odds`."""
    return 1 / (1 + np.exp(-(np.log(base / (1 - base)) + log_odds)))


def _log(outcome: str, name: str) -> float:
    return float(np.log(truth.odds(outcome, name)))


def _answer(outcome_name: str) -> float:
    """The share whom the message brings back beyond those who come by themselves."""
    whole = float(chance(truth.NATURAL_RESPONSE, _log("respond", outcome_name)))
    return (whole - truth.NATURAL_RESPONSE) / (1 - truth.NATURAL_RESPONSE)


def simulate(pop: Population, rng: np.random.Generator) -> Weeks:
    """The weeks of these users, from ten weeks before the year (to warm up) to its end."""
    n = len(pop)
    day = pop.registered // DAY
    base_day = -7 * WARM_UP_WEEKS + day % 7
    first_week = np.maximum((day - base_day) // 7, 0)

    logins, reads, searches, shelf, shares, comments, chapters, gifts, plan = (
        np.zeros((WEEKS, n), dtype=np.uint8) for _ in range(9)
    )
    minutes = np.zeros((WEEKS, n), dtype=np.float32)
    spent = np.zeros((WEEKS, n), dtype=np.float32)  # minutes of reading a week
    campaign_week = [(send - base_day) // 7 for send in CAMPAIGN_DAYS]
    campaign_rows: list[tuple[Ints, Ints, NDArray[np.bool_]]] = []

    # What does not change from week to week is added up once.
    lapse_fixed = (pop.channel == CHANNELS.index("paid_ads")) * _log("lapse", "paid_ads")
    lapse_fixed = lapse_fixed + pop.push * _log("lapse", "push_enabled")
    share_rate = pop.shares * np.where(pop.channel == CHANNELS.index("referral"), truth.odds("share", "referral"), 1)
    fantasy = pop.genre == GENRES.index(truth.GENRE_THAT_PAYS)
    pay_rate = pop.chapters * np.where(fantasy, truth.odds("pay", "prefers_fantasy"), 1)
    pay_rate = pay_rate * np.where(pop.device == DEVICES.index("iOS"), truth.odds("pay", "ios"), 1)
    romance = pop.genre == GENRES.index(truth.GENRE_THAT_ANSWERS)

    state = np.full(n, UNBORN, dtype=np.int8)
    since = np.full(n, 26, dtype=np.int64)  # weeks since the last login
    fade_week = np.zeros(n, dtype=np.int64)
    stuck = np.zeros(n, dtype=np.int64)  # weeks left of finding nothing
    member_until = np.full(n, -1, dtype=np.int64)
    gone = np.zeros(n, dtype=bool)
    recalled = np.zeros(n, dtype=bool)

    old = day < base_day
    still_here = rng.random(n) < 0.45 + 0.45 * np.exp(day / 300.0).clip(0, 1)
    state[old] = np.where(still_here, ACTIVE, DORMANT)[old]
    gone[old] = (rng.random(n) < 0.7)[old] & ~still_here[old]

    for week in range(WEEKS):
        born = (first_week == week) & ~old
        returns = rng.random(n) < np.where(since < RETURN_LATE_WEEKS, RETURN_EARLY, RETURN_LATE)
        away = (state == DORMANT) & ~gone & returns | recalled
        fresh = born | away
        state[fresh] = ACTIVE
        gone[away] = recalled[:] = False
        level = np.where(state == ACTIVE, 1.0, np.where(state == FADING, FADE[fade_week.clip(0, 2)], 0.0))
        visits = rng.poisson(pop.sessions * level)
        visits = np.where(fresh, np.maximum(visits, 1), visits).clip(0, 14)
        logins[week] = visits
        since = np.where(visits > 0, 0, since + 1)

        stuck = np.maximum(stuck - 1, 0)
        onset = (stuck == 0) & (state == ACTIVE) & (rng.random(n) < STUCK_ONSET)
        stuck[onset] = 2 + rng.poisson(STUCK_WEEKS - 2, int(onset.sum()))

        here = np.flatnonzero(visits > 0)
        v, lost = visits[here], stuck[here] > 0
        reads[week, here] = rng.poisson(v * pop.reads[here] * np.where(lost, 0.6, 1)).clip(0, 40)
        length = pop.read_minutes[here] * np.exp(0.3 * rng.standard_normal(len(here))) * np.where(lost, 0.22, 1)
        minutes[week, here] = length.clip(0.5, 240)
        spent[week] = reads[week] * minutes[week]
        searches[week, here] = rng.poisson(np.where(lost, STUCK_SEARCHES, v * pop.searches[here])).clip(0, 40)
        shelf[week, here] = rng.poisson(v * pop.shelf[here]).clip(0, 20)
        comments[week, here] = rng.poisson(v * pop.comments[here]).clip(0, 40)
        month = slice(max(0, week - 3), week + 1)
        talks = comments[month].sum(axis=0)[here] > 0
        factor = np.where(talks, truth.odds("share", "commenter"), 1)
        shares[week, here] = rng.poisson(v * share_rate[here] * factor).clip(0, 20)
        chapters[week, here] = rng.poisson(v * pay_rate[here]).clip(0, 30)
        gifts[week, here] = rng.poisson(v * pop.gifts[here]).clip(0, 20)

        read_month = spent[month].sum(axis=0)
        bought_month = chapters[month].sum(axis=0)
        log_odds = (bought_month >= truth.CHAPTERS_MANY) * _log("join", "pays_by_chapter")
        log_odds = log_odds + (read_month >= truth.READ_LONG_MINUTES) * _log("join", "reads_long")
        ran_out = (member_until >= 0) & (member_until < week) & (member_until >= week - FORMER_WEEKS)
        log_odds = log_odds + ran_out * _log("join", "former_member")
        joins = (member_until < week) & (rng.random(n) < chance(JOIN_BASE, log_odds))
        renews = (member_until == week) & (rng.random(n) < RENEWAL)
        buys = np.flatnonzero((joins | renews) & (state == ACTIVE) & (visits > 0))
        which = np.minimum(np.searchsorted(np.cumsum(PLAN_SHARES), rng.random(len(buys))), 2)
        plan[week, buys] = which + 1
        member_until[buys] = week + PLAN_WEEKS[which]

        search_month = searches[month].sum(axis=0)
        in_vain = (search_month >= truth.SEARCH_MANY) & (read_month < truth.READ_LITTLE_MINUTES)
        filled = shelf[max(0, week - 7) : week + 1].sum(axis=0) >= truth.SHELF_MANY
        log_odds = lapse_fixed + in_vain * _log("lapse", "searches_but_reads_little")
        log_odds = log_odds + (member_until >= week) * _log("lapse", "active_membership")
        log_odds = log_odds + filled * _log("lapse", "filled_shelf")
        gives_up = (state == ACTIVE) & (rng.random(n) < chance(LAPSE_BASE, log_odds))

        fade_week = np.where(state == FADING, fade_week + 1, 0)
        state[(state == FADING) & (fade_week >= len(FADE))] = DORMANT
        fades = rng.random(n) < np.where(in_vain, 0.15, FADE_SHARE)
        state[gives_up & fades] = FADING
        state[gives_up & ~fades] = DORMANT
        gone[gives_up] = (rng.random(n) < FOR_GOOD)[gives_up]
        stuck[gives_up] = 0

        for which_campaign, at in enumerate(campaign_week):
            if week < at.min() or week > at.max():
                continue
            quiet = (at == week) & (since >= QUIET_WEEKS[0]) & (since <= QUIET_WEEKS[1]) & (first_week <= week)
            chosen = np.flatnonzero(quiet & (rng.random(n) < CAMPAIGN_REACH))
            treated = rng.random(len(chosen)) >= truth.HOLDOUT_SHARE
            easy = romance[chosen] & (since[chosen] <= truth.QUIET_SHORT_DAYS // 7)
            pull = np.where(easy, _answer("message_to_the_persuadable"), _answer("message_to_the_rest"))
            recalled[chosen[treated & (rng.random(len(chosen)) < pull)]] = True
            campaign_rows.append((np.full(len(chosen), which_campaign), chosen, treated))

    return Weeks(
        base_day, first_week, logins, reads, minutes, searches, shelf, shares, comments, chapters, gifts, plan,
        campaign=np.concatenate([row[0] for row in campaign_rows]),
        campaign_user=np.concatenate([row[1] for row in campaign_rows]),
        campaign_treated=np.concatenate([row[2] for row in campaign_rows]),
    )  # fmt: skip
