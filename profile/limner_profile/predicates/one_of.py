"""`field in (…)` and `field not in (…)`. Imports the base, values and wording beside it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, field_validator
from sqlglot import exp

from limner_profile.predicates.base import (
    PREDICATES,
    Example,
    OnField,
    Words,
    as_tuple,
    field_text,
    operand,
    or_unknown,
)
from limner_profile.predicates.columns import Column, on_days, zone_of
from limner_profile.predicates.values import Value, require_one_type, value_sql, value_text
from limner_profile.predicates.words import Language, listed, unknown_included, value_title, with_unit

_ROWS = ({"city": "北京"}, {"city": "上海"}, {"city": "广州"}, {"city": None})


@PREDICATES.kind("one_of")
class OneOf(OnField):
    """The field's known value is one of `values`, or, when negated, none of them."""

    kind: Literal["one_of"] = "one_of"
    values: Annotated[tuple[Value, ...], BeforeValidator(as_tuple)]
    negated: bool = False
    include_unknown: bool = False

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("city in ('北京', '上海')", _ROWS, frozenset({0, 1})),
        Example("city not in ('北京', '上海')", _ROWS, frozenset({2})),
        Example("city not in ('北京', '上海') include_unknown", _ROWS, frozenset({2, 3})),
        Example("city in ('北京') include_unknown", _ROWS, frozenset({0, 3})),
    )

    @field_validator("values")
    @classmethod
    def _check_values(cls, values: tuple[Value, ...]) -> tuple[Value, ...]:
        if not values:
            raise ValueError("the list of values is empty")
        require_one_type(values)
        return tuple(dict.fromkeys(values))

    @property
    def literals(self) -> tuple[Value, ...]:
        """The listed values."""
        return self.values

    def to_sql(self, column: Column) -> exp.Expression:
        """`column IN (…)` (of a time: by its day), NULL for an unknown value unless unknowns are included."""
        found, zone = operand(column(self.field)), zone_of(column, self.field, self.values)
        test: exp.Expression = (
            exp.In(this=found, expressions=[value_sql(value) for value in self.values])
            if zone is None
            else exp.Paren(this=exp.or_(*(on_days(found, value, value, zone) for value in self.values), wrap=False))
        )
        return or_unknown(exp.Not(this=test) if self.negated else test, self.include_unknown)

    def to_text(self) -> str:
        """`field [not] in (…) [include_unknown]`."""
        values = ", ".join(value_text(value) for value in self.values)
        text = f"{field_text(self.field)} {'not in' if self.negated else 'in'} ({values})"
        return f"{text} include_unknown" if self.include_unknown else text

    def to_sentence(self, language: Language, words: Words) -> str:
        """`city is 北京 or 上海`."""
        named = words(self.field)
        titles = [value_title(value, named, language) for value in self.values]
        note = unknown_included(language) if self.include_unknown else ""
        if language == "en":
            verb = "is not" if self.negated else "is"
            # "is not a or b" reads in two ways, "is neither a nor b" in one.
            if self.negated and len(titles) > 1:
                text = f"is none of {listed(titles, language, 'and')}"
                return f"{named.title} {with_unit(text, self.values, named)}{note}"
            return f"{named.title} {verb} {with_unit(listed(titles, language), self.values, named)}{note}"
        verb = ("不属于" if len(titles) > 1 else "不是") if self.negated else "是"
        text = listed(titles, language, "and" if self.negated else "or")
        return f"{named.title} {verb} {with_unit(text, self.values, named)}{note}"
