"""The manifest of the ingestion, `.limner/ingested.json`: which ingested files are in use, and what they were made from.

It is replaced as a whole at the end of a sync, so whoever reads it sees the old state or the new one. Imports nothing of Limner.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NAME = "ingested.json"


@dataclass(frozen=True)
class Part:
    """What one file of a source gave. Paths are relative to .limner/.

    `origin` is the file (relative to the workspace), or what was asked of a database. `file` holds the rows that are sound
    and differ from each other; `trimmed`, where there is one, holds them without the `repeated` rows that another part has,
    too. Beside each of the two, for events, stands a file of the same name in known/ with the users and since when they are
    known. `erased` rows were left out, since they are those of people who were erased. A part that is `kept` holds rows of
    attribute history whose files have changed or gone since. `contradictions` are as in Ingested.
    """

    origin: str
    fingerprint: str
    file: str
    rejects_file: str
    rows: int
    duplicates: int
    rejected: int
    first_time: str | None = None
    last_time: str | None = None
    trimmed: str | None = None
    repeated: int = 0
    erased: int = 0
    kept: bool = False
    contradictions: int = 0

    @property
    def in_use(self) -> str:
        """The file that readers read."""
        return self.trimmed or self.file

    @property
    def known_in_use(self) -> str | None:
        """The file that says since when each user of a part of events is known; None for a part of users."""
        return _known(self.in_use)

    @property
    def paths(self) -> frozenset[str]:
        """Every file of the part."""
        read = {self.file, self.in_use}
        return frozenset({self.rejects_file, *read, *(known for path in read if (known := _known(path)))})


@dataclass(frozen=True)
class Ingested:
    """What one source gave: its parts, rows kept, dropped as duplicates, and rejected.

    `columns` are the columns that its files had (name to DuckDB type), `types` what was made of those without a stated type;
    `mark` is the highest value of the cursor of a database, `at_mark` the digests of the rows that have it. Where the source keeps
    attribute history, `history` is the file of intervals that readers read instead of the parts, and `contradictions` counts the
    rows that differ from the one of the same user and updated_at that counts. `reused`, `read`, `gone` and `notes` tell of the
    sync that returned it, and are not kept.
    """

    source: str
    type: str
    digest: str
    parts: tuple[Part, ...]
    rows: int
    duplicates: int
    rejected: int
    first_time: str | None
    last_time: str | None
    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    mark: tuple[str, str] | None = None
    at_mark: tuple[str, ...] = ()
    history: str | None = None
    contradictions: int = 0
    reused: bool = False
    read: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The ingested files to read, relative to .limner/."""
        return (self.history,) if self.history else tuple(part.in_use for part in self.parts)

    @property
    def erased(self) -> int:
        """How many rows were left out as those of erased people."""
        return sum(part.erased for part in self.parts)

    @property
    def known_files(self) -> tuple[str, ...]:
        """The files that say since when each user is known, relative to .limner/; none for users."""
        return tuple(known for part in self.parts if (known := part.known_in_use))

    @property
    def rejects_files(self) -> tuple[str, ...]:
        """The files of rejected rows, relative to .limner/."""
        return tuple(part.rejects_file for part in self.parts)

    @property
    def paths(self) -> frozenset[str]:
        """Every file that belongs to the source, relative to .limner/."""
        return frozenset({*(path for part in self.parts for path in part.paths), *self.files})


def _known(path: str) -> str | None:
    return path.replace("events/", "known/", 1) if path.startswith("events/") else None


_OF_THE_SYNC = ("reused", "read", "gone", "notes")


def read_manifest(state: Path) -> list[Ingested]:
    """What the last ingestion gave; empty before the first, and where the manifest is damaged or of another version."""
    try:
        content = json.loads((state / NAME).read_text(encoding="utf-8"))
        return [_entry(entry) for entry in content]
    except (OSError, ValueError, TypeError, KeyError):
        return []  # everything is ingested anew


def _entry(entry: dict[str, Any]) -> Ingested:
    parts = tuple(Part(**part) for part in entry["parts"])
    mark = tuple(entry["mark"]) if entry["mark"] else None
    return Ingested(**{**entry, "parts": parts, "mark": mark, "at_mark": tuple(entry["at_mark"])})


def write_manifest(state: Path, entries: Iterable[Ingested]) -> None:
    """Replace the manifest."""
    kept = [{key: value for key, value in asdict(entry).items() if key not in _OF_THE_SYNC} for entry in entries]
    temporary = (state / NAME).with_suffix(".json.tmp")
    temporary.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, state / NAME)


def remembered(state: Path, source: str, digest: str) -> Ingested | None:
    """What is known of a source whose mapping has not changed since it was ingested."""
    return next((entry for entry in read_manifest(state) if entry.source == source and entry.digest == digest), None)
