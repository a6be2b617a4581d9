"""Looking up one profile: every tag value of a user with its place among all users, and the latest acts.

Imports builder, catalog, snapshots and workspace. Computes in DuckDB; gives plain rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from limner_profile.builder import attach_events
from limner_profile.errors import Issue, UnknownNameError, did_you_mean
from limner_profile.snapshots import Snapshot
from limner_profile.workspace import Workspace


@dataclass(frozen=True)
class ProfileValue:
    """One tag of a user: its value (None is unknown), and the share of known users with a lower one (numbers only)."""

    tag: str
    title_en: str
    title_zh: str
    kind: str
    window: str
    unit: str
    value: Any
    percentile: float | None


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
    numbers = [tag["name"] for tag in tags if tag["type"] == "number" and profile[tag["name"]] is not None]
    percentiles: dict[str, float] = {}
    if numbers:
        parts = ", ".join(
            f'count(*) FILTER (WHERE "{name}" < ?) / greatest(count("{name}"), 1) AS "{name}"' for name in numbers
        )
        percentiles = snapshot.rows(f"SELECT {parts} FROM profiles", [profile[name] for name in numbers])[0]
    return [
        ProfileValue(
            tag["name"], tag["title_en"], tag["title_zh"], tag["kind"], tag["window_text"], tag["unit_en"],
            profile[tag["name"]], percentiles.get(tag["name"]),
        )
        for tag in tags
    ]  # fmt: skip


def read_timeline(workspace: Workspace, user: str, as_of: datetime, limit: int = 10) -> list[dict[str, Any]]:
    """The latest acts of a user before `as_of`, newest first: local time, event, and the properties that have a value."""
    with duckdb.connect() as connection:
        attach_events(connection, workspace)
        if not workspace.schema.has_events:
            return []
        moment = as_of.astimezone(UTC).replace(tzinfo=None)
        known, moments = "time < ?", [moment]
        if workspace.schema.has_received:
            known, moments = "time < ? AND (received IS NULL OR received < ?)", [moment, moment]
        cursor = connection.execute(
            f"SELECT * FROM events WHERE user_id = ? AND {known} ORDER BY time DESC, event LIMIT ?",
            [user, *moments, limit],
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
