"""`field = value` and the five other comparisons. Imports the base, values and wording beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.base import (
    PREDICATES,
    Example,
    OnField,
    Words,
    field_text,
    operand,
    or_unknown,
)
from limner_profile.predicates.columns import Column, by_day, zone_of
from limner_profile.predicates.values import Value, value_sql, value_text
from limner_profile.predicates.words import (
    Language,
    Operator,
    relation,
    unknown_included,
    value_title,
)

_SQL: dict[Operator, Callable[..., exp.Expression]] = {
    "=": exp.EQ,
    "!=": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}

_ROWS = ({"city": "北京", "age": 30}, {"city": "上海", "age": 18}, {"city": None, "age": None})


@PREDICATES.kind("compare")
class Compare(OnField):
    """The field's known value stands in this relation to `value`."""

    kind: Literal["compare"] = "compare"
    operator: Operator
    value: Value
    include_unknown: bool = False

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("age >= 30", _ROWS, frozenset({0})),
        Example("age < 18.5", _ROWS, frozenset({1})),
        Example("city = '北京'", _ROWS, frozenset({0})),
        Example("city != '北京'", _ROWS, frozenset({1})),
        Example("city != '北京' include_unknown", _ROWS, frozenset({1, 2})),
    )

    @property
    def needs_order(self) -> bool:
        """Whether this is one of `<`, `<=`, `>`, `>=`."""
        return self.operator not in {"=", "!="}

    @property
    def literals(self) -> tuple[Value, ...]:
        """The one value."""
        return (self.value,)

    def to_sql(self, column: Column) -> exp.Expression:
        """`column op literal` (of a time: by its day), NULL for an unknown value unless unknowns are included."""
        found, zone = operand(column(self.field)), zone_of(column, self.field, self.literals)
        if zone is not None:
            return or_unknown(by_day(found, self.operator, self.value, zone), self.include_unknown)
        test = _SQL[self.operator](this=found, expression=value_sql(self.value))
        return or_unknown(test, self.include_unknown)

    def to_text(self) -> str:
        """`field op value [include_unknown]`."""
        text = f"{field_text(self.field)} {self.operator} {value_text(self.value)}"
        return f"{text} include_unknown" if self.include_unknown else text

    def to_sentence(self, language: Language, words: Words) -> str:
        """`days since last login is at least 12 days`."""
        named = words(self.field)
        note = unknown_included(language) if self.include_unknown else ""
        if isinstance(self.value, bool) and not self.needs_order:
            # A known value that is not true is false, and a title such as "has an app" takes no verb.
            text = value_title(self.value == (self.operator == "="), named, language)
            return f"{named.title}{': ' if language == 'en' else '：'}{text}{note}"
        return f"{named.title} {relation(self.operator, self.value, named, language)}{note}"
