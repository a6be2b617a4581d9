"""Scenarios fitted to the span of the data, so that each one that is written can be trained; and check says which cannot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from limner.initial.definition_text import EntryText
from limner.initial.spans import fit_scenario
from limner.initial.template import TEMPLATES, read_template
from limner.project import open_project
from limner_profile.mapping.sample import time_span
from limner_profile.windows import days_of
from limner_segments.scoring.scenario import plan_cutoffs

Run = Callable[..., tuple[int, str, str]]

CHURN = read_template("retail").definitions["scenarios/churn.yaml"]


def fitted(days: int, name: str = "churn") -> tuple[EntryText, str]:
    return fit_scenario(EntryText(name, read_template("retail").definitions[f"scenarios/{name}.yaml"]), days)


def test_long_data_change_nothing() -> None:
    assert fitted(270) == (EntryText("churn", CHURN), "")


def test_short_data_shorten_the_history_then_the_look_ahead() -> None:
    entry, said = fitted(258)
    assert entry.content["cutoffs"] == {"training": 2, "every": "30d", "history": "70d"}
    assert said == "the scenario churn has 70 days of history before a cutoff instead of 90: the data span 258 days"
    entry, said = fitted(200)
    assert (entry.content["label_window"], entry.content["cutoffs"]["history"]) == ("60d", "80d")
    assert entry.content["description"] == "Customers who ordered in 90 days and will not order in the next 60."
    assert said.startswith("the scenario churn looks ahead 60 days instead of 90 and has 80 days of history")
    assert "label_window: 60d  # 90d in the template; the data span 200 days\n" in entry.text
    # Nobody has stayed away for 90 days where the data begin 90 days before.
    assert fitted(225, "win_back")[0].content["cutoffs"]["history"] == "100d"
    assert fitted(219, "win_back")[0].content["cutoffs"]["history"] == "99d"
    entry = fitted(218, "win_back")[0]
    assert (entry.content["label_window"], entry.content["cutoffs"]["history"]) == ("30d", "120d")


def test_what_no_shortening_helps_is_off() -> None:
    entry, said = fitted(40)
    assert (entry.off, said) == ("the data span 40 days, and training needs 270", "")


@given(st.sampled_from(sorted(TEMPLATES)), st.integers(1, 400))
def test_what_is_written_can_be_trained(template: str, days: int) -> None:
    for path, text in read_template(template).definitions.items():
        if not path.startswith("scenarios/"):
            continue
        name = path.split("/")[1].removesuffix(".yaml")
        entry, _ = fit_scenario(EntryText(name, text), days)
        if not entry.off:
            content = entry.content
            needed = 2 * days_of(content["label_window"]) + days_of(content["cutoffs"]["history"])
            assert needed <= days


@pytest.mark.parametrize(
    ("first", "last", "written"),
    [
        ("2025-01-05T23:30:00+08:00", "2025-03-01", None),
        ("2025/01/05 09:30", "2025/3/1 1:00", None),
        ("05.01.2025 09:30", "01.03.2025 00:10", "%d.%m.%Y %H:%M"),
        ("1736064000", "1740800000", "unix"),
        ("1736064000000", "1740800000000", "unix_ms"),
    ],
)
def test_the_span_of_times_in_files(tmp_path: Path, first: str, last: str, written: str | None) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    files[0].write_text(f"t,x\n{last},1\nnever,2\n", encoding="utf-8")
    files[1].write_text(f"t,x\n{first},1\n,2\n", encoding="utf-8")
    found = time_span(files, "t", written)
    assert found is not None
    assert [moment.date().isoformat() for moment in found] == ["2025-01-05", "2025-03-01"]
    assert time_span(files, "x", "%d.%m.%Y") is None


@pytest.mark.parametrize("days", [258, 200, 40])
def test_init_writes_scenarios_that_can_be_trained(tmp_path: Path, run_main: Run, days: int) -> None:
    start = datetime(2025, 1, 1, 13, tzinfo=UTC)
    times = [start + timedelta(days=n * days // 400) for n in range(401)]
    rows = "".join(f"k{n % 40},{time:%Y-%m-%d %H:%M},{n}.5\n" for n, time in enumerate(times))
    (tmp_path / "orders.csv").write_text(f"customer_id,date,amount\n{rows}", encoding="utf-8")
    root = tmp_path / "shop"
    code, _, err = run_main("init", root, "--yes", "--template", "retail", "--data", tmp_path / "orders.csv")
    assert code == 0, err
    assert run_main("sync", "--dir", root)[0] == 0
    project = open_project(root)
    assert set(project.scenarios) == ({"churn", "repurchase", "win_back"} if days > 100 else set())
    for named in project.scenarios.values():
        assert plan_cutoffs(
            named.scenario, start, datetime(2025, 1, 2, tzinfo=UTC) + timedelta(days=days), project.workspace.timezone
        ).training
    code, _, err = run_main("check", "--dir", root)
    assert (code, "too late" in err) == (0, False)


def test_check_warns_of_a_scenario_that_cannot_be_trained_yet(tmp_path: Path, run_main: Run) -> None:
    rows = "".join(f"k{n % 9},2025-01-{1 + n % 28:02},5\n" for n in range(90))
    for name, text in {
        "limner.yaml": "name: t\ntimezone: UTC\nsources:\n  o: {type: orders, path: o.csv, user: k, time: d, amount: a}\n",
        "o.csv": f"k,d,a\n{rows}",
        "tags/t.yaml": "order_count_90d: {kind: count, event: order, window: 90d}\n",
        "scenarios/churn.yaml": CHURN,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert yaml.safe_load(CHURN)["churn"]["label_window"] == "90d"
    assert run_main("check", "--dir", tmp_path)[0::2] == (0, "")  # nothing is known of the data before the first sync
    assert run_main("sync", "--dir", tmp_path)[0] == 0
    code, out, err = run_main("check", "--dir", tmp_path)
    assert (code, "no issues" in out) == (0, True)
    assert "scenarios/churn.yaml:1:1  churn cannot be trained: the events begin on 2025-01-01: too late" in err
    assert "270 days are needed" in err
