"""The base of every tag kind: what a definition has, and what a kind must know. Pure; imports definitions, predicates and scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import duckdb
from pydantic import Field
from sqlglot import exp

from limner_profile.definitions import Definition, Location, Title
from limner_profile.errors import Issue, did_you_mean
from limner_profile.predicates.base import unknown_field_issue
from limner_profile.predicates.where import Where
from limner_profile.quality import Quality
from limner_profile.registry import Registry
from limner_profile.sources import FieldType
from limner_profile.tags.defaults import Scalar, default_issue
from limner_profile.tags.scope import Scope
from limner_profile.windows import Span, Window
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
    """How old the newest data behind it may be at as_of, as `2d`; what a build does with older data, `quality` says."""
    quality: Quality | None = None
    """Limits on coverage and drift that a build checks."""
    version: int = Field(default=1, ge=1)
    """Raise it to say that a change of a tag in use is meant."""

    # A limit decides nothing about the values, nor does a version.
    WORDING: ClassVar[frozenset[str]] = Definition.WORDING | {"freshness", "version"}
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
        """A title in words for a tag that states none; empty where nothing says more than the tag's name."""
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

    def data_events(self) -> tuple[str, ...] | None:
        """The names of the events that tell how old its data is, none of them for any event; None where events do not tell."""
        return None

    def asked_events(self) -> list[tuple[Location, str]]:
        """The names of events that it asks for, each with the place it stands in."""
        return []

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


def events_with_places(event: str | tuple[str, ...], *above: str) -> list[tuple[Location, str]]:
    """The names of a field `event`, each with the place it stands in, below the fields `above`."""
    if isinstance(event, str):
        return [((*above, "event"), event)]
    return [((*above, "event", at), name) for at, name in enumerate(event)]


class EventTag(Tag):
    """What kinds that look at events share: which events, which of them, and since when."""

    event: str | Annotated[tuple[str, ...], Field(min_length=1)]
    where: Where | None = None
    window: Window = "all"

    @property
    def events(self) -> tuple[str, ...]:
        """The event names."""
        return (self.event,) if isinstance(self.event, str) else self.event

    def data_events(self) -> tuple[str, ...]:
        """The event names."""
        return self.events

    def asked_events(self) -> list[tuple[Location, str]]:
        """The event names, each with its place."""
        return events_with_places(self.event)

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
            remedy = "name another property"
            if expected == "number":
                # One odd value among numbers, such as 1,5, and the whole column is text.
                remedy += (
                    f", or map it as '{value}: {{column: …, type: number}}' in limner.yaml: what is no number is then rejected, "
                    "and numbers such as 1,5 need 'decimal_comma: true'"
                )
            return [
                (
                    field_name,
                    Issue(
                        "wrong-type",
                        "",
                        f"{value!r} is a {schema.event_fields[value]}, not a {expected}",
                        remedy,
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
        word = "day" if unit == "d" else "hour"
        return f"{names}, last {word}" if int(amount) == 1 else f"{names}, last {amount} {word}s"
