from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.project import Project
from segments.small import ACTS, CONFIG, make_workspace

Run = Callable[..., tuple[int, str, str]]
HEADER = ACTS.splitlines()[0]

IN_THE_SAMPLE: list[tuple[tuple[str, ...], str, str]] = [
    (("segments", "size", "quiet_payer"), "unknown-segment", "did you mean 'quiet_payers'?"),
    (("segments", "compare", "nobody"), "unknown-segment", "known: active_readers"),
    (("segments", "size"), "no-segment", "--where"),
    (("segments", "size", "quiet_payers", "--where", "age > 3"), "name-and-where", "give one of them"),
    (("segments", "size", "--where", "agee > 3"), "unknown-tag", "did you mean 'age'?"),
    (("segments", "size", "--where", "age > 'x'"), "wrong-type", "write a number"),
    (("segments", "size", "--where", "age >= 3 and city = 'x"), "bad-condition", "close it"),
    (("segments", "export", "quiet_payers", "--columns", "agee"), "unknown-tag", "did you mean 'age'?"),
    (("segments", "export", "--where", "age > 99"), "audience-too-small", "settings.min_export"),
    (
        ("segments", "size", "quiet_payers", "--snapshot", "20260101-0009"),
        "unknown-snapshot",
        "kept: 20260101-0001",
    ),
    (("scenarios", "train", "chrn"), "unknown-scenario", "did you mean 'churn'?"),
    (("scenarios", "evaluate", "sharing"), "not-trained", "limner scenarios train sharing"),
    (("insights", "list", "chrn"), "unknown-scenario", "did you mean 'churn'?"),
    (("insights", "save", "nothing"), "unknown-insight", "churn-"),
    (("profile", "show", "u00001"), "unknown-user", "did you mean 'u0"),
    (("profile", "show", "u000001", "--lang", "fr"), "bad-value", "en or zh"),
    (("profile", "why", "u000001", "sharing"), "not-trained", "limner scenarios train sharing"),
    (("profile", "why", "nobody", "churn"), "unknown-user", "select user_id"),
    (("tags", "sql", "login_count_8d"), "unknown-tag", "did you mean 'login_count_"),
    (("tags", "sql", "churn_score"), "not-computed", "limner scenarios list"),
    (("tags", "sql", "age", "--as-of", "yesterday"), "bad-time", "2025-12-31"),
    (("tags", "list", "--format", "jsn"), "bad-value", "did you mean 'json'?"),
    (("sql", "drop table profiles"), "not-read-only", "send a SELECT"),
    (("sql", "select 1; drop table profiles"), "one-statement", "one SELECT"),
    (("sql", "select * from profile"), "unknown-table", "did you mean 'profiles'?"),
    (("sql", "select * from users_crm"), "unknown-table", "the view events, and no rows of other sources; tables: "),
    (("sql", "select 1", "--format", "xml"), "bad-value", "table, json, csv or parquet"),
    (("snapshots", "prune", "--keep", "0"), "bad-value", "1 or more"),
    (("sql", "select agee from profiles"), "unknown-column", "did you mean 'age'?"),
    (("sql", "select * from read_text('/etc/hostname')"), "not-allowed", "tables: "),
    (("sql", "selec 1"), "bad-sql", "tables: "),
    (("demo", "--data", "readin"), "bad-value", "did you mean 'reading'?"),
]


def assert_told(told: tuple[int, str, str], error_code: str, hint: str) -> None:
    """Exit code 1; nothing on stdout; on stderr one line of cause with its code, then the remedy, and no traceback."""
    code, out, err = told
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if not line.startswith("✓")]
    assert lines[0].endswith(f"  [{error_code}]")
    assert lines[1].startswith("  ")
    assert hint in err


@pytest.mark.parametrize(("command", "code", "hint"), IN_THE_SAMPLE, ids=[" ".join(row[0]) for row in IN_THE_SAMPLE])
def test_mistakes_in_arguments(
    reading_project: Project, run_main: Run, command: tuple[str, ...], code: str, hint: str
) -> None:
    directory = () if command[0] == "demo" else ("--dir", reading_project.workspace.root)
    assert_told(run_main(*command, *directory), code, hint)


def test_the_position_in_a_condition_is_pointed_at(reading_project: Project, run_main: Run) -> None:
    _, _, err = run_main("segments", "size", "--where", "age >= 3 and and", "--dir", reading_project.workspace.root)
    assert err.startswith("where:14  ")
    lines = err.splitlines()
    position = lines[-2].index("age >= 3 and and") + len("age >= 3 and ")
    assert lines[-1] == " " * position + "^^^"  # under the second "and"


BROKEN: list[tuple[str, dict[str, str], tuple[str, ...], str, str]] = [
    ("a column of another name", {"config": CONFIG.replace("event: event", "event: evnt")}, ("check",), "unknown-column", "'event'"),
    ("a bad time zone", {"config": CONFIG.replace("Berlin", "Berln")}, ("check",), "bad-value", "'Europe/Berlin'"),
    ("YAML that is none", {"segments": "s: {where: [}\n"}, ("check",), "bad-yaml", "indentation"),
    ("an unknown tag", {"segments": "s: {where: visit_30d > 1}\n"}, ("check",), "unknown-tag", "'visits_30d'"),
    ("dates that are none", {"acts": f"{HEADER}\nu1,soon,visit,,1,x\n"}, ("build",), "nothing-readable", "bad-time"),
    ("a source without rows", {"acts": f"{HEADER}\n"}, ("sync",), "empty-source", "at least one row"),
    ("an as_of that is none", {}, ("build", "--as-of", "2025-02-30"), "bad-time", "2025-12-31"),
    ("an as_of before everybody", {}, ("build", "--as-of", "1999-01-01"), "no-users", "choose a later --as-of"),
    ("no snapshot yet", {}, ("sql", "select 1"), "no-snapshot", "limner build"),
    ("no snapshot to train on", {}, ("segments", "size", "--where", "visits_30d > 1"), "no-snapshot", "limner build"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "files", "command", "code", "hint"), BROKEN, ids=[row[0] for row in BROKEN])
