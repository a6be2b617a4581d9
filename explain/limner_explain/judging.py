"""Judging: what a mined rule is worth on hold-out users, measured by what they really did.

Mining looks at training rows and at the scorer's opinion; judging looks at later rows and at the outcome, and gives
each rule a verdict with stable reason codes. May import floor 2's intervals and this floor's mining and simpson.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from limner_explain.candidates import Condition
from limner_explain.mining import Direction, Flags, Floats, MinedRule, members, pair_sums
from limner_explain.simpson import SimpsonFinding, Strata, check_simpson, findings_by_rule
from limner_profile.errors import InternalError
from limner_profile.predicates import Predicate, all_of
from limner_segments.intervals import complement_p_value, false_discovery, lift_interval

Verdict: TypeAlias = Literal["kept", "dropped"]
Reason: TypeAlias = Literal[
    "small-group",
    "not-significant",
    "lift-too-small",
    "redundant-condition",
    "unstable",
    "scorer-disagrees",
    "leaking-tag",
    "simpson-reversal",
    "near-duplicate",
]


@dataclass(frozen=True)
class JudgingSettings:
    """The limits of each check; lifts are for a rule that raises, and are turned round for one that lowers.

    A pair has to be better than each of its conditions alone by `parent_gain`, and by more than chance: `max_parent_p`
    limits the p-value of the pair against the other users of that condition. `min_kept_lift` is the least share of the
    training log lift that must be left on the hold-out; `max_disagreement` the largest factor between the lift of the
    scores and that of the outcomes, once their difference is beyond chance.
    """

    min_share: float = 0.01
    min_count: int = 30
    max_q: float = 0.05
    min_lift: float = 1.2
    parent_gain: float = 0.05
    max_parent_p: float = 0.05
    min_rediscovered: float = 0.8
    min_kept_lift: float = 0.5
    max_disagreement: float = 2.0
    max_jaccard: float = 0.8
    confidence: float = 0.95


@dataclass(frozen=True)
class JudgedRule:
    """A rule with its numbers on the hold-out and its verdict.

    Rates and shares are 0 to 1, lifts are ratios to everybody's rate, `lift_low` and `lift_high` their confidence
    bounds; `train_low` and `train_high` are those of the lift in training. `conditions` are the columns of the
    candidates; `parent_lifts` the hold-out lifts of the single conditions of a pair, and `parent_p_values` the p-values
    of "the pair does as the rest of that condition" (both empty for a single). `shrinkage` is the share of the training
    log lift that was lost on the hold-out (negative where the hold-out shows more, NaN where training showed none).
    `reasons` is empty for a kept rule; `warnings` are the Simpson findings, `duplicate_of` the text of the rule that
    made this one superfluous.
    """

    predicate: Predicate
    text: str
    tags: tuple[str, ...]
    conditions: tuple[int, ...]
    direction: Direction
    verdict: Verdict
    reasons: tuple[Reason, ...]
    size: int
    share: float
    hits: int
    outcome_rate: float
    base_rate: float
    lift: float
    lift_low: float
    lift_high: float
    p_value: float
    q_value: float
    train_size: int
    train_lift: float
    train_low: float
    train_high: float
    shrinkage: float
    score_lift: float
    rediscovered: float
    parent_lifts: tuple[float, ...]
    parent_p_values: tuple[float, ...]
    warnings: tuple[SimpsonFinding, ...]
    duplicate_of: str | None = None


@dataclass(frozen=True)
class Evidence:
    """The rows that rules are judged on: the candidates' matrix, one true outcome a row and one score a row."""

    matrix: Flags
    outcome: Flags
    scores: Floats


def judge_rules(
    rules: Sequence[MinedRule],
    conditions: Sequence[Condition],
    train: Evidence,
    holdout: Evidence,
    strata: Sequence[Strata] = (),
    leaking_tags: Collection[str] = (),
    settings: JudgingSettings | None = None,
) -> tuple[JudgedRule, ...]:
    """Every rule with its verdict, in the order of `rules`; the q-values are over all of them, dropped ones included.

    `strata` are partitions of the hold-out rows; `leaking_tags` the tags that give the outcome away. All checks are
    made and every reason is listed, but near-duplicates are looked for only among the rules that nothing else dropped:
    of two with a Jaccard index above `max_jaccard` the one with the better bound in training stays, a single
    condition before a pair when neither is clearly better.
    """
    settings = settings or JudgingSettings()
    for evidence in (train, holdout):
        if not (len(evidence.matrix) == len(evidence.outcome) == len(evidence.scores)):
            raise InternalError("matrix, outcome and scores must have the same rows")
    if not rules or len(holdout.outcome) == 0:
        return ()
    inside = np.column_stack([members(holdout.matrix, rule.conditions) for rule in rules])
    sizes, hits = inside.sum(axis=0), (inside & holdout.outcome[:, None]).sum(axis=0)
    total, total_hits = len(holdout.outcome), int(holdout.outcome.sum())
    lifts = lift_interval(hits, sizes, total_hits, total, settings.confidence)
    p_values = complement_p_value(hits, sizes, total_hits, total)
    q_values = false_discovery(p_values)
    texts, tags, predicates = _wording(rules, conditions)
    found = findings_by_rule(check_simpson(texts, tags, inside, holdout.outcome, strata, settings.confidence))
    train_inside = np.column_stack([members(train.matrix, rule.conditions) for rule in rules])
    train_sizes, train_hits = train_inside.sum(axis=0), (train_inside & train.outcome[:, None]).sum(axis=0)
    train_lifts = lift_interval(
        train_hits, train_sizes, int(train.outcome.sum()), len(train.outcome), settings.confidence
    )
    judged = []
    for at, rule in enumerate(rules):
        mine = inside[:, at]
        draft = JudgedRule(
            predicate=predicates[at],
            text=texts[at],
            tags=tags[at],
            conditions=rule.conditions,
            direction=rule.direction,
            verdict="kept",
            reasons=(),
            size=int(sizes[at]),
            share=float(sizes[at]) / total,
            hits=int(hits[at]),
            outcome_rate=float(hits[at]) / sizes[at] if sizes[at] else math.nan,
            base_rate=total_hits / total,
            lift=float(lifts.estimate[at]),
            lift_low=float(lifts.low[at]),
            lift_high=float(lifts.high[at]),
            p_value=float(p_values[at]),
            q_value=float(q_values[at]),
            train_size=rule.size,
            train_lift=float(train_lifts.estimate[at]),
            train_low=float(train_lifts.low[at]),
            train_high=float(train_lifts.high[at]),
            shrinkage=_shrinkage(float(train_lifts.estimate[at]), float(lifts.estimate[at])),
            score_lift=_lift(mine, holdout.scores),
            rediscovered=rule.rediscovered,
            parent_lifts=_parent_lifts(rule, holdout),
            parent_p_values=_parent_p_values(rule, int(sizes[at]), int(hits[at]), holdout),
            warnings=found.get(texts[at], ()),
        )
        judged.append(draft)
    reasons = [_reasons(rule, leaking_tags, settings) for rule in judged]
    duplicates = _duplicates(judged, reasons, inside, settings)
    return tuple(
        _with_verdict(rule, [*why, "near-duplicate"] if at in duplicates else why, duplicates.get(at))
        for at, (rule, why) in enumerate(zip(judged, reasons, strict=True))
    )


def lift_bound(rule: JudgedRule) -> float:
    """The bound of the training lift that is nearer to 1, on the log scale and positive in the rule's own direction.

    For a rule that raises, log(lower bound); for one that lowers, −log(upper bound). Infinite values are cut at ±10.
    Rules are chosen by this and never by their hold-out lift: the best of hundreds on the hold-out is partly lucky
    there, and the number on its card would be too good (the winner's curse).
    """
    bound = rule.train_low if rule.direction == "raises" else rule.train_high
    if math.isnan(bound):
        return -10.0
    log = math.log(bound) if bound > 0 else -10.0
    return max(-10.0, min(10.0, log if rule.direction == "raises" else -log))


