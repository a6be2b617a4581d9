"""Fixtures of floor 1: a workspace laid out from texts, and the tag values that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from limner_profile.attached import attach_files, attach_sources
from limner_profile.builder import profile_query
from limner_profile.catalog import load_catalog
from limner_profile.ingest import ingest
from limner_profile.windows import parse_as_of
from limner_profile.workspace import open_workspace


@pytest.fixture
def lay(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Write files, by path inside the workspace, and give its folder; later calls add to it and replace."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "workspace"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write


@pytest.fixture
def values_of() -> Callable[[Path, str], dict[str, dict[str, Any]]]:
    """Ingest a workspace and compute its tags as of an instant: user to tag to value."""

    def compute(root: Path, as_of: str) -> dict[str, dict[str, Any]]:
        workspace = open_workspace(root)
        ingest(workspace)
        catalog = load_catalog(workspace)
        query = profile_query(catalog.computed, parse_as_of(as_of, workspace.timezone), workspace)
        with duckdb.connect() as connection:
            attach_sources(connection, workspace)
            attach_files(connection, workspace, catalog)
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchall()
        values = {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}
        assert len(values) == len(rows), "a user has two rows"
        return values

    return compute
