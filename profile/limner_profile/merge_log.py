"""The merge log: when each id was merged into which user, and when it was taken out again. Survives syncs and builds.

It stands in `.limner/merges/log.parquet`, with what is refused now beside it. Imports identity, manifest and workspace.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.disk import writing
from limner_profile.identity import Merged, find_identities, has_identities
from limner_profile.identity_exceptions import read_exceptions
from limner_profile.manifest import read_manifest
from limner_profile.sql_text import text_of
from limner_profile.workspace import Workspace

FOLDER = "merges"
_LOG, _REFUSED, _STATE = "log.parquet", "refused.parquet", "state.json"
# The last word on each id: whose it is, where it is anybody else's.
_LAST = "SELECT id, user_id FROM {log} QUALIFY row_number() OVER (PARTITION BY id ORDER BY n DESC) = 1 AND action = 'merged'"


@dataclass(frozen=True)
class MergeChange:
    """What a look at the pairs changed: ids newly merged, moved to another user, and un-merged; and what stands now."""

    merged: int
    moved: int
    unmerged: int
    now: Merged

    @property
    def words(self) -> str:
        """The change in one line, empty where nothing changed."""
        parts = [
            f"{count:,} {'id' if count == 1 else 'ids'} {what}"
            for count, what in (
                (self.merged, "merged"),
                (self.moved, "moved to another user"),
                (self.unmerged, "un-merged"),
            )
            if count
        ]
        return ", ".join(parts)


def record_merges(workspace: Workspace, now: datetime) -> MergeChange | None:
    """What has changed since the last time, written into the log; None without a source of identities and a log.

    The pairs count that are known at `now`. The caller holds the workspace's lock. The log is replaced as a whole, and
    what it says last of each id is what the next look compares with, so a killed run is made up for by the next one.
    """
    folder = workspace.state / FOLDER
    if not has_identities(workspace) and not (folder / _LOG).exists():
        return None
    with writing(workspace.state):
        folder.mkdir(parents=True, exist_ok=True)
        fingerprint = _fingerprint(workspace, now)
        state = _read_state(folder)
        if state.get("fingerprint") == fingerprint:
            return MergeChange(0, 0, 0, Merged(**state["now"]))
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2")
            connection.execute("SET memory_limit = ?", [workspace.settings.memory])
            connection.execute("SET temp_directory = ?", [str(workspace.state / "tmp")])
            found = find_identities(connection, workspace, now)
            change = _append(connection, folder, now, found)
            _replace(connection, "SELECT * FROM identity_refused", folder / _REFUSED)
        temporary = folder / f"{_STATE}.tmp"
        temporary.write_text(json.dumps({"fingerprint": fingerprint, "now": asdict(found)}), encoding="utf-8")
        os.replace(temporary, folder / _STATE)
        return change


def read_merges(workspace: Workspace, id_: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """The rows of the log, newest first: at (UTC), action (merged, unmerged or leads), id, user_id, before.

    With an id, the rows that speak of it, or of an id that it was ever merged with.
    """
    log = workspace.state / FOLDER / _LOG
    if not log.exists():
        return []
    read = f"read_parquet({text_of(str(log))})"
    condition = ""
    parameters: dict[str, str] = {}
    if id_ is not None:
        together = f"SELECT unnest([id, user_id, before]) FROM {read} WHERE $id IN (id, user_id, before)"
        condition = f"WHERE id IN ({together}) OR user_id IN ({together})"
        parameters = {"id": id_}
    tail = f" LIMIT {limit}" if limit else ""
    with duckdb.connect() as connection:
        cursor = connection.execute(
            f'SELECT "at", action, id, user_id, before FROM {read} {condition} ORDER BY n DESC{tail}',
            parameters or None,
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read_refusals(workspace: Workspace) -> list[dict[str, Any]]:
    """The ids that were not merged at the last sync, with reason and number of ids, the largest first."""
    file = workspace.state / FOLDER / _REFUSED
    if not file.exists():
        return []
    with duckdb.connect() as connection:
        cursor = connection.execute("SELECT id, reason, ids FROM read_parquet(?) ORDER BY ids DESC, id", [str(file)])
        return [dict(zip(("id", "reason", "ids"), row, strict=True)) for row in cursor.fetchall()]


def forget_state(workspace: Workspace) -> None:
    """Let the next `record_merges` look at the pairs again, whatever it thinks it knows."""
    (workspace.state / FOLDER / _STATE).unlink(missing_ok=True)


def merged_ids(workspace: Workspace, ids: list[str]) -> dict[str, str]:
    """All ids that belong to the users of these ids by the log's last word, as id to user; ids of nobody else are left out."""
    log = workspace.state / FOLDER / _LOG
    if not log.exists() or not ids:
        return {}
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE last AS {_LAST.format(log=f'read_parquet({text_of(str(log))})')}")
        rows = connection.execute(
            "SELECT id, user_id FROM last WHERE user_id IN (SELECT coalesce(l.user_id, x.id) FROM (SELECT unnest(?) AS id) AS x "
            "LEFT JOIN last AS l ON l.id = x.id)",
            [ids],
        ).fetchall()
    found = dict(rows)
    return {**found, **{user: user for user in found.values()}}


