from __future__ import annotations

from pathlib import Path

import pytest

from limner.progress import TerminalProgress
from limner.project import build, open_project
from limner_profile.errors import RefusedError, UserError
from limner_segments.suggestions import grid_of, grid_segments, save_suggestions, suggest_segments
from segments.small import make_workspace

TAGS = """
days_since_visit: {kind: recency, event: visit}
visits: {kind: count, event: visit}
spend: {kind: sum, event: visit, of: amount}
groups: {kind: rfm, recency: days_since_visit, frequency: visits, monetary: spend, title: {en: group, zh: 分群}}
stage:
  kind: lifecycle
  title: {en: stage, zh: 阶段}
  default: other
  stages:
    - {name: new, where: visits = 1}
    - {name: a lot!, where: visits > 1}
    - {name: 常客, where: visits > 100}
"""
PEOPLE = "user_id,since,city\n" + "".join(f"u{n},2025-01-01,Oslo\n" for n in range(8))
ACTS = "user_id,time,event,received,amount,product\n" + "".join(
    f"u{n},2025-02-0{1 + n % 3} 1{k}:00,visit,2025-02-03 23:00,{1.5 + n},book\n"
    for n in range(7)
    for k in range(1 + n % 3)
)


def test_the_grids_as_segments_with_sizes(tmp_path: Path) -> None:
    make_workspace(tmp_path, tags=TAGS, people=PEOPLE, acts=ACTS)
    project = open_project(tmp_path)
    build(project, None, TerminalProgress())
    with project.store.open() as snapshot:
        eight = suggest_segments(snapshot, project.catalog, "rfm", [])
        stages = suggest_segments(snapshot, project.catalog, "lifecycle", ["STAGE_NEW"])
        counted = {
            row["groups"]: row["n"] for row in snapshot.rows("SELECT groups, count(*) AS n FROM profiles GROUP BY 1")
        }
        staged = {
            row["stage"]: row["n"] for row in snapshot.rows("SELECT stage, count(*) AS n FROM profiles GROUP BY 1")
        }
    assert len(eight) == 8
    assert sum(one.size for one in eight) == 7
    assert eight[0].named.name == "groups_important_value"
    assert eight[0].named.title("zh") == "分群：重要价值"
    assert eight[0].named.title("en") == "group: important: valued"
    assert {one.named.name.removeprefix("groups_"): one.size for one in eight if one.size} == {
        name: n for name, n in counted.items() if name is not None
    }
    assert all(one.share == one.size / 8 for one in eight)
    assert [(one.named.name, one.size, one.taken) for one in stages] == [
        ("stage_new", staged["new"], True), ("stage_a_lot", staged["a lot!"], False), ("stage_常客", 0, False),
        ("stage_other", staged["other"], False),
    ]  # fmt: skip
    assert stages[0].named.title("zh") == "阶段：新客"
    assert sum(one.size for one in stages) == 8

    written = save_suggestions(project.workspace, eight)
    assert [path.name for path in written] == [f"{one.named.name}.yaml" for one in eight]
    saved = open_project(tmp_path).segments
    assert {name: named.segment for name, named in saved.items()} == {
        one.named.name: one.named.segment for one in eight
    }
    with pytest.raises(RefusedError) as refused:
        save_suggestions(project.workspace, [*stages, *eight[:2]])
    assert [issue.code for issue in refused.value.issues] == ["name-taken", "name-taken"]
    assert len(list((tmp_path / "segments").glob("stage*"))) == 0  # nothing half


def test_a_workspace_without_such_a_tag_is_told_how_to_get_one(tmp_path: Path) -> None:
    project = open_project(make_workspace(tmp_path).root)
    with pytest.raises(RefusedError, match="no tag of kind rfm") as refused:
        grid_segments(project.catalog, "rfm")
    assert "kind: rfm" in refused.value.issues[0].hint
    with pytest.raises(UserError, match="did you mean 'rfm'"):
        grid_of("rfn")
    assert grid_of("lifecycle") == "lifecycle"
