"""limner sync: what it says before and after it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]

CONFIG = """name: t
timezone: UTC
sources:
  acts: {type: events, path: 'a*.csv', user: u, time: t, event: e, properties: [p]}
"""


def test_a_dry_run_says_what_a_sync_then_does(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "limner.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "a1.csv").write_text("u,t,e,p\na,2025-01-01,x,1\n", encoding="utf-8")
    code, out, _ = run_main("sync", "--dry-run", "--dir", tmp_path, "--format", "json")
    (row,) = json.loads(out)
    assert (code, row) == (0, {
        "source": "acts", "new": ["a1.csv"], "changed": [], "gone": [], "unchanged": 0, "new_columns": [],
        "missing_columns": [], "retyped_columns": [],
    })  # fmt: skip
    assert not (tmp_path / ".limner").exists()
    assert run_main("sync", "--dir", tmp_path)[0] == 0

    (tmp_path / "a1.csv").rename(tmp_path / "a2.csv")
    (tmp_path / "a3.csv").write_text("u,t,e,p,os\na,2025-01-01,x,1,z\n", encoding="utf-8")
    code, out, _ = run_main("sync", "--dry-run", "--dir", tmp_path, "--format", "csv")
    assert (code, out.splitlines()[1]) == (0, "acts,a2.csv a3.csv,,a1.csv,0,os,,")
    code, out, err = run_main("sync", "--dir", tmp_path, "--format", "json")
    assert code == 0
    assert {key: json.loads(out)[0][key] for key in ("rows", "duplicates", "files", "read", "gone")} == {
        "rows": 1, "duplicates": 1, "files": 2, "read": 2, "gone": 1,
    }  # fmt: skip
    assert "! acts: a1.csv is gone; the rows go, too" in err
    assert "! acts: new columns that are not mapped: os" in err


def test_a_dry_run_names_the_columns_at_fault(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "limner.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "a1.csv").write_text("u,t,e,p\na,2025-01-01,x,1\n", encoding="utf-8")
    assert run_main("sync", "--dir", tmp_path)[0] == 0
    (tmp_path / "a2.csv").write_text("u,t,e,p\na,2025-01-01,x,low\na,2025-01-02,x,high\n", encoding="utf-8")
    (tmp_path / "a3.csv").write_text("u,t,e\na,2025-01-01,x\n", encoding="utf-8")
    code, out, err = run_main("sync", "--dry-run", "--dir", tmp_path, "--format", "json")
    (row,) = json.loads(out)
    assert (code, row["retyped_columns"], row["missing_columns"]) == (1, ["p"], ["p"])
    assert "[retyped-column]" in err
    assert "[unknown-column]" in err
    assert run_main("sync", "--dir", tmp_path)[0] == 1


def test_a_source_that_is_taken_out_goes_with_a_word(tmp_path: Path, run_main: Run) -> None:
    more = CONFIG + "  orders: {type: orders, path: o.csv, user: u, time: t, amount: m}\n"
    (tmp_path / "limner.yaml").write_text(more, encoding="utf-8")
    (tmp_path / "a1.csv").write_text("u,t,e,p\na,2025-01-01,x,1\n", encoding="utf-8")
    (tmp_path / "o.csv").write_text("u,t,m\na,2025-01-01,3\n", encoding="utf-8")
    assert run_main("sync", "--dir", tmp_path)[:1] == (0,)
    (tmp_path / "limner.yaml").write_text(CONFIG, encoding="utf-8")
    assert "! orders: no longer in limner.yaml; its rows go, too" in run_main("sync", "--dir", tmp_path)[2]
    assert "no longer" not in run_main("sync", "--dir", tmp_path)[2]
