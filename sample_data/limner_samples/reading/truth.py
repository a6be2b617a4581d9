"""What was planted in the generated reading app: every cause with its size, and TRUTH.md written from it.

The generator takes its sizes from here, the tests look for them in the data, and the miner may be judged by them.
Imports nothing of Limner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SEARCH_MANY: Final = 4
"""Searches in 30 days from which a user counts as one who searches a lot."""
READ_LITTLE_MINUTES: Final = 60.0
"""Minutes of reading in 30 days below which a user counts as one who reads little."""
SHELF_MANY: Final = 3
"""Books put on the shelf in 60 days from which a user counts as one with a filled shelf."""
CHAPTERS_MANY: Final = 3
"""Chapter orders in 30 days from which a user counts as one who pays by the chapter."""
READ_LONG_MINUTES: Final = 150.0
"""Minutes of reading in 30 days from which a user counts as one who reads long."""
QUIET_SHORT_DAYS: Final = 45
"""Days without a login below which a quiet user can still be won back by a message."""
GENRE_THAT_PAYS: Final = "玄幻"
GENRE_THAT_ANSWERS: Final = "言情"

PUSH_SHARE_PAID_ADS: Final = 0.85
PUSH_SHARE_OTHERS: Final = 0.15
"""Share with push enabled, by channel: the confounding that turns the effect of push around."""

NATURAL_RESPONSE: Final = 0.03
"""Share of the quiet who come back within 14 days without any message."""
HOLDOUT_SHARE: Final = 1 / 3
"""Share of each campaign's audience kept out at random."""


@dataclass(frozen=True)
class PlantedEffect:
    """One cause: what it acts on, the factor on the odds, who has it, and which columns show it.

    `odds_ratio` multiplies the odds of the act in one week (None where the cause is not a factor on odds);
    `visible` is the range in which the odds ratio lies when one counts in the 8,000 committed users, which
    is nearer to 1 for lapse, since 30 quiet days also befall people who have not lapsed.
    """

    outcome: str
    name: str
    odds_ratio: float | None
    condition_en: str
    columns: tuple[str, ...]
    tags: tuple[str, ...]
    visible: tuple[float, float]
    note: str = ""


EFFECTS: Final[tuple[PlantedEffect, ...]] = (
    PlantedEffect(
        "lapse",
        "paid_ads",
        3.0,
        "the user came by paid advertising",
        ("users.channel",),
        ("channel",),
        (1.5, 3.0),
    ),
    PlantedEffect(
        "lapse",
        "searches_but_reads_little",
        4.0,
        f"at least {SEARCH_MANY} searches and less than {READ_LITTLE_MINUTES:.0f} minutes of reading in 30 days",
        ("events.event = search", "events.minutes"),
        ("search_count_30d", "read_minutes_30d"),
        (1.8, 4.0),
        "an interaction: neither half acts alone",
    ),
    PlantedEffect(
        "lapse",
        "fading",
        None,
        "fewer than a third of the logins of the last 30 days fall in the last 14",
        ("events.event = login",),
        ("login_count_14d", "login_count_30d"),
        (2.0, 12.0),
        "a forerunner and not a cause: two in three who lapse fade for three weeks first",
    ),
    PlantedEffect(
        "lapse",
        "active_membership",
        0.3,
        "the user holds a membership that has not run out",
        ("orders.product = membership", "orders.amount"),
        ("membership_order_count_90d",),
        (0.2, 0.75),
    ),
    PlantedEffect(
        "lapse",
        "filled_shelf",
        0.45,
        f"at least {SHELF_MANY} books put on the shelf in 60 days",
        ("events.event = add_to_shelf",),
        ("shelf_add_count_60d",),
        (0.2, 0.75),
    ),
    PlantedEffect(
        "lapse",
        "gender",
        1.0,
        "the user is female rather than male",
        ("users.gender",),
        ("gender",),
        (0.85, 1.18),
        "no effect, on purpose: whoever finds one has found noise",
    ),
    PlantedEffect(
        "lapse",
        "push_enabled",
        0.6,
        "push messages are enabled, within each channel",
        ("users.push_enabled", "users.channel"),
        ("push_enabled", "channel"),
        (0.5, 0.95),
        "Simpson's paradox: over all channels the users with push lapse more, since paid advertising switches it on",
    ),
    PlantedEffect(
        "join",
        "pays_by_chapter",
        3.0,
        f"at least {CHAPTERS_MANY} chapter orders in 30 days",
        ("orders.product = chapters",),
        ("chapter_order_count_30d",),
        (1.8, 5.0),
    ),
    PlantedEffect(
        "join",
        "reads_long",
        2.0,
        f"at least {READ_LONG_MINUTES:.0f} minutes of reading in 30 days",
        ("events.minutes",),
        ("read_minutes_30d",),
        (1.5, 4.5),
    ),
    PlantedEffect(
        "join",
        "former_member",
        3.0,
        "a membership ran out in the last eight weeks",
        ("orders.product = membership", "orders.amount"),
        ("membership_order_count_90d",),
        (1.5, 5.0),
    ),
    PlantedEffect(
        "pay",
        "prefers_fantasy",
        2.0,
        f"the favourite genre is {GENRE_THAT_PAYS}",
        ("events.genre",),
        ("preferred_genre",),
        (1.3, 2.6),
        "a factor on the number of chapter orders",
    ),
    PlantedEffect(
        "pay",
        "ios",
        1.4,
        "the device is an iOS one",
        ("users.device",),
        ("device",),
        (1.1, 1.8),
        "a factor on the number of chapter orders",
    ),
    PlantedEffect(
        "share",
        "referral",
        2.5,
        "the user came by a friend's referral",
        ("users.channel",),
        ("channel",),
        (1.7, 3.5),
        "a factor on the number of shares",
    ),
    PlantedEffect(
        "share",
        "commenter",
        2.0,
        "at least one comment in 30 days",
        ("events.event = comment",),
        ("comment_count_30d",),
        (1.6, 4.0),
        "a factor on the number of shares",
    ),
    PlantedEffect(
        "respond",
        "message_to_the_persuadable",
        15.0,
        f"got the message, quiet for less than {QUIET_SHORT_DAYS} days, favourite genre {GENRE_THAT_ANSWERS}",
        ("campaigns.event = sms_sent", "events.time", "events.genre"),
        ("days_since_login", "preferred_genre"),
        (3.0, 20.0),
        "an effect of the message: held-out users of the same kind do not come back more often",
    ),
    PlantedEffect(
        "respond",
        "message_to_the_rest",
        1.6,
        "got the message, everybody else",
        ("campaigns.event = sms_sent",),
        ("days_since_login", "preferred_genre"),
        (1.0, 3.0),
    ),
)


