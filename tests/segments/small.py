"""Small things made by hand: a snapshot of given profiles with its catalog, and a workspace of given text files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.definitions import Title
from limner_profile.predicates.parser import parse
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_profile.sources import FieldType
from limner_profile.workspace import Workspace, open_workspace
from limner_segments.segment import NamedSegment, Segment

SQL_TYPES: Mapping[FieldType, str] = {
    "number": "DOUBLE",
    "category": "VARCHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIMESTAMP",
}

CONFIG = """
name: shop
timezone: Europe/Berlin
sources:
  people: {type: users, path: people.csv, user: user_id, since: since, attributes: [city]}
  acts:
    type: events
    path: acts.csv
    user: user_id
    time: time
    event: event
    received: received
    amount: amount
    properties: [product]
"""
TAGS = """
visits_30d: {kind: count, event: visit, window: 30d, title: {en: visits, zh: 访问}}
visits_all: {kind: count, event: visit, window: all}
days_since_visit: {kind: recency, event: visit}
city: {kind: attribute, attribute: city, title: {en: city, zh: 城市}}
last_city: {kind: preference, event: visit, by: product}
"""
PEOPLE = "user_id,since,city\nu1,2025-01-01,上海\nu2,2025-01-01,Oslo\n"
ACTS = "user_id,time,event,received,amount,product\nu1,2025-02-01 10:00,visit,2025-02-01 10:00,1.5,book\n"


def named(text: str, name: str = "them") -> NamedSegment:
    return NamedSegment(name, Segment(where=parse(text, thing="tag")))


def make_catalog(types: Mapping[str, FieldType], values: Mapping[str, Mapping[str, Title]] | None = None) -> Catalog:
    titled = values or {}
    return Catalog(
        {
            name: CatalogTag(
                name, "attribute", kind, Title(en=f"the {name}", zh=f"某{name}"), values=titled.get(name, {})
            )
            for name, kind in types.items()
        }
    )


def make_snapshot(
    folder: Path,
    types: Mapping[str, FieldType],
    rows: Sequence[Sequence[Any]],
    timezone: str = "UTC",
    as_of: datetime = datetime(2025, 3, 1, tzinfo=UTC),
) -> Snapshot:
    """A published snapshot whose profiles are `rows`, each the values of one user; user ids are u00000, u00001, …"""
    store = SnapshotStore(folder)
    with store.create(as_of, ZoneInfo(timezone), 10) as writer:
        columns = ", ".join(f'"{name}" {SQL_TYPES[kind]}' for name, kind in types.items())
        writer.connection.execute(f"CREATE TABLE profiles (user_id VARCHAR, {columns})")
        row_marks = f"({', '.join('?' * (len(types) + 1))})"
        content = [[f"u{index:05d}", *row] for index, row in enumerate(rows)]
        for start in range(0, len(content), 500):  # many rows a statement: executemany takes a millisecond a row
            chunk = content[start : start + 500]
            marks = ", ".join([row_marks] * len(chunk))
            writer.connection.execute(f"INSERT INTO profiles VALUES {marks}", [value for row in chunk for value in row])
    return store.open()


def make_workspace(
    root: Path,
    segments: str = "",
    scenarios: str = "",
    tags: str = TAGS,
    acts: str = ACTS,
    people: str = PEOPLE,
    config: str = CONFIG,
) -> Workspace:
    """A workspace of a shop in Berlin: people with a city, and their visits and orders."""
    for folder in ("tags", "segments", "scenarios"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    files = {
        "limner.yaml": config, "people.csv": people, "acts.csv": acts,
        "tags/tags.yaml": tags, "segments/some.yaml": segments, "scenarios/some.yaml": scenarios,
    }  # fmt: skip
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    return open_workspace(root)
