"""Erasing people: their rows leave everything under .limner, the erasure list keeps them out, and a scan proves it.

Every file is written anew beside the old one and takes its name in one step, so whoever reads it sees all of the old or all of
the new. A journal lets an erasure that was killed be finished. Imports erasure_list, erasure_rewrite, erasure_scan,
identity_exceptions, manifest, merge_log, snapshots and workspace.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from limner_profile.disk import fsync, put, writing
from limner_profile.erasure_list import read_erasures, write_erasures
from limner_profile.erasure_rewrite import rewrite_parquet, rewrite_snapshot
from limner_profile.erasure_scan import Trace, Wanted, files_of, opened, scan, trace_file, wanted_ids
from limner_profile.errors import Issue, RefusedError, UnknownNameError, did_you_mean
from limner_profile.identity_exceptions import read_exceptions, write_exceptions
from limner_profile.manifest import Part, read_manifest, write_manifest
from limner_profile.merge_log import forget_state, merged_ids
from limner_profile.snapshots import SnapshotStore
from limner_profile.sql_text import text_of
from limner_profile.workspace import Workspace

JOURNAL = "erasing.json"


@dataclass(frozen=True)
class ErasurePlan:
    """Whom an erasure removes: the ids asked for, all ids of those people, and where they stand now.

    `origins` are the files and tables of sources (by source and origin) in which they stand, too, with the number of rows.
    """

    asked: tuple[str, ...]
    wanted: Wanted
    traces: tuple[Trace, ...]
    origins: Mapping[tuple[str, str], int]

    @property
    def ambiguous(self) -> tuple[str, ...]:
        """The ids that are not looked for in columns which hold no ids, since they may mean something else there."""
        return tuple(id_ for id_ in self.wanted.ids if id_ not in self.wanted.telling)


@dataclass(frozen=True)
class Place:
    """A file or a table: rows removed, values blanked in other people's rows, and what is left of both."""

    place: str
    rows: int
    values: int
    left: int


@dataclass(frozen=True)
class Erasure:
    """What an erasure did: the ids, the places, and how many files were scanned afterwards."""

    ids: tuple[str, ...]
    places: tuple[Place, ...]
    scanned: int

    @property
    def left(self) -> int:
        """How many occurrences the scan still found: 0, or the erasure is not complete."""
        return sum(place.left for place in self.places)


def plan_erasure(
    workspace: Workspace,
    asked: Sequence[str],
    *,
    everywhere: bool = False,
    on_file: Callable[[str], None] = lambda name: None,
) -> ErasurePlan:
    """Whom the erasure of these ids would remove, and from where; nothing is written.

    All ids that are merged with one of them belong to the same person. An erasure that was interrupted is part of it.
    Raises UnknownNameError for ids that stand nowhere under .limner and were not erased before.
    """
    begun = read_journal(workspace)
    asked = tuple(dict.fromkeys([*asked, *begun]))
    if not asked:
        raise RefusedError(
            Issue("nobody-to-erase", "", "no user is named", "name users, or a file of them with --file")
        )
    wanted = wanted_ids([*asked, *sorted(merged_ids(workspace, list(asked)))], everywhere=everywhere)
    traces = scan(workspace.state, wanted, [workspace.state / JOURNAL], on_file)
    erased = read_erasures(workspace.root)
    unknown = [id_ for id_ in asked if id_ not in begun and id_ not in erased]
    if unknown:
        known = _standing(workspace, unknown, traces)
        issues = [
            Issue("unknown-user", "", f"no user {id_!r} stands anywhere in this workspace", _near(workspace, id_))
            for id_ in unknown
            if id_ not in known
        ]
        if issues:
            raise UnknownNameError(issues)
    return ErasurePlan(asked, wanted, tuple(traces), _origins(workspace, traces, resumed=bool(begun)))


