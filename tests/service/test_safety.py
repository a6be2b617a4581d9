"""What must never happen: own data replaced by a sample, strangers' host names served, one damaged model in the way of a build."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from limner.project import build, open_project
from limner.server import guard_host
from limner.steps import Silent
from limner_profile.errors import RefusedError
from limner_samples.workspaces import make_workspace, write_reading

if TYPE_CHECKING:
    from limner.project import Project


def test_a_sample_is_never_written_over_data_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.parquet").write_bytes(b"mine")
    (tmp_path / "limner.yaml").write_text("name: mine\n", encoding="utf-8")
    for write in (lambda: make_workspace("reading", tmp_path), lambda: write_reading(tmp_path, 10)):
        with pytest.raises(RefusedError) as caught:
            write()
        assert caught.value.code == "folder-in-use"
    assert (tmp_path / "data" / "events.parquet").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "limner.yaml"]


def test_one_sample_is_not_written_over_the_other(tmp_path: Path) -> None:
    make_workspace("reading", tmp_path)
    make_workspace("reading", tmp_path)
    with pytest.raises(RefusedError) as caught:
        make_workspace("grocery", tmp_path)
    assert caught.value.code == "folder-in-use"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8050", 200),
        ("localhost", 200),
        ("[::1]:8050", 200),
        ("evil.example", 403),
        ("evil.example:8050", 403),
    ],
)
def test_only_this_machine_s_names_are_served(host: str, status: int) -> None:
    server = Flask("guarded")
    server.add_url_rule("/", "page", lambda: "page")
    guard_host(server, "127.0.0.1")
    assert server.test_client().get("/", headers={"Host": host}).status_code == status


def test_a_damaged_model_and_a_misspelt_event_are_told_and_the_build_goes_on(
    reading_project: Project, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(reading_project.workspace.root, root)
    for file in (root / ".limner" / "models" / "churn").glob("*/model.json"):
        file.write_text("", encoding="utf-8")
    (root / "tags" / "typo.yaml").write_text("typo_count: {kind: count, event: logins}\n", encoding="utf-8")
    progress = Silent()
    built = build(open_project(root), None, progress)
    assert built.users == 8_000
    assert built.rated == []
    assert any("churn was not rated" in warning for warning in progress.warnings)
    assert any("'logins'" in warning and "did you mean 'login'?" in warning for warning in progress.warnings)
