"""Tag kind `lifecycle`: the stage that a user is in, by rules over other tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from sqlglot import exp

from limner_profile.definitions import Definition, Location, Title
from limner_profile.errors import Issue
from limner_profile.predicates.where import Where
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Example, Tag
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema

# The usual stages; any other names do as well.
_TITLES: Mapping[str, Title] = {
    "potential": Title(en="potential", zh="潜在"),
    "new": Title(en="new", zh="新客"),
    "active": Title(en="active", zh="活跃"),
    "at_risk": Title(en="at risk", zh="流失预警"),
    "lapsed": Title(en="lapsed", zh="流失"),
    "recalled": Title(en="recalled", zh="召回"),
}
_ACTS = tuple(
    {"user_id": user, "time": f"{day} 12:00", "event": event}
    for user, day, event in (
        ("u1", "2025-02-28", "login"),
        ("u2", "2025-02-27", "order"),
        ("u3", "2025-01-15", "order"),
        ("u3", "2025-02-22", "order"),
        ("u4", "2025-01-20", "order"),
        ("u5", "2024-10-20", "order"),
    )
)
_STAGES = [
    {"name": "potential", "where": "order_count = 0"},
    {"name": "new", "where": "order_count = 1 and days_since_order <= 14"},
    {"name": "active", "where": "days_since_order <= 30"},
    {"name": "at_risk", "where": "days_since_order <= 60"},
    {"name": "lapsed", "where": "days_since_order > 60"},
]


class Stage(Definition):
    """A stage: its name, and the condition on tags under which a user is in it."""

    name: str = Field(min_length=1)
    where: Where


@TAG_KINDS.kind("lifecycle")
class Lifecycle(Tag):
    """The first of the `stages` whose condition on other tags holds; unknown (or `default`) where none does.

    Each stage has a `name` and, in `where`, its condition.
    The usual stages, potential, new, active, at_risk, lapsed and recalled, have titles in both languages; other names
    are as good, and get theirs in `values`. A user without events gets what the conditions say of zeros and unknowns.
    """

    kind: Literal["lifecycle"]
    stages: tuple[Stage, ...]

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "lifecycle", "stages": _STAGES},
            {"u1": "potential", "u2": "new", "u3": "active", "u4": "at_risk", "u5": "lapsed"},
            events=_ACTS,
            tags={
                "order_count": {"kind": "count", "event": "order"},
                "days_since_order": {"kind": "recency", "event": "order"},
            },
        ),
        Example(
            {"kind": "lifecycle", "stages": _STAGES[1:3], "default": "other"},
            {"u1": "other", "u2": "new", "u3": "active", "u4": "other"},
            events=_ACTS,
            tags={
                "order_count": {"kind": "count", "event": "order"},
                "days_since_order": {"kind": "recency", "event": "order"},
            },
        ),
    )

    @model_validator(mode="after")
    def _has_stages(self) -> Lifecycle:
        if not self.stages:
            raise ValueError("a lifecycle needs at least one stage | such as {name: new, where: order_count = 1}")
        names = [stage.name for stage in self.stages]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two stages are called {twice!r} | join their conditions with 'or'")
        return self

    def references(self) -> tuple[str, ...]:
        """The tags of all conditions, in the order of the stages."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in sorted(stage.where.fields())))

    def value(self, scope: Scope) -> exp.Expr:
        """CASE over the conditions in order."""
        return exp.Case(
            ifs=[
                exp.If(this=stage.where.to_sql(scope.tags), true=exp.Literal.string(stage.name))
                for stage in self.stages
            ]
        )

    def value_type(self, schema: Schema) -> FieldType:
        """A category."""
        return "category"

    def default_title(self) -> Title:
        """Lifecycle stage."""
        return Title(en="lifecycle stage", zh="生命周期阶段")

    def default_values(self) -> dict[str, Title]:
        """The titles of the usual stages among those given."""
        return {stage.name: _TITLES[stage.name] for stage in self.stages if stage.name in _TITLES}

    def check_tags(self, types: Mapping[str, FieldType]) -> list[tuple[Location, Issue]]:
        """The issues of each condition, where it stands."""
        return [
            (("stages", number, "where"), issue)
            for number, stage in enumerate(self.stages)
            for issue in stage.where.check(types, "", thing="tag")
        ]
