"""The snapshot store: immutable DuckDB files, published by rename, and the pointer CURRENT to the newest.

A snapshot is written as `<id>.duckdb.tmp`, closed, fsynced, verified by opening, renamed; then CURRENT is
replaced. A published file is never opened for writing: adding to a snapshot means publishing a changed copy.
Imports disk, errors and schema; knows nothing of what the tables mean.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from filelock import FileLock, Timeout

from limner_profile.disk import fsync, writing
from limner_profile.errors import BusyError, InternalError, Issue, RefusedError, UnknownNameError, unknown_name
from limner_profile.readers import connect_reader
from limner_profile.schema import table, together

_ID = re.compile(r"^\d{8}-\d{4,}$")
_MOVES = "moves.jsonl"


SNAPSHOT_TABLE = table(
    "snapshot",
    "The snapshot itself, in one row.",
    [
        ("id", "VARCHAR", "The local day of as_of, and a number that grows with every build"),
        ("as_of", "TIMESTAMP", "The instant of knowledge, exclusive, in UTC"),
        ("timezone", "VARCHAR", "The time zone in which days begin"),
        ("created_at", "TIMESTAMP", "When the build began, in UTC"),
        ("parent", "VARCHAR", "The snapshot that was current before, if any"),
    ],
)
RUNS_TABLE = table(
    "runs",
    "The steps of the builds that made this snapshot, in order.",
    [
        ("snapshot", "VARCHAR", "The snapshot that the step wrote"),
        ("step", "VARCHAR", "profiles, statistics, scores, reasons, insights or audiences"),
        ("started_at", "TIMESTAMP", "When the step began, in UTC"),
        ("seconds", "DOUBLE", "How long it took"),
        ("rows", "BIGINT", "How many rows it gave"),
        ("detail", "VARCHAR", "On what it ran"),
    ],
)


EVENT_FILES_TABLE = table(
    "event_files",
    "The ingested files that the view events reads.",
    [("file", "VARCHAR", "The file, relative to .limner")],
)


@dataclass(frozen=True)
class Snapshot:
    """A published snapshot, opened for reading. Threads may share it: every query takes its own cursor."""

    id: str
    path: Path
    connection: duckdb.DuckDBPyConnection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query of ours as dictionaries."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, list(parameters))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The single value of a query of ours, None where it has no row."""
        with self.connection.cursor() as cursor:
            row = cursor.execute(sql, list(parameters)).fetchall()
        return row[0][0] if row else None

    def frame(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The result of a query of ours as a pandas DataFrame."""
        with self.connection.cursor() as cursor:
            return cursor.execute(sql, list(parameters)).df()

    @property
    def as_of(self) -> datetime:
        """The instant of knowledge, in UTC."""
        return datetime.fromisoformat(str(self.value("SELECT as_of FROM snapshot"))).replace(tzinfo=UTC)

    @property
    def as_of_text(self) -> str:
        """`as_of` in the workspace's time zone, as a date where it is a midnight."""
        zone = ZoneInfo(str(self.value("SELECT timezone FROM snapshot")))
        local = self.as_of.astimezone(zone)
        return local.date().isoformat() if (local.hour, local.minute, local.second) == (0, 0, 0) else local.isoformat()

    def columns(self, table: str) -> dict[str, str]:
        """Column name to DuckDB type of a table, in order."""
        found = self.rows(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
        )
        return {row["column_name"]: row["data_type"] for row in found}

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class SnapshotWriter:
    """A snapshot being written: its connection, and the runs recorded on the way."""

    id: str
    as_of: datetime
    connection: duckdb.DuckDBPyConnection

    @contextmanager
    def run(self, step: str, detail: str = "") -> Iterator[RunCount]:
        """Time a step; what it sets as `rows` goes into the table `runs`."""
        started, clock = datetime.now(UTC), time.perf_counter()
        count = RunCount(detail=detail)
        yield count
        seconds = time.perf_counter() - clock
        self.connection.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)",
            [self.id, step, started.replace(tzinfo=None), round(seconds, 3), count.rows, count.detail],
        )


@dataclass
class RunCount:
    """How many rows a step gave, and on what it ran."""

    rows: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Move:
    """One move of CURRENT: when (UTC), by what (publish or rollback), from which snapshot to which."""

    at: str
    action: str
    before: str | None
    after: str


