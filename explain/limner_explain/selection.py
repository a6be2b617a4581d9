"""Selection: the few rules to show out of all that were kept, and how well they stand for the scorer.

Greedy, so that each rule is chosen for what the ones before it leave uncovered. Imports numpy and this floor's judging.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner_explain.judging import JudgedRule, lift_bound
from limner_explain.mining import Flags, Floats, pair_sums
from limner_profile.errors import InternalError


@dataclass(frozen=True)
class SelectionSettings:
    """How many rules, how much they may overlap, and how close a single has to come to be taken before a pair.

    `max_complement` is the Jaccard index above which a rule only says the opposite of a chosen one (its members are
    nearly those outside the other); `closeness` is the share of a pair's worth at which a single is preferred. At most
    `max_lowers` rules that lower are chosen: large quiet groups always cover much, and a reader wants to act.
    """

    limit: int = 8
    max_jaccard: float = 0.5
    max_complement: float = 0.8
    closeness: float = 0.9
    max_lowers: int = 3


@dataclass(frozen=True)
class SelectedRules:
    """The chosen rules, as positions in the list that was given, with what they reach together.

    `coverage` is the share of the hold-out's outcomes among members of a chosen rule that raises, `reach` the share of
    users who are such members. `r_squared` is that of a linear model on all chosen memberships against the margin;
    `top_decile_recall` the share of the scorer's top decile that the top decile of that linear model finds, expected
    over ties; `top_decile_covered` the share of the scorer's top decile that a chosen rule that raises takes in.
    """

    chosen: tuple[int, ...]
    coverage: float
    reach: float
    r_squared: float
    top_decile_recall: float
    top_decile_covered: float


def select_rules(
    rules: Sequence[JudgedRule],
    inside: Flags,
    outcome: Flags,
    margin: Floats,
    settings: SelectionSettings | None = None,
) -> SelectedRules:
    """At most `limit` of the kept rules, in the order chosen, with coverage and fidelity on the same rows.

    The rows are training rows: choosing on the hold-out would flatter the chosen (see `lift_bound`); measure what the
    choice is worth there with `measure_selection`. `inside` is rows by `rules`, `margin` the log-odds of each row's
    score. The worth of a rule is the log of its lift's cautious bound times the square root of the share it adds of what
    is still uncovered: outcomes for a rule that raises, users without the outcome for one that lowers. (Greedy covering
    by weight: Nemhauser, Wolsey and Fisher 1978; the root is the same mild exponent as in mining, so that a strong
    small rule is not always last.) A single whose worth is within `closeness` of the best pair's is taken before it.
    Dropped rules are never chosen.
    """
    settings = settings or SelectionSettings()
    if inside.shape != (len(outcome), len(rules)) or margin.shape != outcome.shape:
        raise InternalError("inside must be rows by rules, outcome and margin one value a row")
    allowed = ("raises", "lowers") if settings.max_lowers > 0 else ("raises",)
    open_rules = [
        at
        for at, rule in enumerate(rules)
        if rule.verdict == "kept" and rule.direction in allowed and lift_bound(rule) > 0
    ]
    targets = {"raises": outcome.copy(), "lowers": ~outcome}
    totals = {direction: max(int(rows.sum()), 1) for direction, rows in targets.items()}
    overlaps = _overlaps(inside, settings)
    chosen: list[int] = []
    while open_rules and len(chosen) < settings.limit:
        worth = {
            at: lift_bound(rules[at])
            * math.sqrt(int((inside[:, at] & targets[rules[at].direction]).sum()) / totals[rules[at].direction])
            for at in open_rules
        }
        best = max(open_rules, key=lambda at: (round(worth[at], 12), -len(rules[at].conditions), -at))
        if worth[best] <= 0:
            break
        singles = [
            at for at in open_rules if len(rules[at].conditions) == 1 and rules[at].direction == rules[best].direction
        ]
        near = [at for at in singles if worth[at] >= settings.closeness * worth[best]]
        if len(rules[best].conditions) > 1 and near:
            best = max(near, key=lambda at: (round(worth[at], 12), -at))
        chosen.append(best)
        targets[rules[best].direction] &= ~inside[:, best]
        # A second threshold on the same tags says nothing new to a reader, however little the two overlap.
        told = (rules[best].direction, set(rules[best].tags))
        open_rules = [
            at for at in open_rules if (rules[at].direction, set(rules[at].tags)) != told and not overlaps[at, best]
        ]
        if sum(rules[at].direction == "lowers" for at in chosen) >= settings.max_lowers:
            open_rules = [at for at in open_rules if rules[at].direction == "raises"]
    return measure_selection(
        [rules[at].direction == "raises" for at in chosen], inside[:, chosen], outcome, margin, chosen
    )


def _overlaps(inside: Flags, settings: SelectionSettings) -> Flags:
    """Which pairs of rules have nearly the same members, or nearly the opposite ones."""
    both, _ = pair_sums(inside, np.zeros(len(inside)))
    sizes = np.diag(both)
    only_first = sizes[:, None] - both
    union = sizes[:, None] + sizes[None, :] - both
    against = len(inside) - (sizes[None, :] - both)  # in the first, or outside the second
    alike = both > settings.max_jaccard * union
    opposite = only_first > settings.max_complement * against
    return np.asarray(alike | opposite)


def measure_selection(
    raises: Sequence[bool], inside: Flags, outcome: Flags, margin: Floats, chosen: Sequence[int] = ()
) -> SelectedRules:
    """Coverage and fidelity of a set of rules: `inside` is rows by rules, `raises` says which of them raise.

    The linear model is least squares with an intercept, fitted on these rows. NaN where there is nothing to measure:
    no outcomes, no rules, a constant margin, or fewer than ten rows.
    """
    reached: Flags = np.asarray(inside[:, list(np.flatnonzero(np.asarray(raises, dtype=bool)))].any(axis=1))
    coverage = float(reached[outcome].mean()) if outcome.any() else math.nan
    reach = float(reached.mean()) if len(reached) else math.nan
    if len(margin) < 10:
        return SelectedRules(tuple(chosen), coverage, reach, math.nan, math.nan, math.nan)
    design = np.column_stack([np.ones(len(margin)), inside.astype(np.float64)])
    fitted = design @ np.linalg.lstsq(design, margin, rcond=None)[0]
    spread = float(((margin - margin.mean()) ** 2).sum())
    r_squared = 1 - float(((margin - fitted) ** 2).sum()) / spread if spread > 0 else math.nan
    wanted = len(margin) // 10
    top = np.zeros(len(margin), dtype=bool)
    top[np.argsort(-margin, kind="stable")[:wanted]] = True
    recall = top_recall(fitted, top)
    return SelectedRules(tuple(chosen), coverage, reach, r_squared, recall, float(reached[top].mean()))


def top_recall(fitted: Floats, top: Flags) -> float:
    """The share of the rows in `top` among the equally many rows with the highest `fitted`, expected over ties.

    Few rules give few distinct fitted values, so the cut falls inside a tie; the rows of that tie count by the share of
    them that there is room for, which is what a random choice among them would find on average.

    >>> top_recall(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    0.75
    """
    wanted = int(top.sum())
    if wanted == 0:
        return math.nan
    values = np.round(fitted, 9)
    cut = np.sort(values)[-wanted]
    above, tied = values > cut, values == cut
    share = (wanted - int(above.sum())) / int(tied.sum())
    return (int(top[above].sum()) + share * int(top[tied].sum())) / wanted
