"""Writing a workspace: everything is put together in a temporary folder, judged by `check`, and only then copied, without overwriting.

Imports template, fitting and drafts, and the project that judges.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from limner.initial.definition_text import EntryText, entry_at, join_entries
from limner.initial.fitting import Fitted
from limner.project import read_project
from limner_profile.disk import writing
from limner_profile.errors import InternalError, Issue, RefusedError, UserError
from limner_profile.workspace import CONFIG_NAME

_ROUNDS = 12


def check_free(target: Path) -> None:
    """Nothing, where a workspace may be written to `target`; raises RefusedError `workspace-exists` or `file-exists`."""
    if target.exists() and not target.is_dir():
        raise RefusedError(Issue("file-exists", str(target), "this is a file", "name a folder"))
    if (target / CONFIG_NAME).exists():
        hint = "name another folder; to change the workspace, edit its files"
        raise RefusedError(Issue("workspace-exists", str(target), f"there is a {CONFIG_NAME} here already", hint))


def settle(config: str, fitted: Fitted) -> dict[str, tuple[EntryText, ...]]:
    """The definition files in which `check` finds no issue: entries at fault are put in comments with what it says.

    `config` is limner.yaml with absolute paths. Raises UserError where the sources themselves are at fault.
    """
    files = dict(fitted.files)
    with tempfile.TemporaryDirectory(prefix="limner-init-") as folder:
        root = Path(folder)
        for _ in range(_ROUNDS):
            _write(root, {CONFIG_NAME: config, **texts_of(files)})
            project, issues = read_project(root)
            if not issues:
                return _with_reasons(files)
            changed = _turn_off(files, issues)
            if project is None or not changed:
                raise UserError(issues)
    raise InternalError("the definitions did not come to rest")


def texts_of(files: Mapping[str, Sequence[EntryText]]) -> dict[str, str]:
    """The texts of the files by path; one in which nothing stands any more is still written, for its reasons."""
    return {path: join_entries(entries) for path, entries in files.items()}


def write_new(target: Path, texts: Mapping[str, str]) -> None:
    """Write the files below `target`, limner.yaml last; raises RefusedError, before anything is written, where one is there."""
    check_free(target)
    there = [path for path in texts if (target / path).exists()]
    if there:
        hint = "nothing is overwritten: move them away, or name another folder"
        raise RefusedError(
            Issue("file-exists", str(target), f"these files are there already: {', '.join(there)}", hint)
        )
    with writing(target):
        _write(
            target,
            {**{path: text for path, text in texts.items() if path != CONFIG_NAME}, CONFIG_NAME: texts[CONFIG_NAME]},
        )


def _write(root: Path, texts: Mapping[str, str]) -> None:
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _turn_off(files: dict[str, tuple[EntryText, ...]], issues: Sequence[Issue]) -> bool:
    """Whether an entry was put in comments for one of the issues, which say file and line."""
    changed = False
    at_fault: dict[tuple[str, int], str] = {}
    for issue in issues:
        path, _, place = issue.where.partition(":")
        if path in files and place:
            index = entry_at(files[path], int(place.split(":")[0]))
            at_fault.setdefault((path, index), " ".join(issue.message.split()))
    for (path, index), why in at_fault.items():
        entries = list(files[path])
        if entries[index].name and not entries[index].off:
            entries[index] = replace(entries[index], off=why)
            files[path] = tuple(entries)
            changed = True
    return changed


def _with_reasons(files: Mapping[str, Sequence[EntryText]]) -> dict[str, tuple[EntryText, ...]]:
    """The files, in which an entry that is off for the sake of another one that is off says so."""
    off = {entry.name for entries in files.values() for entry in entries if entry.off}

    def explained(entry: EntryText) -> EntryText:
        found = re.match(r"unknown tag '(\w+)'", entry.off)
        if not found or found[1] not in off:
            return entry
        return replace(entry, off=f"needs the tag {found[1]!r}, which is off")

    return {path: tuple(explained(entry) for entry in entries) for path, entries in files.items()}
