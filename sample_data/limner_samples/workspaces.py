"""Ready workspaces: definitions shipped with the package, and the data that they map.

Imports the generators beside it; they import the errors of the profile floor at most.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from limner_profile.errors import Issue, RefusedError

SampleName = Literal["reading", "grocery"]
_FOLDERS = ("tags", "segments", "scenarios", "funnels")
MARKER = Path("data") / ".limner-sample"


def make_workspace(name: SampleName, target: Path) -> None:
    """Write the workspace `name` into `target`: its definitions and its data. Existing definitions are kept.

    Raises RefusedError `folder-in-use` for a folder that holds anything but this sample, and SourceError
    `missing-extra` for the grocery data without the extra `samples`.
    """
    _claim(name, target)
    copy_definitions(name, target)
    if name == "grocery":
        from limner_samples.grocery.prepare import write_grocery

        write_grocery(target / "data")
        return
    data = resources.files("limner_samples") / "reading" / "data"
    (target / "data").mkdir(parents=True, exist_ok=True)
    for file in data.iterdir():
        if file.name.endswith(".parquet"):
            with resources.as_file(file) as path:
                shutil.copyfile(path, target / "data" / file.name)


def write_reading(
    target: Path, users: int, seed: int | None = None, progress: Callable[[float], None] | None = None
) -> dict[str, int]:
    """File name to rows of a reading-app workspace generated with so many users."""
    from limner_samples.reading.generator import SAMPLE_SEED, write_sample

    _claim("reading", target)
    copy_definitions("reading", target)
    return write_sample(target / "data", users, SAMPLE_SEED if seed is None else seed, progress)


def _claim(name: SampleName, target: Path) -> None:
    """Mark the folder as this sample's, before anything is written: the data of a user's own must never be replaced."""
    marker = target / MARKER
    held = target.is_dir() and any(target.iterdir())
    if (held and not marker.exists()) or (marker.exists() and marker.read_text(encoding="utf-8").strip() != name):
        what = marker.read_text(encoding="utf-8").strip() if marker.exists() else ""
        message = f"the folder holds the sample {what!r}" if what else "the folder holds something else"
        raise RefusedError(
            Issue("folder-in-use", str(target), message, "name an empty or new folder with --dir (or --out)")
        )
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(name + "\n", encoding="utf-8")


def copy_definitions(name: SampleName, target: Path) -> None:
    """Copy limner.yaml and the folders of definitions into `target`, except for files that stand there already."""
    source = resources.files("limner_samples") / name
    target.mkdir(parents=True, exist_ok=True)
    _copy(source / "limner.yaml", target / "limner.yaml")
    for folder in (each for each in _FOLDERS if (source / each).is_dir()):
        (target / folder).mkdir(exist_ok=True)
        for file in (source / folder).iterdir():
            if file.name.endswith(".yaml"):
                _copy(file, target / folder / file.name)


def _copy(source: Traversable, target: Path) -> None:
    if not target.exists():
        target.write_bytes(source.read_bytes())
