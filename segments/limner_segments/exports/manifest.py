"""The manifest of an export: what was written, from what, by whom, and the digest that proves the file. Imports floor 1."""

from __future__ import annotations

import hashlib
from pathlib import Path

from limner_profile.definitions import Definition


class Manifest(Definition):
    """What stands in `<file>.manifest.json`."""

    file: str
    """The name of the file."""
    sha256: str
    """The SHA-256 of its bytes."""
    rows: int
    """How many rows it has, without a header line."""
    columns: tuple[str, ...]
    """Its columns."""
    kind: str = "csv"
    """The kind of export: csv, jsonl, parquet, google or meta."""
    tags: tuple[str, ...] = ()
    """The tags that it was made from."""
    segment: str
    """The segment; empty where a condition was given instead."""
    condition: str
    """The condition as text."""
    definition_hash: str
    """Twelve hex digits that change with the segment's definition."""
    snapshot: str
    """The snapshot."""
    as_of: str
    """The snapshot's instant of knowledge, exclusive."""
    users: int | None = None
    """How many users were to be exported; more than rows where some could not be matched."""
    left_out: int = 0
    """Users without anything that the platform could match them by."""
    missing: dict[str, int] = {}
    """Users without a value, by field."""
    rejected: dict[str, dict[str, int]] = {}
    """Values that could not be used, by field and reason; their cells are empty."""
    excluded: dict[str, int] = {}
    """Users of the audience who were not to be exported, by reason."""
    hashing: str = "none"
    """none; sha256: hashed by Limner; as-given: passed on as hashed by somebody else."""
    region: str | None = None
    """The country in which phone numbers without a country code were read."""
    safe_cells: bool = False
    """Whether texts that begin like a formula got an apostrophe."""
    holdout_share: float = 0.0
    """The share of the audience that was held out on purpose."""
    holdout_salt: str | None = None
    """The salt id of the hold-out's draw."""
    who: str
    """Who exported."""
    when: str
    """When, in UTC."""


def left_path(path: Path) -> Path:
    """The file of those who left, beside the file of those who joined.

    >>> left_path(Path("exports/vips.csv")).as_posix()
    'exports/vips.left.csv'
    """
    return path.with_name(f"{path.stem}.left{path.suffix}")


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


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
