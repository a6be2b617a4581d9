"""Segments on the command line: list, size with its steps, why, history, overlap and suggest, on a shop of a few people."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.cli import main
from segments.small import make_workspace

Run = Callable[..., tuple[int, str, str]]

TAGS = """
visits: {kind: count, event: visit, window: 30d, title: {en: visits, zh: 访问数}}
days_since_visit: {kind: recency, event: visit}
spend: {kind: sum, event: visit, of: amount}
city: {kind: attribute, attribute: city, title: {en: city, zh: 城市}}
value_group: {kind: rfm, recency: days_since_visit, frequency: visits, monetary: spend}
"""
SEGMENTS = """
regulars: {where: visits >= 3, title: {en: regulars, zh: 常客}, owner: growth, purpose: the newsletter, expect: {max: 2, change: 0.1}}
oslo: {where: "city = 'Oslo'"}
both: {where: "in_segment('regulars') and not (in_segment('oslo'))"}
"""
PEOPLE = "user_id,since,city\n" + "".join(
    f"u{n},2025-01-01,{city}\n" for n, city in enumerate(["Oslo", "Oslo", "Bern", "Bern", "", "Bern"])
)


def acts(last_day: int) -> str:
    rows = [
        f"u{n},2025-02-{day:02d} 1{n}:00,visit,2025-02-{day:02d} 1{n}:00,{10 * n},book\n"
        for n in range(6)
        for day in range(1, last_day + 1)
        if day % (n + 1) == 0
    ]
    return "user_id,time,event,received,amount,product\n" + "".join(rows)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two snapshots: as of the 8th, and as of the 13th with an edited segment."""
    root = make_workspace(tmp_path_factory.mktemp("shop"), SEGMENTS, tags=TAGS, people=PEOPLE, acts=acts(12)).root
    with pytest.MonkeyPatch.context() as patch:
        for arguments in (["build", "--as-of", "2025-02-08"], ["build"]):
            patch.setattr("sys.argv", ["limner", *arguments, "--dir", str(root)])
            with pytest.raises(SystemExit) as end:
                main()
            assert end.value.code == 0
            text = (root / "segments" / "some.yaml").read_text(encoding="utf-8")
            (root / "segments" / "some.yaml").write_text(
                text.replace("city = 'Oslo'", "city in ('Oslo', 'Bern')"), "utf-8"
            )
    return root


@pytest.fixture
def asked(shop: Path, run_main: Run) -> Callable[..., Any]:
    def ask(*arguments: object) -> Any:
        code, out, err = run_main("segments", *arguments, "--dir", shop, "--format", "json")
        assert code == 0, err
        return json.loads(out)

    return ask


def test_size_tells_the_count_after_each_rule(asked: Callable[..., Any], run_main: Run, shop: Path) -> None:
    found = asked("size", "--where", "city != 'Oslo' and visits >= 3")
    assert found["size"] == 2
    assert found["steps"] == [
        {"step": "1", "rule": "and", "condition": "city != 'Oslo'", "alone": 3, "count": 3, "change": -3,
         "unknown": 1, "unknown_share": 1 / 6, "unknown_lost": 1},
        {"step": "2", "rule": "and", "condition": "visits >= 3", "alone": 4, "count": 2, "change": -1,
         "unknown": 0, "unknown_share": 0.0, "unknown_lost": 0},
    ]  # fmt: skip
    assert asked("size", "both")["steps"][-1]["count"] == asked("size", "both")["size"]
    code, out, _ = run_main("segments", "size", "regulars", "--dir", shop)
    assert (code, "unknown_lost" in out) == (0, True)


def test_list_tells_owner_change_and_alerts(asked: Callable[..., Any], run_main: Run, shop: Path) -> None:
    rows = {row["name"]: row for row in asked("list")}
    regulars = rows["regulars"]
    assert (regulars["owner"], regulars["purpose"], regulars["size"], regulars["change"]) == (
        "growth",
        "the newsletter",
        4,
        2,
    )
    assert "4 users, and at most 2 are expected [audience-out-of-range]" in regulars["alert"]
    assert "a change of 100 %" in regulars["alert"]
    assert (rows["oslo"]["size"], rows["oslo"]["change"], rows["oslo"]["redefined"], rows["oslo"]["alert"]) == (
        5,
        3,
        True,
        None,
    )
    # What it asks for was edited, so it was, too.
    assert rows["both"]["redefined"]
    for name, row in rows.items():
        assert row["size"] == asked("size", name)["size"]
    code, out, _ = run_main("segments", "list", "--dir", shop, "--lang", "zh")
    assert (code, "常客" in out, "+3（已修改）" in out) == (0, True, True)
    assert "purpose" not in out.splitlines()[0]