def _append(connection: duckdb.DuckDBPyConnection, folder: Path, now: datetime, found: Merged) -> MergeChange:
    log = folder / _LOG
    empty = "(SELECT 0::BIGINT AS n, NULL::TIMESTAMP AS \"at\", '' AS action, '' AS id, '' AS user_id, '' AS before WHERE false)"
    old = f"read_parquet({text_of(str(log))})" if log.exists() else empty
    at = text_of(now.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat(sep=" "))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE merge_changes AS WITH last AS ({_LAST.format(log=old)}), "
        "now AS (SELECT id, user_id FROM identity_map) "
        "SELECT coalesce(now.id, last.id) AS id, coalesce(now.user_id, last.id) AS user_id, last.user_id AS before, "
        "CASE WHEN now.id IS NULL THEN 'unmerged' WHEN now.id = now.user_id THEN 'leads' ELSE 'merged' END AS action "
        # An id that leads its user is news only where it was merged into another before.
        "FROM now FULL JOIN last ON last.id = now.id WHERE (now.id <> now.user_id OR last.id IS NOT NULL OR now.id IS NULL) "
        "AND now.user_id IS DISTINCT FROM last.user_id"
    )
    counts = connection.execute(
        "SELECT count(*) FILTER (WHERE action = 'merged' AND before IS NULL), "
        "count(*) FILTER (WHERE action <> 'unmerged' AND before IS NOT NULL), count(*) FILTER (WHERE action = 'unmerged') "
        "FROM merge_changes"
    ).fetchall()[0]
    if any(counts) or not log.exists():
        _replace(
            connection,
            f'SELECT n, "at", action, id, user_id, before FROM {old} UNION ALL SELECT (SELECT coalesce(max(n), 0) FROM {old}) + '
            f"row_number() OVER (ORDER BY user_id, id), TIMESTAMP {at}, action, id, user_id, before FROM merge_changes ORDER BY n",
            log,
        )
    merged, moved, unmerged = (int(count) for count in counts)
    return MergeChange(merged, moved, unmerged, found)


def _replace(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    temporary = target.with_suffix(".tmp")
    connection.execute(f"COPY ({query}) TO {text_of(str(temporary))} (FORMAT parquet, COMPRESSION zstd)")
    os.replace(temporary, target)


def _read_state(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    except (OSError, ValueError):
        return {}


def _fingerprint(workspace: Workspace, now: datetime) -> str:
    """Changes with everything that the merge hangs on; with the day, too, where pairs have times."""
    sources = workspace.config.sources
    entries = [entry for entry in read_manifest(workspace.state) if entry.type in ("identities", "users")]
    timed = any(source.type == "identities" and (source.time or source.until) for source in sources.values())
    parts = [sorted(entry.files) for entry in entries if entry.source in sources]
    exceptions = sorted(read_exceptions(workspace))
    text = repr((parts, exceptions, workspace.settings.max_identities, now.date() if timed else ""))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
