"""What the kinds that reduce a number over events share: which number, and that it is one. Registers no kind."""

from __future__ import annotations

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.errors import Issue
from limner_profile.tags.base import EventTag
from limner_profile.tags.expressions import as_number, event_column
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema


class NumberTag(EventTag):
    """A number over a user's events in a window: `of`, the amount unless said otherwise."""

    of: str = "amount"

    def reduced(self, scope: Scope, function: type[exp.AggFunc]) -> exp.Column:
        """The column that holds `function` of the number over the acts, NULL where no act has one."""
        number = as_number(event_column(self.of))
        return scope.aggregate(function(this=number), scope.acts(self.events, self.where, self.window))

    def worded(self, en: str, zh: str) -> Title:
        """A title: the English word before the number, the Chinese one after it."""
        return Title(
            en=f"{en} {self.of} of {self.acts_words('en')}".strip(), zh=f"{self.acts_words('zh')}{self.of}{zh}"
        )

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """Issues of the filter, and one where `of` is not a number."""
        return [*super().check(schema), *self.check_property(schema, "of", self.of, "number")]
