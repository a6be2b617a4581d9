"""The walk-through of docs/own-data.md is complete: its files build, train and give a card with the planted cause."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from pathlib import Path

from limner.project import build, open_project, train
from limner.steps import Silent

PAGE = Path(__file__).parent.parent / "docs" / "own-data.md"


def write_files(root: Path) -> None:
    """The YAML files of the page, and data in which a complaint makes people stay away."""
    text = PAGE.read_text(encoding="utf-8")
    files = dict(re.findall(r"`([\w./]+\.yaml)`:\n\n```yaml\n(.*?)```", text, re.DOTALL))
    assert set(files) == {"limner.yaml", "tags/tags.yaml", "segments/segments.yaml", "scenarios/lapse.yaml"}
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    (root / "data").mkdir()
    rng = random.Random(3)
    people, acts = ["id,signed_up,city"], ["id,at,what,minutes"]
    for number in range(600):
        user, gone = f"p{number}", date(2026, 1, 1)
        people.append(f"{user},2025-01-01,{rng.choice(['Köln', 'Berlin', ''])}")
        day, last = date(2025, 1, 1), date(2025, 6, 30)
        while day <= last and day < gone:
            if rng.random() < 0.15:
                acts.append(f"{user},{day}T10:00:00,visit,{rng.randint(5, 60)}")
                if rng.random() < 0.05:
                    acts.append(f"{user},{day}T11:00:00,complaint,")
                    # Two in three of those who complain come for a last time within three weeks.
                    if rng.random() < 0.67:
                        gone = min(gone, day + timedelta(days=rng.randint(5, 20)))
            day += timedelta(days=1)
    (root / "data" / "people.csv").write_text("\n".join(people) + "\n", encoding="utf-8")
    (root / "data" / "visits.csv").write_text("\n".join(acts) + "\n", encoding="utf-8")


def test_the_page_s_files_lead_to_a_card_with_the_cause(tmp_path: Path) -> None:
    write_files(tmp_path)
    project = open_project(tmp_path)
    built = build(project, None, Silent())
    assert built.users == 600
    assert built.audiences["regulars"] > 0
    trained = train(project, "lapse", Silent())
    raising = [rule for rule in trained.insights.with_status("shown") if rule.direction == "raises"]
    assert any("complaints_60d" in rule.rule and rule.lift_low > 1.2 for rule in raising)
