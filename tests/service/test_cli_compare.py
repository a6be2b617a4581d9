"""`limner segments compare`: what it is compared with, its rows in every format, and mistakes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from limner.project import Project

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def compare(reading_project: Project, run_main: Run) -> Callable[..., list[dict[str, Any]]]:
    def rows(*arguments: object) -> list[dict[str, Any]]:
        code, out, err = run_main(
            "segments",
            "compare",
            *arguments,
            "--dir",
            reading_project.workspace.root,
            "--format",
            "json",
            "--top",
            1000,
        )
        assert code == 0, err
        found: list[dict[str, Any]] = json.loads(out)
        return found

    return rows


def test_shares_and_means_stand_in_one_list_the_largest_sure_effect_first(
    compare: Callable[..., list[dict[str, Any]]],
) -> None:
    rows = compare("quiet_payers")
    assert {row["measure"] for row in rows} == {"share", "mean"}
    assert {row["tag"] for row in rows if row["fixed_by"] == "condition"} == {"order_count_90d", "days_since_login"}
    free = [abs(row["effect_size"] or 0) for row in rows if not row["tautological"] and not row["suppressed"]]
    assert free[0] > 0.5
    assert sum(free[:20]) > 3 * sum(free[-20:])
    means = [row for row in rows if row["measure"] == "mean" and not row["suppressed"]]
    assert all(row["trait"] is None and row["tgi"] is None for row in means)
    # Nobody in the audience has a value of some tag; all others have a mean.
    assert sum(row["audience_mean"] is not None for row in means) > 10
    assert len({row["tag"] for row in rows}) > 20


@pytest.mark.parametrize("base", ["complement", "active_readers"])
def test_a_trait_has_the_size_that_its_condition_has(
    compare: Callable[..., list[dict[str, Any]]], reading_project: Project, run_main: Run, base: str
) -> None:
    rows = [
        row for row in compare("quiet_payers", "--against", base) if row["measure"] == "share" and not row["suppressed"]
    ]
    outside = {
        "complement": "not (order_count_90d >= 1 and days_since_login >= 14)",
        "active_readers": "login_count_30d >= 1",
    }[base]

    def size(where: str) -> int:
        code, out, _ = run_main(
            "segments", "size", "--where", where, "--dir", reading_project.workspace.root, "--format", "json"
        )
        assert code == 0
        return int(json.loads(out)["size"])

    whole = size(outside)
    for row in rows[:4]:
        inside = size(f"({outside}) and ({row['condition']})")
        assert row["base_share"] == pytest.approx(inside / whole)
        assert row["tgi"] == pytest.approx(100 * row["audience_share"] / row["base_share"])


def test_a_condition_and_a_segment_say_the_same(compare: Callable[..., list[dict[str, Any]]]) -> None:
    by_name = compare("quiet_payers", "--against", "active_readers")
    assert by_name == compare("quiet_payers", "--against-where", "login_count_30d >= 1")
    where = "order_count_90d >= 1 and days_since_login >= 14"
    assert by_name == compare("--where", where, "--against", "active_readers")
    assert compare("quiet_payers") == compare("quiet_payers", "--against", "everyone")


def test_the_table_says_what_was_compared_and_csv_has_the_rows_of_json(
    compare: Callable[..., list[dict[str, Any]]], reading_project: Project, run_main: Run
) -> None:
    root = reading_project.workspace.root
    code, out, _ = run_main(
        "segments", "compare", "quiet_payers", "--against", "active_readers", "--dir", root, "--top", 5
    )
    assert code == 0
    assert "users, against active_readers: " in out.splitlines()[0]
    assert " in both" in out.splitlines()[0]
    assert "tgi or difference" in out.splitlines()[1]
    means = [line for line in out.splitlines() if "  mean  " in line]
    shares = [line for line in out.splitlines()[2:] if line not in means]
    assert all(" to " in line for line in means)
    assert all(line.count("%") >= 2 for line in shares if "–" in line)
    code, out, _ = run_main(
        "segments", "compare", "quiet_payers", "--dir", root, "--format", "csv", "--lang", "zh", "--top", 7
    )
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["title"] for row in rows] == [row["title"] for row in compare("quiet_payers", "--lang", "zh")[:7]]


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("quiet_payers", "--against", "activ_readers"), "unknown-segment", "did you mean 'active_readers'?"),
        (("quiet_payers", "--against", "complemnt"), "unknown-segment", "did you mean 'complement'?"),
        (("quiet_payers", "--against", "everyone", "--against-where", "age > 3"), "name-and-where", "give one of them"),
        (("quiet_payers", "--against-where", "no_such_tag > 3"), "unknown-tag", ""),
    ],
)
def test_mistakes(reading_project: Project, run_main: Run, arguments: tuple[str, ...], code: str, hint: str) -> None:
    exit_code, out, err = run_main("segments", "compare", *arguments, "--dir", reading_project.workspace.root)
    assert (exit_code, out) == (1, "")
    assert code in err
    assert hint in err
