"""Tag kind `share`: which part of a user's events, or of their amount, fulfils a condition."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.errors import Issue
from limner_profile.predicates.where import Where
from limner_profile.tags.base import TAG_KINDS, EventTag, Example
from limner_profile.tags.expressions import as_number, count_rows, event_column
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema


@TAG_KINDS.kind("share")
class Share(EventTag):
    """The events that fulfil `part`, divided by all that fulfil `where`: 0 to 1, of the count or of the sum of `of`.

    Unknown where there is nothing to divide by, and where negative amounts take the ratio out of 0 to 1. With
    `of: amount` and `part: amount >= 100` this is the large-purchase spend share.
    """

    kind: Literal["share"]
    part: Where
    of: str | None = None

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "share", "event": "order", "of": "amount", "part": "amount >= 100", "window": "30d"},
            {"u1": 0.75, "u2": 0, "u3": None},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "order", "amount": 150.0},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "order", "amount": 50.0},
                {"user_id": "u1", "time": "2025-01-01 00:00", "event": "order", "amount": 900.0},
                {"user_id": "u2", "time": "2025-02-25 12:00", "event": "order", "amount": 1.0},
                {"user_id": "u3", "time": "2024-02-25 12:00", "event": "order", "amount": 500.0},
            ),
        ),
        Example(
            {"kind": "share", "event": "read", "part": "genre = '言情'"},
            {"u1": 0.5},
            events=(
                {"user_id": "u1", "time": "2025-02-22 00:00", "event": "read", "genre": "言情"},
                {"user_id": "u1", "time": "2025-02-23 00:00", "event": "read", "genre": None},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The ratio of two aggregates, NULL where the lower one is 0 or missing."""
        among = scope.acts(self.events, self.where, self.window)
        whole = scope.aggregate(self._measure(), among)
        part = scope.aggregate(self._measure(), among, exp.Paren(this=self.part.to_sql(scope.events)))
        upper = as_number(exp.Coalesce(this=part, expressions=[exp.Literal.number(0)]))
        share = exp.Div(this=upper, expression=exp.Nullif(this=whole, expression=exp.Literal.number(0)))
        # Refunds and other negative amounts can take a ratio out of 0 to 1, where it is no share of anything.
        within = exp.Between(this=exp.Paren(this=share), low=exp.Literal.number(0), high=exp.Literal.number(1))
        return exp.Case(ifs=[exp.If(this=within, true=share.copy())])

    def _measure(self) -> exp.Expr:
        return exp.Sum(this=as_number(event_column(self.of))) if self.of else count_rows()

    def default_title(self) -> Title:
        """The part of what."""
        what = f"{self.of} of " if self.of else ""
        return Title(
            en=f"share of {what}{self.acts_words('en')} with {self.part.to_text()}",
            zh=f"{self.acts_words('zh')}占比（{self.part.to_text()}）",
        )

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """Issues of both filters, and one where `of` is not a number."""
        part = [("part", issue) for issue in self.part.check(schema.event_fields, "")]
        return [*super().check(schema), *part, *self.check_property(schema, "of", self.of, "number")]