def test_a_table_cuts_long_conditions_and_json_does_not(
    shop: Path, tmp_path: Path, run_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = shutil.copytree(shop, tmp_path / "copy")
    condition = " and ".join(f"visits != {number}" for number in range(100, 120))
    (root / "segments" / "long.yaml").write_text(f"long: {{purpose: look, where: {condition}}}\n", encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = run_main("segments", "list", "--dir", root)
    assert (code, "…" in out, "visits != 119" in out) == (0, True, False)
    assert any(line.startswith("long") and "[audience-stale]" in line for line in out.splitlines())
    rows = {row["name"]: row for row in json.loads(run_main("segments", "list", "--dir", root, "--format", "json")[1])}
    assert (rows["long"]["condition"], rows["long"]["purpose"]) == (condition, "look")


def test_everyone_names_all_users_where_no_segment_is_so_called(shop: Path, tmp_path: Path, run_main: Run) -> None:
    root = shutil.copytree(shop, tmp_path / "copy")

    def size() -> dict[str, Any]:
        code, out, err = run_main("segments", "size", "everyone", "--dir", root, "--format", "json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    found = size()
    assert found["size"] == found["users"] > 0
    (root / "segments" / "own.yaml").write_text(
        "everyone: {where: visits is unknown and visits > 0}\n", encoding="utf-8"
    )
    assert size()["size"] == 0


def test_an_edit_since_the_build_is_counted_and_told(shop: Path, tmp_path: Path, run_main: Run) -> None:
    root = shutil.copytree(shop, tmp_path / "copy")
    path = root / "segments" / "some.yaml"
    path.write_text(
        path.read_text("utf-8").replace("visits >= 3", "visits >= 4") + "new: {where: visits >= 1}\n", "utf-8"
    )
    code, out, _ = run_main("segments", "list", "--dir", root, "--format", "json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["regulars"]["size"] == 3
    assert "edited after snapshot" in rows["regulars"]["alert"]
    assert "edited after snapshot" in rows["both"]["alert"]
    assert (rows["new"]["size"], rows["new"]["change"]) == (6, None)
    assert "not materialised" in rows["new"]["alert"]
    code, out, err = run_main("segments", "build", "--dir", root, "--format", "json")
    assert "[audience-out-of-range]" in err
    code, out, _ = run_main("segments", "overlap", "new", "regulars", "--dir", root, "--format", "json")
    assert json.loads(out)["pairs"][0]["both"] == 3


def test_why_in_both_languages(asked: Callable[..., Any], run_main: Run, shop: Path) -> None:
    found = asked("why", "both", "u5")
    assert (found["user_id"], found["member"], found["exact"]) == ("u5", False, True)
    assert [(test["place"], test["under"], test["met"], test["wanted"]) for test in found["tests"]] == [
        ("1", "and > segment regulars", False, True), ("2", "and > not > segment oslo", True, False),
    ]  # fmt: skip
    # The verdict is that of the test as it is printed; the `not` stands in `under`.
    assert [test["condition"] for test in found["tests"]] == ["visits >= 3", "city in ('Oslo', 'Bern')"]
    for language in ("en", "zh"):
        _, out, _ = run_main("segments", "why", "both", "u5", "--dir", shop, "--lang", language, "--format", "csv")
        assert "2,and > not > segment oslo,\"city in ('Oslo', 'Bern')\",Bern," in out
    assert found["tests"][0]["origins"] == [
        {"tag": "visits", "kind": "count", "window": "30d", "sources": ["acts"], "events": 2}
    ]
    assert found["tests"][1]["origins"][0]["sources"] == ["people"]
    assert "visits: 1 more (3 instead of 2) and city: anything but Oslo or Bern" in found["sentence_en"]
    assert "访问数：再多 1 次（由 2 到 3）" in found["sentence_zh"]
    assert [change["tag"] for change in found["changes"][0]] == ["visits", "city"]

    measured = asked("why", "--where", "did('visit', at_least => 5, within => '30d')", "u5")
    assert measured["tests"][0]["measured"] == 2
    assert "3 more (5 instead of 2)" in measured["sentence_en"]
    code, out, _ = run_main(
        "segments", "why", "--where", "did('visit', at_most => 3)", "u0", "--dir", shop, "--lang", "zh"
    )
    assert code == 0
    assert "再少 9（由 12 到 3）" in out
    never = asked("why", "--where", "did_not('visit', within => '30d')", "u5")
    assert (never["tests"][0]["measured"], never["tests"][0]["met"]) == (2, False)
    assert "did not visit in the last 30 days (2 times now)" in never["sentence_en"]
    assert "（现为 2 次）" in never["sentence_zh"]
    assert asked("why", "--where", "did_not('order')", "u5")["tests"][0]["measured"] == 0
    ranked = asked("why", "--where", "in_top(visits, 2)", "u5")["tests"][0]
    assert ranked["standing"] == {"rank": 5, "users": 6, "from_top": True, "first": 1, "last": 2, "edge": 6}
    assert ranked["standing_words"] == "rank 5 of 6; the 2nd has 6"
    _, out, _ = run_main(
        "segments", "why", "--where", "in_top(visits, 2)", "u5", "--dir", shop, "--lang", "zh", "--format", "csv"
    )
    assert "2 (第 5 名，共 6 人；第 2 名为 6)" in out
    code, out, _ = run_main("segments", "why", "regulars", "u0", "--dir", shop)
    assert "u0 is in regulars. Smallest change to leave: visits: 10 fewer (2 instead of 12)." in out


def test_mistakes_of_why(run_main: Run, shop: Path) -> None:
    assert "[no-user]" in run_main("segments", "why", "regulars", "--dir", shop)[2]
    assert "[many-users]" in run_main("segments", "why", "regulars", "u1", "u2", "--dir", shop)[2]
    assert "[unknown-user]" in run_main("segments", "why", "regulars", "u77", "--dir", shop)[2]
    assert "[unknown-segment]" in run_main("segments", "why", "regularz", "u1", "--dir", shop)[2]
    assert (
        "[name-and-where]" in run_main("segments", "why", "regulars", "u1", "--where", "visits > 1", "--dir", shop)[2]
    )


def test_history_tells_edits_apart(asked: Callable[..., Any], run_main: Run, shop: Path) -> None:
    first, second = asked("history", "oslo")["history"]
    assert (first["size"], second["size"], second["definition"]) == (2, 5, "edited")
    assert (second["condition_before"], second["condition"]) == ("city = 'Oslo'", "city in ('Oslo', 'Bern')")
    assert (second["joined"], second["joined_by_users"], second["joined_by_definition"]) == (3, 0, 3)
    assert (second["size_by_old_definition"], second["redefined_segments"], second["changed_lists"]) == (2, [], [])
    _, out, _ = run_main("segments", "history", "oslo", "--dir", shop)
    assert "5; by the definition before it would be 2" in out
    # The text of `both` is the same: the segment that it asks for was edited.
    both = asked("history", "both")["history"][1]
    assert (both["definition"], both["redefined_segments"]) == ("edited", ["oslo"])
    assert both["size_by_old_definition"] + both["joined_by_definition"] - both["left_by_definition"] == both["size"]
    _, out, _ = run_main("segments", "history", "both", "--dir", shop)
    assert [line.split() for line in out.splitlines() if "segments edited" in line] == [["segments", "edited", "oslo"]]
    assert "after  " not in out
    _, out, _ = run_main("segments", "history", "oslo", "--dir", shop, "--format", "csv")
    lines = out.splitlines()
    assert (lines[0].split(",")[-1], lines[2].split(",")[-1]) == ("size_by_old_definition", "2")
    found = asked("history", "regulars")
    assert found["expect"] == {"min": None, "max": 2, "change": 0.1}
    assert found["history"][1]["movers"] == [
        {"change": "joined", "place": "1", "condition": "visits >= 3", "count": 2, "alone": 2}
    ]
    assert [alert["code"] for alert in found["history"][1]["alert"]] == ["audience-out-of-range"] * 2
    code, out, _ = run_main("segments", "history", "regulars", "--dir", shop, "--lang", "zh")
    assert (code, "访问数 不少于 3" in out) == (0, True)
    assert "[unknown-segment]" in run_main("segments", "history", "regularz", "--dir", shop)[2]


# The heads that a Chinese table begins with, and words that stand in it; what JSON and CSV say is no matter of language.
CHINESE: dict[tuple[str, ...], tuple[str, tuple[str, ...]]] = {
    ("segments", "list"): ("名称 标题", ("（已修改）",)),
    ("segments", "why", "regulars", "u0"): ("位置 所在条件 条件 值 满足 应满足 来源", ("u0，截至", "是")),
    ("segments", "history", "regulars"): (
        "快照 截至 人数 占比 定义 新进入 已离开 因定义新进入 因定义离开 新用户 不再有的用户 告警", ("首次", "使用户变动的条件", "仅因此条"),
    ),
    ("segments", "history", "both"): ("快照", ("已修改的人群", "按之前的定义为", "之前")),
    ("segments", "compare", "regulars", "--against", "complement"): (
        "标题 特征 效应量 受众 基准 TGI 或差值 上限 q 值", ("名用户中的", "对比 其余用户"),
    ),
    ("profile", "show", "u0"): ("标签 标题 值 百分位 窗口 事件数 来源", ("u0，截至", "最近行为")),
}  # fmt: skip


@pytest.mark.parametrize("words", CHINESE, ids=" ".join)
def test_a_chinese_table_has_chinese_heads_and_programs_read_the_same(
    run_main: Run, shop: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    heads, there = CHINESE[words]
    code, out, err = run_main(*words, "--dir", shop, "--lang", "zh")
    assert code == 0, err
    assert heads in [" ".join(line.split())[: len(heads)] for line in out.splitlines()], out
    assert [word for word in there if word not in out] == []
    for style in ("json", "csv"):
        english, chinese = (
            run_main(*words, "--dir", shop, "--lang", lang, "--format", style)[1] for lang in ("en", "zh")
        )
        keys = [
            re.findall(r'"([a-z_]+)":', text) if style == "json" else text.split("\n")[0].split(",")
            for text in (english, chinese)
        ]
        assert keys[0] == keys[1] != []
        assert not set(heads.split()) & set(keys[1])


def test_overlap_counts_what_size_counts(asked: Callable[..., Any], run_main: Run, shop: Path) -> None:
    found = asked("overlap", "--all", "--where", "visits >= 6")
    sizes = {one["name"]: one["size"] for one in found["segments"]}
    for name in ("regulars", "oslo", "both"):
        assert sizes[name] == asked("size", name)["size"]
    for pair in found["pairs"]:
        conditions = [
            f"in_segment('{name}')" if name in ("regulars", "oslo", "both") else name
            for name in (pair["first"], pair["second"])
        ]
        assert pair["both"] == asked("size", "--where", " and ".join(conditions))["size"]
    assert sum(one["count"] for one in found["intersections"]) + found["rest"] == found["union"]
    code, out, err = run_main("segments", "overlap", "regulars", "oslo", "--dir", shop)
    assert (code, "●" in out, "fewer than 10 users" in err) == (0, True, True)
    assert "[too-few-segments]" in run_main("segments", "overlap", "oslo", "--dir", shop)[2]
    assert "[name-and-all]" in run_main("segments", "overlap", "oslo", "--all", "--dir", shop)[2]


def test_suggested_groups_can_be_saved_once(shop: Path, tmp_path: Path, run_main: Run) -> None:
    root = shutil.copytree(shop, tmp_path / "copy")
    code, out, _ = run_main("segments", "suggest", "rfm", "--write", "--dir", root, "--format", "json")
    rows = json.loads(out)
    assert (code, len(rows), rows[0]["path"]) == (0, 8, "segments/value_group_important_value.yaml")
    listed = {
        row["name"]: row["size"]
        for row in json.loads(run_main("segments", "list", "--dir", root, "--format", "json")[1])
    }
    assert all(listed[row["name"]] == row["size"] for row in rows)
    code, _, err = run_main("segments", "suggest", "rfm", "--write", "--dir", root)
    assert (code, err.count("[name-taken]")) == (1, 8)
    assert "[no-grid]" in run_main("segments", "suggest", "lifecycle", "--dir", root)[2]
    assert "did you mean 'rfm'" in run_main("segments", "suggest", "rmf", "--dir", root)[2]
