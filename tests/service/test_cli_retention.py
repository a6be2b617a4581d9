"""The commands that follow an audience, retention and funnel, on a small shop in Berlin built from files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.project import Project, build, open_project
from limner.steps import Silent
from limner_segments.funnel_definition import Stages
from segments.small import TAGS, make_workspace

Run = Callable[..., tuple[int, str, str]]

FUNNELS = """
growth:
  stages:
    acquisition: {event: visit}
    activation: {event: order, where: amount >= 5, window: 2d}
    referral: {event: share}
"""
HEAD = "user_id,time,event,received,amount,product\n"


def acts() -> str:
    """Forty users in Oslo and one elsewhere: all visit on 3 March, thirty order the day after, half of these for 10, and 15 visit again."""
    lines = []
    for number in range(41):
        lines.append(f"u{number},2025-03-03 10:00,visit,2025-03-03 10:00,,")
        if number < 30:
            lines.append(f"u{number},2025-03-04 16:00,order,2025-03-04 16:00,{10 if number < 15 else 1},book")
        if number < 15:
            lines.append(f"u{number},2025-03-05 23:30,visit,2025-03-05 23:30,,")
    return HEAD + "\n".join([*lines, "u40,2025-03-06 12:00,share,2025-03-06 12:00,,"]) + "\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    people = "user_id,since,city\n" + "".join(
        f"u{number},2025-01-01,{'Oslo' if number < 40 else 'Bergen'}\n" for number in range(41)
    )
    (root / "funnels").mkdir()
    (root / "funnels" / "growth.yaml").write_text(FUNNELS, encoding="utf-8")
    tags = TAGS + "first_visit: {kind: first, event: visit, of: time}\n"
    make_workspace(root, "oslo: {where: city = 'Oslo'}\n", acts=acts(), people=people, tags=tags)
    build(open_project(root), None, Silent())
    return root


def test_retention_tells_its_variant_and_its_counts(shop: Path, run_main: Run) -> None:
    command = ("segments", "retention", "oslo", "--event", "visit", "--by", "day", "--periods", "3", "--dir", shop)
    code, out, err = run_main(*command, "--format", "json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["users"], told["started"], told["variant"]) == (40, 40, "on: acted in that period")
    assert [(cohort["cohort"], cohort["size"]) for cohort in told["cohorts"]] == [("2025-03-03", 40)]
    # as_of is the midnight after the last event, on the 7th: day 3 is over.
    assert [cell["returned"] for cell in told["cohorts"][0]["periods"]] == [0, 0, 15, 0]
    assert [cell["complete"] for cell in told["average"]] == [True] * 4
    assert told["average"][2]["share"] == 0.375
    assert 0.24 < told["average"][2]["share_low"] < 0.25 < 0.375 < told["average"][2]["share_high"] < 0.54
    after = json.loads(run_main(*command, "--variant", "after", "--format", "json")[1])
    assert [cell["returned"] for cell in after["cohorts"][0]["periods"]] == [15, 15, 15, 0]
    assert after["variant"].startswith("after: ")


def test_retention_as_a_table_and_as_rows(shop: Path, run_main: Run) -> None:
    command = ("segments", "retention", "oslo", "--event", "visit", "--by", "day", "--periods", "4", "--dir", shop)
    code, out, err = run_main(*command)
    assert code == 0
    assert "on: acted in that period" in out
    assert "37.5%" in out
    weekly = run_main(*command[:5], "--by", "week", "--dir", shop)[1]
    assert "37.5%*" in weekly
    assert "not over yet" in err
    rows = list(csv.DictReader(io.StringIO(run_main(*command, "--format", "csv")[1])))
    assert len(rows) == 10
    assert rows[2] | {"returned": "15", "variant": "on", "complete": "true"} == rows[2]
    assert rows[4]["complete"] == "false"
    assert rows[9]["cohort"] == ""
    assert rows[9]["share"] == ""


def test_retention_from_an_event_and_from_a_tag(shop: Path, run_main: Run) -> None:
    command = ("segments", "retention", "--where", "city = 'Oslo'", "--event", "visit", "--by", "day", "--periods", "1")
    told = {}
    for begin in (("--start-event", "order"), ("--start", "first_visit")):
        code, out, err = run_main(*command, *begin, "--dir", shop, "--format", "json")
        assert (code, err) == (0, "")
        told[begin[1]] = json.loads(out)["cohorts"]
    assert [(cohort["cohort"], cohort["size"]) for cohort in told["order"]] == [("2025-03-04", 30)]
    assert [cell["returned"] for cell in told["order"][0]["periods"]] == [0, 15]
    assert [(cohort["cohort"], cohort["size"]) for cohort in told["first_visit"]] == [("2025-03-03", 40)]
    narrowed = run_main(*command, "--event-where", "amount > 3", "--dir", shop, "--format", "json")
    assert [cell["returned"] for cell in json.loads(narrowed[1])["cohorts"][0]["periods"]] == [0, 0]


def test_a_funnel_of_steps(shop: Path, run_main: Run) -> None:
    command = ("segments", "funnel", "oslo", "--steps", "visit,order,visit", "--within", "7d", "--dir", shop)
    code, out, err = run_main(*command, "--format", "json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert [step["users"] for step in told["steps"]] == [40, 30, 15]
    assert [step["share"] for step in told["steps"]] == [1.0, 0.75, 0.5]
    assert [step["cumulative"] for step in told["steps"]] == [1.0, 0.75, 0.375]
    assert [step["median_hours"] for step in told["steps"]] == [None, 30.0, 31.5]
    assert told["open"] == 25
    code, out, _ = run_main(*command)
    assert code == 0
    assert "75.0%" in out
    assert "25 of them may still finish" in out
    rows = list(csv.DictReader(io.StringIO(run_main(*command, "--format", "csv")[1])))
    assert [row["users"] for row in rows] == ["40", "30", "15"]


def test_a_funnel_of_the_five_stages_hides_small_groups(shop: Path, run_main: Run) -> None:
    told = json.loads(run_main("segments", "funnel", "--where", "visits_all > 0", "--funnel", "growth", "--dir", shop,
                               "--format", "json")[1])  # fmt: skip
    assert [(step["step"], step["users"], step["within"]) for step in told["steps"]] == [
        ("acquisition", 41, None),
        ("activation", 15, "2d"),
        ("referral", 0, None),
    ]
    alone = json.loads(run_main("segments", "funnel", "--where", "visits_all > 0", "--steps", "visit,share", "--dir", shop,
                                "--format", "json")[1])  # fmt: skip
    assert [(step["users"], step["suppressed"]) for step in alone["steps"]] == [(41, False), (None, True)]


@pytest.mark.parametrize(
    ("command", "code", "hint"),
    [
        (("retention", "oslo", "--event", "vist"), "unknown-event", "did you mean 'visit'?"),
        (("retention", "oslo", "--event", "visit", "--by", "weeks"), "bad-value", "did you mean 'week'?"),
        (("retention", "oslo", "--event", "visit", "--start", "city"), "wrong-type", "first_visit"),
        (
            ("retention", "oslo", "--event", "visit", "--start", "first_visi"),
            "unknown-tag",
            "did you mean 'first_visit'?",
        ),
        (
            ("retention", "oslo", "--event", "visit", "--event-where", "amout > 1"),
            "unknown-field",
            "did you mean 'amount'?",
        ),
        (
            ("retention", "oslo", "--event", "visit", "--start", "first", "--start-event", "visit"),
            "two-starts",
            "one of them",
        ),
        (("funnel", "oslo"), "no-steps", "--funnel"),
        (("funnel", "oslo", "--steps", "visit,oder"), "unknown-event", "did you mean 'order'?"),
        (("funnel", "oslo", "--steps", "visit,order", "--within", "7"), "bad-value", "write days as 30d"),
        (("funnel", "oslo", "--funnel", "grwth"), "unknown-funnel", "did you mean 'growth'?"),
        (("funnel", "oslo", "--funnel", "growth", "--within", "7d"), "steps-and-funnel", "one of them"),
    ],
)
def test_mistakes_are_told_with_a_remedy(
    shop: Path, run_main: Run, command: tuple[str, ...], code: str, hint: str
) -> None:
    status, out, err = run_main("segments", *command, "--dir", shop)
    assert (status, out) == (1, "")
    assert f"[{code}]" in err
    assert hint in err


def test_check_reads_the_funnels(shop: Path, tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "funnels").mkdir()
    make_workspace(tmp_path, acts=acts())
    build(open_project(tmp_path), None, Silent())
    (tmp_path / "funnels" / "growth.yaml").write_text(FUNNELS.replace("activation", "activatoin"), encoding="utf-8")
    status, _, err = run_main("check", "--dir", tmp_path)
    assert status == 1
    assert "funnels/growth.yaml:5:5" in err
    assert "did you mean 'activation'?" in err
    (tmp_path / "funnels" / "growth.yaml").write_text(FUNNELS.replace("event: order", "event: oder"), encoding="utf-8")
    status, _, err = run_main("check", "--dir", tmp_path)
    assert "the funnel 'growth' asks for events called 'oder'" in err


def test_the_funnel_of_the_sample_runs(reading_project: Project, run_main: Run) -> None:
    root = reading_project.workspace.root
    told = json.loads(
        run_main("segments", "funnel", "active_readers", "--funnel", "growth", "--dir", root, "--format", "json")[1]
    )
    counts = [step["users"] for step in told["steps"]]
    assert [step["step"] for step in told["steps"]] == list(Stages.model_fields)
    assert counts == sorted(counts, reverse=True)
    assert 0 < counts[-1] < counts[0] <= told["users"]
    # The first two stages are a condition, too.
    same = "in_segment('active_readers') and sequence('login', step('read', within => '7d', where => minutes >= 10))"
    size = json.loads(run_main("segments", "size", "--where", same, "--dir", root, "--format", "json")[1])["size"]
    assert size == counts[1]
