"""A workspace: the folder that a user owns, its limner.yaml, and where Limner keeps what it derives.

Imports errors, definitions, manifest, sources and windows. Opening a workspace reads text files only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from limner_profile.definitions import Definition, Document, Location, entries, read_document, validate
from limner_profile.errors import DefinitionError, Issue, SourceError
from limner_profile.manifest import remembered
from limner_profile.source_files import check_columns, field_type, file_columns, source_files
from limner_profile.sources import EVENT_FIELDS, FieldType, Source, ZoneName
from limner_profile.windows import parse_timezone

CONFIG_NAME = "limner.yaml"
# Raised when the layout of the ingested files changes, so that older ones are made anew.
LAYOUT = 4


class Settings(Definition):
    """Limits and habits of a workspace; each has a default that suits most."""

    as_of: str | None = None
    """The instant of knowledge of a build, exclusive, as `2025-12-31`. By default the midnight after the last event."""
    language: str = Field(default="en", pattern="^(en|zh)$")
    """The language of cards and sentences where nobody asks for another: en or zh."""
    min_group: int = Field(default=10, ge=1)
    """Counts of smaller groups are not shown in comparisons and charts."""
    min_export: int = Field(default=50, ge=1)
    """Smaller audiences are not exported."""
    keep_snapshots: int = Field(default=10, ge=1)
    """How many snapshots are kept; older ones are deleted after a build."""
    max_identities: int = Field(default=10, ge=2)
    """How many ids one user may have; pairs that would give a user more are not merged, but reported."""
    currency: str = ""
    """The currency of amounts, for titles."""
    memory: str = Field(default="3GB", pattern=r"^[1-9][0-9]*(MB|GB)$")
    """How much memory ingestion and building may take, as 3GB; what does not fit is written to .limner/tmp meanwhile."""


class WorkspaceConfig(Definition):
    """What limner.yaml holds."""

    name: str
    """A short name for the workspace."""
    title: str = ""
    """A title for people."""
    timezone: ZoneName
    """Where days begin and times without an offset are read: an IANA name such as Asia/Shanghai."""
    sources: dict[str, Source] = Field(min_length=1)
    """The sources by name: letters, digits and underscores."""
    settings: Settings = Settings()
    """Limits and habits."""
    exports: dict[str, Any] = Field(default_factory=dict)
    """Whom exports leave out, and where they go: see [delivery](../delivery.md). Read by the floor of segments."""

    @field_validator("sources")
    @classmethod
    def _names_are_words(cls, sources: dict[str, Source]) -> dict[str, Source]:
        # A source's name becomes part of file and view names.
        for name in sources:
            if not name.isidentifier():
                raise ValueError(
                    f"{name!r} cannot be the name of a source | letters, digits and underscores, such as web_orders"
                )
        if all(source.type == "identities" for source in sources.values()):
            raise ValueError("pairs of ids alone make no profiles | add a source of users, events or orders")
        if len({name.casefold() for name in sources}) < len(sources):
            raise ValueError("the names of two sources differ in upper and lower case only | rename one of them")
        return sources


@dataclass(frozen=True)
class Schema:
    """What the mapped sources offer: the fields of events, and the attributes of users with their source."""

    event_fields: dict[str, FieldType]
    attributes: dict[str, FieldType]
    attribute_source: dict[str, str]
    user_sources: tuple[str, ...]
    sources_with_since: frozenset[str]
    has_received: bool
    has_events: bool
    sources_with_history: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Entry:
    """One `name: definition` of a YAML file, not yet validated, with the document that places it."""

    name: str
    data: Any
    document: Document

    @property
    def place(self) -> str:
        """`file:line:column` of the name."""
        return self.document.where((self.name,))


def is_name(name: str) -> bool:
    """Whether a tag, segment or scenario may be called so: an identifier of at most 64 bytes, and not `user_id`."""
    return name.isidentifier() and len(name.encode()) <= 64 and name.casefold() != "user_id"


def bad_name(thing: str, name: str, where: str = "") -> Issue:
    """The issue for a name that cannot be one."""
    if name.casefold() == "user_id":
        return Issue(
            "bad-name",
            where,
            f"{name!r} cannot be the name of a {thing}",
            "that is the column of the user: choose another",
        )
    if len(name.encode()) > 64:
        return Issue("bad-name", where, f"{name[:40]!r}… is too long for the name of a {thing}", "64 bytes at most")
    return Issue(
        "bad-name",
        where,
        f"{name!r} cannot be the name of a {thing}",
        "letters, digits and underscores, such as order_count_90d",
    )


@dataclass(frozen=True)
class Workspace:
    """An opened workspace: its folder, its configuration and the document that the configuration came from."""

    root: Path
    config: WorkspaceConfig
    document: Document

    @property
    def timezone(self) -> ZoneInfo:
        """The time zone in which days begin."""
        return parse_timezone(self.config.timezone)

    @property
    def settings(self) -> Settings:
        """The settings of limner.yaml."""
        return self.config.settings

    @property
    def state(self) -> Path:
        """The folder of everything that can be rebuilt."""
        return self.root / ".limner"

    def definition_files(self, folder: str) -> list[Path]:
        """The YAML files of `tags`, `segments` or `scenarios`, in name order."""
        return sorted([*(self.root / folder).glob("*.yaml"), *(self.root / folder).glob("*.yml")])

    def entries(self, folder: str, thing: str) -> tuple[list[Entry], list[Issue]]:
        """The entries of the YAML files of `tags`, `segments` or `scenarios`, in name order of the files; and issues.

        A file that cannot be read, a name that is no identifier and a name that is defined twice are issues. `thing` is
        what the folder holds, for the messages.
        """
        found: dict[str, Entry] = {}
        issues: list[Issue] = []
        for path in self.definition_files(folder):
            try:
                document = read_document(path, self.root)
                definitions = entries(document)
            except DefinitionError as error:
                issues += error.issues
                continue
            for name, data in definitions.items():
                entry = Entry(name, data, document)
                if not is_name(name):
                    issues.append(bad_name(thing, name, entry.place))
                    continue
                # DuckDB tells columns apart by their letters only, and some file systems files: so do we with names.
                first = found.setdefault(name.casefold(), entry)
                if first is not entry:
                    message = f"the {thing} {name!r} is defined twice"
                    if first.name != name:
                        message = f"the {thing}s {name!r} and {first.name!r} differ in upper and lower case only"
                    issues.append(Issue("duplicate-name", entry.place, message, f"it stands at {first.place} already"))
        return list(found.values()), issues

    def source_where(self, name: str, field: str = "") -> str:
        """`limner.yaml:line:column` of a source, or of one of its fields (`properties.genre`)."""
        parts: Location = ("sources", name, *field.split(".")) if field else ("sources", name)
        return self.document.where(parts)

    def source_digest(self, name: str) -> str:
        """Twelve hex digits that change with what a source's mapping makes of its files."""
        text = f"{LAYOUT} {self.config.timezone} {self.config.sources[name].digest()}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _first_columns(self, name: str, source: Source) -> tuple[Path, dict[str, str]]:
        """The first file of a source and its columns; of a database or a frame, what was there at the last sync."""
        if source.has_files:
            where = self.source_where(name, "path")
            file = source_files(source, self.root, where)[0]
            return file, file_columns(file, where, source)
        last = remembered(self.state, name, self.source_digest(name))
        if last:
            return Path(source.label), dict(last.columns)
        if source.url:
            from limner_profile.databases import fetch
            from limner_profile.frames import table_columns

            return Path(source.label), table_columns(fetch(source, self.source_where(name, "url"), limit=1000))
        # A frame that nobody has handed over yet: it will have what is mapped.
        return Path(source.label), dict.fromkeys(source.mapped().values(), "VARCHAR")

    @cached_property
    def schema(self) -> Schema:
        """The fields and attributes that the source files offer, with types; raises SourceError with every issue."""
        issues: list[Issue] = []
        event_fields: dict[str, FieldType] = dict(EVENT_FIELDS)
        attributes: dict[str, FieldType] = {}
        attribute_source: dict[str, str] = {}
        for name, source in self.config.sources.items():
            try:
                first, columns = self._first_columns(name, source)
            except SourceError as error:
                issues += error.issues
                continue
            places = {field: self.source_where(name, field) for field in source.mapped()}
            missing = check_columns(source, name, first, columns, places)
            issues += missing
            if missing:
                continue
            # A column keeps the type that it had at the last sync: one odd value does not make a number a text.
            last = remembered(self.state, name, self.source_digest(name))
            for target, mapping in {**source.properties, **source.attributes}.items():
                kept: Any = last.types.get(target) if last else None
                kind: FieldType = mapping.type or kept or field_type(columns[mapping.column])
                known = attributes if source.type == "users" else event_fields
                if source.type == "users" and target in attributes:
                    place = self.source_where(name, f"attributes.{target}")
                    issues.append(
                        Issue(
                            "duplicate-attribute",
                            place,
                            f"{target!r} comes from {attribute_source[target]!r} already",
                            "map it under another name",
                        )
                    )
                elif known.get(target, kind) != kind:
                    place = self.source_where(name, f"properties.{target}")
                    issues.append(
                        Issue(
                            "wrong-type",
                            place,
                            f"{target!r} is a {kind} here and a {known[target]} in another source",
                            "state 'type:', or map it under another name",
                        )
                    )
                else:
                    known[target] = kind
                    if source.type == "users":
                        attribute_source[target] = name
        if issues:
            raise SourceError(issues)
        sources = self.config.sources
        return Schema(
            event_fields,
            attributes,
            attribute_source,
            tuple(name for name, source in sources.items() if source.type == "users"),
            frozenset(name for name, source in sources.items() if source.since),
            any(source.received for source in sources.values()),
            any(source.has_acts for source in sources.values()),
            frozenset(name for name, source in sources.items() if source.updated_at),
        )


def open_workspace(root: Path) -> Workspace:
    """The workspace in `root`; raises DefinitionError where limner.yaml is missing or wrong."""
    path = root / CONFIG_NAME
    if not path.exists():
        raise DefinitionError(
            Issue(
                "no-workspace",
                str(root),
                f"there is no {CONFIG_NAME} here",
                "try 'limner init' or 'limner demo', or name the folder with --dir",
            )
        )
    document = read_document(path, root)
    config, issues = validate(WorkspaceConfig, document.data if document.data is not None else {}, document)
    if config is None:
        raise DefinitionError(issues)
    return Workspace(root, config, document)
