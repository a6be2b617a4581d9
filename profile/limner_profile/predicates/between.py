"""`field between low and high`, both ends included. Imports the base, values and wording beside it."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal, Self

from pydantic import model_validator
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
from limner_profile.predicates.columns import Column, on_days, zone_of
from limner_profile.predicates.values import Value, require_one_type, type_of, value_sql, value_text
from limner_profile.predicates.words import Language, unknown_included, value_title, with_unit

_DAYS = (
    {"day": date(2025, 1, 31)},
    {"day": date(2025, 2, 1)},
    {"day": date(2025, 2, 28)},
    {"day": date(2025, 3, 1)},
    {"day": None},
)


@PREDICATES.kind("between")
class Between(OnField):
    """The field's known value lies from `low` to `high`, both included."""

    kind: Literal["between"] = "between"
    low: Value
    high: Value
    include_unknown: bool = False

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example("n between 1 and 5", tuple({"n": n} for n in (0, 1, 3, 5, 6, None)), frozenset({1, 2, 3})),
        Example("day between date '2025-02-01' and date '2025-02-28'", _DAYS, frozenset({1, 2})),
        Example("day between date '2025-02-01' and date '2025-02-28' include_unknown", _DAYS, frozenset({1, 2, 4})),
    )

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        require_one_type((self.low, self.high))
        if type_of(self.low) == "boolean":
            raise ValueError("true and false have nothing between them")
        if self.low > self.high:  # type: ignore[operator]  # one type, as just checked
            raise ValueError(
                f"nothing lies between {value_text(self.low)} and {value_text(self.high)}: the lower end comes first"
            )
        return self

    @property
    def needs_order(self) -> bool:
        """Always."""
        return True

    @property
    def literals(self) -> tuple[Value, ...]:
        """The two ends."""
        return (self.low, self.high)

    def to_sql(self, column: Column) -> exp.Expression:
        """`column BETWEEN low AND high` (of a time: by its day), NULL for an unknown value unless unknowns are included."""
        found, zone = operand(column(self.field)), zone_of(column, self.field, self.literals)
        if zone is not None:
            return or_unknown(on_days(found, self.low, self.high, zone), self.include_unknown)
        test = exp.Between(this=found, low=value_sql(self.low), high=value_sql(self.high))
        return or_unknown(test, self.include_unknown)

    def to_text(self) -> str:
        """`field between low and high [include_unknown]`."""
        text = f"{field_text(self.field)} between {value_text(self.low)} and {value_text(self.high)}"
        return f"{text} include_unknown" if self.include_unknown else text

    def to_sentence(self, language: Language, words: Words) -> str:
        """`age is from 18 to 25`: "between … and …" would run into the "and" of its neighbours."""
        named = words(self.field)
        low, high = (value_title(end, named, language) for end in (self.low, self.high))
        note = unknown_included(language) if self.include_unknown else ""
        high = with_unit(high, (self.low, self.high), named)
        gap = "" if high.endswith(named.unit) and named.unit else " "
        if language == "en":
            return f"{named.title} is from {low} to {high}{note}"
        return f"{named.title} 在 {low} 到 {high}{gap}之间{note}"
