"""Lineage: the columns that the SQL of a tag reads, traced to the sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from limner_profile.catalog import load_catalog
from limner_profile.lineage import tags_reading, trace_tag
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

FILES = {
    "limner.yaml": """name: t
timezone: UTC
sources:
  people: {type: users, path: p.csv, user: u, attributes: {town: c, genre: g}}
  acts: {type: events, path: a.csv, user: u, time: t, event: e, properties: {genre: g, minutes: m}}
  buys: {type: orders, path: b.csv, user: u, time: day, amount: yuan}
""",
    "p.csv": "u,c,g\na,Oslo,x\n",
    "a.csv": "u,t,e,g,m\na,2025-01-01 12:00,read,x,1\n",
    "b.csv": "u,day,yuan\na,2025-01-01,3\n",
    "tags/t.yaml": """
town: {kind: attribute, attribute: town}
reads: {kind: count, event: read, where: genre = 'x', window: 7d}
liked: {kind: preference, event: read, by: genre, of: minutes}
spend: {kind: sum, event: order}
genre: {kind: attribute, attribute: genre}
""",
}


@pytest.mark.parametrize(
    ("tag", "events", "columns"),
    [
        ("town", (), ["people.c:town"]),
        ("genre", (), ["people.g:genre"]),  # the attribute, not the property of the same name
        ("reads", ("read",), ["acts.e:event", "acts.t:time", "acts.g:genre"]),
        ("liked", ("read",), ["acts.e:event", "acts.t:time", "acts.g:genre", "acts.m:minutes"]),
        ("spend", ("order",), ["acts.e:event", "acts.t:time", "buys.:event = 'order'", "buys.day:time", "buys.yuan:amount"]),
    ],
)  # fmt: skip
def test_a_tag_is_traced_to_the_columns_it_reads(
    lay: Lay, tag: str, events: tuple[str, ...], columns: list[str]
) -> None:
    workspace = open_workspace(lay(FILES))
    catalog = load_catalog(workspace)
    lineage = trace_tag(tag, catalog, workspace)
    assert (lineage.tag, lineage.events, lineage.tags) == (tag, events, ())
    assert [f"{column.source}.{column.column}:{column.field}" for column in lineage.columns] == columns
    files = {"people": "p.csv", "acts": "a.csv", "buys": "b.csv"}
    assert all(column.file == files[column.source] for column in lineage.columns)
    assert tags_reading(tag, catalog) == []
