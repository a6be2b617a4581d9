"""Rows of an audience as a file for a channel, with the manifest that proves it.

Who is exported is SQL that gives `user_id`; what is written is the matter of the kinds in `formats`. The same snapshot, users, columns
and options give the same bytes. The file appears under its name only when it is complete, after its manifest. Imports floor 1,
audience, segment, and the formats and manifest beside it.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from limner_profile.catalog import Catalog
from limner_profile.disk import fsync
from limner_profile.errors import Issue, RefusedError, unknown_name
from limner_profile.snapshots import Snapshot
from limner_profile.sql_text import quoted
from limner_segments.audience import require_tags
from limner_segments.exports.formats import file_format
from limner_segments.exports.formats.base import Given, Options, Prepared
from limner_segments.exports.manifest import Manifest, digest_of, manifest_path
from limner_segments.segment import NamedSegment

# What exports that are killed leave behind, with the process that wrote it.
_LEFTOVER = re.compile(r"\..+\.(?:csv|jsonl|parquet)(?:\.manifest\.json)?\.(\d+)\.tmp(?:\.spill)?")


@dataclass(frozen=True)
class About:
    """What the manifest says beside the file itself: who exports and when (UTC), the hold-out, and who was kept out why."""

    who: str
    when: datetime
    holdout_share: float = 0.0
    holdout_salt: str | None = None
    excluded: Mapping[str, int] = field(default_factory=dict)


def write_rows(
    snapshot: Snapshot,
    recipients_sql: str,
    columns: Mapping[str, str],
    kind: str,
    target: Path,
    *,
    named: NamedSegment,
    catalog: Catalog,
    about: About,
    min_size: int,
    options: Options | None = None,
    overwrite: bool = False,
    connection: duckdb.DuckDBPyConnection | None = None,
    on_ready: Callable[[Manifest], None] = lambda manifest: None,
) -> Manifest:
    """The manifest of the file written: a row for each `user_id` of `recipients_sql`, in their order, UTF-8.

    `columns` is the column or field of the platform to the tag that fills it; `kind` one of `formats.FORMATS`. The SQL runs on
    `connection`, by default a cursor of the snapshot; its users who are not in the snapshot have no values. `on_ready` gets the
    manifest when all is written and nothing has its name yet. Raises RefusedError for fewer than `min_size` users or usable rows,
    a file that exists or a place that cannot be written to, UnknownNameError for a tag, a field of the platform or a kind.
    """
    chosen, options = file_format(kind), options or Options()
    for tag in columns.values():
        if tag not in catalog:
            raise unknown_name("tag", tag, catalog.tags)
    issues = chosen.issues(columns, options)
    if issues:
        raise RefusedError(issues)
    require_tags(snapshot, dict.fromkeys(columns.values()))
    check_free(target, overwrite=overwrite)
    types = snapshot.columns("profiles")
    zone = ZoneInfo(str(snapshot.value("SELECT timezone FROM snapshot")))
    given = Given(
        columns, {column: types[tag] for column, tag in columns.items()}, snapshot.as_of.astimezone(zone).date(), zone
    )
    with _writing(target) as (temporary, spill), _bench(spill) as bench:
        with contextlib.ExitStack() as stack:
            source = connection or stack.enter_context(snapshot.connection.cursor())
            selected = ", ".join(
                ["user_id", *(f"{quoted(tag)} AS {quoted(column)}" for column, tag in columns.items())]
            )
            query = f"SELECT {selected} FROM (SELECT DISTINCT user_id FROM ({recipients_sql})) LEFT JOIN profiles USING (user_id)"
            bench.register("arriving", source.sql(query).to_arrow_reader(100_000))
            bench.execute("CREATE TEMP TABLE given AS SELECT * FROM arriving")
            bench.unregister("arriving")
        (size,) = bench.execute("SELECT count(*) FROM given").fetchall()[0]
        if size < min_size:
            raise _too_small(named, f"the audience has {size} users, fewer than {min_size}", "widen the segment")
        prepared = chosen.prepare(bench, given, options)
        rows = prepared.users - prepared.left_out
        if rows < min_size:
            message = f"only {rows} of {size} users can be matched by what is mapped, fewer than {min_size}"
            raise _too_small(named, message, f"see what was rejected ({_words(prepared)}), map other tags")
        chosen.write(bench, prepared, temporary)
        fsync(temporary)
        manifest = Manifest(
            file=target.name,
            sha256=digest_of(temporary),
            rows=rows,
            columns=prepared.header,
            kind=kind,
            tags=tuple(dict.fromkeys(columns.values())),
            segment=named.name,
            condition=named.segment.where.to_text(),
            definition_hash=named.definition_hash,
            snapshot=snapshot.id,
            as_of=snapshot.as_of_text,
            users=prepared.users,
            left_out=prepared.left_out,
            missing=dict(prepared.missing),
            rejected={name: dict(reasons) for name, reasons in prepared.rejected.items()},
            excluded=dict(about.excluded),
            hashing=prepared.hashing,
            region=options.region,
            safe_cells=options.safe_cells,
            holdout_share=about.holdout_share,
            holdout_salt=about.holdout_salt,
            who=about.who,
            when=about.when.isoformat(timespec="seconds"),
        )
        on_ready(manifest)
        _publish(temporary, target, manifest)
    return manifest


def check_free(target: Path, *, overwrite: bool) -> None:
    """Raises RefusedError for a file that exists where it may not be replaced, and for a name that none can have."""
    try:
        there = target.exists()
    except (OSError, ValueError) as error:
        raise _unwritable(target, error) from error
    if there and not overwrite:
        raise RefusedError(
            Issue("file-exists", str(target), "the file exists already", "choose another --out, or add --overwrite")
        )


def _unwritable(target: Path, error: Exception) -> RefusedError:
    text = (getattr(error, "strerror", None) or str(error).splitlines()[0]).lower()
    if "no space left" in str(error).lower():
        text = "no space left on device"  # DuckDB wraps it
    message = f"the export cannot be written: {text}"
    return RefusedError(Issue("cannot-write", str(target), message, "choose another --out"))


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[tuple[Path, Path]]:
    """A file to write to and a folder for what does not fit into memory, both hidden beside the target, and gone in the end."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    spill = temporary.with_name(f"{temporary.name}.spill")
    try:
        if target.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        temporary.touch()  # DuckDB would say that it cannot be written to in words of its own
        yield temporary, spill
    except (OSError, duckdb.IOException) as error:
        raise _unwritable(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        shutil.rmtree(spill, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove what exports of this file left behind when they were killed: it holds people's data, and nobody else would."""
    manifest = manifest_path(target)
    for path in (manifest, target):
        for leftover in target.parent.glob(f".{glob.escape(path.name)}.*.tmp*"):
            number = leftover.name.removeprefix(f".{path.name}.").split(".")[0]
            if not number.isdigit() or _runs(int(number)):
                continue
            _remove(leftover)


def sweep_folder(folder: Path) -> None:
    """Remove what killed exports of any file left in a folder; for one in which nobody else exports at the moment."""
    for leftover in folder.glob(".*.tmp*") if folder.is_dir() else ():
        match = _LEFTOVER.fullmatch(leftover.name)
        if match and not _runs(int(match[1])):
            _remove(leftover)


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        leftover.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere signal 0 is no question
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def _bench(spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with the file access that a snapshot's connection does not have."""
    config: dict[str, Any] = {
        "threads": 2,
        "memory_limit": "2GB",
        "temp_directory": str(spill),
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config=config) as bench:
        yield bench


def _publish(temporary: Path, target: Path, manifest: Manifest) -> None:
    """The manifest first: whenever the process dies, no file stands beside a manifest that proves it unless it is complete."""
    path = manifest_path(target)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        fsync(draft)
        os.replace(draft, path)
        os.replace(temporary, target)
        fsync(target.parent)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _too_small(named: NamedSegment, message: str, hint: str) -> RefusedError:
    return RefusedError(Issue("audience-too-small", named.place, message, f"{hint}, or lower settings.min_export"))


def _words(prepared: Prepared) -> str:
    reasons = [
        f"{name}: {count} {reason}" for name, found in prepared.rejected.items() for reason, count in found.items()
    ]
    return ", ".join([*reasons, *(f"{name}: {count} missing" for name, count in prepared.missing.items())]) or "nothing"
