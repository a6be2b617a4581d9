"""All segments with their sizes: those that the snapshot holds as they are defined now, and the others counted in one scan.

Imports floor 1, and audience, bitmaps and expectation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from limner_profile.errors import UserError
from limner_profile.snapshots import Snapshot
from limner_segments.audience import measure_audience, measure_many, require_tags
from limner_segments.bitmaps import read_sizes
from limner_segments.conditions.linking import full_text
from limner_segments.expectation import STALE, Alert, size_alerts
from limner_segments.segment import NamedSegment


@dataclass(frozen=True)
class ListedSegment:
    """A segment with its size in a snapshot (None where it cannot be counted), the change since the one before, and its alerts.

    `change` is None where the snapshot before does not hold it; `redefined` where it held it by another condition.
    """

    named: NamedSegment
    size: int | None
    share: float | None
    change: int | None
    redefined: bool
    alerts: tuple[Alert, ...]


def list_sizes(
    snapshot: Snapshot,
    previous: Snapshot | None,
    segments: Mapping[str, NamedSegment],
    stale_tags: Collection[str] = (),
) -> list[ListedSegment]:
    """The segments in their order; `stale_tags` are those that were edited after the snapshot was built."""
    conditions = {name: named.condition for name, named in segments.items()}
    sizes: dict[str, int] = read_sizes(snapshot, conditions)
    words: dict[str, str] = {}
    counted = []
    for name in segments:
        if name in sizes:
            continue
        try:
            require_tags(snapshot, sorted(conditions[name].fields()))
            counted.append(name)
        except UserError as error:
            words[name] = error.issues[0].message
    try:
        found = measure_many(snapshot.connection, [conditions[name] for name in counted])
        sizes |= dict(zip(counted, found, strict=True))
    except UserError:  # one of them asks for behaviour that is no longer there
        for name in counted:
            try:
                sizes[name] = measure_audience(snapshot, conditions[name]).size
            except UserError as error:
                words[name] = error.issues[0].message
    users = int(snapshot.value("SELECT count(*) FROM profiles"))
    built = _stored(snapshot)
    earlier = _stored(previous) if previous is not None else {}
    listed = []
    for name, named in segments.items():
        size = sizes.get(name)
        before = earlier.get(name)
        redefined = before is not None and not _alike(named, before)
        alerts = (
            size_alerts(named.segment.expect, size, before[0] if before and not redefined else None)
            if size is not None
            else []
        )
        if name in words:
            alerts.append(Alert(STALE, words[name]))
        elif name not in built:
            alerts.append(Alert(STALE, f"not materialised in snapshot {snapshot.id}"))
        elif not _alike(named, built[name]):
            alerts.append(Alert(STALE, f"edited after snapshot {snapshot.id} was built"))
        elif size is not None and size != built[name][0]:
            words_of_it = f"snapshot {snapshot.id} holds {built[name][0]:,}: a list was edited after it was built"
            alerts.append(Alert(STALE, words_of_it))
        edited = sorted(conditions[name].fields().intersection(stale_tags))
        if edited:
            alerts.append(Alert(STALE, f"tags edited after snapshot {snapshot.id} was built: {', '.join(edited)}"))
        share = size / users if size is not None and users else None
        change = size - before[0] if size is not None and before is not None else None
        listed.append(ListedSegment(named, size, share, change, redefined, tuple(alerts)))
    return listed


_Stored = tuple[int, str, str, str | None]


def _stored(snapshot: Snapshot) -> dict[str, _Stored]:
    """Segment to what the snapshot holds: size, condition as written, hash, and condition in full where it has a bitmap."""
    if not snapshot.columns("segments"):
        return {}
    full: dict[str, str] = {}
    if snapshot.columns("bitmaps"):
        full = {row["segment"]: row["condition"] for row in snapshot.rows("SELECT segment, condition FROM bitmaps")}
    rows = snapshot.rows("SELECT name, size, condition, definition_hash FROM segments")
    return {row["name"]: (row["size"], row["condition"], row["definition_hash"], full.get(row["name"])) for row in rows}


def _alike(named: NamedSegment, stored: _Stored) -> bool:
    """Whether the stored definition picks the same users; titles and the like make no difference."""
    _, text, digest, full = stored
    if full is not None:
        return full == full_text(named.condition)
    return digest == named.definition_hash if named.linked is not None else text == named.segment.where.to_text()
