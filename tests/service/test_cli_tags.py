"""limner tags show, stats and lineage; check names the users of a tag that is gone."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.project import Project
from segments.small import TAGS, make_workspace

Run = Callable[..., tuple[int, str, str]]

SCENARIO = """
back:
  title: come back
  population: visits_all >= 1
  outcome: {kind: did, event: visit, title: comes back}
  label_window: 7d
  tags: {exclude: [city]}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, run_once: Callable[..., object]) -> Path:
    root = tmp_path_factory.mktemp("built")
    make_workspace(root, segments="north: {where: city = 'Oslo'}\n", scenarios=SCENARIO)
    run_once("build", "--dir", root, "--as-of", "2025-02-03")
    return root


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")


def test_lineage_from_column_to_use(shop: Path, run_main: Run) -> None:
    code, out, err = run_main("tags", "lineage", "visits_all", "--dir", shop, "--format", "json")
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert list(content) == ["tag", "columns", "events", "tags", "used_by"]
    read = [(column["source"], column["column"]) for column in content["columns"]]
    assert read == [("acts", "event"), ("acts", "time")]
    assert [(user["thing"], user["name"], user["role"]) for user in content["used_by"]] == [
        ("scenario", "back", "population"), ("scenario", "back", "scorer"),
    ]  # fmt: skip
    city = json.loads(run_main("tags", "lineage", "city", "--dir", shop, "--format", "json")[1])
    assert [(user["thing"], user["name"], user["where"]) for user in city["used_by"]] == [
        ("segment", "north", "segments/some.yaml:1:1")
    ]
    score = json.loads(run_main("tags", "lineage", "back_score", "--dir", shop, "--format", "json")[1])
    assert score["tags"] == ["visits_30d", "visits_all", "days_since_visit", "last_city"]
    rows = list(csv.DictReader(io.StringIO(run_main("tags", "lineage", "city", "--dir", shop, "--format", "csv")[1])))
    assert [(row["from"], row["column"], row["to"]) for row in rows] == [
        ("people (people.csv)", "city", "city"), ("city", "", "segment north"),
    ]  # fmt: skip
    assert "scenario back" in run_main("tags", "lineage", "visits_all", "--dir", shop)[1]


def test_show_before_and_after_a_change(shop: Path, run_main: Run) -> None:
    content = json.loads(run_main("tags", "show", "visits_30d", "--dir", shop, "--format", "json", "--lang", "zh")[1])
    assert (content["title"], content["window"], content["kind"], content["stale"]) == ("访问", "30d", "count", False)
    assert content["statistics"]["mean"] == 0.5
    assert content["statistics"]["snapshot"] == "20250203-0001"
    assert content["sql"] == "limner tags sql visits_30d"
    assert content["definition"]["window"] == "30d"
    make_workspace(shop, tags=TAGS.replace("window: 30d", "window: 7d"), segments="", scenarios="")
    content = json.loads(run_main("tags", "show", "visits_30d", "--dir", shop, "--format", "json")[1])
    assert (content["window"], content["stale"], content["used_by"]) == ("7d", True, [])
    code, out, _ = run_main("tags", "show", "city", "--dir", shop)
    assert code == 0
    assert "people.city" in out
    code, _, err = run_main("tags", "show", "citty", "--dir", shop)
    assert (code, "did you mean 'city'?" in err) == (1, True)


def test_stats_of_one_and_all(reading_project: Project, run_main: Run) -> None:
    root = reading_project.workspace.root
    code, out, err = run_main("tags", "stats", "--dir", root, "--format", "json")
    assert (code, err) == (0, "")
    rows = {row["tag"]: row for row in json.loads(out)}
    assert list(rows) == list(reading_project.catalog.tags)
    assert rows["churn_score"]["users"] > 0
    assert rows["churn_score"]["psi"] is not None  # unknown for all in the snapshot that it was trained on
    one = json.loads(run_main("tags", "stats", "gender", "--dir", root, "--format", "json")[1])
    assert one == rows["gender"]
    assert {value for value, _ in one["top_values"]} == {"female", "male"}
    assert (
        sum(users for _, users in one["top_values"]) + one["unknown"] == rows["age"]["users"] + rows["age"]["unknown"]
    )
    code, out, _ = run_main("tags", "stats", "--dir", root)
    assert code == 0
    assert "female" in out
    assert run_main("tags", "stats", "nobody", "--dir", root)[0] == 1


def test_check_names_the_users_of_a_tag_that_is_gone(shop: Path, run_main: Run) -> None:
    make_workspace(
        shop, tags=TAGS.replace("city:", "town:", 1).replace("visits_all:", "visits_ever:"),
        segments="north: {where: city = 'Oslo'}\n", scenarios=SCENARIO,
    )  # fmt: skip
    code, out, _ = run_main("check", "--dir", shop, "--format", "json")
    assert code == 1
    found = {(issue["where"].partition(":")[0], issue["message"]) for issue in json.loads(out)}
    assert found == {
        ("segments/some.yaml", "unknown tag 'city', used by the segment 'north'"),
        ("scenarios/some.yaml", "unknown tag 'visits_all', used by the scenario 'back'"),
        ("scenarios/some.yaml", "unknown tag 'city', used by the scenario 'back'"),
    }


def test_a_limit_that_warns_is_told(shop: Path, run_main: Run) -> None:
    limit = "city: {kind: attribute, attribute: city, quality: {coverage_min: 1, on_breach: %s}}\n"
    make_workspace(shop, tags=limit % "warn", people="user_id,since,city\nu1,2025-01-01,\nu2,2025-01-01,Oslo\n")
    code, _, err = run_main("build", "--dir", shop, "--as-of", "2025-02-03")
    assert (code, "! tags/tags.yaml:1:1 the tag 'city': coverage 0.5 is below 1" in err) == (0, True)
    make_workspace(shop, tags=limit % "stop", people="user_id,since,city\nu1,2025-01-01,\nu2,2025-01-01,Oslo\n")
    code, _, err = run_main("build", "--dir", shop, "--as-of", "2025-02-03")
    assert (code, "[quality-limit]" in err) == (1, True)
    listed = json.loads(run_main("snapshots", "list", "--dir", shop, "--format", "json")[1])
    assert [row["current"] for row in listed] == [False, True]
