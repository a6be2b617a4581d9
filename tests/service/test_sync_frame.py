"""limner.sync_frame: a frame handed over, then built."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import limner
from limner.steps import Silent
from limner_profile.errors import SourceError, UnknownNameError

CONFIG = """name: t
timezone: UTC
sources:
  acts: {type: events, path: frame, user: u, time: t, event: e, properties: [p]}
"""


def test_a_frame_becomes_a_snapshot(tmp_path: Path) -> None:
    (tmp_path / "limner.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "tags").mkdir()
    tags = "reads: {kind: count, event: x, window: all, where: p > 1}\n"
    (tmp_path / "tags" / "t.yaml").write_text(tags, encoding="utf-8")
    frame = pd.DataFrame({"u": ["a", "a"], "t": ["2025-01-01", "2025-01-02"], "e": ["x", "x"], "p": [1, 2]})
    entry = limner.sync_frame(tmp_path, "acts", frame)  # a folder: the tag needs the frame's types
    assert entry.rows == 2
    project = limner.open_project(tmp_path)
    limner.build(project, None, Silent())
    with project.store.open() as snapshot:
        assert snapshot.rows("SELECT user_id, reads FROM profiles") == [{"user_id": "a", "reads": 1}]
    assert limner.sync_frame(project, "acts", frame).reused
    with pytest.raises(UnknownNameError, match="did you mean 'acts'"):
        limner.sync_frame(project, "act", frame)
    with pytest.raises(SourceError, match="no column 'p'"):
        limner.sync_frame(project, "acts", frame.drop(columns="p"))
