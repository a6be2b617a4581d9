"""Export kind CSV: one row a user with the chosen tags, and a manifest beside the file.

The same snapshot, segment and columns give the same bytes. The file appears under its name only when it is
complete. Imports floor 1, audience, segment and the manifest beside it.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from limner_profile.catalog import Catalog
from limner_profile.errors import Issue, RefusedError, unknown_name
from limner_profile.snapshots import Snapshot
from limner_segments.audience import condition_sql, measure_audience
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

    Raises RefusedError for an audience smaller than `min_size` or a file that exists, UnknownNameError for a column.
    """
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
    target.parent.mkdir(parents=True, exist_ok=True)
    selected = ", ".join(["user_id", *(f'"{column}"' for column in columns)])
    condition = condition_sql(named.condition).sql(dialect="duckdb")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    rows = 0
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file, snapshot.connection.cursor() as cursor:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["user_id", *columns])
            cursor.execute(f"SELECT {selected} FROM profiles WHERE {condition} ORDER BY user_id")
            while batch := cursor.fetchmany(10_000):
                writer.writerows([["" if value is None else value for value in row] for row in batch])
                rows += len(batch)
            file.flush()
            os.fsync(file.fileno())
        manifest = write_manifest(temporary, target, named, snapshot, rows, ["user_id", *columns], who, when)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest
