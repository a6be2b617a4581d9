"""Export kind CSV: one row a user with the chosen tags, and a manifest beside the file.

The same snapshot, segment and columns give the same bytes: unknown is empty, booleans are true and false, times are
ISO 8601 in UTC. Values are data and written as they are; a text that begins with `=` is not defused for spreadsheets,
since a channel matches users by the exact value. The file appears under its name only when it is complete. Imports
floor 1, audience, segment and the manifest beside it.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from limner_profile.catalog import Catalog
from limner_profile.errors import Issue, RefusedError, unknown_name
from limner_profile.snapshots import Snapshot
from limner_segments.audience import condition_sql, measure_audience, prepare, require_tags
from limner_segments.exports.manifest import Manifest, write_manifest
from limner_segments.segment import NamedSegment


def export_csv(
    snapshot: Snapshot,
    named: NamedSegment,
    catalog: Catalog,
    target: Path,
    columns: Sequence[str],
    *,
    min_size: int,
    who: str,
    when: datetime,
    overwrite: bool = False,
) -> Manifest:
    """The manifest of the file written: `user_id` and `columns` of everyone in the audience, in user order, UTF-8.

    Raises RefusedError for an audience smaller than `min_size`, a file that exists or a place that cannot be written to,
    UnknownNameError for a column.
    """
    columns = list(dict.fromkeys(columns))
    for column in columns:
        if column not in catalog:
            raise unknown_name("tag", column, catalog.tags)
    size = measure_audience(snapshot, named.condition).size
    if size < min_size:
        raise RefusedError(
            Issue(
                "audience-too-small",
                named.place,
                f"the audience has {size} users, fewer than {min_size}",
                "widen the segment, or lower settings.min_export",
            )
        )
    if target.exists() and not overwrite:
        raise RefusedError(
            Issue("file-exists", str(target), "the file exists already", "choose another --out, or add --overwrite")
        )
    require_tags(snapshot, columns)
    selected = ", ".join(["user_id", *(f'"{column}"' for column in columns)])
    condition = condition_sql(named.condition, prepare(snapshot.connection, named.condition)).sql(dialect="duckdb")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    rows = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", newline="") as file, snapshot.connection.cursor() as cursor:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["user_id", *columns])
            cursor.execute(f"SELECT {selected} FROM profiles WHERE {condition} ORDER BY user_id")
            while batch := cursor.fetchmany(10_000):
                writer.writerows([[_cell(value) for value in row] for row in batch])
                rows += len(batch)
            file.flush()
            os.fsync(file.fileno())
        manifest = write_manifest(temporary, target, named, snapshot, rows, ["user_id", *columns], who, when)
        os.replace(temporary, target)
    except OSError as error:
        raise RefusedError(
            Issue(
                "cannot-write",
                str(target),
                f"the export cannot be written: {(error.strerror or str(error)).lower()}",
                "choose another --out",
            )
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return manifest


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else value
