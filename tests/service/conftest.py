"""Fixtures for the front door: a small demo, run once, whose workspace is copied by tests that write."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Demo:
    """The workspace that a demo made, and what it said. Read-only: see `copied`."""

    root: Path
    out: str
    err: str


@contextlib.contextmanager
def small_samples() -> Iterator[None]:
    """Let the demo make its reading workspace of 1,000 users instead of 8,000."""
    import limner_samples.workspaces as workspaces

    def make_small(name: workspaces.SampleName, target: Path) -> None:
        workspaces.write_reading(target, 1000)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspaces, "make_workspace", make_small)
        yield


@pytest.fixture(scope="session")
def run_once() -> Callable[..., tuple[str, str]]:
    """Stdout and stderr of `limner …`, which must succeed: for fixtures that live longer than a test."""
    from limner.cli import main

    def run(*arguments: object) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["limner", *map(str, arguments)])
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
                main()
        assert end.value.code == 0, err.getvalue()
        return out.getvalue(), err.getvalue()

    return run


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory, run_once: Callable[..., tuple[str, str]]) -> Demo:
    """`limner demo --no-serve` on 1,000 users: built, trained on churn, a card saved and exported."""
    root = tmp_path_factory.mktemp("small") / "demo"
    with small_samples():
        return Demo(root, *run_once("demo", "--no-serve", "--dir", root))


@pytest.fixture
def copied(small_demo: Demo, tmp_path: Path) -> Path:
    """A copy of the small demo's workspace, to write to."""
    return shutil.copytree(small_demo.root, tmp_path / "copy")


@pytest.fixture(scope="module")
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, run_once: Callable[..., tuple[str, str]]
) -> Path:
    """The workspace of the module's `FILES`, built as of the first of March. Read-only: see `root`."""
    root = tmp_path_factory.mktemp("built")
    for name, text in request.module.FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    run_once("build", "--dir", root, "--as-of", "2025-03-01")
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")
