"""Fixtures that tests of several floors share: golden files, and one built and trained sample workspace."""

from __future__ import annotations

import os
import shutil
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from limner.project import Project

GOLDEN = Path(__file__).parent / "golden"
# Two test processes on two cores, each with two threads of LightGBM: a thread that waits must not keep a core busy.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# GNU readline, which pytest loads, states the size of a terminal to every process that is started from then on.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)


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


@pytest.fixture(scope="session", autouse=True)
def remembered() -> Iterator[None]:
    """What a process of one command computes once, and would be computed again in each of the thousands that are run here."""
    import typer.main

    import limner_profile.windows as windows

    with pytest.MonkeyPatch.context() as patch:
        # The commands' parameters read off their annotations: some 30 ms each time.
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        patch.setattr(windows, "available_timezones", cache(zoneinfo.available_timezones))  # some 600 files
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder, by name, in the first test process that asks for it: each process gets a copy of its own."""

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        own = tmp_path_factory.mktemp(name) / name
        if "PYTEST_XDIST_WORKER" not in os.environ:
            make(own)
            return own
        shared = tmp_path_factory.getbasetemp().parent / f"{name}-made-once"  # the folder that all processes share
        with FileLock(shared.with_suffix(".lock")):
            if not shared.exists():
                make(own)
                shutil.copytree(own, shared.with_suffix(".partly"))
                shared.with_suffix(".partly").rename(shared)
                return own
        return shutil.copytree(shared, own)

    return folder


@pytest.fixture(scope="session")
def reading_project(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Project:
    """The reading sample, built and trained on churn. Read-only: copy its folder before writing to it."""
    from limner.project import build, open_project, train
    from limner.steps import Silent
    from limner_samples.workspaces import make_workspace

    def make(root: Path) -> None:
        make_workspace("reading", root)
        project = open_project(root)
        build(project, None, Silent())
        train(project, "churn", Silent())

    return open_project(made_once("reading", make))


@pytest.fixture
def run_main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of `limner …`, run in this process through the very function of the command."""
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
