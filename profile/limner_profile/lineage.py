"""Lineage: from a tag back to the columns of the sources that its SQL reads.

Read off the compiled query, so that it is true of every kind. Imports catalog, compiler and workspace; pure but for
what the workspace knows of its source files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlglot import exp

from limner_profile.catalog import Catalog
from limner_profile.compiler import compile_profiles
from limner_profile.tags.base import Tag
from limner_profile.workspace import Workspace

_AS_OF = datetime(2025, 1, 1, tzinfo=UTC)  # any instant: which columns are read does not hang on it


@dataclass(frozen=True)
class SourceColumn:
    """A column of a source that a tag is computed from: `field` is what it is called in Limner, `file` where it lies.

    `column` is empty where the source gives every row the same value, such as the name of its only event.
    """

    source: str
    file: str
    column: str
    field: str


@dataclass(frozen=True)
class Lineage:
    """Where a tag comes from: the tags it is computed from (itself left out), the events, and the columns read."""

    tag: str
    tags: tuple[str, ...]
    events: tuple[str, ...]
    columns: tuple[SourceColumn, ...]


def trace_tag(name: str, catalog: Catalog, workspace: Workspace) -> Lineage:
    """The lineage of a tag of the catalog; empty for a score, which its model computes.

    A source whose events are named by a column may hold any event, so it counts as one that the tag reads.
    """
    whole = _closure(name, catalog)
    closure = {other: tag for other, tag in whole.items() if not catalog[other].late}
    scores = tuple(
        dict.fromkeys(inner for tag in whole.values() for inner in tag.references() if inner not in whole)
    )  # where the way back ends: a score has the lineage of its model
    named = (*(tag for tag in whole if tag != name), *scores)
    if not closure:
        return Lineage(name, named, (), ())
    schema = workspace.schema
    query = compile_profiles(closure, _AS_OF, workspace.timezone, schema)
    events = tuple(dict.fromkeys(event for tag in closure.values() for event in getattr(tag, "events", ())))
    columns: list[SourceColumn] = []
    if any(tag.data_events() == () for tag in closure.values()):
        events = ()  # a query over events may read any of them
    read = set(_event_fields(query)) & set(schema.event_fields)
    for source, definition in workspace.config.sources.items():
        place = str(getattr(definition, "path", None) or source)
        mapped = {field.rpartition(".")[2]: column for field, column in definition.mapped().items()}
        if definition.has_acts:
            constant = definition.constant_event
            if not read or (constant is not None and events and constant not in events):
                continue
            for field in ("event", "time", *sorted(read - {"event", "time", "source"})):
                if field in mapped:
                    columns.append(SourceColumn(source, place, mapped[field], field))
                elif field == "event" and constant is not None:
                    columns.append(SourceColumn(source, place, "", f"event = {constant!r}"))
        else:
            wanted = {column.name for column in query.find_all(exp.Column) if column.table == f"users_{source}"}
            if "valid_from" in wanted:
                wanted.add("updated_at")
            columns += [
                SourceColumn(source, place, mapped[field], field)
                for field in sorted(wanted - {"user_id"})
                if field in mapped
            ]
    return Lineage(name, named, events, tuple(columns))


def tags_reading(name: str, catalog: Catalog) -> list[str]:
    """The tags that are computed from the tag `name`, directly, in catalog order."""
    return [other for other, tag in catalog.definitions.items() if name in tag.references()]


def _closure(name: str, catalog: Catalog) -> dict[str, Tag]:
    found: dict[str, Tag] = {}
    waiting = [name]
    while waiting:
        tag = catalog.definitions.get(waiting[0])
        if tag is not None and waiting[0] not in found:
            found[waiting[0]] = tag
            waiting += tag.references()
        waiting.pop(0)
    # In catalog order, in which a tag stands wherever its file has it.
    return {other: tag for other, tag in catalog.definitions.items() if other in found}


def _event_fields(query: exp.Expr) -> Iterator[str]:
    """The columns that are read from the relation of events, `events` itself or the part of it called `seen`."""
    for select in query.find_all(exp.Select):
        origin = select.args.get("from_") or select.args.get("from")
        if origin is None or origin.this.name not in ("events", "seen"):
            continue
        if origin.this.name == "events" and [column.name for column in select.expressions] == ["user_id"]:
            continue  # who is known at all: no tag's own reading
        yield from (column.name for column in select.find_all(exp.Column))
