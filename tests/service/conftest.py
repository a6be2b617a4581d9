"""Fixtures for the front door: a small sample workspace, built and trained, to be copied by tests that write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reading workspace of 1,500 users, built and trained on churn. Read-only: see `copied`."""
    from limner.project import Silent, build, open_project, train
    from limner_samples.workspaces import write_reading

    root = tmp_path_factory.mktemp("small")
    write_reading(root, 1500)
    build(open_project(root), None, Silent())
    train(open_project(root), "churn", Silent())
    return root


@pytest.fixture
def copied(small_root: Path, tmp_path: Path) -> Path:
    """A copy of the small workspace, to write to."""
    return shutil.copytree(small_root, tmp_path / "copy")


@pytest.fixture
def run_main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of `limner …`, run in this process through the very function of the command."""
    import sys

    from limner.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["limner", *(str(argument) for argument in arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
