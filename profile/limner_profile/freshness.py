"""Freshness: how old the newest data behind each tag is at as_of, and which limits of `freshness` that does not keep. Pure.

Imports catalog, quality and windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from limner_profile.catalog import Catalog
from limner_profile.dependencies import stages_of
from limner_profile.quality import Staleness
from limner_profile.tags.attribute import Attribute
from limner_profile.tags.base import Tag
from limner_profile.windows import window_start


@dataclass(frozen=True)
class Newest:
    """The newest data behind a tag: its time, or that there is `none` at all; neither where nobody can know.

    `of` says in words what was looked at, or why nobody knows.
    """

    time: datetime | None
    of: str
    none: bool = False

    def hours(self, as_of: datetime) -> float | None:
        """The age at as_of in hours, to the second; None where there is no time."""
        return None if self.time is None else round((as_of - self.time) / timedelta(hours=1), 4)


def newest_data(
    catalog: Catalog, newest: Mapping[str, datetime], attributes: Mapping[str, datetime] | None = None
) -> dict[str, Newest]:
    """Tag to the newest data behind it; `newest` is event name to the time of the newest event known before as_of.

    A tag of events has the newest event of one of its names, whatever its filter. `attributes` are those of sources with
    `updated_at`, each with the newest one before as_of. A tag of tags is only as fresh as the one with the oldest data among
    those that it refers to, and unknown where one of them is. What else comes from tables of users or files carries no time,
    and is unknown.
    """
    found: dict[str, Newest] = {}
    for stage in stages_of(catalog.references):
        for name in stage:
            tag = catalog.computed[name]
            parents = tag.references()
            found[name] = (
                _oldest([found[parent] for parent in parents]) if parents else _newest_of(tag, newest, attributes or {})
            )
    return found


def _oldest(parents: list[Newest]) -> Newest:
    unknown = [parent for parent in parents if parent.time is None and not parent.none]
    nothing = [parent for parent in parents if parent.none]
    timed = [(parent.time, parent) for parent in parents if parent.time is not None]
    return (unknown or nothing or [min(timed, key=lambda pair: pair[0])[1]])[0]


def _newest_of(tag: Tag, newest: Mapping[str, datetime], attributes: Mapping[str, datetime]) -> Newest:
    events = tag.data_events()
    if isinstance(tag, Attribute) and tag.attribute in attributes:
        return Newest(attributes[tag.attribute], f"the newest row of the source of {tag.attribute!r}")
    if events is None:
        return Newest(None, f"what a tag of kind {tag.kind} reads carries no time")
    times = [newest[event] for event in events or newest if event in newest]
    words = f"the newest event {' or '.join(map(repr, events))}" if events else "the newest event"
    return Newest(max(times), words) if times else Newest(None, words, none=True)


def find_stale(
    catalog: Catalog, found: Mapping[str, Newest], as_of: datetime, timezone: ZoneInfo
) -> dict[str, Staleness]:
    """Tag to why its limit of `freshness` is not kept, or cannot be checked; tags that keep it, or have none, are left out.

    A limit is a window: `2d` before as_of begins at a local midnight, `48h` is exact.
    """
    stale = {}
    for name, tag in catalog.computed.items():
        if tag.freshness is None:
            continue
        data, start = found[name], window_start(tag.freshness, as_of, timezone)
        if data.none:
            stale[name] = Staleness(f"there was no data before as_of, with a freshness of {tag.freshness}: {data.of}")
        elif data.time is None:
            stale[name] = Staleness(f"how old its data is cannot be known: {data.of}", known=False)
        elif start is not None and data.time < start:
            age = _length(as_of - data.time)
            stale[name] = Staleness(f"{data.of} is {age} old at as_of, with a freshness of {tag.freshness}")
    return stale


def _length(age: timedelta) -> str:
    """An age in words.

    >>> _length(timedelta(hours=80)), _length(timedelta(hours=7))
    ('3.3 days', '7 hours')
    """
    hours = age / timedelta(hours=1)
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.0f} hours"
