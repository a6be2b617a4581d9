"""The sentences of an explanation of membership, in English and Chinese. Imports why, flips and the catalog; computes nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from limner_profile.catalog import Catalog
from limner_profile.predicates.base import OnField
from limner_profile.predicates.words import FieldWords, Language, value_title
from limner_segments.conditions.behaviour import Measured
from limner_segments.conditions.did_not import DidNot
from limner_segments.conditions.ranked import Ranked, ordinal
from limner_segments.flips import Fact, Way, World, nearest
from limner_segments.segment import sentence_of
from limner_segments.standing import Standing
from limner_segments.why import OTHER, Test, Why


def change_words(why: Why, fact: Fact, asked: Mapping[int, bool], language: Language, catalog: Catalog) -> str:
    """What must change about one fact, such as `visits: 3 more (5 instead of 2)`."""
    world = nearest(fact, asked)
    if fact.key not in why.values:
        test = why.tests[fact.leaves[0]]
        leaf, sentence = test.leaf, sentence_of(test.leaf.condition, language, catalog)
        target = _target(test, world.truths[leaf.number])
        if target is not None and test.measured is not None:
            gap, now = _number(abs(target - test.measured)), _number(test.measured)
            more = target > test.measured
            if language == "en":
                return f"{sentence}: {gap} {'more' if more else 'fewer'} ({_number(target)} instead of {now})"
            return f"{sentence}：再{'多' if more else '少'} {gap}（由 {now} 到 {_number(target)}）"
        words, met = _now_words(test, language, catalog), world.truths[leaf.number]
        if language == "en":
            return f"{'begin' if met else 'cease'} to fulfil: {sentence}{f' ({words})' if words else ''}"
        return f"{'开始' if met else '不再'}满足：{sentence}{f'（{words}）' if words else ''}"
    named = catalog.words(fact.key, language)
    colon = ": " if language == "en" else "："
    return f"{named.title}{colon}{_value_words(why, fact, world, named, language)}"


def _now_words(test: Test, language: Language, catalog: Catalog) -> str:
    """How it is now, of a test that is not told by how much to change: the rank, or how often what should not be was done."""
    rule = test.leaf.condition
    if test.standing is not None and isinstance(rule, Ranked):
        return standing_words(test.standing, language, catalog.words(rule.tag, language))
    if isinstance(rule, DidNot) and test.measured is not None:
        times = _number(test.measured)
        return f"现为 {times} 次" if language == "zh" else f"{times} time{'' if times == '1' else 's'} now"
    return ""


def standing_words(standing: Standing, language: Language, named: FieldWords) -> str:
    """Where a user stands and where the places that are in end, such as `rank 412 of 1,800; the 200th has 350`."""
    english, users = language == "en", f"{standing.users:,}"
    if standing.rank is None:
        place = f"no rank among {users}" if english else f"在 {users} 人中无排名"
    elif english:
        place = f"rank {standing.rank:,} of {users}{'' if standing.from_top else ' from the lowest'}"
    else:
        place = f"{'' if standing.from_top else '由低到高'}第 {standing.rank:,} 名，共 {users} 人"
    if standing.first > standing.last:
        return f"{place}; no place is in" if english else f"{place}；无入选名次"
    last, edge = _place(standing.last, language), _shown(standing.edge, named, language)
    if standing.first == 1:
        return f"{place}; the {last} has {edge}" if english else f"{place}；第 {last} 名为 {edge}"
    first = _place(standing.first, language)
    if english:
        return f"{place}; the {first} to the {last} are in, the {last} has {edge}"
    return f"{place}；第 {first} 至第 {last} 名入选，第 {last} 名为 {edge}"


def _place(number: int, language: Language) -> str:
    return f"{number:,}" + ordinal(number % 100, language).removeprefix(str(number % 100))


def _target(test: Test, met: bool) -> float | int | None:
    """The nearest number by which a test on behaviour holds or does not, None where it is not one of whole numbers."""
    rule, now = test.leaf.condition, test.measured
    if not isinstance(rule, Measured) or not isinstance(now, int):
        return None
    low = None if rule.at_least is None else math.ceil(rule.at_least)
    high = None if rule.at_most is None else math.floor(rule.at_most)
    if met:
        if low is not None and now < low:
            return low
        # Without an event there is no number, and so no most that it keeps.
        return high if high is not None and now > high else max(now, 1)
    outside = [
        end
        for end in (None if low is None else low - 1, None if high is None else high + 1)
        if end is not None and end >= 0
    ]
    return min(outside, key=lambda end: abs(end - now), default=None)


def _value_words(why: Why, fact: Fact, world: World, named: FieldWords, language: Language) -> str:
    english, value, target = language == "en", why.values[fact.key], world.value
    was = _shown(value, named, language)
    if target is None:
        return "become unknown" if english else "变为未知"
    if target == OTHER:
        listed = [
            literal
            for number in fact.leaves
            if isinstance(test := why.tests[number].leaf.condition, OnField)
            for literal in test.literals
        ]
        names = list(dict.fromkeys(_shown(each, named, language) for each in listed))
        if not names:
            return "any known value" if english else "任意已知值"
        return f"anything but {' or '.join(names)}" if english else f"不是{'、'.join(names)}的其他值"
    past = {"above": ("above ", "高于 "), "below": ("below ", "低于 "), "": ("", "")}[world.beyond][0 if english else 1]
    reached = f"{past}{_shown(target if not world.beyond else world.limit, named, language)}"
    if value is None:
        return f"{reached} (unknown now)" if english else f"{reached}（现为未知）"
    if isinstance(target, bool | str) or isinstance(value, bool | str):
        return f"{reached} instead of {was}" if english else f"由{was}变为{reached}"
    end = world.limit if world.beyond else target
    gap = (end - value).days if isinstance(end, date) else end - value
    if not gap:
        return f"{reached} instead of {was}" if english else f"由 {was} 变为{reached}"
    up = target > value
    if isinstance(end, date):
        amount = f"{abs(gap):,} day{'' if abs(gap) == 1 else 's'}" if english else f"{abs(gap):,} 天"
        way = ("later", "晚") if up else ("earlier", "早")
    else:
        amount = _number(abs(gap)) + (f" {named.unit}" if named.unit else "")
        way = ("more", "多") if up else ("fewer" if isinstance(value, int) else "less", "少")
    over = ("more than ", "超过 ") if world.beyond else ("", " ")
    if english:
        return f"{over[0]}{amount} {way[0]} ({reached} instead of {was})"
    return f"再{way[1]}{over[1]}{amount}（由 {was} 到 {reached}）"


def way_words(why: Why, way: Way, language: Language, catalog: Catalog) -> str:
    """All changes of one way, joined by "and"."""
    words = [change_words(why, why.facts[key], asked, language, catalog) for key, asked in way.items()]
    return (" and " if language == "en" else "，且").join(words)


def why_sentence(why: Why, language: Language, catalog: Catalog, name: str = "") -> str:
    """Membership and the smallest change in one sentence, with the other ways that are as small."""
    words = [way_words(why, way, language, catalog) for way in why.flips.ways]
    if language == "en":
        called = name or "the audience"
        state = f"{why.user_id} is {'' if why.member else 'not '}in {called}"
        verb = "leave" if why.member else "join"
        if not words:
            return f"{state}, and no change of these values would make them {verb}."
        lead = "Smallest change" if why.flips.exact else "A change that would do"
        others = " — or ".join(words)
        more = " — or another as small" if why.flips.more and why.flips.exact else ""
        return f"{state}. {lead} to {verb}: {others}{more}."
    called = f"“{name}”" if name else "该人群"
    state = f"{why.user_id} {'属于' if why.member else '不属于'}{called}"
    verb = "退出" if why.member else "进入"
    if not words:
        return f"{state}，且这些值无论如何变化都不会使其{verb}。"
    lead = "最小变化" if why.flips.exact else "可行的变化"
    more = "；或其他同样小的变化" if why.flips.more and why.flips.exact else ""
    return f"{state}。{verb}所需{lead}：{'；或 '.join(words)}{more}。"


def _shown(value: Any, named: FieldWords, language: Language) -> str:
    if value is None:
        return "unknown" if language == "en" else "未知"
    return value_title(_plain(value), named, language)


def _number(value: float) -> str:
    """An amount as a reader would write it: 3 and not 3.0, without the noise of binary fractions."""
    return value_title(_plain(value), FieldWords(""), "en")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        rounded = float(f"{value:.10g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
    return value
