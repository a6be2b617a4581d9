"""limner sql: Parquet, the plan, and the snapshot that is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from limner.project import Project

Run = Callable[..., tuple[int, str, str]]


def test_parquet_holds_what_the_table_shows(reading_project: Project, run_main: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    root, file = reading_project.workspace.root, tmp_path / "out.parquet"
    query = "select city, count(*) as users, avg(age) as age from profiles group by all order by users desc, city"
    code, out, err = run_main("sql", query, "--dir", root, "--format", "parquet", "--out", file)
    rows = pq.read_table(file).to_pylist()
    assert (code, out, err) == (0, "", f"{len(rows)} rows written to {file}\n")
    assert rows == json.loads(run_main("sql", query, "--dir", root, "--format", "json")[1])
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_a_failed_query_leaves_the_file_of_before(reading_project: Project, run_main: Run, tmp_path: Path) -> None:
    root, file = reading_project.workspace.root, tmp_path / "out.parquet"
    file.write_bytes(b"of before")
    for query, code in (("select nothing from profiles", "unknown-column"), ("drop table profiles", "not-read-only")):
        ended, _, err = run_main("sql", query, "--dir", root, "--format", "parquet", "--out", file, "--overwrite")
        assert (ended, f"[{code}]" in err) == (1, True)
    slow = "select count(*) from profiles a, profiles b, profiles c"
    assert (
        "[query-timeout]"
        in run_main("sql", slow, "--dir", root, "--format", "parquet", "--out", file, "--timeout", 0.2, "--overwrite")[
            2
        ]
    )
    assert file.read_bytes() == b"of before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_parquet_and_out_belong_together(reading_project: Project, run_main: Run, tmp_path: Path) -> None:
    root = reading_project.workspace.root
    for options in (("--format", "parquet"), ("--format", "csv", "--out", tmp_path / "x"), ("--out", tmp_path / "x")):
        code, _, err = run_main("sql", "select 1", "--dir", root, *options)
        assert (code, "[bad-value]" in err) == (1, True)
    code, _, err = run_main("sql", "select 1", "--dir", root, "--format", "parquet", "--out", tmp_path / "no" / "x")
    assert (code, "[missing-folder]" in err) == (1, True)


def test_the_plan(reading_project: Project, run_main: Run) -> None:
    root = reading_project.workspace.root
    code, out, err = run_main("sql", "select city, count(*) from profiles group by all", "--explain", "--dir", root)
    assert (code, err) == (0, "")
    assert "profiles" in out
    assert "group" in out.lower()
    code, _, err = run_main("sql", "drop table profiles", "--explain", "--dir", root)
    assert (code, "[not-read-only]" in err) == (1, True)
    assert "[unknown-column]" in run_main("sql", "select nothing from profiles", "--explain", "--dir", root)[2]


def test_a_file_that_exists_is_replaced_on_request_only(
    reading_project: Project, run_main: Run, tmp_path: Path
) -> None:
    root, file = reading_project.workspace.root, tmp_path / "out.parquet"
    file.write_bytes(b"of before")
    asked = ("sql", "select 1 as one", "--dir", root, "--format", "parquet", "--out", file)
    code, _, err = run_main(*asked)
    assert (code, "[file-exists]" in err, "add --overwrite" in err) == (1, True, True)
    assert file.read_bytes() == b"of before"
    assert run_main(*asked, "--overwrite")[0] == 0
    assert file.read_bytes().startswith(b"PAR1")
