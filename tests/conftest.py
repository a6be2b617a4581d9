"""Fixtures that tests of several floors share: golden files, and one built and trained sample workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from limner.project import Project

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the golden file of a name (`sql/count.sql`), or write it with --update-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{name} is missing: run pytest --update-golden and look at what it wrote"
        assert text == path.read_text(encoding="utf-8"), f"{name} changed: if that is meant, run pytest --update-golden"

    return compare


@pytest.fixture(scope="session")
def reading_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The reading sample, built and trained on churn. Read-only: copy its folder before writing to it."""
    from limner.project import build, open_project, train
    from limner.steps import Silent
    from limner_samples.workspaces import make_workspace

    root = tmp_path_factory.mktemp("reading")
    make_workspace("reading", root)
    project = open_project(root)
    build(project, None, Silent())
    train(project, "churn", Silent())
    return project