def erase(workspace: Workspace, plan: ErasurePlan, on_file: Callable[[str], None] = lambda name: None) -> Erasure:
    """What the erasure did and what a scan found afterwards. The caller holds the workspace's lock.

    The order matters to a run that is killed: first the journal, then the erasure list, so that no sync brings anybody back; then
    file by file; then the manifest, counted anew from the files; last the scan, and the journal goes.
    """
    state, wanted = workspace.state, plan.wanted
    with writing(state):
        _write_whole(state / JOURNAL, json.dumps({"ids": list(wanted.ids)}))
        write_erasures(workspace.root, read_erasures(workspace.root).with_ids(wanted.ids, wanted.telling))
        known = read_exceptions(workspace)
        if set(known) & set(wanted.ids):
            write_exceptions(workspace, [entry for name, entry in known.items() if name not in wanted.ids])
        leftovers = _sweep(state)
        by_file: dict[Path, list[Trace]] = {}
        for trace in plan.traces:
            by_file.setdefault(trace.file, []).append(trace)
        for path, traces in by_file.items():
            if not path.exists():
                continue  # a leftover
            on_file(path.relative_to(state).as_posix())
            if path.suffix == ".parquet":
                rewrite_parquet(state, path, wanted, traces)
            elif path.suffix == ".duckdb":
                rewrite_snapshot(state, path, wanted, traces)
        _recount(workspace)
        forget_state(workspace)
        left = {trace.place: trace.rows + trace.values for trace in scan(state, wanted, [state / JOURNAL], on_file)}
        scanned = len(files_of(state)) - 1
        (state / JOURNAL).unlink()
        fsync(state)
    before = {trace.place: trace for trace in plan.traces if trace.file.exists()}
    places = [
        Place(
            place,
            before[place].rows if place in before else 0,
            before[place].values if place in before else 0,
            left.get(place, 0),
        )
        for place in dict.fromkeys([*before, *left])
    ]
    if leftovers:
        places.append(Place("leftovers of killed runs", leftovers, 0, 0))
    return Erasure(wanted.ids, tuple(places), scanned)


def unerase(workspace: Workspace, ids: Sequence[str]) -> list[str]:
    """The sources whose rows the next sync reads anew, now that these ids are off the erasure list. The caller holds the lock.

    Raises UnknownNameError for an id that is not on it.
    """
    erasures = read_erasures(workspace.root)
    missing = [id_ for id_ in ids if id_ not in erasures]
    if missing:
        hint = "the list holds digests only: an id must be given exactly as it was"
        raise UnknownNameError([Issue("not-erased", "erased.txt", f"{id_!r} was not erased", hint) for id_ in missing])
    write_erasures(workspace.root, erasures.without_ids(ids))
    again = []
    entries = []
    for entry in read_manifest(workspace.state):
        if entry.erased:
            # Another fingerprint than the file's: it counts as changed. What is there stays in use until then.
            parts = tuple(
                replace(part, fingerprint=f"{part.fingerprint}-again") if part.erased else part for part in entry.parts
            )
            entry = replace(entry, parts=parts, mark=None, at_mark=())
            again.append(entry.source)
        entries.append(entry)
    write_manifest(workspace.state, entries)
    return again


