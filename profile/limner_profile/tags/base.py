"""The base of every tag kind, and the scope through which a kind asks for what its value needs.

A kind says what its value is as a SQL expression; on the way it registers with the scope the aggregates over
events, top values and attributes that the expression refers to. The compiler assembles them into one query.
Imports definitions, predicates and windows; pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlglot import exp

from limner_profile.definitions import Definition, Title
from limner_profile.errors import Issue, did_you_mean
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.where import Where
from limner_profile.quality import Quality
from limner_profile.registry import Registry
from limner_profile.sources import FieldType
from limner_profile.windows import Window, window_start
from limner_profile.workspace import Schema

TAG_KINDS: Registry[Tag] = Registry("tag")


@dataclass(frozen=True)
class Example:
    """A definition, events and users as rows, and the value that each user must get: documentation and test."""

    definition: Mapping[str, Any]
    values: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]] = ()
    users: Sequence[Mapping[str, Any]] = ()
    as_of: str = "2025-03-01"


@dataclass
class Scope:
    """What the tags of one query need: filled by the kinds, read by the compiler."""

    as_of: datetime
    timezone: ZoneInfo
    schema: Schema
    aggregates: dict[str, exp.Expr] = field(default_factory=dict)
    tops: dict[str, exp.Select] = field(default_factory=dict)
    events_seen: set[str] = field(default_factory=set)
    sources_seen: set[str] = field(default_factory=set)

    def acts(self, events: Sequence[str], where: Predicate | None, window: str) -> exp.Expr:
        """The condition on a row of events: one of these names, inside the window, and fulfilling the filter."""
        self.events_seen.update(events)
        names = [exp.Literal.string(name) for name in events]
        parts: list[exp.Expr] = [
            exp.EQ(this=exp.column("event"), expression=names[0])
            if len(names) == 1
            else exp.In(this=exp.column("event"), expressions=names)
        ]
        start = window_start(window, self.as_of, self.timezone)
        if start is not None:
            parts.append(exp.GTE(this=exp.column("time"), expression=instant(start)))
        if where is not None:
            parts.append(where.to_sql(event_column))
        return exp.and_(*parts)

    def aggregate(self, function: exp.Expr, condition: exp.Expr) -> exp.Column:
        """The column that holds `function` over a user's events fulfilling `condition`, NULL without any event."""
        filtered = exp.Filter(this=function, expression=exp.Where(this=condition))
        key = filtered.sql(dialect="duckdb")
        if key not in self.aggregates:
            self.aggregates[key] = filtered
        return exp.column(f"a{list(self.aggregates).index(key)}", table="acts")

    def top_value(self, by: str, weight: exp.Expr, condition: exp.Expr) -> exp.Column:
        """The column that holds the value of property `by` with the greatest weight among a user's events.

        Ties go to the value acted on last, then to the last in alphabetical order, so that the same events
        always give the same value.
        """
        value = event_column(by)
        known = exp.and_(condition, exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null())))
        grouped = (
            exp.select(
                "user_id",
                exp.alias_(value, "value"),
                exp.alias_(weight, "weight"),
                exp.alias_(exp.Max(this=exp.column("time")), "last_time"),
            )
            .from_("seen")
            .where(known)
            .group_by("user_id", value.copy())
        )
        rank = exp.Struct(
            expressions=[
                exp.PropertyEQ(this=exp.to_identifier(name), expression=exp.column(name))
                for name in ("weight", "last_time", "value")
            ]
        )
        chosen = exp.ArgMax(this=exp.column("value"), expression=rank)
        query = (
            exp.select("user_id", exp.alias_(chosen, "value")).from_(grouped.subquery("counted")).group_by("user_id")
        )
        key = query.sql(dialect="duckdb")
        if key not in self.tops:
            self.tops[key] = query
        return exp.column("value", table=f"top{list(self.tops).index(key)}")

    def attribute(self, name: str) -> exp.Column:
        """The column that holds an attribute of the user."""
        source = self.schema.attribute_source[name]
        self.sources_seen.add(source)
        return exp.column(name, table=f"users_{source}", quoted=True)

    def local_day(self, moment: exp.Expr) -> exp.Expr:
        """The local calendar day of a UTC instant."""
        utc = exp.AtTimeZone(this=moment, zone=exp.Literal.string("UTC"))
        local = exp.AtTimeZone(this=exp.Paren(this=utc), zone=exp.Literal.string(str(self.timezone)))
        return exp.Cast(this=local, to=exp.DataType.build("date"))

    @property
    def as_of_day(self) -> exp.Expr:
        """The local calendar day of `as_of`."""
        return exp.Cast(
            this=exp.Literal.string(self.as_of.astimezone(self.timezone).date().isoformat()),
            to=exp.DataType.build("date"),
        )


