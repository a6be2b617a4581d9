"""Conditions on events by name and by their fields, and those on a number made of them. Imports windowed and floor 1."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, field_validator, model_validator
from sqlglot import exp

from limner_profile.errors import Issue
from limner_profile.predicates.base import Part, Predicate, as_tuple
from limner_profile.predicates.parser import parse
from limner_profile.predicates.words import FieldWords, Language, listed
from limner_profile.tags.expressions import event_column, instant
from limner_segments.conditions.base import Parameter, Vocabulary
from limner_segments.conditions.scope import Scope
from limner_segments.conditions.windowed import WINDOW, Windowed

EVENTS = Parameter(
    "events", "text", "the names of the events that count, any event where none is given", positional=True, many=True
)
WHERE = Parameter("where", "where", "a condition on the fields of the event, such as amount >= 300")


def read_where(raw: Any) -> Any:
    """A condition on fields of events from text; anything else unchanged."""
    return parse(raw) if isinstance(raw, str) else raw


def as_names(raw: Any) -> Any:
    """Names from a list, or from a text that is one name, as YAML may have it; anything else unchanged."""
    return (raw,) if isinstance(raw, str) else as_tuple(raw)


EventWhere = Annotated[Part, BeforeValidator(read_where)]


def event_words(name: str) -> FieldWords:
    """How a field of events is called in a sentence: by its name."""
    return FieldWords(name)


def rows_of(
    scope: Scope, events: tuple[str, ...], where: Predicate | None, start: datetime | None, end: datetime
) -> exp.Expr:
    """The condition on a row of `events`: one of these names (any where there is none), from `start` on, before `end`."""
    names: list[exp.Expr] = [exp.Literal.string(name) for name in events]
    column, parts = event_column("event"), list[exp.Expr]()
    if names:
        parts.append(
            exp.EQ(this=column, expression=names[0]) if len(names) == 1 else exp.In(this=column, expressions=names)
        )
    if start is not None:
        parts.append(exp.GTE(this=exp.column("time"), expression=instant(start)))
    parts.append(exp.LT(this=exp.column("time"), expression=instant(end)))
    if where is not None:
        parts.append(where.to_sql(scope.events))
    return exp.and_(*parts)


class Behaviour(Windowed):
    """A condition on the events of these names that fulfil a condition on their fields."""

    events: Annotated[tuple[str, ...], BeforeValidator(as_names)] = ()
    where: EventWhere | None = None

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (EVENTS, *WINDOW, WHERE)

    @field_validator("events")
    @classmethod
    def _check_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        if not all(events):
            raise ValueError("the name of an event may not be empty")
        return events

    def rows(self, scope: Scope) -> exp.Expr:
        """The condition on the rows of `events` that count."""
        return rows_of(scope, self.events, self.where, *self.span(scope))

    def asked_events(self) -> list[str]:
        """The names of the events that it asks for."""
        return list(self.events)

    def asked_fields(self) -> frozenset[str]:
        """The fields in its condition on the fields of the event."""
        return self.where.fields() if self.where is not None else frozenset()

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """Unknown fields of events, and values of the wrong type."""
        if self.where is None or vocabulary.event_fields is None:
            return []
        return self.where.check(vocabulary.event_fields, where, thing="field")

    def events_words(self, language: Language) -> str:
        """The names of the events, with the condition on their fields in brackets."""
        names = listed(self.events, language) if self.events else {"en": "anything", "zh": "任意事件"}[language]
        if self.where is None:
            return names
        inner = self.where.to_sentence(language, event_words)
        return f"{names} ({inner})" if language == "en" else f"{names}（{inner}）"


class Measured(Behaviour):
    """A condition on a number that is made of a user's events; only users with such an event have one."""

    at_least: float | int | None = None
    at_most: float | int | None = None

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        EVENTS,
        Parameter("at_least", "number", "the least that matches"),
        Parameter("at_most", "number", "the most that matches"),
        *WINDOW,
        WHERE,
    )

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("at_least or at_most is missing")
        if self.at_least is not None and self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"nothing is at least {self.at_least} and at most {self.at_most}")
        return self

    @abstractmethod
    def measure(self, scope: Scope) -> exp.Expr:
        """The aggregate over the rows that count."""

    def limits(self, measure: exp.Expr) -> exp.Expr:
        """The condition that the aggregate keeps the limits."""
        parts: list[exp.Expr] = []
        if self.at_least is not None:
            parts.append(exp.GTE(this=measure.copy(), expression=number_sql(self.at_least)))
        if self.at_most is not None:
            parts.append(exp.LTE(this=measure.copy(), expression=number_sql(self.at_most)))
        return exp.and_(*parts)

    def users(self, scope: Scope) -> exp.Query:
        """The users whose number keeps the limits."""
        query = exp.select("user_id").from_("events").where(self.rows(scope)).group_by("user_id")
        return query.having(self.limits(self.measure(scope)))

    def counted(self, one: str, many: str) -> str:
        """The noun that follows the limits in English: by the last number that they say."""
        return one if (self.at_least if self.at_most is None else self.at_most) == 1 else many

    def limit_words(self, language: Language) -> str:
        """`at least 2`, `2 to 5`, `exactly 2`."""
        low, high = (
            None if limit is None else f"{limit:,}" if abs(limit) >= 10_000 else f"{limit}"
            for limit in (self.at_least, self.at_most)
        )
        if low is not None and low == high:
            return f"exactly {low}" if language == "en" else f"恰好 {low}"
        if low is not None and high is not None:
            return f"{low} to {high}" if language == "en" else f"{low} 至 {high}"
        if low is not None:
            return f"at least {low}" if language == "en" else f"至少 {low}"
        return f"at most {high}" if language == "en" else f"至多 {high}"


def number_sql(value: float) -> exp.Expr:
    """A number as a literal."""
    return exp.Neg(this=number_sql(-value)) if value < 0 else exp.Literal.number(repr(value))
