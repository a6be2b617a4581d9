"""The manifest of an export: what was written, from what, by whom, and the digest that proves the file."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

from limner_profile.definitions import Definition
from limner_profile.snapshots import Snapshot
from limner_segments.segment import NamedSegment


class Manifest(Definition):
    """What stands in `<file>.manifest.json`."""

    file: str
    sha256: str
    rows: int
    columns: tuple[str, ...]
    segment: str
    condition: str
    definition_hash: str
    snapshot: str
    as_of: str
    hashing: str = "none"
    holdout_share: float = 0.0
    holdout_salt: str | None = None
    who: str
    when: str


def manifest_path(file: Path) -> Path:
    """Where the manifest of an exported file stands."""
    return file.with_name(file.name + ".manifest.json")


def read_manifests(folder: Path) -> list[Manifest]:
    """The manifests in a folder, in name order; those that cannot be read are passed over."""
    found = []
    for path in sorted(folder.glob("*.manifest.json")):
        try:
            found.append(Manifest.model_validate_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return found


def write_manifest(
    content: Path,
    target: Path,
    named: NamedSegment,
    snapshot: Snapshot,
    rows: int,
    columns: list[str],
    who: str,
    when: datetime,
) -> Manifest:
    """The manifest written beside `target` for the bytes of `content`, which is about to be renamed to it."""
    with content.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = Manifest(
        file=target.name,
        sha256=digest,
        rows=rows,
        columns=tuple(columns),
        segment=named.name,
        condition=named.segment.where.to_text(),
        definition_hash=named.definition_hash,
        snapshot=snapshot.id,
        as_of=snapshot.as_of_text,
        who=who,
        when=when.isoformat(timespec="seconds"),
    )
    path = manifest_path(target)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return manifest