def jaccard(first: Flags, second: Flags) -> float:
    """The share of the rows in either that are in both; 0 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def jaccard_indices(inside: Flags) -> Floats:
    """The Jaccard index of every pair of columns at once; 0 for a pair that is empty on both sides."""
    both, _ = pair_sums(inside, np.zeros(len(inside)))
    sizes = np.diag(both)
    union = sizes[:, None] + sizes[None, :] - both
    return np.asarray(both / np.where(union > 0, union, 1.0))


def _wording(
    rules: Sequence[MinedRule], conditions: Sequence[Condition]
) -> tuple[list[str], list[tuple[str, ...]], list[Predicate]]:
    """Text, tags and predicate of each rule; a pair is joined with `and`."""
    predicates = [all_of([conditions[at].predicate for at in rule.conditions]) for rule in rules]
    tags = [tuple(conditions[at].tag for at in rule.conditions) for rule in rules]
    return [predicate.to_text() for predicate in predicates], tags, predicates


def _lift(inside: Flags, values: Flags | Floats) -> float:
    """Mean inside ÷ mean of all; NaN where either is nothing."""
    overall = float(values.mean()) if len(values) else 0.0
    return float(values[inside].mean()) / overall if overall and inside.any() else math.nan


def _parent_lifts(rule: MinedRule, holdout: Evidence) -> tuple[float, ...]:
    if len(rule.conditions) == 1:
        return ()
    return tuple(_lift(holdout.matrix[:, at], holdout.outcome) for at in rule.conditions)


def _parent_p_values(rule: MinedRule, size: int, hits: int, holdout: Evidence) -> tuple[float, ...]:
    """For each condition of a pair, the p-value of "those who meet the other one too do as the rest of it does"."""
    if len(rule.conditions) == 1:
        return ()
    parents = [holdout.matrix[:, at] for at in rule.conditions]
    return tuple(
        float(complement_p_value(hits, size, int((parent & holdout.outcome).sum()), int(parent.sum())))
        for parent in parents
    )


def _shrinkage(train_lift: float, lift: float) -> float:
    """1 − log(lift on the hold-out) ÷ log(lift in training); NaN where a logarithm is 0 or infinite."""
    if not (train_lift > 0 and lift > 0) or train_lift == 1:
        return math.nan
    return 1 - math.log(lift) / math.log(train_lift)


def _reasons(rule: JudgedRule, leaking_tags: Collection[str], settings: JudgingSettings) -> list[Reason]:
    """Every reason to drop the rule, near-duplicates apart, in the order of `Reason`."""
    # One rule for both directions: effects become log lifts that are positive where the rule does what it says.
    sign = 1.0 if rule.direction == "raises" else -1.0

    def effect(lift: float) -> float:
        return sign * math.log(lift) if lift > 0 else (-sign * math.inf if lift == 0 else -math.inf)

    own, gain = effect(rule.lift), math.log1p(settings.parent_gain)
    apart = abs(effect(rule.score_lift) - own) > math.log(settings.max_disagreement)
    beyond_chance = not rule.lift_low <= rule.score_lift <= rule.lift_high
    checks: list[tuple[Reason, bool]] = [
        ("small-group", rule.size < settings.min_count or rule.share < settings.min_share),
        ("not-significant", not rule.q_value <= settings.max_q),
        ("lift-too-small", own < math.log(settings.min_lift)),
        (
            "redundant-condition",
            any(own < effect(parent) + gain for parent in rule.parent_lifts)
            or any(not p <= settings.max_parent_p for p in rule.parent_p_values),
        ),
        (
            "unstable",
            rule.rediscovered < settings.min_rediscovered
            or effect(rule.train_lift) <= 0
            or 1 - rule.shrinkage < settings.min_kept_lift,
        ),
        ("scorer-disagrees", effect(rule.score_lift) <= 0 or (apart and beyond_chance)),
        ("leaking-tag", any(tag in leaking_tags for tag in rule.tags)),
        ("simpson-reversal", any(warning.finding == "reversal" for warning in rule.warnings)),
    ]
    return [reason for reason, applies in checks if applies]


def _duplicates(
    judged: Sequence[JudgedRule], reasons: Sequence[Sequence[Reason]], inside: Flags, settings: JudgingSettings
) -> dict[int, str]:
    """The rules that a better one makes superfluous, with the text of that better one."""
    standing = {
        at: lift_bound(rule) - (len(rule.conditions) - 1) * math.log1p(settings.parent_gain)
        for at, rule in enumerate(judged)
        if not reasons[at]
    }
    overlap = jaccard_indices(inside)
    kept: list[int] = []
    superfluous: dict[int, str] = {}
    for at in sorted(standing, key=lambda place: (-round(standing[place], 9), place)):
        for better in kept:
            same_way = judged[at].direction == judged[better].direction
            if same_way and overlap[at, better] > settings.max_jaccard:
                superfluous[at] = judged[better].text
                break
        else:
            kept.append(at)
    return superfluous


def _with_verdict(rule: JudgedRule, reasons: Sequence[Reason], duplicate_of: str | None) -> JudgedRule:
    return replace(rule, verdict="dropped" if reasons else "kept", reasons=tuple(reasons), duplicate_of=duplicate_of)