def test_mistakes_in_the_workspace(
    tmp_path: Path, run_main: Run, name: str, files: dict[str, str], command: tuple[str, ...], code: str, hint: str
) -> None:
    make_workspace(tmp_path, **{key: text for key, text in files.items() if key != "config"})
    if "config" in files:
        (tmp_path / "limner.yaml").write_text(files["config"])
    assert_told(run_main(*command, "--dir", tmp_path), code, hint)


def test_a_folder_without_a_workspace_and_a_source_without_its_file(tmp_path: Path, run_main: Run) -> None:
    assert_told(run_main("build", "--dir", tmp_path / "nowhere"), "no-workspace", "limner demo")
    make_workspace(tmp_path)
    (tmp_path / "acts.csv").unlink()
    assert_told(run_main("check", "--dir", tmp_path), "missing-file", "relative to the folder of limner.yaml")


def test_check_tells_everything_at_once(tmp_path: Path, run_main: Run) -> None:
    tags = "a: {kind: cunt, event: visit}\nb: {kind: count, event: visit, windw: 3d}\nc: {kind: attribute, attribute: citi}\n"
    segments = "s: {where: nothing > 1}\nt-t: {where: nothing > 1}\n"
    scenarios = "x: {title: x}\n"
    make_workspace(tmp_path, segments, scenarios, tags)
    code, out, err = run_main("check", "--dir", tmp_path)
    assert (code, out) == (1, "")
    told = re.findall(r"^(?:\w+/\w+\.yaml):\d+:\d+ .*\[([\w-]+)\]$", err, re.M)
    assert sorted(told) == [
        "bad-name", "missing-field", "missing-field", "missing-field",
        "unknown-attribute", "unknown-field", "unknown-tag", "unknown-tag-kind",
    ]  # fmt: skip
    assert err.rstrip().endswith("8 issues")
    code, out, err = run_main("check", "--dir", tmp_path, "--format", "json")
    assert (code, err) == (1, "")
    issues = json.loads(out)
    assert len(issues) == 8
    assert {tuple(issue) for issue in issues} == {("code", "where", "message", "hint")}


def test_check_of_a_sound_workspace(tmp_path: Path, run_main: Run) -> None:
    make_workspace(tmp_path, "s: {where: visits_30d > 1}\n")
    assert run_main("check", "--dir", tmp_path) == (0, "5 tags, 1 segments, 0 scenarios: no issues\n", "")
    assert run_main("check", "--dir", tmp_path, "--format", "json") == (0, "[]\n", "")


TAGS_OF_TAGS = """
visits: {kind: count, event: visit}
place: {kind: rank, of: visits}
often: {kind: band, of: place, cuts: [0.5]}
quiet: {kind: recency, event: visit}
"""


def test_renaming_a_tag_names_every_use_of_it(tmp_path: Path, run_main: Run) -> None:
    make_workspace(tmp_path, "s: {where: visits > 1}\n", tags=TAGS_OF_TAGS)
    assert run_main("check", "--dir", tmp_path)[0] == 0
    make_workspace(tmp_path, "s: {where: visits > 1}\n", tags=TAGS_OF_TAGS.replace("visits: ", "visit_count: "))
    code, _, err = run_main("check", "--dir", tmp_path)
    assert code == 1
    told = [line for line in err.splitlines() if "unknown tag 'visits'" in line]
    assert [line.split()[0] for line in told] == ["tags/tags.yaml:3:21", "segments/some.yaml:1:5"]


def test_sql_of_a_tag_holds_the_tags_that_it_refers_to(tmp_path: Path, run_main: Run) -> None:
    make_workspace(tmp_path, tags=TAGS_OF_TAGS)
    code, sql, _ = run_main("tags", "sql", "often", "--as-of", "2025-02-01", "--dir", tmp_path)
    assert code == 0
    assert all(f'AS "{name}"' in sql for name in ("visits", "place", "often"))
    assert "quiet" not in sql


def test_a_port_in_use(reading_project: Project, run_main: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = run_main("serve", "--port", port, "--dir", reading_project.workspace.root)
    assert_told(told, "port-taken", "choose another with --port")
    assert told[2].startswith(f"127.0.0.1:{port}  the port cannot be used: Address already in use")


def test_a_query_that_runs_away_is_stopped(reading_project: Project, run_main: Run) -> None:
    query = "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7"
    told = run_main("sql", query, "--timeout", "0.2", "--dir", reading_project.workspace.root)
    assert_told(told, "query-timeout", "raise the limit")


def test_what_the_machine_refuses_is_told_without_a_traceback(tmp_path: Path, run_main: Run) -> None:
    make_workspace(tmp_path)
    (tmp_path / ".limner").write_text("a file where a folder belongs")
    code, out, err = run_main("build", "--dir", tmp_path)
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    assert "[cannot-access]" in err
    assert str(tmp_path / ".limner") in err


def test_brackets_in_a_folders_name_are_no_markup(tmp_path: Path, run_main: Run) -> None:
    folder = tmp_path / "[red]mine"
    folder.mkdir()
    (folder / "something.txt").write_text("x")
    assert_told(run_main("demo", "--dir", folder), "folder-in-use", "--dir")
    assert "[red]mine" in run_main("demo", "--dir", folder)[2]
