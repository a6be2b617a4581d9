"""Wording: the sentences of insight cards, reasons and warnings in English and Chinese. Pure; imports floors 1 and 2."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from limner_explain.insight import Insight
from limner_explain.judging import JudgedRule
from limner_explain.simpson import SimpsonFinding
from limner_profile.catalog import Catalog
from limner_profile.definitions import Title
from limner_profile.predicates.base import Predicate
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.segment import sentence_of


def card_sentence(predicate: Predicate, rule: JudgedRule | Insight, named: NamedScenario, catalog: Catalog) -> Title:
    """What a card says: who, how much likelier, and how sure that is."""
    outcome = named.scenario.outcome.title
    lift, low, high = (f"{number:.2f}" for number in (rule.lift, rule.lift_low, rule.lift_high))
    rate, base = percent(rule.outcome_rate), percent(rule.base_rate)
    english = (
        f"When {sentence_of(predicate, 'en', catalog)}: {times(rule.lift, 'en')} as likely to {outcome.en} "
        f"({rate} against {base} on average; lift {lift}, 95 % interval {low} to {high})."
    )
    chinese = (
        f"满足“{sentence_of(predicate, 'zh', catalog)}”的用户，{outcome.of('zh')}的可能性是平均水平的{times(rule.lift, 'zh')}"
        f"（{rate.replace(' ', '')}，平均为 {base.replace(' ', '')}；提升度 {lift}，95% 置信区间 {low} 至 {high}）。"
    )
    return Title(en=english, zh=chinese)


def segment_title(rule: Predicate, named: NamedScenario, direction: str, catalog: Catalog) -> Title:
    """The title of the segment that a card becomes."""
    outcome = named.scenario.outcome.title
    english = "likely" if direction == "raises" else "unlikely"
    chinese = "高概率" if direction == "raises" else "低概率"
    return Title(
        en=f"{english.capitalize()} to {outcome.en}: {sentence_of(rule, 'en', catalog)}",
        zh=f"{chinese}{outcome.of('zh')}：{sentence_of(rule, 'zh', catalog)}",
    )


def simpson_warning(finding: SimpsonFinding, catalog: Catalog) -> Title:
    """What stratifying by another tag does to the rule, with both odds ratios."""
    tag = finding.tag
    english, chinese = (catalog.words(tag, language).title for language in ("en", "zh"))
    crude, adjusted = f"{finding.crude:.2f}", f"{finding.adjusted:.2f}"
    if finding.finding == "reversal":
        return Title(
            en=f"The effect turns round within the groups of {english}: odds ratio {crude} overall, {adjusted} within (Simpson's paradox).",
            zh=f"按“{chinese}”分组后方向相反：总体优势比 {crude}，组内 {adjusted}（辛普森悖论）。",
        )
    return Title(
        en=f"Much of the effect goes with {english}: odds ratio {crude} overall, {adjusted} within its groups.",
        zh=f"效应大部分与“{chinese}”有关：总体优势比 {crude}，组内 {adjusted}。",
    )


def reversal_note(finding: SimpsonFinding, catalog: Catalog, named: NamedScenario) -> Title:
    """A reversal of a single condition, told to the analyst beside the cards."""
    warning = simpson_warning(finding, catalog)
    outcome = named.scenario.outcome.title
    return Title(
        en=f"{finding.rule} → {outcome.en}. {warning.en}", zh=f"{finding.rule} → {outcome.of('zh')}。{warning.of('zh')}"
    )


def percent(share: float) -> str:
    """A share (0 to 1) as a percentage: whole from 10 % on, two significant digits below; halves go up.

    >>> percent(0.3141), percent(660 / 8000), percent(0.0123), percent(0.05), percent(0.0)
    ('31 %', '8.3 %', '1.2 %', '5 %', '0 %')
    """
    if math.isnan(share):
        return "unknown"
    # The shortest text of the number, not its binary value: 8.25 is a half to the reader, whatever a float makes of it.
    value = Decimal(repr(float(share))) * 100
    places = 0 if value == 0 or abs(value) >= 10 else 1 - value.adjusted()
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    text = f"{rounded:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def times(lift: float, language: str) -> str:
    """A lift as words: `2.4 times`, `2.4 倍`.

    >>> times(2.41, "en"), times(0.5, "zh")
    ('2.4 times', '0.50 倍')
    """
    number = f"{lift:.1f}" if lift >= 1.05 else f"{lift:.2f}"
    return f"{number} 倍" if language == "zh" else f"{number} times"
