"""Simpson's paradox: does a rule still point the same way within groups of users who are alike in another tag?

A rule that raises the outcome overall but lowers it within every stratum of some other tag tells a reader the wrong
story. Everything is counted by matrix products over rules and strata, so a few hundred rules against dozens of tags
take well under a second. May import the predicate language, floor 2's intervals and this floor's candidates and
mining; pandas only inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from limner_explain.candidates import CandidateSettings, Condition, evaluate_conditions, make_candidates
from limner_explain.evaluation import Flags, Floats, TagTable
from limner_explain.mining import BLOCK_ROWS
from limner_profile.predicates import Compare
from limner_segments.intervals import odds_ratio, pooled_odds_ratio

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN_STRATUM = "unknown"

Finding: TypeAlias = Literal["reversal", "vanishes"]


@dataclass(frozen=True)
class Strata:
    """A tag's partition of the rows: the stratum number of each row and the name of each stratum."""

    tag: str
    codes: NDArray[np.intp]
    names: tuple[str, ...]


@dataclass(frozen=True)
class StratumRates:
    """One stratum: users inside and outside the rule and their outcome rates (NaN where there are none)."""

    stratum: str
    size_in: int
    size_out: int
    rate_in: float
    rate_out: float


@dataclass(frozen=True)
class SimpsonFinding:
    """What a stratifying tag does to a rule: pooled odds ratio against the one pooled within strata, with intervals."""

    rule: str
    tag: str
    finding: Finding
    crude: float
    crude_low: float
    crude_high: float
    adjusted: float
    adjusted_low: float
    adjusted_high: float
    strata: tuple[StratumRates, ...]


def make_strata(
    frame: pd.DataFrame, tags: Sequence[str] | None = None, bins: int = 4, max_levels: int = 20
) -> tuple[Strata, ...]:
    """The partitions of the rows by each tag that can be stratified on; unknown is a stratum of its own.

    Booleans and categories with 2 to `max_levels` levels count as they are; numbers are cut into at most `bins` parts
    of about equal size at their quantiles. Tags with one level, or with too many, are passed over.
    """
    table = TagTable(frame)
    made: list[Strata] = []
    for tag in tags if tags is not None else [str(name) for name in frame.columns]:
        column = table.column(tag)
        if column.kind == "other" or not column.known.any():
            continue
        codes = np.zeros(len(frame), dtype=np.intp)
        if column.kind == "number":
            values = np.asarray(column.values[column.known], dtype=np.float64)
            cuts = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
            cuts = cuts[cuts > values.min()]
            if len(cuts) == 0 and values.max() > values.min():
                # Nearly all users share the lowest value (mostly 0): those above it are the other stratum.
                cuts = np.array([values[values > values.min()].min()])
            codes[column.known] = np.searchsorted(cuts, values, side="right")
            edges = [f"{cut:g}" for cut in cuts]
            names = [f"< {edges[0]}", *(f"{a} to {b}" for a, b in pairwise(edges))] if edges else []
            names = [*names, f">= {edges[-1]}"] if edges else ["all"]
        else:
            levels, inverse = np.unique(column.values[column.known].astype(str), return_inverse=True)
            codes[column.known] = inverse
            names = [str(level) for level in levels]
        if len(names) > max_levels:
            continue
        if not column.known.all():
            codes[~column.known] = len(names)
            names.append(UNKNOWN_STRATUM)
        if len(names) >= 2:
            made.append(Strata(tag, codes, tuple(names)))
    return tuple(made)


def check_simpson(
    names: Sequence[str],
    rule_tags: Sequence[Sequence[str]],
    inside: Flags,
    outcome: Flags,
    strata: Sequence[Strata],
    confidence: float = 0.95,
) -> tuple[SimpsonFinding, ...]:
    """The reversals and vanishing effects of each rule, in the order of the rules, then of the strata.

    `inside` is rows by rules, `outcome` one flag a row; a rule is not stratified by its own tags. With the crude odds
    ratio of rule against outcome and the Mantel-Haenszel odds ratio within strata, given that the crude interval
    excludes 1:

    - reversal: the within-strata interval lies entirely on the other side of 1. Its level is raised for the number
      of tags tried (Bonferroni), since each tag is one more chance to reverse by accident;
    - vanishes: the within-strata interval reaches 1 or beyond, short of a reversal.

    Where no stratum has users both inside and outside a rule, there is nothing to compare, and no finding.

    Definition after Simpson (1951), JRSS B 13, 238-241; Bickel, Hammel and O'Connell (1975), Science 187, 398-404.
    """
    if inside.shape[1] == 0 or not strata:
        return ()
    hits_in, size_in, hits_all, size_all = _count_strata(inside, outcome, strata)
    first = slice(0, len(strata[0].names))
    # Every partition holds all rows, so the first one adds up to the crude table.
    whole = _table(*(counts[..., first].sum(axis=-1) for counts in (hits_in, size_in, hits_all, size_all)))
    crude = odds_ratio(*whole, confidence)
    strict = 1 - (1 - confidence) / len(strata)
    found: list[tuple[int, int, SimpsonFinding]] = []
    stop = 0
    for number, stratum in enumerate(strata):
        start, stop = stop, stop + len(stratum.names)
        a, b, c, d = _table(*(counts[..., start:stop] for counts in (hits_in, size_in, hits_all, size_all)))
        within = pooled_odds_ratio(a, b, c, d, confidence)
        sure = pooled_odds_ratio(a, b, c, d, strict)
        for rule, (name, own) in enumerate(zip(names, rule_tags, strict=True)):
            if stratum.tag in own:
                continue
            finding = _finding(
                (float(crude.low[rule]), float(crude.high[rule])),
                (float(within.low[rule]), float(within.high[rule])),
                (float(sure.low[rule]), float(sure.high[rule])),
            )
            if finding is None:
                continue
            detail = SimpsonFinding(
                rule=name,
                tag=stratum.tag,
                finding=finding,
                crude=float(crude.estimate[rule]),
                crude_low=float(crude.low[rule]),
                crude_high=float(crude.high[rule]),
                adjusted=float(within.estimate[rule]),
                adjusted_low=float(within.low[rule]),
                adjusted_high=float(within.high[rule]),
                strata=_rates(stratum, a[rule], b[rule], c[rule], d[rule]),
            )
            found.append((rule, number, detail))
    return tuple(entry[2] for entry in sorted(found, key=lambda entry: entry[:2]))