def effect(outcome: str, name: str) -> PlantedEffect:
    """The planted effect of that outcome and name; raises KeyError where there is none."""
    for planted in EFFECTS:
        if (planted.outcome, planted.name) == (outcome, name):
            return planted
    raise KeyError((outcome, name))


def odds(outcome: str, name: str) -> float:
    """The factor on the odds that the generator uses for this effect.

    >>> odds("lapse", "gender")
    1.0
    """
    size = effect(outcome, name).odds_ratio
    if size is None:
        raise KeyError((outcome, name))
    return size


@dataclass(frozen=True)
class Trap:
    """Something that misleads a careless analyst: its name, where it sits, and what is true of it."""

    name: str
    columns: tuple[str, ...]
    text_en: str


TRAPS: Final[tuple[Trap, ...]] = (
    Trap(
        "leak",
        ("users.crm_status",),
        "`win_back` is set by the CRM after a user has gone quiet for four weeks, as of 2026-01-01 and not earlier. "
        "It foretells the outcome of the last cutoff almost perfectly because it was computed from it.",
    ),
    Trap(
        "late_rows",
        ("events.received_at",),
        "about 2 % of the events arrive hours or days after they happened; the log is in the order of arrival.",
    ),
    Trap("duplicates", ("events.event_id",), "about 0.5 % of the events stand in the log twice, the whole row."),
    Trap("broken_rows", ("events.user_id", "events.time"), "20 rows lack their user or their time."),
    Trap(
        "absurd_birth_years",
        ("users.birth_year",),
        "some users were born in 1900 or in 2025, and three in ten do not say.",
    ),
    Trap("city_names", ("users.city",), "the same city may be written in Chinese or in English."),
    Trap("long_tail", ("orders.amount",), "a few dozen users make nearly all orders of 200 CNY and more (gifts)."),
)

_OUTCOMES: Final = {
    "lapse": "Lapse: going quiet, for weeks or for good",
    "join": "Join: buying a membership",
    "pay": "Pay: ordering chapters",
    "share": "Share: sharing a book",
    "respond": "Respond: coming back within 14 days of a recall message",
}


def render_truth() -> str:
    """The text of TRUTH.md: every planted cause and trap, as Markdown."""
    lines = [
        "# What was planted in the reading app",
        "",
        "Written from `truth.py` by `render_truth()`; change it there: the generator takes the sizes from the same place.",
        "",
        "A planted odds ratio acts on one week. What one counts in 30-day windows differs: 30 quiet days also befall",
        "users who have not lapsed, and who lapsed early in a window had less time to read. So the last column says",
        "between which odds ratios the count in the 8,000 committed users must lie; a test holds it to that.",
    ]
    for outcome, title in _OUTCOMES.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| cause | who has it | planted | visible | columns | note |",
            "|" + "---|" * 6,
        ]
        for planted in EFFECTS:
            if planted.outcome == outcome:
                size = "" if planted.odds_ratio is None else f"× {planted.odds_ratio:g}"
                visible = f"{planted.visible[0]:g} to {planted.visible[1]:g}"
                columns = ", ".join(f"`{column}`" for column in planted.columns)
                lines.append(
                    f"| {planted.name} | {planted.condition_en} | {size} | {visible} | {columns} | {planted.note} |"
                )
    lines += ["", "## Traps", "", "| name | columns | what is true |", "|---|---|---|"]
    for trap in TRAPS:
        columns = ", ".join(f"`{column}`" for column in trap.columns)
        lines.append(f"| {trap.name} | {columns} | {trap.text_en} |")
    lines += [
        "",
        "## Chance and confounding",
        "",
        f"- Push is enabled for {PUSH_SHARE_PAID_ADS:.0%} of the users from paid advertising and for "
        f"{PUSH_SHARE_OTHERS:.0%} of the others.",
        f"- Of the quiet, about {NATURAL_RESPONSE:.0%} come back within 14 days without a message.",
        f"- A random {HOLDOUT_SHARE:.0%} of each campaign's audience is held out.",
        f"- Gender shapes taste, but not how common {GENRE_THAT_PAYS} is, so that it reaches lapse by no detour.",
        "",
    ]
    return "\n".join(lines)
