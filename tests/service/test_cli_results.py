from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.project import Project

Run = Callable[..., tuple[int, str, str]]

# Keys are glossary words and do not change: who scripts against them relies on it.
KEYS: dict[tuple[str, ...], str] = {
    ("snapshots", "list"): "id as_of created_at users megabytes current",
    ("tags", "list"): "name kind type title unit window coverage where",
    ("tags", "stats"): (
        "tag type users unknown coverage distinct_values mean min quartile_1 median quartile_3 max earliest latest top_values psi "
        "compared_with breach age_hours drift"
    ),
    ("segments", "list"): "name title owner purpose size share change redefined alert condition where",
    ("segments", "show", "quiet_payers"): (
        "name title purpose condition sentence_en sentence_zh sql size share unknown_share origin"
    ),
    ("segments", "size", "quiet_payers"): "size users share unknown unknown_share snapshot as_of steps",
    ("segments", "compare", "quiet_payers"): (
        "tag title trait audience_share base_share tgi tgi_low tgi_high ceiling q_value tautological suppressed effect_size measure "
        "condition fixed_by audience_mean base_mean mean_difference mean_low mean_high"
    ),
    ("scenarios", "list"): "name title population label_window state auc",
    ("scenarios", "evaluate", "churn"): "scenario scorer metric k value low high",
    ("insights", "list"): (
        "id scenario rank status direction rule condition sentence_en sentence_zh size support holdout_users "
        "holdout_outcomes outcome_rate base_rate lift lift_low lift_high q_value train_lift rediscovered reasons "
        "warnings dropped_because"
    ),
    ("sql", "select scenario, score from scores order by user_id limit 3"): "scenario score",
}


@pytest.fixture(scope="module")
def user(reading_project: Project) -> str:
    with reading_project.store.open() as snapshot:
        return str(snapshot.value("SELECT user_id FROM scores ORDER BY score DESC, user_id LIMIT 1"))


def root_of(project: Project) -> Path:
    return project.workspace.root


@pytest.mark.parametrize("command", KEYS, ids=" ".join)
def test_results_have_stable_keys_in_every_format(
    reading_project: Project, run_main: Run, command: tuple[str, ...]
) -> None:
    root = root_of(reading_project)
    code, out, err = run_main(*command, "--format", "json", "--dir", root)
    assert (code, err) == (0, "")
    content = json.loads(out)
    rows: list[dict[str, Any]] = content if isinstance(content, list) else [content]
    assert rows
    assert {tuple(row) for row in rows} == {tuple(KEYS[command].split())}

    code, out, err = run_main(*command, "--format", "csv", "--dir", root)
    assert (code, err) == (0, "")
    table = list(csv.DictReader(io.StringIO(out)))
    assert len(table) == len(rows)
    assert set(table[0]) <= set(rows[0])
    for row, cells in zip(rows, table, strict=True):
        for key, cell in cells.items():
            value = row[key]
            wanted = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            assert cell == wanted

    code, out, err = run_main(*command, "--dir", root)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) > 1


def test_one_user_in_every_format(reading_project: Project, run_main: Run, user: str) -> None:
    root = root_of(reading_project)
    code, out, err = run_main("profile", "show", user, "--format", "json", "--dir", root, "--acts", 3, "--lang", "zh")
    assert (code, err) == (0, "")
    profile = json.loads(out)
    assert list(profile) == ["user_id", "ids", "as_of", "profile", "acts", "since", "changes", "history"]
    assert {tuple(value) for value in profile["profile"]} == {
        ("tag", "title", "kind", "window", "unit", "value", "percentile", "sources", "events", "valid_from")
    }
    assert [value["tag"] for value in profile["profile"]] == list(reading_project.catalog.tags)
    assert len(profile["acts"]) == 3
    assert {tuple(act) for act in profile["acts"]} == {("time", "event", "properties")}
    titles = {value["tag"]: value["title"] for value in profile["profile"]}
    assert titles["login_count_7d"] == "近7天登录次数"
    code, out, _ = run_main("profile", "show", user, "--format", "csv", "--dir", root)
    assert len(list(csv.DictReader(io.StringIO(out)))) == len(profile["profile"])
    code, out, _ = run_main("profile", "show", user, "--dir", root)
    assert out.startswith(f"{user} as of 2026-01-01\n")
    assert "latest acts" in out


