"""Fixtures of the dashboard's tests: copies of the sample workspace that may be written to, and readers over them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.project import Project, open_project
from limner_dashboards.view import Reader


@pytest.fixture
def reading_copy(reading_project: Project, tmp_path: Path) -> Path:
    """The folder of a trained sample workspace that this test may write to."""
    root = tmp_path / "reading"
    shutil.copytree(reading_project.workspace.root, root)
    return root


@pytest.fixture(scope="session")
def reader(reading_project: Project) -> Reader:
    """A reader over the shared sample workspace."""
    return Reader(lambda: reading_project)


@pytest.fixture
def reader_of() -> Callable[[Path], Reader]:
    """Make a reader over a folder."""

    def make(root: Path) -> Reader:
        return Reader(lambda: open_project(root))

    return make
