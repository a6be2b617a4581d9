"""The reader sees edits and new snapshots without a restart, and computes nothing twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.project import build, open_project
from limner.steps import Silent
from limner_dashboards.view import Reader
from limner_profile.errors import RefusedError, UserError
from limner_profile.predicates.parser import parse
from limner_segments.segment import NamedSegment, Segment


def test_definitions_are_read_again_only_when_a_file_changed(reading_copy: Path) -> None:
    calls = 0

    def load() -> object:
        nonlocal calls
        calls += 1
        return open_project(reading_copy)

    reader = Reader(load)  # type: ignore[arg-type]
    assert "young" not in reader.view().segments
    reader.view()
    assert calls == 1
    (reading_copy / "segments" / "young.yaml").write_text("young: {where: age < 25}\n", encoding="utf-8")
    assert "young" in reader.view().segments
    assert calls == 2


def test_a_broken_file_is_told_and_its_repair_is_seen(reading_copy: Path, reader_of: Callable[[Path], Reader]) -> None:
    reader = reader_of(reading_copy)
    reader.view()
    path = reading_copy / "segments" / "young.yaml"
    path.write_text("young: {where: agee < 25}\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        reader.view()
    assert caught.value.code == "unknown-tag"
    assert reader.default_language() == "en"
    path.write_text("young: {where: age < 25}\n", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert "young" in reader.view().segments


def test_a_new_snapshot_shows_on_the_next_visit(reading_copy: Path, reader_of: Callable[[Path], Reader]) -> None:
    reader = reader_of(reading_copy)
    with reader.visit() as visit:
        before = visit.opened.id
    built = build(open_project(reading_copy), None, Silent())
    with reader.visit() as visit:
        assert visit.opened.id == built.snapshot != before


def test_an_answer_is_kept_for_its_snapshot_only(reader: Reader) -> None:
    asked: list[str] = []

    def compute() -> str:
        asked.append("once")
        return "answer"

    for _ in range(2):
        with reader.visit("zh") as visit:
            assert visit.language == "zh"
            assert visit.memo("question of this test", compute) == "answer"
    assert asked == ["once"]


def test_a_condition_saved_from_the_page_is_a_segment_of_the_measured_size(
    reading_copy: Path, reader_of: Callable[[Path], Reader]
) -> None:
    from limner_dashboards.saving import save_condition
    from limner_segments.audience import measure_audience

    reader = reader_of(reading_copy)
    condition = parse("age >= 30 and push_enabled = true", thing="tag")
    with reader.visit() as visit:
        before, measured = visit.opened.id, measure_audience(visit.opened, condition).size
    assert save_condition(reader.view(), NamedSegment("grown_up", Segment(where=condition))) == measured > 0
    with reader.visit() as visit:
        assert visit.opened.id != before
        assert visit.opened.value("SELECT count(*) FROM audiences WHERE segment = 'grown_up'") == measured
        assert "grown_up" in visit.view.segments
    with pytest.raises(RefusedError):
        save_condition(reader.view(), NamedSegment("grown_up", Segment(where=condition)))
    with pytest.raises(RefusedError):
        save_condition(reader.view(), NamedSegment("../escape", Segment(where=condition)))
