"""The architecture: a floor imports only from floors below it, and nothing imports relatively."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Package to folder and floor; the samples stand beside floor 2 and know floor 1 only.
FLOORS = {
    "limner_profile": ("profile", 1.0),
    "limner_samples": ("sample_data", 1.5),
    "limner_segments": ("segments", 2.0),
    "limner_explain": ("explain", 3.0),
    "limner_dashboards": ("dashboards", 4.0),
    "limner": ("service", 5.0),
}
FILES = [
    (package, path)
    for package, (folder, _) in FLOORS.items()
    for path in sorted((ROOT / folder / package).rglob("*.py"))
]


def imported(path: Path) -> list[tuple[str, int]]:
    """Every imported module with its line; a relative import counts as `.`."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(("." if node.level else node.module or "", node.lineno))
    return found


@pytest.mark.parametrize(("package", "path"), FILES, ids=[str(path.relative_to(ROOT)) for _, path in FILES])
def test_a_floor_imports_only_from_below(package: str, path: Path) -> None:
    own = FLOORS[package][1]
    for module, line in imported(path):
        top = module.split(".")[0]
        assert module != ".", f"{path.name}:{line} imports relatively"
        if top in FLOORS and top != package:
            assert FLOORS[top][1] < own, (
                f"{path.name}:{line} on floor {own:g} imports {module} from floor {FLOORS[top][1]:g}"
            )


def test_the_walk_sees_every_package() -> None:
    assert {package for package, _ in FILES} == set(FLOORS)
    assert len(FILES) > 80


def test_no_folder_hides_a_module_of_the_standard_library() -> None:
    import subprocess
    import sys

    assert not (ROOT / "profile" / "__init__.py").exists()
    subprocess.run(
        [sys.executable, "-c", "import cProfile; cProfile.run('1')"], cwd=ROOT, check=True, capture_output=True
    )


def test_names_that_say_nothing_are_not_used() -> None:
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}
    assert [path for _, path in FILES if path.name in vague] == []
