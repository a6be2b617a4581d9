"""Ready segments from tags that sort every user into groups: the RFM eight and the stages of a lifecycle. Pure but for sizes.

Imports floor 1, segment and audience.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.definitions import Title
from limner_profile.errors import Issue, RefusedError, UserError, did_you_mean
from limner_profile.predicates.compare import Compare
from limner_profile.snapshots import Snapshot
from limner_profile.tags.lifecycle import Lifecycle
from limner_profile.workspace import Workspace, is_name
from limner_segments.audience import measure_many, require_tags
from limner_segments.segment import NamedSegment, Segment, save_segment

Grid = Literal["rfm", "lifecycle"]

_ADD: Mapping[str, str] = {
    "rfm": "rfm: {kind: rfm, recency: days_since_order, frequency: order_count, monetary: spend}",
    "lifecycle": "stage: {kind: lifecycle, stages: [{name: new, where: order_count = 1}, …]}",
}
_PURPOSE: Mapping[str, str] = {
    "rfm": "one of the eight groups of recency, frequency and monetary value",
    "lifecycle": "one stage of the lifecycle",
}


@dataclass(frozen=True)
class Suggestion:
    """A segment that could be saved, with its size in a snapshot and share of all users; `taken` where its name is in use."""

    named: NamedSegment
    tag: str
    size: int
    share: float
    taken: bool


def grid_of(text: str) -> Grid:
    """The grid called `text`; raises UserError for another word."""
    words: dict[str, Grid] = {word: word for word in get_args(Grid)}
    if text not in words:
        hint = did_you_mean(text, words, " or ".join(words))
        raise UserError(Issue("bad-value", "", f"there are no suggestions called {text!r}", hint))
    return words[text]


def grid_segments(catalog: Catalog, grid: Grid) -> list[tuple[str, NamedSegment]]:
    """The tag and the segment of each group of each tag of that kind; raises RefusedError `no-grid` where there is none.

    The segments of a tag part all users for whom it is known: nobody is in two of them.
    """
    found = [
        (tag.name, segment)
        for tag in catalog.tags.values()
        if tag.kind == grid
        for segment in _segments_of(tag, _groups(tag), grid)
    ]
    if not found:
        hint = f"add one to tags/*.yaml, such as '{_ADD[grid]}', and run 'limner build'"
        raise RefusedError(Issue("no-grid", "tags", f"there is no tag of kind {grid}", hint))
    return found


def suggest_segments(snapshot: Snapshot, catalog: Catalog, grid: Grid, taken: Collection[str]) -> list[Suggestion]:
    """The segments of a grid with their sizes in one scan; `taken` holds the names of the segments that there are.

    Raises RefusedError where there is no such tag, or the snapshot lacks it.
    """
    found = grid_segments(catalog, grid)
    require_tags(snapshot, dict.fromkeys(tag for tag, _ in found))
    sizes = measure_many(snapshot.connection, [named.condition for _, named in found])
    users = int(snapshot.value("SELECT count(*) FROM profiles"))
    folded = {name.casefold() for name in taken}
    return [
        Suggestion(named, tag, size, size / users if users else 0.0, named.name.casefold() in folded)
        for (tag, named), size in zip(found, sizes, strict=True)
    ]


def save_suggestions(workspace: Workspace, suggestions: Collection[Suggestion]) -> list[Path]:
    """The files written, one a segment; raises RefusedError `name-taken` for all names in use before anything is written."""
    places = {entry.name.casefold(): entry.place for entry in workspace.entries("segments", "segment")[0]}
    taken = [
        Issue("name-taken", place, f"the segment {one.named.name!r} exists already", "rename or remove it")
        for one in suggestions
        if (place := _taken(workspace, places, one.named.name)) is not None
    ]
    if taken:
        raise RefusedError(taken)
    return [save_segment(workspace, one.named) for one in suggestions]


def _taken(workspace: Workspace, places: Mapping[str, str], name: str) -> str | None:
    if name.casefold() in places:
        return places[name.casefold()]
    path = workspace.root / "segments" / f"{name}.yaml"
    return str(path.relative_to(workspace.root)) if path.exists() else None


def _groups(tag: CatalogTag) -> list[str]:
    """The values that the tag may have, in the order of its definition."""
    if isinstance(tag.definition, Lifecycle):
        default = [tag.definition.default] if isinstance(tag.definition.default, str) else []
        return list(dict.fromkeys([*(stage.name for stage in tag.definition.stages), *default]))
    return list(tag.values)


def _segments_of(tag: CatalogTag, groups: Collection[str], grid: Grid) -> list[NamedSegment]:
    names: list[str] = []
    segments = []
    for number, group in enumerate(groups, 1):
        word = re.sub(r"\W+", "_", group).strip("_")
        name = f"{tag.name}_{word}"
        if not is_name(name) or name.casefold() in names:
            name = f"{tag.name}_{number}"
        names.append(name.casefold())
        value = tag.values.get(group, Title(en=group))
        title = Title(en=f"{tag.title.en}: {value.en}", zh=f"{tag.title.of('zh')}：{value.of('zh')}")
        where = Compare(field=tag.name, operator="=", value=group)
        segments.append(NamedSegment(name, Segment(where=where, title=title, purpose=_PURPOSE[grid])))
    return segments
