"""Proof of an exported file against its manifest: its bytes, rows and columns. Imports the formats and the manifest beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from limner_profile.errors import Issue, RefusedError
from limner_segments.exports.formats import FORMATS, file_format
from limner_segments.exports.manifest import Manifest, digest_of, manifest_path


@dataclass(frozen=True)
class Verified:
    """A file that is what its manifest says."""

    path: Path
    manifest: Manifest


def verify_file(path: Path) -> Verified:
    """The file with its manifest, where both agree.

    Raises RefusedError with every difference: `no-file`, `no-manifest`, `damaged-manifest`, `other-name`, `other-content`,
    `unreadable-export`, `other-rows`, `other-columns`.
    """
    place = manifest_path(path)
    if not path.is_file():
        hint = (
            "its manifest stands alone: the export did not finish; run it again"
            if place.exists()
            else "name an exported file"
        )
        raise RefusedError(Issue("no-file", str(path), "there is no such file", hint))
    if not place.exists():
        raise RefusedError(
            Issue(
                "no-manifest",
                str(path),
                f"there is no {place.name} beside it",
                "without it nothing is proven; export again",
            )
        )
    try:
        manifest = Manifest.model_validate_json(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise RefusedError(
            Issue("damaged-manifest", str(place), f"the manifest cannot be read: {first}", "export again")
        ) from None
    issues = []
    if manifest.file != path.name:
        message = f"the manifest is of a file called {manifest.file!r}"
        issues.append(Issue("other-name", str(path), message, "give the file its name back"))
    if digest_of(path) != manifest.sha256:
        message = "the content is not what was exported: its SHA-256 differs from the manifest's"
        issues.append(Issue("other-content", str(path), message, "the file was changed or is not whole; export again"))
    issues += _differences(path, manifest)
    if issues:
        raise RefusedError(issues)
    return Verified(path, manifest)


def _differences(path: Path, manifest: Manifest) -> list[Issue]:
    if manifest.kind not in FORMATS.words():
        known = f"known: {', '.join(FORMATS.words())}"
        return [Issue("damaged-manifest", str(manifest_path(path)), f"unknown kind of export {manifest.kind!r}", known)]
    try:
        contents = file_format(manifest.kind).read(path)
    except (OSError, ValueError, duckdb.Error) as error:
        message = f"it cannot be read as {manifest.kind}: {str(error).splitlines()[0]}"
        return [Issue("unreadable-export", str(path), message, "export again")]
    issues = []
    if contents.rows != manifest.rows:
        message = f"it has {contents.rows:,} rows, the manifest says {manifest.rows:,}"
        issues.append(Issue("other-rows", str(path), message, "export again"))
    # A file without rows and header has no columns to compare: JSON lines name them in each row.
    if contents.header != manifest.columns and (contents.header or contents.rows or manifest.rows):
        message = f"its columns are {', '.join(contents.header)}; the manifest says {', '.join(manifest.columns)}"
        issues.append(Issue("other-columns", str(path), message, "export again"))
    return issues