class SnapshotStore:
    """The snapshots of one workspace, in `<state>/snapshots`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "snapshots"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace's lock; raises BusyError when another process holds it.

        The operating system frees the lock of a process that dies. Holding it twice in one process is allowed.
        """
        lock = _LOCKS.setdefault(self.state.resolve(), FileLock(self.state / "lock"))
        try:
            with writing(self.state):
                self.state.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(
                Issue(
                    "workspace-busy",
                    str(self.state / "lock"),
                    "another process is writing to this workspace",
                    "wait until it ends, then try again",
                )
            ) from None
        try:
            yield
        finally:
            lock.release()

    def ids(self) -> list[str]:
        """The ids of the published snapshots, oldest first."""
        if not self.folder.is_dir():
            return []
        names = [path.stem for path in self.folder.glob("*.duckdb") if _ID.match(path.stem)]
        return sorted(names, key=lambda name: int(name[9:]))

    def _not_kept(self, snapshot_id: str) -> UnknownNameError:
        """The error for a snapshot that is not kept: it lists those that are, since all ids look alike."""
        ids = self.ids()
        listed = f"kept: {'…, ' if len(ids) > 8 else ''}{', '.join(ids[-8:])}" if ids else "there is no snapshot yet"
        return UnknownNameError(Issue("unknown-snapshot", "", f"unknown snapshot {snapshot_id!r}", listed))

    def current_event_files(self) -> set[str]:
        """The ingested files that the current snapshot's view `events` reads, relative to .limner."""
        current = self.current_id()
        if current is None or current not in self.ids():
            return set()
        try:
            with self.open(current) as snapshot:
                return {row["file"] for row in snapshot.rows("SELECT file FROM event_files")}
        except duckdb.Error:
            return set()  # an older snapshot, or a damaged one

    def current_id(self) -> str | None:
        """The id that CURRENT names, or None before the first build."""
        pointer = self.folder / "CURRENT"
        if not pointer.exists():
            return None
        return pointer.read_text(encoding="utf-8").strip() or None

    def open(self, snapshot_id: str | None = None) -> Snapshot:
        """A snapshot for reading, the current one by default; raises UnknownNameError where there is none."""
        chosen = snapshot_id or self.current_id()
        if chosen is None:
            raise UnknownNameError(Issue("no-snapshot", "", "there is no snapshot yet", "run 'limner build' first"))
        path = self.folder / f"{chosen}.duckdb"
        if not path.exists():
            raise self._not_kept(chosen)
        return Snapshot(chosen, path, connect_reader(path))

    @contextmanager
    def create(
        self, as_of: datetime, timezone: ZoneInfo, keep: int, *, derive: bool = False
    ) -> Iterator[SnapshotWriter]:
        """Write a snapshot, empty or (with `derive`) a copy of the current one, and publish it when the block ends well.

        An exception inside the block leaves the current snapshot as it was. The caller holds no connection to the
        file afterwards.
        """
        with self.lock(), writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for stale in self.folder.glob("*.tmp*"):
                # A directory of such a name is where DuckDB lets a large query of a reader spill: that is not ours.
                if stale.is_file():
                    stale.unlink()
            sequence = max((int(name[9:]) for name in self.ids()), default=0) + 1
            snapshot_id = f"{as_of.astimezone(timezone):%Y%m%d}-{sequence:04d}"
            path, temporary = self.folder / f"{snapshot_id}.duckdb", self.folder / f"{snapshot_id}.duckdb.tmp"
            parent = self.current_id()
            if derive and parent is None:
                raise UnknownNameError(Issue("no-snapshot", "", "there is no snapshot yet", "run 'limner build' first"))
            if derive and parent not in self.ids():
                raise unknown_name("snapshot", str(parent), self.ids(), "CURRENT")
            try:
                if derive:
                    shutil.copyfile(self.folder / f"{parent}.duckdb", temporary)
                with duckdb.connect(str(temporary)) as connection:
                    connection.execute("SET threads = 2")
                    connection.execute("SET temp_directory = ?", [str(self.state / "tmp")])
                    connection.execute("SET GLOBAL file_search_path = ?", [str(self.state.resolve())])
                    row = {
                        "id": snapshot_id,
                        "as_of": as_of.astimezone(UTC).replace(tzinfo=None),
                        "timezone": str(timezone),
                        "parent": parent,
                    }
                    with together(connection):
                        SNAPSHOT_TABLE.create(connection, replace=True)
                        now = datetime.now(UTC).replace(tzinfo=None)
                        SNAPSHOT_TABLE.insert(connection, [{**row, "created_at": now}])
                        RUNS_TABLE.create(connection)
                    yield SnapshotWriter(snapshot_id, as_of, connection)
                    connection.execute("CHECKPOINT")
                self._publish(temporary, path)
                with suppress(OSError):  # the snapshot stands, whether or not there is room left to say so
                    self._record("publish", parent, snapshot_id)
            except BaseException:
                for leftover in self.folder.glob(f"{snapshot_id}.duckdb.tmp*"):
                    leftover.unlink()
                raise
            self._prune(keep)

    def _publish(self, temporary: Path, path: Path) -> None:
        if temporary.with_name(temporary.name + ".wal").exists():
            raise InternalError(f"{temporary.name} was closed with a write-ahead log")
        fsync(temporary)
        with duckdb.connect(str(temporary), read_only=True) as check:
            check.execute("SELECT id, as_of FROM snapshot").fetchall()
        os.replace(temporary, path)
        self._point_at(path.stem)

    def _point_at(self, snapshot_id: str) -> None:
        """Let CURRENT name another snapshot: a reader sees the old name or the new one, never half of one."""
        pointer = self.folder / "CURRENT.tmp"
        pointer.write_text(snapshot_id + "\n", encoding="utf-8")
        fsync(pointer)
        os.replace(pointer, self.folder / "CURRENT")
        fsync(self.folder)

    def _record(self, action: str, before: str | None, after: str) -> Move:
        move = Move(datetime.now(UTC).isoformat(timespec="seconds"), action, before, after)
        with (self.state / _MOVES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(move)) + "\n")
        return move

    def moves(self) -> list[Move]:
        """Every time that CURRENT was moved, oldest first: by publishing, and by rolling back."""
        path = self.state / _MOVES
        if not path.exists():
            return []
        moves = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                moves.append(Move(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # the last line of a process that was killed
        return moves

    def rollback(self, snapshot_id: str | None = None) -> Move:
        """The record of moving CURRENT to a kept snapshot: the named one, else the one that was current before it.

        Nothing is deleted, so that rolling forward again is the same command. Raises UnknownNameError for an id that
        is not kept, RefusedError where there is nothing to go back to.
        """
        with self.lock(), writing(self.folder):
            current = self.current_id()
            target = snapshot_id or self.previous_id()
            if target is None:
                message = f"no snapshot before {current} is kept" if current else "there is no snapshot yet"
                raise RefusedError(Issue("no-earlier-snapshot", "", message, "see 'limner snapshots list'"))
            if target not in self.ids():
                raise self._not_kept(target)
            if target == current:
                raise RefusedError(
                    Issue("already-current", "", f"{target} is current already", "see 'limner snapshots list'")
                )
            try:
                self.open(target).close()
            except duckdb.Error as error:
                message = f"{target} cannot be opened: {str(error).splitlines()[0]}"
                raise RefusedError(Issue("damaged-snapshot", "", message, "name another snapshot")) from None
            self._point_at(target)
            return self._record("rollback", current, target)

    def previous_id(self, snapshot_id: str | None = None) -> str | None:
        """The kept snapshot before this one (the current one by default): its parent, else the newest older one."""
        chosen, kept = snapshot_id or self.current_id(), self.ids()
        if chosen is None:
            return None
        if chosen in kept:
            with self.open(chosen) as snapshot:
                parent = snapshot.value("SELECT parent FROM snapshot")
            if parent in kept:
                return str(parent)
        older = [name for name in kept if int(name[9:]) < int(chosen[9:])]
        return older[-1] if older else None

    def prune(self, keep: int, *, dry_run: bool = False) -> list[str]:
        """The ids removed (or with `dry_run` that would be), oldest first: all but the newest `keep` and the current one."""
        with self.lock(), writing(self.folder):
            return self._prune(keep, dry_run=dry_run)

    def _prune(self, keep: int, *, dry_run: bool = False) -> list[str]:
        current, kept = self.current_id(), self.ids()
        surplus = [name for name in kept[: max(len(kept) - keep, 0)] if name != current]
        if not dry_run:
            for name in surplus:
                (self.folder / f"{name}.duckdb").unlink(missing_ok=True)
        return surplus


_LOCKS: dict[Path, FileLock] = {}
