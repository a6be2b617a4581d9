"""The ledger of exports, `.limner/exports/`: what went where and when, and to whom. It grows, and is never edited.

An export is two files: `<id>.parquet` with the users, and `<id>.json` with the record, which is written last. Without its
record nothing counts, so a run that is killed leaves nothing counted. A record that is begun stands as `<id>.begun.json`:
for a file it is settled by looking whether the file is there, for a webhook by going on. Ids stand in the column `user_id`
of Parquet files only, where erasing finds them. Imports floor 1 and the manifest beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from filelock import FileLock, Timeout

from limner_profile.definitions import Definition
from limner_profile.disk import fsync, put, writing
from limner_profile.errors import BusyError, Issue, RefusedError, UnknownNameError, did_you_mean
from limner_profile.sql_text import text_of
from limner_segments.exports.manifest import Manifest, left_path, manifest_path

FOLDER = "exports"
# What a user is in an export: `sent` and `joined` are contacts, and with `kept` they are on the destination's list afterwards.
ROLES = ("sent", "joined", "kept", "left", "held_out")
CONTACTS = ("sent", "joined")
ON_LIST = ("sent", "joined", "kept")
_ID = re.compile(r"^(\d{8})-(\d{4,})\Z")
_BEGUN = ".begun.json"
_PASSING = (".rows.parquet", ".progress.json", ".lock")
_OPTIONS = "FORMAT parquet, COMPRESSION zstd"
_LOCKS: dict[Path, FileLock] = {}


class ExportRecord(Definition):
    """One export as the ledger has it. Counts only: the users stand in the Parquet file beside it."""

    id: str
    """The local day, and a number that grows with every export."""
    at: str
    """When it was asked for, in UTC."""
    delivered: str = ""
    """When the last batch of a webhook was accepted, in UTC: a frequency cap counts from then. Empty for a file."""
    who: str
    """Who asked for it."""
    destination: str = ""
    """The destination of limner.yaml; empty for a file that was named by hand."""
    format: str
    """csv, jsonl, parquet, google, meta or webhook."""
    target: str
    """The file, from the workspace's folder where it lies there; or the URL."""
    sha256: str = ""
    """The digest of the file; empty for a webhook."""
    segment: str
    """The segment; empty for a condition that has no name."""
    definition_hash: str
    """Twelve hex digits that change with the definition."""
    snapshot: str
    """The snapshot that the audience was taken from."""
    as_of: str
    """Its instant of knowledge."""
    mode: str = "full"
    """full, or changes."""
    since: str = ""
    """With changes: the export that they are counted from; empty for the first."""
    holdout_share: float = 0.0
    """The share that was held out."""
    holdout_salt: str | None = None
    """The salt that it was drawn by."""
    accounting: dict[str, int] = {}
    """How the audience came to the recipients."""
    batches: int = 0
    """How many batches a webhook takes."""
    finished: bool = True
    """Whether all of it was delivered: false only for a webhook that was given up."""

    @property
    def stream(self) -> tuple[str, str]:
        """Destination and segment: what changes are counted within. A condition without a name stands for itself."""
        return self.destination, self.segment or f"where {self.definition_hash}"


@dataclass(frozen=True)
class Begun:
    """An export that is begun and not yet counted."""

    record: ExportRecord
    done: int
    """How many batches of a webhook were accepted."""