def find_reversals(
    frame: pd.DataFrame,
    outcome: Flags,
    conditions: Sequence[Condition] | None = None,
    tags: Sequence[str] | None = None,
    bins: int = 4,
    confidence: float = 0.95,
) -> tuple[SimpsonFinding, ...]:
    """The single conditions whose effect on the outcome turns round within the strata of another tag.

    For telling the analyst before any rule is mined. `conditions` are those to try (default: one for each tag with
    two levels; the best single candidates are the other sensible choice), `tags` the columns to stratify by (default:
    every column).
    """
    if conditions is None:
        conditions = two_level_conditions(frame)
    inside = evaluate_conditions(conditions, frame)
    found = check_simpson(
        [condition.text for condition in conditions],
        [(condition.tag,) for condition in conditions],
        inside,
        outcome,
        make_strata(frame, tags, bins),
        confidence,
    )
    return tuple(finding for finding in found if finding.finding == "reversal")


def two_level_conditions(frame: pd.DataFrame) -> tuple[Condition, ...]:
    """One condition for each boolean or category column with exactly two values: its more frequent one, or true."""
    table = TagTable(frame)
    found: list[Condition] = []
    for tag in (str(name) for name in frame.columns):
        column = table.column(tag)
        if column.kind not in ("boolean", "category") or len(set(column.values[column.known].tolist())) != 2:
            continue
        candidates = make_candidates(frame, [tag], CandidateSettings(min_share=0, min_count=1)).conditions
        found.extend([one for one in candidates if isinstance(one.predicate, Compare)][:1])
    return tuple(found)


def findings_by_rule(found: Sequence[SimpsonFinding]) -> Mapping[str, tuple[SimpsonFinding, ...]]:
    """The findings of each rule by its name, reversals first."""
    grouped: dict[str, list[SimpsonFinding]] = {}
    for finding in sorted(found, key=lambda entry: entry.finding != "reversal"):
        grouped.setdefault(finding.rule, []).append(finding)
    return {rule: tuple(findings) for rule, findings in grouped.items()}


def _count_strata(inside: Flags, outcome: Flags, strata: Sequence[Strata]) -> tuple[Floats, Floats, Floats, Floats]:
    """Hits and sizes inside each rule (rules by strata) and of all (strata), the strata of all tags side by side."""
    offsets = np.cumsum([0, *(len(stratum.names) for stratum in strata)])
    width = int(offsets[-1])
    hits_in, size_in = np.zeros((inside.shape[1], width)), np.zeros((inside.shape[1], width))
    hits_all, size_all = np.zeros(width), np.zeros(width)
    for start in range(0, len(outcome), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        hit = outcome[rows]
        groups = np.zeros((len(hit), width), dtype=np.float32)
        for stratum, offset in zip(strata, offsets[:-1], strict=True):
            groups[np.arange(len(hit)), offset + stratum.codes[rows]] = 1
        block = inside[rows].astype(np.float32)
        size_in += block.T @ groups
        hits_in += block[hit].T @ groups[hit]
        size_all += groups.sum(axis=0)
        hits_all += groups[hit].sum(axis=0)
    return hits_in, size_in, hits_all, size_all


def _table(
    hits_in: Floats, size_in: Floats, hits_all: Floats, size_all: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """The cells a, b (inside, with and without the outcome) and c, d (outside)."""
    hits_out = hits_all - hits_in
    return hits_in, size_in - hits_in, hits_out, size_all - size_in - hits_out


def _finding(crude: tuple[float, float], within: tuple[float, float], sure: tuple[float, float]) -> Finding | None:
    """What the three intervals say; None where the crude effect is unclear, holds within strata, or cannot be seen there.

    It cannot where every stratum lies wholly inside or outside the rule: such a tag says the same as the rule.
    """
    if not all(math.isfinite(bound) for bound in (*within, *sure)):
        return None
    if crude[0] > 1:
        reverses, holds = sure[1] < 1, within[0] > 1
    elif crude[1] < 1:
        reverses, holds = sure[0] > 1, within[1] < 1
    else:
        return None
    if reverses:
        return "reversal"
    return None if holds else "vanishes"


def _rates(stratum: Strata, a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[StratumRates, ...]:
    with np.errstate(divide="ignore", invalid="ignore"):
        rate_in, rate_out = a / (a + b), c / (c + d)
    return tuple(
        StratumRates(name, int(a[at] + b[at]), int(c[at] + d[at]), float(rate_in[at]), float(rate_out[at]))
        for at, name in enumerate(stratum.names)
    )