@pytest.mark.filterwarnings("ignore:LightGBM binary classifier with TreeExplainer:UserWarning")  # of shap itself
def test_the_reasons_of_a_user_add_up_to_the_score(reading_project: Project, run_main: Run, user: str) -> None:
    code, out, err = run_main("profile", "why", user, "churn", "--format", "json", "--dir", root_of(reading_project))
    assert (code, err) == (0, "")
    why = json.loads(out)
    assert list(why) == ["user_id", "scenario", "score", "base_value", "log_odds", "unit", "contributions"]
    assert {tuple(row) for row in why["contributions"]} == {("tag", "title", "value", "contribution")}
    total = why["base_value"] + sum(row["contribution"] for row in why["contributions"])
    assert total == pytest.approx(why["log_odds"], abs=5e-5 * len(why["contributions"]))
    assert "crm_status" not in {row["tag"] for row in why["contributions"]}  # the leak was left out of the model
    with reading_project.store.open() as snapshot:
        assert why["score"] == pytest.approx(snapshot.value("SELECT score FROM scores WHERE user_id = ?", [user]))


def test_an_audience_has_one_size_on_every_surface(reading_project: Project, run_main: Run, tmp_path: Path) -> None:
    root = root_of(reading_project)
    listed = {
        row["name"]: row["size"]
        for row in json.loads(run_main("segments", "list", "--format", "json", "--dir", root)[1])
    }
    for name, named in reading_project.segments.items():
        sizes = []
        for extra in (("size", name), ("show", name), ("size", "--where", named.condition.to_text())):
            sizes.append(json.loads(run_main("segments", *extra, "--format", "json", "--dir", root)[1])["size"])
        query = run_main("segments", "sql", name, "--dir", root)[1]
        sizes.append(len(json.loads(run_main("sql", query, "--format", "json", "--dir", root)[1])))
        counted = f"select count(*) as n from audiences where segment = '{name}'"
        sizes.append(json.loads(run_main("sql", counted, "--format", "json", "--dir", root)[1])[0]["n"])
        out = tmp_path / f"{name}.csv"
        manifest = json.loads(run_main("segments", "export", name, "--out", out, "--format", "json", "--dir", root)[1])
        sizes += [manifest["rows"], len(out.read_text(encoding="utf-8").splitlines()) - 1]
        assert set(sizes) == {listed[name]}


def test_an_export_tells_its_path_and_manifest(reading_project: Project, run_main: Run, tmp_path: Path) -> None:
    arguments = ("segments", "export", "quiet_payers", "--out", tmp_path / "x.csv", "--columns", "age, city,")
    code, out, err = run_main(*arguments, "--format", "json", "--dir", root_of(reading_project))
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert content["columns"] == ["user_id", "age", "city"]
    assert content["path"] == str(tmp_path / "x.csv")
    del content["path"]
    # What the ledger says of it stands beside the manifest.
    assert re.fullmatch(r"\d{8}-\d{4}", content.pop("export"))
    assert content.pop("accounting")["recipients"] == content["rows"]
    assert content == json.loads((tmp_path / "x.csv.manifest.json").read_text(encoding="utf-8"))


