"""What `first` and `last` share: a property of the event at one end of a user's acts. Registers no kind."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from limner_profile.errors import Issue
from limner_profile.sources import FieldType
from limner_profile.tags.base import EventTag
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema


class EdgeTag(EventTag):
    """The value of the property `of` at one end of the user's events that have it."""

    of: str

    LAST: ClassVar[bool] = False

    def value(self, scope: Scope) -> exp.Expr:
        """The property where the time is lowest or highest, NULL where no act has it."""
        return scope.edge_value(self.of, scope.acts(self.events, self.where, self.window), last=self.LAST)

    def value_type(self, schema: Schema) -> FieldType:
        """The type of the property."""
        return schema.event_fields[self.of]

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """Issues of the filter, and of the property."""
        return [*super().check(schema), *self.check_property(schema, "of", self.of)]
