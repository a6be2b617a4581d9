"""Tag kind `attribute`: what a source of users says about a user: at as_of where it keeps history, else as it stands today."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, FiniteFloat
from sqlglot import exp

from limner_profile.definitions import Title
from limner_profile.errors import Issue, did_you_mean
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Example, Tag
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema


@TAG_KINDS.kind("attribute")
class Attribute(Tag):
    """The value of an attribute, or with `as: age` the full years since the year of birth that it holds.

    Unknown where the source has no value, and for users whom the source does not list. Where the source maps `updated_at`, the
    value is that of the user's newest row before as_of: unknown where the first row is later, or that row has no value. Without
    it an attribute carries no history: its value is today's at every as_of, so nobody can prove that it was known at a past one.
    """

    kind: Literal["attribute"]
    attribute: str
    as_: Literal["value", "age"] = Field("value", alias="as")
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None

    PROVABLE: ClassVar[bool] = False
    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "attribute", "attribute": "city"},
            {"u1": "北京", "u2": None},
            users=({"user_id": "u1", "city": "北京"}, {"user_id": "u2", "city": None}),
        ),
        Example(
            {"kind": "attribute", "attribute": "birth_year", "as": "age", "minimum": 5, "maximum": 100},
            {"u1": 25, "u2": None, "u3": None},
            users=(
                {"user_id": "u1", "birth_year": 2000},
                {"user_id": "u2", "birth_year": 1900},
                {"user_id": "u3", "birth_year": None},
            ),
        ),
        # With a history: what is known before as_of, and an empty cell empties.
        Example(
            {"kind": "attribute", "attribute": "city"},
            {"u1": "北京", "u2": None, "u3": None},
            events=({"user_id": "u3", "time": "2025-01-10", "event": "login"},),
            users=(
                {"user_id": "u1", "updated_at": "2025-01-01", "city": "上海"},
                {"user_id": "u1", "updated_at": "2025-02-28 23:59:59", "city": "北京"},
                {"user_id": "u1", "updated_at": "2025-03-01", "city": "广州"},
                {"user_id": "u2", "updated_at": "2025-01-01", "city": "上海"},
                {"user_id": "u2", "updated_at": "2025-02-01", "city": None},
                {"user_id": "u3", "updated_at": "2025-04-01", "city": "上海"},
            ),
        ),
    )

    def value(self, scope: Scope) -> exp.Expr:
        """The attribute's column, or the difference of years; values outside the limits are unknown."""
        column: exp.Expr = scope.attribute(self.attribute)
        kind = scope.schema.attributes[self.attribute]
        if self.as_ == "age":
            born = exp.Extract(this=exp.var("year"), expression=column) if kind in ("date", "time") else column
            column = exp.Sub(
                this=exp.Literal.number(scope.as_of.astimezone(scope.timezone).year), expression=exp.Paren(this=born)
            )
        if self.minimum is None and self.maximum is None:
            return column
        limits: list[exp.Expr] = []
        if self.minimum is not None:
            limits.append(exp.GTE(this=exp.Paren(this=column.copy()), expression=exp.Literal.number(self.minimum)))
        if self.maximum is not None:
            limits.append(exp.LTE(this=exp.Paren(this=column.copy()), expression=exp.Literal.number(self.maximum)))
        return exp.Case(ifs=[exp.If(this=exp.and_(*limits), true=column)])

    def value_type(self, schema: Schema) -> FieldType:
        """The attribute's type, a number for an age."""
        return "number" if self.as_ == "age" else schema.attributes[self.attribute]

    def provable(self, schema: Schema) -> bool:
        """Whether the source keeps history, so that the value is the one of as_of."""
        return schema.attribute_source.get(self.attribute) in schema.sources_with_history

    def default_title(self) -> Title:
        """The attribute's name, or age."""
        if self.as_ == "age":
            return Title(en="age", zh="年龄")
        return Title(en=self.attribute.replace("_", " "))

    def default_unit(self) -> Title | None:
        """Years for an age."""
        return Title(en="years", zh="岁") if self.as_ == "age" else None

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """An issue where no source of users has the attribute, or an age is asked of a text."""
        if self.attribute not in schema.attributes:
            hint = did_you_mean(self.attribute, schema.attributes, f"known: {', '.join(schema.attributes) or 'none'}")
            return [
                (
                    "attribute",
                    Issue("unknown-attribute", "", f"no source of users has an attribute {self.attribute!r}", hint),
                )
            ]
        kind = schema.attributes[self.attribute]
        if self.as_ == "age" and kind in ("category", "boolean"):
            return [
                (
                    "as",
                    Issue(
                        "wrong-type",
                        "",
                        f"an age cannot be computed from {self.attribute!r}, a {kind}",
                        "name a year or date of birth",
                    ),
                )
            ]
        if kind != "number" and self.as_ == "value" and not (self.minimum is None and self.maximum is None):
            return [
                (
                    "attribute",
                    Issue(
                        "wrong-type",
                        "",
                        f"limits apply to numbers, and {self.attribute!r} is a {kind}",
                        "remove minimum and maximum",
                    ),
                )
            ]
        return []
