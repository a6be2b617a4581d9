"""Erasing people from the front door: the workspace's lock, and what lies outside of Limner's reach. Imports the floors below."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from limner.steps import Progress
from limner_profile.catalog import read_catalog
from limner_profile.csv_dialect import csv_delimiter, csv_reader, is_csv
from limner_profile.erasure import Erasure, ErasurePlan, erase, plan_erasure
from limner_profile.erasure_scan import Wanted
from limner_profile.errors import Issue, RefusedError, UserError
from limner_profile.identity_exceptions import NAME as EXCEPTIONS
from limner_profile.snapshots import SnapshotStore
from limner_profile.sql_text import quoted
from limner_profile.tags.imported import Imported
from limner_profile.workspace import Workspace
from limner_segments.exports.ledger import Ledger
from limner_segments.exports.manifest import left_path, manifest_path


@dataclass(frozen=True)
class Outside:
    """What still names people and is not Limner's to change: sources with their rows, exports, files of values, definitions, lists.

    `platform_exports` are files of contact data without ids, in which nobody can be looked for.
    """

    sources: tuple[tuple[str, str, int], ...]
    exports: tuple[str, ...]
    values: tuple[str, ...]
    definitions: tuple[str, ...]
    platform_exports: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


def plan_only(workspace: Workspace, users: list[str], progress: Progress, *, everywhere: bool) -> ErasurePlan:
    """Whom an erasure would remove, and from where; nothing is written."""
    with progress.step("look through everything") as step:
        return plan_erasure(workspace, users, everywhere=everywhere, on_file=step.describe)


def erase_users(
    workspace: Workspace,
    users: list[str],
    agree: Callable[[ErasurePlan], bool],
    progress: Progress,
    *,
    everywhere: bool,
) -> tuple[ErasurePlan, Erasure | None, Outside]:
    """The plan, what was done (None where `agree` said no to the plan), and what names the people outside of `.limner`."""
    with SnapshotStore(workspace.state).lock(), Ledger(workspace.state).lock():
        plan = plan_only(workspace, users, progress, everywhere=everywhere)
        outside = find_outside(workspace, plan)
        if not agree(plan):
            return plan, None, outside
        with progress.step("erase, then scan") as step:
            return plan, erase(workspace, plan, step.describe), outside


def find_outside(workspace: Workspace, plan: ErasurePlan) -> Outside:
    """The sources, exports and text files of the workspace in which the people of a plan stand."""
    sources = tuple((source, origin, rows) for (source, origin), rows in sorted(plan.origins.items()))
    root = workspace.root
    exports = [path for path in _exports(workspace) if path.is_file() and manifest_path(path).exists()]
    holding = tuple(_shown(path, root) for path in exports if _exported(path, plan.wanted))
    texts = sorted(
        path for folder in ("", "tags/", "segments/", "scenarios/", "funnels/") for path in root.glob(f"{folder}*.y*ml")
    )
    naming = tuple(
        path.relative_to(root).as_posix() for path in texts if path.name != EXCEPTIONS and _names(path, plan.wanted)
    )
    nameless = tuple(_shown(path, root) for path in exports if _kind_of(path) in ("google", "meta"))
    lists = tuple(
        path.relative_to(root).as_posix() for path in sorted(root.glob("lists/**/*")) if _listed(path, plan.wanted)
    )
    return Outside(sources, holding, _in_values(workspace, plan.wanted), naming, nameless, lists)


def _listed(path: Path, wanted: Wanted) -> bool:
    """Whether a list of users, a text file or CSV, has a cell that is one of the ids."""
    if not path.is_file():
        return False
    ids = set(wanted.ids)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        if path.suffix.casefold() != ".csv":
            return any(line.strip() in ids for line in file)
        try:
            return any(cell.strip() in ids for row in csv.reader(file, delimiter=csv_delimiter(path)) for cell in row)
        except (csv.Error, UserError):  # what cannot be read as CSV is searched as what it is
            return _mentions(path, wanted)


def _mentions(path: Path, wanted: Wanted) -> bool:
    """Whether one of the ids stands anywhere in a file."""
    content = path.read_bytes()
    return any(id_.encode() in content for id_ in wanted.ids)


def _exports(workspace: Workspace) -> list[Path]:
    """The files below `exports/`, and those that the ledger says were written elsewhere, with the files of those who left."""
    found = set(workspace.root.glob("exports/**/*"))
    try:
        records = Ledger(workspace.state).exports()
    except RefusedError:  # a record that is damaged hinders no erasure
        records = []
    for record in records:
        if record.format != "webhook":
            file = workspace.root / record.target
            found |= {file, left_path(file)}
    return sorted(found)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def read_list(file: Path) -> list[str]:
    """The ids in a text file, one a line; raises RefusedError for a file that cannot be read or holds none."""
    try:
        ids = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        hint = "give a UTF-8 text file with one id a line"
        raise RefusedError(Issue("unreadable-file", str(file), f"the list cannot be read: {error}", hint)) from None
    found = [id_ for id_ in ids if id_]
    if not found:
        raise RefusedError(Issue("nobody-to-erase", str(file), "the list is empty", "write one id a line"))
    return found


def _in_values(workspace: Workspace, wanted: Wanted) -> tuple[str, ...]:
    """The files of imported values that have a row for one of the ids."""
    try:
        catalog, _ = read_catalog(workspace, workspace.schema)
    except UserError:
        return ()  # a source that is not there hinders no erasure
    found = set()
    for tag in catalog.computed.values():
        if isinstance(tag, Imported) and (workspace.root / tag.path).is_file():
            path = workspace.root / tag.path
            user = quoted(tag.user)
            if _holds(path, f"CAST({user} AS VARCHAR)", wanted):
                found.add(tag.path)
    return tuple(sorted(found))


def _holds(path: Path, column: str, wanted: Wanted, kind: str = "") -> bool:
    with duckdb.connect() as connection:
        reader = "read_parquet(?)"
        if kind == "jsonl":
            reader = "read_json(?, format = 'newline_delimited', columns = {user_id: 'VARCHAR'})"
        elif kind == "csv" or (not kind and is_csv(path)):
            reader = csv_reader(path, keep_broken=False)
        query = f"SELECT 1 FROM {reader} WHERE {column} IN ({wanted.listed}) LIMIT 1"
        return bool(connection.execute(query, [str(path)]).fetchall())


def _kind_of(path: Path) -> str:
    """The kind of an export, as its manifest says; empty where it says none."""
    try:
        return str(json.loads(manifest_path(path).read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _exported(path: Path, wanted: Wanted) -> bool:
    """Whether an export holds one of the ids as the user of a row."""
    try:
        manifest = json.loads(manifest_path(path).read_text(encoding="utf-8"))
        # An apostrophe that --safe-cells put before an id is not part of it.
        column = "regexp_replace(user_id, '^''([=+@＝＋＠－-])', '\\1')" if manifest.get("safe_cells") else "user_id"
        return "user_id" in manifest["columns"] and _holds(path, column, wanted, manifest.get("kind", ""))
    except (OSError, ValueError, KeyError, TypeError, duckdb.Error):
        # An export that cannot be read as such is searched as what it is.
        return _mentions(path, wanted)


def _names(path: Path, wanted: Wanted) -> bool:
    ids = "|".join(re.escape(id_) for id_ in wanted.telling)
    return bool(ids) and bool(re.search(rf"(?<!\w)(?:{ids})(?!\w)", path.read_text(encoding="utf-8", errors="replace")))
