"""The base of every tag kind, and the scope through which a kind asks for what its value needs.

A kind says what its value is as a SQL expression; on the way it registers with the scope the aggregates over
events, top values and attributes that the expression refers to. The compiler assembles them into one query.
Imports definitions, predicates and windows; pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import duckdb
from pydantic import Field
from sqlglot import exp

from limner_profile.definitions import Definition, Location, Title
from limner_profile.errors import InternalError, Issue, did_you_mean
from limner_profile.predicates.base import Predicate, unknown_field_issue
from limner_profile.predicates.where import Where
from limner_profile.quality import Quality
from limner_profile.registry import Registry
from limner_profile.sources import FieldType
from limner_profile.tags.defaults import Scalar, default_issue
from limner_profile.windows import Span, Window, window_start
from limner_profile.workspace import Schema

TAG_KINDS: Registry[Tag] = Registry("tag")


@dataclass(frozen=True)
class Example:
    """A definition, events and users as rows, and the value that each user must get: documentation and test.

    `tags` are the other definitions that it refers to, `files` the texts of files that it reads.
    """

    definition: Mapping[str, Any]
    values: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]] = ()
    users: Sequence[Mapping[str, Any]] = ()
    as_of: str = "2025-03-01"
    tags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Scope:
    """What the tags of one query need: filled by the kinds, read by the compiler.

    `types` holds the types of all tags of the query; `stage` names the relation whose columns are the tags that
    are there to refer to.
    """

    as_of: datetime
    timezone: ZoneInfo
    schema: Schema
    types: Mapping[str, FieldType] = field(default_factory=dict)
    stage: str = ""
    aggregates: dict[str, exp.Expr] = field(default_factory=dict)
    tops: dict[str, exp.Select] = field(default_factory=dict)
    windows: dict[str, exp.Expr] = field(default_factory=dict)
    events_seen: set[str] = field(default_factory=set)
    sources_seen: set[str] = field(default_factory=set)
    imported_seen: set[str] = field(default_factory=set)

    def acts(self, events: Sequence[str], where: Predicate | None, window: str, *, before: bool = False) -> exp.Expr:
        """The condition on a row of events: one of these names, inside the window, and fulfilling the filter.

        With `before`, inside the window before that one, which is as long and ends where it begins.
        """
        self.events_seen.update(events)
        names = [exp.Literal.string(name) for name in events]
        parts: list[exp.Expr] = [
            exp.EQ(this=exp.column("event"), expression=names[0])
            if len(names) == 1
            else exp.In(this=exp.column("event"), expressions=names)
        ]
        start = window_start(window, self.as_of, self.timezone, 2 if before else 1)
        end = window_start(window, self.as_of, self.timezone) if before else None
        if start is not None:
            parts.append(exp.GTE(this=exp.column("time"), expression=instant(start)))
        if end is not None:
            parts.append(exp.LT(this=exp.column("time"), expression=instant(end)))
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

    def top_value(
        self, by: str, weight: exp.Expr, condition: exp.Expr, give: Literal["value", "share", "runner_up"] = "value"
    ) -> exp.Column:
        """The column that holds the value of property `by` with the greatest weight among a user's events.

        Or, as `give` says, its share of the weight of all values, or the value that comes second. Ties go to the
        value acted on last, then to the last in alphabetical order, so that the same events always give the same.
        """
        value = event_column(by)
        known = exp.and_(condition, is_known(value))
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
        order = ("weight", "last_time", "value")
        if give == "runner_up":
            place = exp.Window(
                this=exp.RowNumber(),
                partition_by=[exp.column("user_id")],
                order=exp.Order(expressions=[ordered(exp.column(name), descending=True) for name in order]),
            )
            grouped = exp.select("*", exp.alias_(place, "place")).from_(grouped.subquery("weighed"))
            second = exp.Where(this=exp.EQ(this=exp.column("place"), expression=exp.Literal.number(2)))
            chosen: exp.Expr = exp.Filter(this=exp.Max(this=exp.column("value")), expression=second)
        elif give == "share":
            total = exp.Sum(this=as_number(exp.column("weight")))
            chosen = exp.Div(
                this=as_number(exp.Max(this=exp.column("weight"))),
                expression=exp.Nullif(this=total, expression=exp.Literal.number(0)),
            )
        else:
            chosen = exp.ArgMax(this=exp.column("value"), expression=_row_of(*order))
        key = grouped.sql(dialect="duckdb")
        query = self.tops.get(key, exp.select("user_id").from_(grouped.subquery("counted")).group_by("user_id"))
        if give not in query.named_selects:
            query = query.select(exp.alias_(chosen, give))
        self.tops[key] = query
        return exp.column(give, table=f"top{list(self.tops).index(key)}")

    def distinct_count(self, value: exp.Expr, condition: exp.Expr) -> exp.Column:
        """The column that holds how many different known values a user's acts have, NULL without any.

        Counted apart from the other aggregates, over distinct pairs of user and value: COUNT(DISTINCT) among them keeps a
        set for each user, and takes six times as long.
        """
        pairs = (
            exp.select("user_id", exp.alias_(value, "value"))
            .distinct()
            .from_("seen")
            .where(exp.and_(condition, is_known(value)))
        )
        query = (
            exp.select("user_id", exp.alias_(count_rows(), "count")).from_(pairs.subquery("pairs")).group_by("user_id")
        )
        key = query.sql(dialect="duckdb")
        self.tops[key] = query
        return exp.column("count", table=f"top{list(self.tops).index(key)}")

    def edge_value(self, of: str, condition: exp.Expr, *, last: bool) -> exp.Column:
        """The column that holds property `of` at the first (or last) of a user's events that has it.

        Of several events at that instant, the smallest value counts for the first, the greatest for the last.
        """
        value = event_column(of)
        order = exp.Struct(
            expressions=[
                exp.PropertyEQ(this=exp.to_identifier("time"), expression=exp.column("time")),
                exp.PropertyEQ(this=exp.to_identifier("value"), expression=value),
            ]
        )
        function = exp.ArgMax if last else exp.ArgMin
        return self.aggregate(function(this=value.copy(), expression=order), exp.and_(condition, is_known(value)))

    def tag(self, name: str) -> exp.Column:
        """The column that holds another tag of the user, computed in an earlier stage."""
        if not self.stage:
            raise InternalError(f"the tag {name!r} is asked for in a stage that refers to nothing")
        return exp.column(name, table=self.stage, quoted=True)

    def over(self, window: exp.Expr) -> exp.Column:
        """The column that holds a window function over the users, computed once however often it is used."""
        text = window.sql(dialect="duckdb")
        # A tag's name is an identifier, so none can be the same as one with a space.
        for name, known in self.windows.items():
            if known.sql(dialect="duckdb") == text:
                return exp.column(name, table=self.stage, quoted=True)
        name = f"over {len(self.windows)}"
        self.windows[name] = window
        return exp.column(name, table=self.stage, quoted=True)

    def share_below(self, value: exp.Expr, among: exp.Expr, *, descending: bool = False) -> exp.Expr:
        """The share, from 0 to below 1, of the users with a lower (or higher) value, of those fulfilling `among`."""
        order = exp.Order(expressions=[ordered(value, descending=descending)])
        rank = self.over(exp.Window(this=exp.Rank(), partition_by=[among.copy()], order=order))
        users = self.over(exp.Window(this=exp.Count(this=value.copy()), partition_by=[among.copy()]))
        lower = exp.Paren(this=exp.Sub(this=rank, expression=exp.Literal.number(1)))
        return exp.Div(this=as_number(lower), expression=users)

    def attribute(self, name: str) -> exp.Column:
        """The column that holds an attribute of the user."""
        source = self.schema.attribute_source[name]
        self.sources_seen.add(source)
        return exp.column(name, table=f"users_{source}", quoted=True)

    def imported(self, relation: str) -> exp.Column:
        """The column `value` of a relation with a row a user that a kind attaches itself."""
        self.imported_seen.add(relation)
        return exp.column("value", table=relation)

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


def is_known(expression: exp.Expr) -> exp.Expr:
    """The condition that `expression` has a value."""
    return exp.Not(this=exp.Is(this=expression.copy(), expression=exp.Null()))


def ordered(expression: exp.Expr, *, descending: bool) -> exp.Ordered:
    """The term of an ORDER BY, unknown values last in every engine."""
    return exp.Ordered(this=expression.copy(), desc=descending, nulls_first=False)


def _row_of(*names: str) -> exp.Struct:
    fields = [exp.PropertyEQ(this=exp.to_identifier(name), expression=exp.column(name)) for name in names]
    return exp.Struct(expressions=fields)


def count_rows() -> exp.Expr:
    """COUNT(*)."""
    return exp.Count(this=exp.Star())


class Tag(Definition):
    """What every tag has, whatever its kind."""

    kind: str
    title: Title | None = None
    """What people call it; made of the definition where it is missing."""
    description: str = ""
    """What it means."""
    owner: str = ""
    """Who answers for it."""
    unit: Title | None = None
    """The unit of a number."""
    sensitivity: Literal["none", "sensitive", "proxy"] = "none"
    """A scenario sees sensitive tags only where it says so."""
    values: dict[str, Title] = Field(default={})
    """Titles of the values of a category: `female: {en: female, zh: 女}`."""
    default: Scalar | None = None
    """The value instead of unknown."""
    freshness: Span | None = None
    """How old the newest data may be, as `2d`; kept in the catalog, not yet acted on."""
    quality: Quality | None = None
    """Limits on coverage and drift that a build checks."""

    # A limit decides nothing about the values.
    WORDING: ClassVar[frozenset[str]] = Definition.WORDING | {"freshness"}
    EXAMPLES: ClassVar[tuple[Example, ...]] = ()
    # Whether the values are whole numbers, and stored as such.
    INTEGER: ClassVar[bool] = False
    # Whether the value can be shown to have been known at as_of: computed from what has a time, not from a table of today.
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

    def default_values(self) -> dict[str, Title]:
        """Titles of the values that the kind itself knows; those of the definition go before them."""
        return {}

    def provable(self, schema: Schema) -> bool:
        """Whether the value can be shown to have been known at as_of, given what the sources offer."""
        return self.PROVABLE

    @property
    def whole_numbers(self) -> bool:
        """Whether the values are whole numbers, and stored as such."""
        return self.INTEGER

    def references(self) -> tuple[str, ...]:
        """The names of the tags whose values this one is computed from."""
        return ()

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """What is wrong with the references to sources, each with the field it stands in."""
        return []

    def check_tags(self, types: Mapping[str, FieldType]) -> list[tuple[Location, Issue]]:
        """What is wrong with the references to tags, whose types are given, each with the place it stands in."""
        return []

    def check_files(self, root: Path) -> list[tuple[str, Issue]]:
        """What is wrong with the files that it reads, whose paths are relative to `root`, each with its field."""
        return []

    def attach(self, connection: duckdb.DuckDBPyConnection, root: Path, where: str) -> None:
        """Create the relations that the value needs besides events and users; `where` places the definition."""

    def check_default(self, kind: FieldType) -> list[tuple[Location, Issue]]:
        """An issue where `default` is no value of the tag's type."""
        issue = None if self.default is None else default_issue(self.default, kind, self.whole_numbers)
        return [(("default",), issue)] if issue else []

    @property
    def window_text(self) -> str:
        """The window as written, empty for a kind without one."""
        return str(getattr(self, "window", ""))


def check_reference(
    place: str, name: str, types: Mapping[str, FieldType], expected: FieldType | None = None
) -> list[tuple[Location, Issue]]:
    """An issue where no tag is called `name`, or it is not of the expected type."""
    if name not in types:
        return [((place,), unknown_field_issue(name, types, "", "tag"))]
    if expected and types[name] != expected:
        message = f"the tag {name!r} is a {types[name]}, not a {expected}"
        return [((place,), Issue("wrong-type", "", message, "name another tag"))]
    return []


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
        """The events in words, for titles: names joined, with the filter and the window.

        The filter must be told: "days since the last delivery" would say the opposite of what the last *late* one means.
        """
        names = "/".join(self.events)
        if self.where is not None:
            names += f"（{self.where.to_text()}）" if language == "zh" else f" where {self.where.to_text()}"
        if self.window == "all":
            return names
        amount, unit = self.window[:-1], self.window[-1]
        if language == "zh":
            return f"近{amount}{'天' if unit == 'd' else '小时'}{names}"
        return f"{names}, last {amount} {'days' if unit == 'd' else 'hours'}"