def event_column(name: str) -> exp.Column:
    """The column of a field of events, quoted since properties have any name."""
    return exp.column(name, quoted=True)


def instant(moment: datetime) -> exp.Expr:
    """A UTC instant as a literal of the type that stored events have (TIMESTAMP, in UTC)."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("timestamp"))


def as_number(expression: exp.Expr) -> exp.Expr:
    """`expression` as DOUBLE, so that no decimal or huge integer reaches the model."""
    return exp.Cast(this=expression, to=exp.DataType.build("double"))


def count_rows() -> exp.Expr:
    """COUNT(*)."""
    return exp.Count(this=exp.Star())


class Tag(Definition):
    """What every tag has, whatever its kind."""

    kind: str
    title: Title | None = None
    description: str = ""
    owner: str = ""
    unit: Title | None = None
    sensitivity: Literal["none", "sensitive", "proxy"] = "none"
    values: dict[str, Title] = Field(default={}, description="titles of the values of a category")
    quality: Quality | None = None

    EXAMPLES: ClassVar[tuple[Example, ...]] = ()
    # Whether the values are whole numbers, and stored as such.
    INTEGER: ClassVar[bool] = False
    # Whether the value can be shown to have been known at as_of: computed from timed events, not from a table of today.
    PROVABLE: ClassVar[bool] = True

    def value(self, scope: Scope) -> exp.Expr:
        """The SQL expression of the tag's value for one user."""
        raise NotImplementedError

    def value_type(self, schema: Schema) -> FieldType:
        """The type of the values."""
        return "number"

    def default_title(self) -> Title:
        """A title in words for a tag that states none."""
        raise NotImplementedError

    def default_unit(self) -> Title | None:
        """The unit of the values where the definition states none."""
        return None

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """What is wrong with the references to sources, each with the field it stands in."""
        return []

    @property
    def window_text(self) -> str:
        """The window as written, empty for a kind without one."""
        return str(getattr(self, "window", ""))


class EventTag(Tag):
    """What kinds that look at events share: which events, which of them, and since when."""

    event: str | Annotated[tuple[str, ...], Field(min_length=1)]
    where: Where | None = None
    window: Window = "all"

    @property
    def events(self) -> tuple[str, ...]:
        """The event names."""
        return (self.event,) if isinstance(self.event, str) else self.event

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """An issue for each unknown event field in the filter."""
        if not schema.has_events:
            return [
                ("event", Issue("no-events", "", "the workspace has no source of events", "add one to limner.yaml"))
            ]
        if self.where is None:
            return []
        return [("where", issue) for issue in self.where.check(schema.event_fields, "")]

    def check_property(
        self, schema: Schema, field_name: str, value: str | None, expected: FieldType | None = None
    ) -> list[tuple[str, Issue]]:
        """An issue where `value` is not a field of events, or not of the expected type."""
        if value is None:
            return []
        if value not in schema.event_fields:
            hint = did_you_mean(value, schema.event_fields, f"known: {', '.join(schema.event_fields)}")
            return [(field_name, Issue("unknown-property", "", f"no event has a property {value!r}", hint))]
        if expected and schema.event_fields[value] != expected:
            return [
                (
                    field_name,
                    Issue(
                        "wrong-type",
                        "",
                        f"{value!r} is a {schema.event_fields[value]}, not a {expected}",
                        "name another property",
                    ),
                )
            ]
        return []

    def acts_words(self, language: str) -> str:
        """The events in words, for titles: names joined, with the window."""
        names = "/".join(self.events)
        if self.window == "all":
            return names
        amount, unit = self.window[:-1], self.window[-1]
        if language == "zh":
            return f"近{amount}{'天' if unit == 'd' else '小时'}{names}"
        return f"{names}, last {amount} {'days' if unit == 'd' else 'hours'}"
