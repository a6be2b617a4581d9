"""Discovery: from a trained model and its data to the insights of a scenario.

Rules are mined on training rows by the scorer's opinion and judged on the hold-out by the true outcome. Pure given
its data. Imports the parts beside it and floors 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from limner_explain.candidates import Condition, evaluate_conditions, make_candidates
from limner_explain.insight import Insight, InsightReason, InsightSet, insight_id
from limner_explain.judging import Evidence, JudgedRule, judge_rules
from limner_explain.mining import Flags, members, mine_rules, rediscovery
from limner_explain.selection import measure_selection, select_rules
from limner_explain.simpson import find_reversals, make_strata
from limner_explain.wording import card_sentence, reversal_note, simpson_warning
from limner_profile.catalog import Catalog
from limner_profile.predicates import AllOf, Compare, Predicate, all_of
from limner_segments.scoring.dataset import ScenarioData
from limner_segments.scoring.experiment import Experiment
from limner_segments.scoring.scenario import NamedScenario

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SEED = 20240601
MAX_REASONS = 4
MAX_WARNINGS = 2
REASON_ROWS = 20_000


def discover_insights(
    named: NamedScenario,
    catalog: Catalog,
    data: ScenarioData,
    experiment: Experiment,
    on_step: Callable[[str], None] = lambda step: None,
) -> InsightSet:
    """The insights of a scenario, with the rules that did not hold up and why. The same inputs give the same insights."""
    import numpy as np

    model = experiment.model
    tags = list(model.tags)
    train, holdout = data.training.frame[tags], data.holdout.frame[tags]
    train_scores, holdout_scores = model.score(train), model.score(holdout)
    on_step("mining rules")
    candidates = make_candidates(train, tags)
    mined = mine_rules(candidates.matrix, candidates.tags, train_scores)
    found_again = rediscovery(
        mined, candidates.matrix, train_scores, data.training.user_id, np.random.default_rng(SEED)
    )
    mined = tuple(replace(rule, rediscovered=float(share)) for rule, share in zip(mined, found_again, strict=True))
    on_step("judging rules on the hold-out")
    matrix = evaluate_conditions(candidates.conditions, holdout)
    outcome = data.holdout.outcome.astype(bool)
    strata = make_strata(holdout, tags)
    judged = judge_rules(
        mined,
        candidates.conditions,
        Evidence(candidates.matrix, data.training.outcome.astype(bool), train_scores),
        Evidence(matrix, outcome, holdout_scores),
        strata,
        leaking_tags=set(experiment.excluded),
    )
    # Chosen on training rows, measured on the hold-out: the best of many on the hold-out would be partly lucky there.
    chosen = select_rules(
        judged, _memberships(candidates.matrix, judged), data.training.outcome.astype(bool), model.log_odds(train)
    ).chosen
    inside = _memberships(matrix, judged)
    measured = measure_selection(
        [judged[at].direction == "raises" for at in chosen],
        inside[:, list(chosen)],
        outcome,
        model.log_odds(holdout),
        chosen,
    )
    # Mean contributions need no more rows than this, and SHAP is slow; the sample is the same on every run.
    some = np.random.default_rng(SEED).permutation(len(holdout))[:REASON_ROWS]
    contributions = model.contributions(holdout.iloc[some]).values
    usual = contributions.mean(axis=0)

    def insight(at: int, rank: int, status: Literal["shown", "kept", "dropped"]) -> Insight:
        own = contributions[inside[some, at]].mean(axis=0) - usual if inside[some, at].any() else np.zeros(len(tags))
        reasons = _reasons(tags, own, judged[at], catalog)
        return _insight(judged[at], rank, status, named, catalog, candidates.conditions, reasons)

    # Rules to act on first: those that raise the outcome, then those that lower it, each in the order chosen.
    shown = sorted(chosen, key=lambda at: judged[at].direction != "raises")
    kept = [at for at, rule in enumerate(judged) if rule.verdict == "kept" and at not in chosen]
    dropped = [at for at, rule in enumerate(judged) if rule.verdict == "dropped"]
    rules = [insight(at, rank, "shown") for rank, at in enumerate(shown, start=1)]
    rules += [insight(at, rank, "kept") for rank, at in enumerate(kept, start=len(rules) + 1)]
    rules += [insight(at, rank, "dropped") for rank, at in enumerate(dropped, start=len(rules) + 1)]
    reversals = find_reversals(holdout, outcome, tags=[tag for tag in tags if catalog[tag].type == "category"])
    return InsightSet(
        scenario=named.name,
        rules=tuple(rules),
        coverage=_number(measured.coverage),
        reach=_number(measured.reach),
        r_squared=_number(measured.r_squared),
        top_decile_recall=_number(measured.top_decile_recall),
        reversals=tuple(reversal_note(finding, catalog, named) for finding in reversals),
    )


def _memberships(matrix: Flags, judged: Sequence[JudgedRule]) -> Flags:
    """Rows by rules: who is a member of which."""
    import numpy as np

    if not judged:
        return np.zeros((len(matrix), 0), dtype=bool)
    return np.column_stack([members(matrix, rule.conditions) for rule in judged])


def _insight(
    rule: JudgedRule,
    rank: int,
    status: Literal["shown", "kept", "dropped"],
    named: NamedScenario,
    catalog: Catalog,
    conditions: Sequence[Condition],
    reasons: tuple[InsightReason, ...],
) -> Insight:
    whole = within_population(named.scenario.population, [conditions[at].predicate for at in rule.conditions])
    return Insight(
        id=insight_id(named.name, rule.text),
        scenario=named.name,
        rank=rank,
        direction=rule.direction,
        rule=rule.text,
        condition=whole.to_text(),
        sentence=card_sentence(rule.predicate, rule, named, catalog),
        holdout_users=rule.size,
        holdout_outcomes=rule.hits,
        support=rule.share,
        outcome_rate=_number(rule.outcome_rate),
        base_rate=_number(rule.base_rate),
        lift=_number(rule.lift),
        lift_low=_number(rule.lift_low),
        lift_high=_number(rule.lift_high),
        q_value=_number(rule.q_value),
        train_lift=_number(rule.train_lift),
        rediscovered=_number(rule.rediscovered),
        reasons=reasons,
        warnings=tuple(simpson_warning(finding, catalog) for finding in rule.warnings[:MAX_WARNINGS]),
        dropped_because=tuple(rule.reasons),
        status=status,
    )


def within_population(population: Predicate, rule: Sequence[Predicate]) -> Predicate:
    """The rule for members of the population: both joined, without bounds of the population that the rule tightens.

    >>> from limner_profile.predicates import parse
    >>> within_population(parse("logins >= 1 and paid = true"), [parse("logins >= 5")]).to_text()
    'paid = true and logins >= 5'
    """
    parts = population.children() if isinstance(population, AllOf) else (population,)
    return all_of([*(part for part in parts if not any(_implies(other, part) for other in rule)), *rule])


def _implies(narrow: Predicate, wide: Predicate) -> bool:
    """Whether everyone who fulfils `narrow` fulfils `wide`, as far as two bounds of one tag tell."""
    if not (isinstance(narrow, Compare) and isinstance(wide, Compare)) or narrow.field != wide.field:
        return False
    if narrow.include_unknown or not isinstance(narrow.value, int | float) or not isinstance(wide.value, int | float):
        return False
    if wide.operator == ">=" and narrow.operator in (">=", ">", "="):
        return narrow.value >= wide.value
    return wide.operator == "<" and narrow.operator == "<" and narrow.value <= wide.value


def _reasons(
    tags: Sequence[str], own: npt.NDArray[np.float64], rule: JudgedRule, catalog: Catalog
) -> tuple[InsightReason, ...]:
    """The tags that move the score of the rule's users most in the rule's own direction."""
    sign = 1.0 if rule.direction == "raises" else -1.0
    order = sorted(range(len(tags)), key=lambda at: (-sign * own[at], tags[at]))
    return tuple(
        InsightReason(tag=tags[at], title=catalog[tags[at]].title, contribution=round(float(own[at]), 4))
        for at in order[:MAX_REASONS]
        if sign * own[at] > 0.01
    )


def _number(value: float) -> float:
    # JSON has no NaN; a number that cannot be computed counts as nothing found.
    return 0.0 if value != value or value in (float("inf"), float("-inf")) else round(float(value), 6)
