"""Exceptions to merging: the ids that stand for themselves whatever the sources say, kept in the workspace's identities.yaml.

That an id was merged wrongly is a person's judgement and cannot be built again from the sources, so it stands in a text
file under version control and not under .limner. Imports definitions, errors and workspace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import field_validator

from limner_profile.definitions import Definition, read_document, validate
from limner_profile.errors import DefinitionError
from limner_profile.workspace import Workspace

NAME = "identities.yaml"
_HEADER = "# Ids that are never merged with others. Written by 'limner users unmerge', and yours to edit.\n"


class UnmergedId(Definition):
    """An id that stands for itself."""

    id: str
    """The id as the sources have it, in quotes where it looks like a number."""
    note: str = ""
    """Why, for those who read it later."""

    @field_validator("id", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            raise ValueError(f"{value!r} is a number here | write an id in quotes")
        return value


class Exceptions(Definition):
    """What identities.yaml holds."""

    unmerged: tuple[UnmergedId, ...] = ()
    """The ids that are never merged."""


def read_exceptions(workspace: Workspace) -> dict[str, UnmergedId]:
    """The ids that are never merged, by id; raises DefinitionError for a file that does not say what it should."""
    path = workspace.root / NAME
    if not path.exists():
        return {}
    document = read_document(path, workspace.root)
    found, issues = validate(Exceptions, document.data if document.data is not None else {}, document)
    if found is None:
        raise DefinitionError(issues)
    return {entry.id: entry for entry in found.unmerged}


def write_exceptions(workspace: Workspace, entries: Iterable[UnmergedId]) -> None:
    """Replace identities.yaml; without entries it goes."""
    path = workspace.root / NAME
    rows = [{"id": entry.id, **({"note": entry.note} if entry.note else {})} for entry in entries]
    if not rows:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(f".{NAME}.tmp")
    text = yaml.safe_dump({"unmerged": rows}, allow_unicode=True, sort_keys=False)
    temporary.write_text(_HEADER + text, encoding="utf-8")
    os.replace(temporary, path)