class Ledger:
    """The ledger of one workspace, in `<state>/exports`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / FOLDER

    @contextmanager
    def lock(self, wait: float = 0) -> Iterator[None]:
        """Hold the ledger's lock, waiting so many seconds for it; raises BusyError when another process holds it.

        Holding it twice in one process is allowed.
        """
        with self._held("lock", wait):
            yield

    @contextmanager
    def run_lock(self, id_: str) -> Iterator[None]:
        """Hold the lock of a webhook's run, so that nobody else sends its batches; raises BusyError."""
        with self._held(f"{id_}.lock", 0):
            yield

    @contextmanager
    def _held(self, name: str, wait: float) -> Iterator[None]:
        with writing(self.state):
            self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder.resolve() / name
        lock = _LOCKS.setdefault(path, FileLock(path))
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            hint = "wait until it ends, then try again"
            raise BusyError(Issue("exports-busy", str(path), "another export is under way", hint)) from None
        try:
            yield
        finally:
            lock.release()

    def exports(self) -> list[ExportRecord]:
        """The exports that count, oldest first."""
        return [_read(self._path(id_)) for id_ in self._ids(".json")]

    def begun(self) -> list[Begun]:
        """The exports that are begun and not counted, oldest first."""
        found = []
        for id_ in self._ids(_BEGUN):
            path = self._path(id_, _BEGUN)
            try:
                found.append(Begun(_read(path), self.done(id_)))
            except RefusedError:
                if path.exists():
                    raise  # and otherwise it was counted or forgotten meanwhile: not every reader holds the lock
        return found

    def find(self, id_: str) -> ExportRecord:
        """The counted export of an id; raises UnknownNameError."""
        known = self._ids(".json")
        if id_ not in known:
            hint = did_you_mean(id_, known, f"the last: {', '.join(known[-4:])}" if known else "there is none yet")
            raise UnknownNameError(Issue("unknown-export", "", f"unknown export {id_!r}", hint))
        return _read(self._path(id_))

    def last(self, stream: tuple[str, str]) -> ExportRecord | None:
        """The newest counted export of a destination and segment."""
        return next((record for record in reversed(self.exports()) if record.stream == stream), None)

    def next_id(self, when: datetime, timezone: ZoneInfo) -> str:
        """The id of the next export: the local day, and the number after the largest one that stands here."""
        numbers = [int(match[2]) for path in self._files() if (match := _ID.match(path.name.split(".")[0]))]
        return f"{when.astimezone(timezone):%Y%m%d}-{max(numbers, default=0) + 1:04d}"

    def begin(self, record: ExportRecord, users: Any, rows: Any = None) -> None:
        """Write an export down that is about to happen: its `users` (Arrow: user_id, role, batch), and a webhook's `rows`.

        Nothing counts before `commit`. The caller holds the lock.
        """
        with writing(self.state):
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_table(self._path(record.id, ".parquet"), users)
            if rows is not None:
                _write_table(self._path(record.id, ".rows.parquet"), rows)
            _write_text(self._path(record.id, _BEGUN), record.model_dump_json(indent=1))

    def commit(self, id_: str, **changes: Any) -> ExportRecord:
        """The record of an export that has happened, which counts from now on; `changes` are fields that are known only now."""
        record = _read(self._path(id_, _BEGUN))
        if changes:
            record = record.model_copy(update=changes)
            with writing(self.state):
                _write_text(self._path(id_, _BEGUN), record.model_dump_json(indent=1))
        os.replace(self._path(id_, _BEGUN), self._path(id_))
        fsync(self.folder)
        self._clear(id_)
        return record

    def _clear(self, id_: str) -> None:
        """Remove what only an export under way needs: the rows of a webhook hold people's tags."""
        for ending in _PASSING:
            self._path(id_, ending).unlink(missing_ok=True)

    def drop(self, id_: str) -> None:
        """Forget an export that has not happened."""
        for ending in (_BEGUN, ".parquet", *_PASSING):
            self._path(id_, ending).unlink(missing_ok=True)

    def withdraw(self, id_: str, ids: Collection[str]) -> int:
        """How many users are taken out of the batches of a webhook's run that are not accepted yet, since a list names them now.

        Who leaves is still told to the receiver. Nothing is written where nobody is concerned. The caller holds the lock.
        """
        import pyarrow as pa

        done = self.done(id_)
        file, rows = self._path(id_, ".parquet"), self._path(id_, ".rows.parquet")
        with duckdb.connect() as connection:
            connection.register("named", pa.table({"user_id": pa.array(sorted(ids), pa.string())}))
            gone = (
                f"SELECT user_id FROM {_scan([file])} WHERE batch >= {done} AND role IN ({_listed(CONTACTS)}) "
                "AND user_id IN (SELECT user_id FROM named)"
            )
            connection.execute(f"CREATE TABLE gone AS {gone}")
            count = int(connection.execute("SELECT count(*) FROM gone").fetchall()[0][0])
            kept = [
                connection.sql(
                    f"SELECT * FROM {_scan([path])} WHERE user_id NOT IN (SELECT user_id FROM gone)"
                ).to_arrow_table()
                for path in (rows, file)
            ]
        if count:
            record = _read(self._path(id_, _BEGUN))
            moved = {"suppressed": count, "recipients": -count}
            accounting = {name: number + moved.get(name, 0) for name, number in record.accounting.items()}
            with writing(self.state):
                _write_table(rows, kept[0])
                _write_table(file, kept[1])
                text = record.model_copy(update={"accounting": accounting}).model_dump_json(indent=1)
                _write_text(self._path(id_, _BEGUN), text)
        return count

    def abandon(self, id_: str) -> ExportRecord:
        """The record of a webhook's run that is given up: only what was accepted counts. The caller holds the lock.

        Who had not been reached is no contact; who should have left is still on the destination's list.
        """
        done = self.done(id_)
        file = self._path(id_, ".parquet")
        role = f"CASE WHEN batch < {done} OR batch IS NULL THEN role WHEN role = 'left' THEN 'kept' END"
        with duckdb.connect() as connection:
            query = f"SELECT * FROM (SELECT user_id, {role} AS role, batch FROM {_scan([file])}) WHERE role IS NOT NULL"
            table = connection.sql(query).to_arrow_table()
        with writing(self.state):
            _write_table(file, table)
        return self.commit(id_, finished=False)

    def settle(self) -> None:
        """Decide on exports to files that were killed: those whose file is there count, the others are forgotten.

        Users that have no record are removed, too. The caller holds the lock.
        """
        for begun in self.begun():
            record = begun.record
            if record.format == "webhook":
                continue
            if record.sha256 and _digest(self.state.parent / record.target) == record.sha256:
                self.commit(record.id)
            else:
                self._take_back(record)
                self.drop(record.id)
        counted = set(self._ids(".json"))
        known = {*counted, *self._ids(_BEGUN)}
        for path in self._files():
            match = _ID.match(path.name.split(".")[0])
            # What only a run under way needs is left of one that was killed just after it counted.
            passing = match is not None and match[0] in counted and path.name.endswith(_PASSING)
            if match and (match[0] not in known or passing):
                path.unlink(missing_ok=True)

    def _take_back(self, record: ExportRecord) -> None:
        """Remove the file of those who left that an export to a file wrote before it was killed: it was never counted."""
        left = left_path(self.state.parent / record.target)
        proof = manifest_path(left)
        try:
            manifest = Manifest.model_validate_json(proof.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if (manifest.when, manifest.segment, manifest.snapshot) == (record.at, record.segment, record.snapshot):
            left.unlink(missing_ok=True)
            proof.unlink(missing_ok=True)

    def done(self, id_: str) -> int:
        """How many batches of a webhook's run were accepted."""
        try:
            return int(json.loads(self._path(id_, ".progress.json").read_text(encoding="utf-8"))["done"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def advance(self, id_: str, done: int) -> None:
        """Write down how many batches of a webhook's run were accepted."""
        with writing(self.state):
            _write_text(self._path(id_, ".progress.json"), json.dumps({"done": done}))

    def rows(self, id_: str, batch: int) -> list[str]:
        """The rows of a batch of a webhook's run as JSON texts, in user order. Read anew for each batch: erasing may come between."""
        query = f"SELECT row FROM {_scan([self._path(id_, '.rows.parquet')])} WHERE batch = ? ORDER BY user_id"
        with duckdb.connect() as connection:
            return [str(row[0]) for row in connection.execute(query, [batch]).fetchall()]

    def users(self, id_: str, roles: Sequence[str] = ROLES) -> Any:
        """The users of an export in these roles, as Arrow: user_id, role; in user order."""
        query = f"SELECT user_id, role FROM {_scan([self._path(id_, '.parquet')])} WHERE role IN ({_listed(roles)}) ORDER BY user_id"
        with duckdb.connect() as connection:
            return connection.sql(query).to_arrow_table()

    def contacts(self, since: datetime) -> Any:
        """Each user contacted at or after an instant, as Arrow: user_id, contacts.

        An unfinished webhook counts, too: its accepted batches, and those that are not sent yet, since they will be.
        """
        parts = [
            f"SELECT user_id FROM {_scan([self._path(record.id, '.parquet')])} WHERE role IN ({_listed(CONTACTS)})"
            for record in self.exports()
            if datetime.fromisoformat(record.delivered or record.at) >= since
        ]
        parts += [
            f"SELECT user_id FROM {_scan([self._path(begun.record.id, '.parquet')])} "
            f"WHERE role IN ({_listed(CONTACTS)}) AND batch >= {0 if since <= datetime.fromisoformat(begun.record.at) else begun.done}"
            for begun in self.begun()
            if begun.record.format == "webhook"
        ]
        together = " UNION ALL ".join(parts) or "SELECT '' AS user_id WHERE false"
        with duckdb.connect() as connection:
            query = f"SELECT user_id, count(*) AS contacts FROM ({together}) GROUP BY user_id ORDER BY user_id"
            return connection.sql(query).to_arrow_table()

    def _path(self, id_: str, ending: str = ".json") -> Path:
        return self.folder / f"{id_}{ending}"

    def _files(self) -> list[Path]:
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []

    def _ids(self, ending: str) -> list[str]:
        """The ids of the records with this ending, by their numbers."""
        found = [path.name.removesuffix(ending) for path in self._files() if path.name.endswith(ending)]
        return sorted((id_ for id_ in found if _ID.match(id_)), key=lambda id_: int(id_.split("-")[1]))


def _read(path: Path) -> ExportRecord:
    try:
        return ExportRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        hint = "restore it from a backup: without it nobody knows whom this export reached"
        raise RefusedError(
            Issue("damaged-ledger", str(path), f"the record cannot be read: {str(error).splitlines()[0]}", hint)
        ) from None


def _scan(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(text_of(str(file)) for file in files)}])"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(text_of(word) for word in words)


def _write_table(path: Path, table: Any) -> None:
    """Write an Arrow table as Parquet that appears under its name only when it is complete."""
    temporary = path.with_name(f"{path.name}.tmp")
    with duckdb.connect() as connection:
        connection.register("given", table)
        connection.execute(f"COPY (SELECT * FROM given ORDER BY user_id) TO {text_of(str(temporary))} ({_OPTIONS})")
    put(temporary, path)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    put(temporary, path)


def _digest(path: Path) -> str:
    """The SHA-256 of a file, empty where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
