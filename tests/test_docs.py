"""Documents do not drift: reference pages are what the code says, links lead somewhere, README commands run."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from limner.project import Project

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")])


def test_reference_pages_are_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, text in generate.pages().items():
        stored = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert stored == text, f"docs/reference/{name} is stale: run 'python docs/generate.py'"


@pytest.mark.parametrize("document", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}, which is not there"


def readme_commands(name: str) -> list[str]:
    """The lines of the fenced block that follows `<!-- command: name -->` in the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- command: {name} -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert found, f"the README has no block {name!r}"
    return found[1].strip().splitlines()


def test_the_tour_of_the_readme_runs(
    reading_project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_main: Callable[..., tuple[int, str, str]],
) -> None:
    shutil.copytree(reading_project.workspace.root, tmp_path / "tour")
    monkeypatch.chdir(tmp_path / "tour")
    commands = readme_commands("tour")
    assert len(commands) >= 8
    for line in commands:
        words = shlex.split(line)
        assert words[0] == "limner"
        code, out, err = run_main(*words[1:])
        assert code == 0, f"{line}\n{err}"
        assert out.strip(), f"{line} printed nothing"
    assert (
        (tmp_path / "tour" / "quiet_payers.csv")
        .read_text(encoding="utf-8")
        .startswith("user_id,city,channel,churn_score\n")
    )


def test_the_glossary_of_the_readme_s_words_is_there() -> None:
    glossary = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
    for word in ("audience", "lift at k", "base rate", "contribution", "fidelity", "TGI"):
        assert f"| {word}" in glossary
