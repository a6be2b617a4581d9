"""Funnel definitions: funnels/*.yaml as the five AARRR stages, each an event, a filter and a window. Imports floor 1 and funnels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import Field, model_validator

from limner_profile.definitions import Definition, Location, Title, validate
from limner_profile.errors import DefinitionError, Issue, did_you_mean
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.where import Where
from limner_profile.sources import FieldType
from limner_profile.tags.acts import Acts
from limner_profile.tags.base import events_with_places
from limner_profile.windows import Span
from limner_profile.workspace import Workspace
from limner_segments.funnels import Step


class Stage(Definition):
    """What takes a user into a stage."""

    event: str | Annotated[tuple[str, ...], Field(min_length=1)]
    """The event, or several of which any one counts."""
    where: Where | None = None
    """Which of these events count: a condition on their fields."""
    window: Span | None = None
    """How long after the first stage it may happen: as `7d` (168 hours) or `24h`; any time by default."""

    @property
    def events(self) -> tuple[str, ...]:
        """The names of the events."""
        return (self.event,) if isinstance(self.event, str) else self.event


class FirstStage(Definition):
    """What begins the funnel."""

    event: str | Annotated[tuple[str, ...], Field(min_length=1)]
    """The event, or several of which any one counts."""
    where: Where | None = None
    """Which of these events count: a condition on their fields."""

    @property
    def events(self) -> tuple[str, ...]:
        """The names of the events."""
        return (self.event,) if isinstance(self.event, str) else self.event


class Stages(Definition):
    """The AARRR stages, in this order; acquisition and at least one more."""

    acquisition: FirstStage
    """How a user first comes."""
    activation: Stage | None = None
    """The first taste of what it is good for."""
    retention: Stage | None = None
    """Coming back."""
    revenue: Stage | None = None
    """Paying."""
    referral: Stage | None = None
    """Bringing others."""

    @model_validator(mode="after")
    def _has_two(self) -> Self:
        if len(self.given()) < 2:
            raise ValueError("a funnel has two stages or more | add activation, retention, revenue or referral")
        return self

    def given(self) -> dict[str, Stage | FirstStage]:
        """The stages that the definition states, in order."""
        stages = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: stage for name, stage in stages.items() if stage is not None}


class Funnel(Definition):
    """A funnel by the AARRR stages."""

    stages: Stages
    """The stages: acquisition, activation, retention, revenue, referral."""
    title: Title | None = None
    """A title for people."""
    description: str = ""
    """What it is for."""
    owner: str = ""
    """Who answers for it."""
    strict_order: bool = False
    """Whether an attempt ends where the user takes any stage but the one just taken before the next."""

    def steps(self) -> tuple[Step, ...]:
        """The stages as steps."""
        return tuple(
            Step(name, Acts(stage.events, stage.where), stage.window if isinstance(stage, Stage) else None)
            for name, stage in self.stages.given().items()
        )

    def asked_events(self) -> list[tuple[Location, str]]:
        """The names of events that it asks for, each with the place it stands in."""
        return [
            found
            for name, stage in self.stages.given().items()
            for found in events_with_places(stage.event, "stages", name)
        ]


@dataclass(frozen=True)
class NamedFunnel:
    """A funnel with its name and the place where it is defined."""

    name: str
    funnel: Funnel
    place: str = ""


def read_funnels(
    workspace: Workspace, event_fields: Mapping[str, FieldType]
) -> tuple[dict[str, NamedFunnel], list[Issue]]:
    """The sound funnels by name, and the issues of those that are not."""
    funnels: dict[str, NamedFunnel] = {}
    found, issues = workspace.entries("funnels", "funnel")
    for entry in found:
        funnel, complaints = validate(Funnel, entry.data, entry.document, (entry.name,))
        if funnel is not None:
            for name, stage in funnel.stages.given().items():
                where = entry.document.where((entry.name, "stages", name, "where"))
                complaints += _filter_issues(stage.where, event_fields, where)
        issues += complaints
        if funnel is not None and not complaints:
            funnels[entry.name] = NamedFunnel(entry.name, funnel, entry.place)
    return funnels, issues


def _filter_issues(where: Predicate | None, fields: Mapping[str, FieldType], place: str) -> list[Issue]:
    return [] if where is None else [replace(issue, where=place) for issue in where.check(fields, place)]


def steps_of(text: str, within: str | None) -> tuple[Step, ...]:
    """The steps of a text such as `visit, sign_up, purchase`, all within a window since the first.

    Raises DefinitionError for fewer than two.

    >>> [step.name for step in steps_of("visit, purchase", "7d")]
    ['visit', 'purchase']
    """
    names = [name.strip() for name in text.split(",")]
    if len(names) < 2 or not all(names):
        raise DefinitionError(
            Issue(
                "bad-value", "--steps", f"{text!r} is not a list of steps", "name two events or more: 'visit,purchase'"
            )
        )
    return tuple(Step(name, Acts((name,)), within if number else None) for number, name in enumerate(names))


def check_events(steps: Sequence[str], known: Sequence[str], option: str) -> None:
    """Nothing; raises DefinitionError `unknown-event` for each name that no event has."""
    listed = f"known: {', '.join(sorted(known)[:8])}"
    issues = [
        Issue("unknown-event", option, f"there are no events called {name!r}", did_you_mean(name, known, listed))
        for name in dict.fromkeys(steps)
        if name not in known
    ]
    if issues:
        raise DefinitionError(issues)
