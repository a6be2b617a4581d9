"""The base of every outcome kind: what happened to a user in the label window. Imports floor 1 only."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlglot import exp

from limner_profile.definitions import Definition, Location, Title
from limner_profile.errors import Issue
from limner_profile.predicates.columns import Column
from limner_profile.predicates.where import Where
from limner_profile.registry import Registry
from limner_profile.tags.base import Example, events_with_places
from limner_profile.tags.expressions import event_column, instant
from limner_profile.workspace import Schema

OUTCOME_KINDS: Registry[Outcome] = Registry("outcome")


class Outcome(Definition):
    """What may happen to a user in the label window, and how it is told: `title` completes «likely to …»."""

    kind: str
    title: Title
    """The words that complete «likely to …», such as `lapse`."""
    event: str | tuple[str, ...]
    """The event, or a list of events, that counts."""
    where: Where | None = None
    """Which of those events count: a condition on their fields."""

    EXAMPLES: ClassVar[tuple[Example, ...]] = ()

    @property
    def events(self) -> tuple[str, ...]:
        """The event names."""
        return (self.event,) if isinstance(self.event, str) else self.event

    def asked_events(self) -> list[tuple[Location, str]]:
        """The event names, each with its place in the scenario."""
        return events_with_places(self.event, "outcome")

    def acts_query(self, start: datetime, end: datetime, columns: Column) -> exp.Select:
        """The query for `user_id` and `acts`, the number of such events in `[start, end)`, for users who have any.

        `columns` finds the fields of events.
        """
        names = [exp.Literal.string(name) for name in self.events]
        conditions: list[exp.Expr] = [
            exp.In(this=event_column("event"), expressions=names),
            exp.GTE(this=exp.column("time"), expression=instant(start)),
            exp.LT(this=exp.column("time"), expression=instant(end)),
        ]
        if self.where is not None:
            conditions.append(self.where.to_sql(columns))
        return (
            exp.select("user_id", exp.alias_(exp.Count(this=exp.Star()), "acts"))
            .from_("events")
            .where(exp.and_(*conditions))
            .group_by("user_id")
        )

    def happened(self, acts: exp.Expr) -> exp.Expr:
        """Whether the outcome happened to a user with this number of acts (0 where there is none)."""
        raise NotImplementedError

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """The issues of the events and their filter, each with the field it stands in."""
        if not schema.has_events:
            return [
                ("event", Issue("no-events", "", "the workspace has no source of events", "add one to limner.yaml"))
            ]
        if self.where is None:
            return []
        return [("where", issue) for issue in self.where.check(schema.event_fields, "")]
