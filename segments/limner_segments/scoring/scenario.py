"""Scenarios: scenarios/*.yaml say what to predict, for whom, when, and from which tags.

Imports floor 1 and the outcome kinds. Cutoffs are computed here, purely, from the end of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Union
from zoneinfo import ZoneInfo

from pydantic import Field

import limner_segments.scoring.outcomes as outcome_modules
from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.definitions import Definition, Title, validate
from limner_profile.errors import DefinitionError, InternalError, Issue, RefusedError, did_you_mean
from limner_profile.predicates.where import Where
from limner_profile.windows import Length, add_days, days_of
from limner_profile.workspace import Workspace
from limner_segments.scoring.outcomes.base import OUTCOME_KINDS, Outcome
from limner_segments.segment import used_by

OUTCOME_KINDS.discover(outcome_modules)


if TYPE_CHECKING:
    AnyOutcome = Outcome
else:
    # The registry knows the kinds only now; pydantic then places an error at the field of the kind that was meant.
    AnyOutcome = Annotated[Union[tuple(kind for _, kind in OUTCOME_KINDS)], Field(discriminator="kind")]  # noqa: UP007


class Cutoffs(Definition):
    """How many past cutoffs to train on, besides the newest, which is held out; and how far apart they lie."""

    training: int = Field(default=3, ge=1, le=24)
    """At most so many cutoffs to train on; those with too little history before them are left out."""
    every: Length = "30d"
    """How far apart the training cutoffs lie."""
    history: Length = "60d"
    """How much data must lie before a training cutoff. Twice (gap + label_window) plus this is the least that a scenario needs."""


class AllowedTags(Definition):
    """Which tags the scorer may see: all but `exclude`, or only `include`."""

    include: tuple[str, ...] = ()
    """Only these tags; empty for all."""
    exclude: tuple[str, ...] = ()
    """All but these tags."""


class Scenario(Definition):
    """Population + outcome + windows + allowed tags: what to predict.

    `trust` names attributes that are known to have been known at the cutoff, so that a leakage alarm only warns.
    """

    title: Title
    """A title for people."""
    population: Where
    """Who may have the outcome: a condition on tags, as of each cutoff."""
    outcome: AnyOutcome
    """What may happen to them in the label window."""
    gap: Length = "0d"
    """A pause between what the scorer sees and where the outcome is looked for: `[as_of + gap, as_of + gap + label_window)`."""
    label_window: Length
    """How long the outcome is looked for, as `30d`."""
    cutoffs: Cutoffs = Cutoffs()
    """At which past days training rows are taken."""
    tags: AllowedTags = AllowedTags()
    """Which tags the scorer may see."""
    sensitive_tags: bool = False
    """Whether it may see tags marked as sensitive."""
    trust: tuple[str, ...] = ()
    """Attributes that are known to have been known at the cutoff: a leakage alarm only warns of them."""
    description: str = ""
    """What the scenario is for."""
    owner: str = ""
    """Who answers for it."""


@dataclass(frozen=True)
class NamedScenario:
    """A scenario with its name and the place where it is defined."""

    name: str
    scenario: Scenario
    place: str = ""

    @property
    def score_tag(self) -> str:
        """The name of the tag that holds the score."""
        return f"{self.name}_score"


@dataclass(frozen=True)
class Schedule:
    """The cutoffs of a scenario, oldest first; the last one is the hold-out. Instants in UTC."""

    training: tuple[datetime, ...]
    holdout: datetime

    @property
    def all(self) -> tuple[datetime, ...]:
        """Training cutoffs, then the hold-out."""
        return (*self.training, self.holdout)


def plan_cutoffs(scenario: Scenario, first_event: datetime, end: datetime, timezone: ZoneInfo) -> Schedule:
    """The cutoffs for data from `first_event` to `end`: the newest label window ends at `end`.

    Every training cutoff's label window ends before the hold-out cutoff begins, so no outcome that training sees lies
    in the time that the hold-out is judged on. Raises RefusedError where no training cutoff has enough history.
    """
    reach = days_of(scenario.gap) + days_of(scenario.label_window)
    holdout = add_days(end, -reach, timezone)
    newest = add_days(holdout, -reach, timezone)
    earliest = add_days(first_event, days_of(scenario.cutoffs.history), timezone)
    candidates = [
        add_days(newest, -index * days_of(scenario.cutoffs.every), timezone)
        for index in range(scenario.cutoffs.training)
    ]
    training = tuple(sorted({cutoff for cutoff in candidates if cutoff >= earliest}))
    if not training:
        needed = 2 * reach + days_of(scenario.cutoffs.history)
        raise RefusedError(
            Issue(
                "too-little-history",
                "",
                f"the events begin on {first_event.astimezone(timezone):%Y-%m-%d}: too late for one training cutoff before the hold-out",
                f"{needed} days are needed: shorten gap, label_window or cutoffs.history",
            )
        )
    return Schedule(training, holdout)


def read_scenarios(workspace: Workspace, catalog: Catalog) -> tuple[dict[str, NamedScenario], list[Issue]]:
    """The sound scenarios by name, and the issues of those that are not."""
    scenarios: dict[str, NamedScenario] = {}
    found, issues = workspace.entries("scenarios", "scenario")
    for entry in found:
        scenario, complaints = validate(Scenario, entry.data, entry.document, (entry.name,))
        if scenario is not None:
            complaints = [
                replace(
                    used_by(issue, "scenario", entry.name), where=entry.document.where((entry.name, *field.split(".")))
                )
                for field, issue in _check(entry.name, scenario, catalog, workspace)
            ]
        issues += complaints
        if scenario is not None and not complaints:
            scenarios[entry.name] = NamedScenario(entry.name, scenario, entry.place)
    return scenarios, issues


def _check(name: str, scenario: Scenario, catalog: Catalog, workspace: Workspace) -> list[tuple[str, Issue]]:
    late = [("population", tag) for tag in scenario.population.fields() if tag in catalog.late]
    late += [("tags.include", tag) for tag in scenario.tags.include if tag in catalog.late]
    late += [("trust", tag) for tag in scenario.trust if tag in catalog.late]
    found = [
        (
            field,
            Issue(
                "late-tag",
                "",
                f"the tag {tag!r} is computed from a score, after the scorers have run",
                "name another tag",
            ),
        )
        for field, tag in late
    ]
    found += [("population", issue) for issue in scenario.population.check(catalog.types, "", thing="tag")]
    found += [(f"outcome.{field}", issue) for field, issue in scenario.outcome.check(workspace.schema)]
    for field, names in (
        ("tags.include", scenario.tags.include),
        ("tags.exclude", scenario.tags.exclude),
        ("trust", scenario.trust),
    ):
        for tag in names:
            if tag not in catalog:
                found.append(
                    (
                        field,
                        Issue(
                            "unknown-tag",
                            "",
                            f"unknown tag {tag!r}",
                            did_you_mean(tag, catalog.tags, "see 'limner tags list'"),
                        ),
                    )
                )
    if f"{name}_score" in catalog:
        found.append(
            ("", Issue("name-taken", "", f"the tag {name}_score exists already", "rename the scenario or the tag"))
        )
    if days_of(scenario.label_window) == 0:
        found.append(("label_window", Issue("bad-value", "", "the label window is empty", "write it as 30d")))
    if days_of(scenario.cutoffs.every) == 0 and scenario.cutoffs.training > 1:
        found.append(
            ("cutoffs.every", Issue("bad-value", "", "the training cutoffs fall on the same day", "write it as 30d"))
        )
    return found


def load_scenarios(workspace: Workspace, catalog: Catalog) -> dict[str, NamedScenario]:
    """The scenarios of a workspace by name; raises DefinitionError with every issue found."""
    scenarios, issues = read_scenarios(workspace, catalog)
    if issues:
        raise DefinitionError(issues)
    return scenarios


def score_tags(scenarios: Mapping[str, NamedScenario]) -> list[CatalogTag]:
    """The tags that hold the scores of scenarios, for the catalog."""
    return [
        CatalogTag(
            named.score_tag,
            "score",
            "number",
            Title(en=f"score: {named.scenario.title.en}", zh=f"评分：{named.scenario.title.of('zh')}"),
        )
        for named in scenarios.values()
    ]


def promised_scores(workspace: Workspace) -> list[CatalogTag]:
    """The tags that the scenarios of a workspace will write, by their names alone: tags may refer to them."""
    found, _ = workspace.entries("scenarios", "scenario")
    return [CatalogTag(f"{entry.name}_score", "score", "number", Title(en=f"score: {entry.name}")) for entry in found]


def allowed_tags(scenario: Scenario, catalog: Catalog) -> tuple[str, ...]:
    """The names of the computed tags that the scorer may see, in catalog order.

    Sensitive tags, and tags computed from them, only where the scenario says so; dates and times are left out: their
    values grow with the cutoff.
    """
    chosen = []
    for name in catalog.computed:
        if scenario.tags.include and name not in scenario.tags.include:
            continue
        if name in scenario.tags.exclude or catalog[name].type in ("date", "time"):
            continue
        if catalog[name].sensitivity == "sensitive" and not scenario.sensitive_tags:
            continue
        chosen.append(name)
    if not chosen:
        raise RefusedError(
            Issue("no-tags", "tags", "no tag is left for the scorer", "widen tags.include or shorten tags.exclude")
        )
    if len(set(chosen)) != len(chosen):
        raise InternalError("a tag is listed twice")
    return tuple(chosen)