def read_journal(workspace: Workspace) -> list[str]:
    """The ids of an erasure that was interrupted; empty where none was."""
    try:
        return [str(id_) for id_ in json.loads((workspace.state / JOURNAL).read_text(encoding="utf-8"))["ids"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _standing(workspace: Workspace, ids: Sequence[str], traces: Sequence[Trace]) -> set[str]:
    """Those of the ids that stand somewhere; where only one is asked for, any trace is its own."""
    if len(ids) == 1:
        return set(ids) if traces else set()
    found: set[str] = set()
    for path in dict.fromkeys(trace.file for trace in traces):
        if path.suffix not in (".parquet", ".duckdb"):
            continue
        with opened(path, "") as (connection, relations):
            for relation in relations:
                for column in relation.ids:
                    listed = ", ".join(text_of(id_) for id_ in ids if id_ not in found) or "NULL"
                    query = f'SELECT DISTINCT "{column}" FROM {relation.sql} WHERE "{column}" IN ({listed})'
                    found |= {str(row[0]) for row in connection.execute(query).fetchall()}
        if len(found) == len(ids):
            break
    for id_ in ids:
        if id_ not in found and any(
            trace_file(workspace.state, path, wanted_ids([id_]))
            for path in dict.fromkeys(trace.file for trace in traces)
        ):
            found.add(id_)
    return found


def _near(workspace: Workspace, id_: str) -> str:
    fallback = 'try: limner sql "select user_id from profiles limit 5"'
    store = SnapshotStore(workspace.state)
    if store.current_id() not in store.ids():
        return fallback
    with store.open() as snapshot:
        query = "SELECT user_id FROM profiles ORDER BY levenshtein(user_id, ?), user_id LIMIT 1"
        return did_you_mean(id_, [row["user_id"] for row in snapshot.rows(query, [id_])], fallback)


def _sweep(state: Path) -> int:
    """How many leftovers of killed runs are gone: half-written files, and what DuckDB spilled to the disk."""
    count = 0
    for path in sorted(state.rglob("*"), reverse=True):
        if path.is_dir() and (path.suffix in (".tmp", ".old") or path == state / "tmp"):
            count += sum(inner.is_file() for inner in path.rglob("*"))
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file() and (".tmp" in path.suffixes or path.suffix == ".wal"):
            path.unlink(missing_ok=True)
            count += 1
    return count


def _origins(workspace: Workspace, traces: Sequence[Trace], *, resumed: bool) -> dict[tuple[str, str], int]:
    """Rows of the wanted ids in each file or table of a source; of a resumed erasure all rows that were ever left out."""
    rows = {trace.place: trace.rows for trace in traces}
    found: dict[tuple[str, str], int] = {}
    for entry in read_manifest(workspace.state):
        for part in entry.parts:
            count = rows.get(part.file, 0) + rows.get(part.rejects_file, 0) + (part.erased if resumed else 0)
            if count:
                found[entry.source, part.origin] = count
    return found


def _recount(workspace: Workspace) -> None:
    """Count the manifest anew from the files that it names.

    The counts come from the files and not from what this run removed, so that a run after a killed one gets them right, too.
    """
    state = workspace.state
    entries = []
    with duckdb.connect() as connection:
        for entry in read_manifest(state):
            parts = tuple(_counted(connection, state, part, timed=entry.first_time is not None) for part in entry.parts)
            rows = sum(part.rows - part.repeated for part in parts)
            if entry.history:
                file = text_of(str(state / entry.history))
                rows = int(connection.execute(f"SELECT count(*) FROM read_parquet({file})").fetchall()[0][0])
            spans = [_span(connection, state, part) for part in parts] if entry.first_time is not None else []
            entries.append(
                replace(
                    entry,
                    parts=parts,
                    rows=rows,
                    duplicates=sum(part.duplicates + part.rows for part in parts) - rows,
                    rejected=sum(part.rejected for part in parts),
                    first_time=min((first for first, _ in spans if first), default=None),
                    last_time=max((last for _, last in spans if last), default=None),
                )
            )
    if entries:
        write_manifest(state, entries)


def _counted(connection: duckdb.DuckDBPyConnection, state: Path, part: Part, *, timed: bool) -> Part:
    def count(file: str, where: str = "") -> int:
        query = f"SELECT count(*) FROM read_parquet({text_of(str(state / file))}){where}"
        return int(connection.execute(query).fetchall()[0][0])

    rows = count(part.file)
    rejected = count(part.rejects_file, " WHERE reason NOT LIKE 'erased: %'")
    repeated = rows - count(part.trimmed) if part.trimmed else part.repeated
    erased = part.erased + (part.rows - rows) + (part.rejected - rejected)
    span = _span(connection, state, replace(part, trimmed=None)) if timed else (part.first_time, part.last_time)
    return replace(
        part, rows=rows, rejected=rejected, repeated=repeated, erased=erased, first_time=span[0], last_time=span[1]
    )


def _span(connection: duckdb.DuckDBPyConnection, state: Path, part: Part) -> tuple[str | None, str | None]:
    file = text_of(str(state / part.in_use))
    first, last = connection.execute(f"SELECT min(time), max(time) FROM read_parquet({file})").fetchall()[0]
    return (first.isoformat() if first else None, last.isoformat() if last else None)


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    put(temporary, path)
