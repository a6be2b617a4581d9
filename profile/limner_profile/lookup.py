"""Looking up one profile: every tag value of a user with its place among all users, and the latest acts.

Imports builder, catalog, snapshots, statistics, versions and workspace. Computes in DuckDB; gives plain rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from limner_profile.attached import attach_events
from limner_profile.catalog import Catalog
from limner_profile.errors import Issue, UnknownNameError, did_you_mean
from limner_profile.identity import IDENTITIES_TABLE
from limner_profile.snapshots import Snapshot
from limner_profile.statistics import PLACES_TABLE
from limner_profile.tags.base import EventTag
from limner_profile.tags.scope import Scope
from limner_profile.versions import AttributeVersion
from limner_profile.workspace import Workspace


@dataclass(frozen=True)
class ProfileValue:
    """One tag of a user: its value (None is unknown), and the share of known users with a lower one (numbers only).

    The share is exact to a thousandth.
    """

    tag: str
    title_en: str
    title_zh: str
    kind: str
    window: str
    unit: str
    value: Any
    percentile: float | None


@dataclass(frozen=True)
class FoundUser:
    """A user by any of the ids that were merged into one: `user_id` as in profiles, and all `ids`, sorted."""

    user_id: str
    ids: tuple[str, ...]


def find_user(snapshot: Snapshot, id_: str) -> FoundUser:
    """The user whom an id belongs to in a snapshot; an id that was not merged stands for itself, known or not."""
    if not snapshot.columns(IDENTITIES_TABLE.name):
        return FoundUser(id_, (id_,))  # built before there were identities
    rows = snapshot.rows(
        "SELECT user_id, id FROM identities WHERE user_id = (SELECT user_id FROM identities WHERE id = ?) ORDER BY id",
        [id_],
    )
    return FoundUser(rows[0]["user_id"], tuple(row["id"] for row in rows)) if rows else FoundUser(id_, (id_,))


def read_profile(snapshot: Snapshot, user: str) -> list[ProfileValue]:
    """The tag values of a user in catalog order; raises UnknownNameError for a user without a profile."""
    rows = snapshot.rows("SELECT * FROM profiles WHERE user_id = ?", [user])
    if not rows:
        near = [
            row["user_id"]
            for row in snapshot.rows(
                "SELECT user_id FROM profiles ORDER BY levenshtein(user_id, ?), user_id LIMIT 1", [user]
            )
        ]
        raise UnknownNameError(
            Issue(
                "unknown-user",
                "",
                f"snapshot {snapshot.id} has no user {user!r}",
                did_you_mean(user, near, 'try: limner sql "select user_id from profiles limit 5"'),
            )
        )
    profile = rows[0]
    tags = snapshot.rows("SELECT name, title_en, title_zh, kind, type, window_text, unit_en FROM tags")
    numbers = {tag["name"]: profile[tag["name"]] for tag in tags if tag["type"] == "number"}
    percentiles = _percentiles(snapshot, {name: value for name, value in numbers.items() if value is not None})
    return [
        ProfileValue(
            tag["name"], tag["title_en"], tag["title_zh"], tag["kind"], tag["window_text"], tag["unit_en"],
            profile[tag["name"]], percentiles.get(tag["name"]),
        )
        for tag in tags
    ]  # fmt: skip


def _percentiles(snapshot: Snapshot, values: Mapping[str, float]) -> dict[str, float]:
    """Tag to the share of the known users with a lower value: of kept places, else counted over all users."""
    shares: dict[str, float] = {}
    if values and snapshot.columns(PLACES_TABLE.name):
        rows = snapshot.rows(
            # Between two kept values it is, to a thousandth, the share below the upper one.
            "SELECT v.tag, coalesce(max(below) FILTER (WHERE p.value = v.value), min(below) FILTER (WHERE p.value > v.value)) AS below "
            "FROM (SELECT unnest(?) AS tag, unnest(?) AS value) AS v JOIN tag_places AS p USING (tag) GROUP BY v.tag",
            [list(values), [float(value) for value in values.values()]],
        )
        shares = {row["tag"]: row["below"] for row in rows if row["below"] is not None}
    lacking = [name for name in values if name not in shares]
    if lacking:  # a snapshot of before places were kept
        parts = ", ".join(
            f'count(*) FILTER (WHERE "{name}" < ?) / greatest(count("{name}"), 1) AS "{name}"' for name in lacking
        )
        shares |= snapshot.rows(f"SELECT {parts} FROM profiles", [values[name] for name in lacking])[0]
    return shares


@dataclass(frozen=True)
class ValueOrigin:
    """What stands behind a value: how many events were counted (None for a tag without events), and from which sources.

    `valid_from` is since when an attribute has had its value, where its source keeps history.
    """

    events: int | None
    sources: tuple[str, ...]
    valid_from: datetime | None = None


def read_origins(
    workspace: Workspace,
    catalog: Catalog,
    user: str | Sequence[str],
    as_of: datetime,
    history: Iterable[AttributeVersion] = (),
) -> dict[str, ValueOrigin]:
    """Tag to origin for one user (by all ids of it): the events in the tag's window that fulfil its filter, as ingested now.

    `history` is what `read_history` gave for that user and as_of.
    """
    schema = workspace.schema
    ids = _ids(user)
    begins = {version.attribute: version.valid_from for version in history if version.valid_to is None}
    origins: dict[str, ValueOrigin] = {}
    counted: dict[str, str] = {}
    scope = Scope(as_of.astimezone(UTC), workspace.timezone, schema)
    for name, tag in catalog.computed.items():
        if isinstance(tag, EventTag):
            counted[name] = scope.acts(tag.events, tag.where, tag.window).condition().sql(dialect="duckdb")
        else:
            attribute = str(getattr(tag, "attribute", ""))
            source = schema.attribute_source.get(attribute)
            origins[name] = ValueOrigin(None, (source,) if source else (), begins.get(attribute))
    if counted:
        parts = ", ".join(
            f"count(*) FILTER (WHERE {acts}), list_sort(list(DISTINCT source) FILTER (WHERE {acts}))"
            for acts in counted.values()
        )
        moment = as_of.astimezone(UTC).replace(tzinfo=None)
        known, moments = _known_before(workspace, moment)
        with duckdb.connect() as connection:
            attach_events(connection, workspace)
            row = connection.execute(
                f"SELECT {parts} FROM events WHERE {_one_of(ids)} AND {known}", [*ids, *moments]
            ).fetchall()[0]
        for index, name in enumerate(counted):
            origins[name] = ValueOrigin(int(row[2 * index]), tuple(row[2 * index + 1] or ()))
    return {name: origins[name] for name in catalog.computed}


@dataclass(frozen=True)
class ValueChange:
    """A tag whose value for a user differs between two snapshots; `redefined` where the definition does, too."""

    tag: str
    before: Any
    after: Any
    redefined: bool


def read_changes(before: Snapshot, after: Snapshot, user: str) -> list[ValueChange]:
    """The values of a user that are not what they were, for tags that both snapshots hold, in catalog order.

    A user whom `before` does not know had no value there.
    """
    columns = "SELECT name, definition_hash FROM tags"
    old_tags = {row["name"]: row["definition_hash"] for row in before.rows(columns)}
    new_tags = {row["name"]: row["definition_hash"] for row in after.rows(columns)}
    query = "SELECT * FROM profiles WHERE user_id = ?"
    old, new = (next(iter(snapshot.rows(query, [user])), {}) for snapshot in (before, after))
    return [
        ValueChange(name, old.get(name), new.get(name), old_tags[name] != digest)
        for name, digest in new_tags.items()
        if name in old_tags and old.get(name) != new.get(name)
    ]


def _known_before(workspace: Workspace, moment: datetime) -> tuple[str, list[datetime]]:
    """The condition that an event had happened, and been received, before an instant (UTC), and its parameters."""
    if workspace.schema.has_received:
        return "time < ? AND (received IS NULL OR received < ?)", [moment, moment]
    return "time < ?", [moment]


def _ids(user: str | Sequence[str]) -> Sequence[str]:
    return (user,) if isinstance(user, str) else user


def _one_of(ids: Sequence[str]) -> str:
    # One id is the common case, and a plain comparison skips most of a sorted file.
    return "user_id = ?" if len(ids) == 1 else f"user_id IN ({', '.join('?' for _ in ids)})"


def read_timeline(
    workspace: Workspace, user: str | Sequence[str], as_of: datetime, limit: int = 10
) -> list[dict[str, Any]]:
    """The latest acts of a user (by all ids of it) before `as_of`, newest first: local time, event, and properties with a value."""
    ids = _ids(user)
    with duckdb.connect() as connection:
        attach_events(connection, workspace)
        if not workspace.schema.has_events:
            return []
        moment = as_of.astimezone(UTC).replace(tzinfo=None)
        known, moments = _known_before(workspace, moment)
        cursor = connection.execute(
            f"SELECT * FROM events WHERE {_one_of(ids)} AND {known} ORDER BY time DESC, event LIMIT ?",
            [*ids, *moments, limit],
        )
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    hidden = {"user_id", "time", "event", "event_id", "source", "received"}
    return [
        {
            "time": row["time"].replace(tzinfo=UTC).astimezone(workspace.timezone).strftime("%Y-%m-%d %H:%M"),
            "event": row["event"],
            "properties": {name: value for name, value in row.items() if name not in hidden and value is not None},
        }
        for row in rows
    ]