def test_insights_that_were_dropped_say_why(reading_project: Project, run_main: Run) -> None:
    root = root_of(reading_project)
    dropped = json.loads(run_main("insights", "list", "--dropped", "--format", "json", "--dir", root)[1])
    assert dropped
    assert all(row["dropped_because"] for row in dropped)
    shown = json.loads(run_main("insights", "list", "churn", "--format", "json", "--dir", root)[1])
    every = json.loads(run_main("insights", "list", "--all", "--format", "json", "--dir", root)[1])
    assert {row["rule"] for row in shown} < {row["rule"] for row in every}
    assert not {row["rule"] for row in every} & {row["rule"] for row in dropped}
    code, out, _ = run_main("insights", "list", "--lang", "zh", "--dir", root)
    assert code == 0
    assert shown[0]["sentence_zh"][:10] in out.replace("\n", "")


def test_sql_of_tags_and_segments_can_be_piped(reading_project: Project, run_main: Run) -> None:
    root = root_of(reading_project)
    whole = run_main("tags", "sql", "--dir", root)[1]
    one = run_main("tags", "sql", "login_count_7d", "--as-of", "2025-06-01", "--dir", root)[1]
    assert whole.startswith("WITH")
    assert "login_count_7d" in one
    assert "read_minutes" not in one
    assert "2025-05-31 16:00" in one  # midnight in Shanghai


def test_awkward_values_are_valid_in_every_format(reading_project: Project, run_main: Run) -> None:
    query = """select 'inf'::double as a, 'nan'::double as b, null as c, true as d, [1, 2] as e, {'x': '中'} as f, 1::hugeint as g,
        1.5::decimal(9, 2) as h, date '2025-01-02' as i, 'a,"b' as j, 1 as a, interval 1 day as k, '\\x01'::blob as l"""
    root = root_of(reading_project)
    (row,) = json.loads(run_main("sql", query, "--format", "json", "--dir", root)[1], parse_constant=pytest.fail)
    assert row == {
        "a": None, "b": None, "c": None, "d": True, "e": [1, 2], "f": {"x": "中"}, "g": 1, "h": 1.5, "i": "2025-01-02",
        "j": 'a,"b', "a_2": 1, "k": "1 day, 0:00:00", "l": "01",
    }  # fmt: skip
    (cells,) = csv.DictReader(io.StringIO(run_main("sql", query, "--format", "csv", "--dir", root)[1]))
    assert [cells[key] for key in "abcdefj"] == ["", "", "", "true", "[1, 2]", '{"x": "中"}', 'a,"b']
    code, out, _ = run_main("sql", query, "--dir", root)
    assert code == 0
    assert "inf" in out
    assert "nan" in out


def test_no_rows_are_no_error(reading_project: Project, run_main: Run) -> None:
    query = "select user_id from profiles where false"
    root = root_of(reading_project)
    assert json.loads(run_main("sql", query, "--format", "json", "--dir", root)[1]) == []
    assert run_main("sql", query, "--format", "csv", "--dir", root)[:2] == (0, "user_id\n")
    assert "(no rows)" in run_main("sql", query, "--dir", root)[1]


def test_the_version_and_the_help(run_main: Run) -> None:
    assert run_main("--version") == (0, "limner 0.1.0\n", "")
    code, out, _ = run_main("--help")
    assert code == 0
    nouns = ["demo", "sample", "check", "sync", "build", "sql", "serve", "tags", "profile", "snapshots", "segments"]
    nouns += ["scenarios", "insights"]
    assert all(noun in out for noun in nouns)
    assert run_main("segments", "size", "--no-such-option")[0] == 2


def test_a_trained_scenario_without_a_card_is_not_sent_back_to_training(
    reading_project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import limner.cards

    monkeypatch.setattr(limner.cards, "read_cards", lambda snapshot, scenario: [])
    limner.cards.print_cards(reading_project, None)
    told = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "churn: no insights, since no rule held up on the hold-out" in told
    assert "sharing: no insights, since it has not been trained; run 'limner scenarios train sharing'" in told


def test_whole_numbers_of_an_act_have_no_decimals() -> None:
    from limner.output import show

    assert show({"amount": 169.0, "rate": 0.5, "of": [2.0, True, None, "3.0"]}) == (
        '{"amount": 169, "rate": 0.5, "of": [2, true, null, "3.0"]}'
    )
