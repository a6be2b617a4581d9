"""limner init on one's own files: from messy files to a workspace that builds, with values computed by hand; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from limner.initial.template import TEMPLATES

Run = Callable[..., tuple[int, str, str]]

MEMBERS = """会员编号,姓名,性别,出生日期,城市,注册时间,会员等级
1001,张三,女,1990-05-01,北京,2024-01-05 10:00:00,金卡
1002,李四,男,2001-02-03,上海,2024-03-05 10:00:00,银卡
1003,王五,女,,广州,2024-06-05 10:00:00,普通
"""
# As of 2025-03-11: 1001 ordered 3 times (100.5 + 20 + 300), 1002 once.
ORDERS = """订单号;会员编号;下单时间;品类;数量;实付金额;支付方式
D01;1001;2025/01/05 09:30;服装;1;100.5;微信
D02;1001;2025/02/14 20:00;美妆;2;20;支付宝
D03;1002;2025/02/20 12:00;食品;3;80;微信
D04;1001;2025/03/10 23:59;服装;1;300;微信
"""


def values(root: Path, run_main: Run, query: str) -> list[dict[str, Any]]:
    code, out, err = run_main("sql", query, "--dir", root, "--format", "json")
    assert code == 0, err
    rows: list[dict[str, Any]] = json.loads(out)
    return rows


def begun(root: Path, run_main: Run, *options: object) -> tuple[dict[str, Any], str]:
    """What `init --yes` says as JSON and on stderr; the workspace must check and build."""
    code, out, err = run_main("init", root, "--yes", "--format", "json", *options)
    assert code == 0, err
    for command in ("check", "build"):
        done, _, complaint = run_main(command, "--dir", root)
        assert done == 0, complaint
    summary: dict[str, Any] = json.loads(out)
    return summary, err


def test_a_chinese_shop_from_two_files(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "会员.csv").write_text(MEMBERS, encoding="utf-8")
    (tmp_path / "data" / "订单_2025.csv").write_text(ORDERS, encoding="utf-8")
    (tmp_path / "data" / "readme.txt").write_text("made on Monday\nby Bob\n", encoding="utf-8")
    root = tmp_path / "shop"
    (tmp_path / "data" / "old.csv").write_bytes("用户ID,时间\n1,登录\n".encode("gbk"))
    summary, err = begun(root, run_main, "--template", "retail", "--data", tmp_path / "data", "--currency", "CNY")
    assert "old.csv is left out: old.csv is not UTF-8, and looks like GBK" in " ".join(err.split())
    assert "iconv -f GB18030" in " ".join(err.split())
    assert [source["unsure"] for source in summary["sources"]] == [[], []]
    assert summary["events"]["order"] == "order"
    assert {row["name"]: row["why"] for row in summary["off"]} == {
        "view_count_30d": "no event in the data is like 'view'",
        "cart_count_30d": "no event in the data is like 'cart'",
        "return_count_365d": "no event in the data is like 'return'",
        "channel": "no column of users is like 'channel'",
        "full_cart": "needs the tag 'cart_count_30d', which is off",
        "churn": "the data span 64 days, and training needs 270",
        "repurchase": "the data span 64 days, and training needs 150",
        "win_back": "the data span 64 days, and training needs 240",
    }
    assert "? time zone Asia/Shanghai" in err
    assert "readme.txt is left out: no column says which user" in err
    config = yaml.safe_load((root / "limner.yaml").read_text(encoding="utf-8"))
    assert config["sources"]["订单"]["path"] == "../data/订单_2025.csv"
    assert config["sources"]["会员"]["attributes"] == {
        "gender": "性别", "birth_year": "出生日期", "city": "城市", "member_level": "会员等级",
    }  # fmt: skip
    rows = values(
        root,
        run_main,
        "select user_id, gender, age, city, order_count_30d, order_count, spend_90d, largest_order_365d, item_count_365d, "
        "days_since_order, "
        "order_interval, preferred_category, second_category, first_order_amount, lifecycle_stage from profiles order by user_id",
    )
    assert [list(row.values()) for row in rows] == [
        ["1001", "女", 35, "北京", 2, 3, 420.5, 300, 4, 1, 32, "服装", "美妆", 100.5, "active"],
        ["1002", "男", 24, "上海", 1, 1, 80, 80, 3, 19, None, "食品", None, 80, "new"],
        ["1003", "女", None, "广州", 0, 0, 0, None, 0, None, None, None, None, None, "potential"],
    ]
    # The reasons stand in the files, too.
    text = (root / "tags" / "behaviour.yaml").read_text(encoding="utf-8")
    assert "# off: no event in the data is like 'view'\n# view_count_30d:\n#   kind: count\n" in text


def test_app_events_in_json_lines_with_milliseconds(tmp_path: Path, run_main: Run) -> None:
    rows = [
        # (user, hours after 2025-01-01 00:00 UTC, event, seconds, amount)
        ("a", 0, "app_launch", None, None), ("a", 1, "article_read", 60, None), ("a", 30, "article_read", 120, None),
        ("b", 2, "app_launch", None, None), ("b", 200, "pay_success", None, 12.5), ("b", 700, "push_received", None, None),
    ]  # fmt: skip
    for part, chosen in (("01", rows[:4]), ("02", rows[4:])):
        lines = [
            {"distinct_id": user, "ts": (1735689600 + hours * 3600) * 1000, "event": event, "amount": amount,
             "props": {"duration": seconds, "category": "news" if seconds else None}}
            for user, hours, event, seconds, amount in chosen
        ]  # fmt: skip
        (tmp_path / f"events_2025-{part}.jsonl").write_text(
            "\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8"
        )
    summary, _ = begun(tmp_path / "app", run_main, "--template", "app", "--data", tmp_path)
    assert [source["path"].rsplit("/", 1)[1] for source in summary["sources"]] == ["events_*.jsonl"]
    found = {event: name for event, name in summary["events"].items() if name}
    assert found == {"login": "app_launch", "view": "article_read", "order": "pay_success"}
    # As of 2025-01-31: 700 hours are the 30th of January, 200 hours the 9th.
    rows_of = values(
        tmp_path / "app",
        run_main,
        "select user_id, active_days_30d, login_count_30d, view_count_30d, view_duration_30d, mean_view_duration_30d, spend, "
        "days_since_order, "
        "push_received_count_30d, preferred_category, days_since_active from profiles order by user_id",
    )
    assert [list(row.values()) for row in rows_of] == [
        ["a", 2, 1, 2, 180, 90, 0, None, 0, "news", 29],
        ["b", 2, 1, 0, 0, None, 12.5, 22, 1, None, 22],
    ]


def test_german_orders_with_decimal_commas(tmp_path: Path, run_main: Run) -> None:
    lines = ["Bestellnummer;Kundennummer;Datum;Artikel;Betrag"]
    lines += [
        "1;K1;31.01.2025 23:30;Hose;1.049,50",
        "2;K2;01.02.2025 00:30;Hemd;19,90",
        "3;K1;02.02.2025 08:00;Hose;10,10",
    ]
    (tmp_path / "Bestellungen.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ("--template", "retail", "--data", tmp_path / "Bestellungen.csv", "--timezone", "Europe/Berlin")
    summary, err = begun(tmp_path / "laden", run_main, *options)
    assert summary["sources"][0]["amount"] == "Betrag"
    assert "time zone" not in err
    rows = values(
        tmp_path / "laden",
        run_main,
        "select user_id, order_count, spend_365d, days_since_order from profiles order by user_id",
    )
    # As of 2025-02-03, Berlin time.
    assert [list(row.values()) for row in rows] == [["K1", 2, 1059.6, 1], ["K2", 1, 19.9, 2]]


def write_devices(folder: Path) -> None:
    """Acts of devices and of accounts, and the file that says which device is whose."""
    folder.mkdir()
    acts = "".join(f"{'d' if n % 3 else 'k'}{n % 30:02},2025-01-{1 + n // 20:02},login\n" for n in range(500))
    pairs = "".join(f"d{n:02},k{n:02}\n" for n in range(30))
    (folder / "events.csv").write_text(f"user_id,time,event\n{acts}", encoding="utf-8")
    (folder / "device_accounts.csv").write_text(f"device_id,account_id\n{pairs}", encoding="utf-8")


def test_a_file_of_id_pairs_becomes_a_source_of_identities(tmp_path: Path, run_main: Run) -> None:
    write_devices(tmp_path / "data")
    summary, _ = begun(tmp_path / "app", run_main, "--template", "app", "--data", tmp_path / "data")
    assert {source["source"]: source["type"] for source in summary["sources"]} == {
        "events": "events", "device_accounts": "identities",
    }  # fmt: skip
    sources = yaml.safe_load((tmp_path / "app" / "limner.yaml").read_text(encoding="utf-8"))["sources"]
    assert sources["device_accounts"] == {
        "type": "identities", "path": "../data/device_accounts.csv", "user": "account_id", "other": "device_id",
    }  # fmt: skip
    # 20 devices acted, of 20 accounts, and 10 accounts under their own names; each is one user, named by its account.
    found = values(
        tmp_path / "app", run_main, "select count(*) n, min(user_id) first, sum(login_count_30d) logins from profiles"
    )
    assert found == [{"n": 30, "first": "k00", "logins": 500}]
    assert run_main("sync", "--dir", tmp_path / "app")[0] == 0


def test_texts_of_attributes_fit_their_history(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.csv").write_text(ORDERS, encoding="utf-8")
    changes = "".join(f"100{n % 3},{'金银'[n % 2]}卡,{'女男'[n % 2]},2025-01-{1 + n:02}\n" for n in range(25))
    (tmp_path / "data" / "members.csv").write_text(f"会员编号,会员等级,性别,更新时间\n{changes}", encoding="utf-8")
    root = tmp_path / "shop"
    begun(root, run_main, "--template", "retail", "--data", tmp_path / "data")
    assert (
        yaml.safe_load((root / "limner.yaml").read_text(encoding="utf-8"))["sources"]["members"]["updated_at"]
        == "更新时间"
    )
    text = (root / "tags" / "portrait.yaml").read_text(encoding="utf-8")
    assert "today" not in text
    tags = yaml.safe_load(text)
    assert tags["member_level"]["description"] == "The level of the loyalty programme as it stood at as_of."
    assert tags["gender"]["values"]["女"] == {"en": "female", "zh": "女"}
    assert tags["gender"]["values"]["男"] == {"en": "male", "zh": "男"}


ODD = ("no", "a: b, [c] # d")
UNFITTING = {
    "users only": ("people.csv", "user_id,shoe_size\n" + "".join(f"u{n},{n % 9}\n" for n in range(40))),
    "unknown events": (
        "log.csv",
        "uid,when,action\n" + "".join(f"u{n % 9},2025-01-{1 + n % 28:02},foo_{n % 3}\n" for n in range(60)),
    ),
    "no event names": (
        "trips.csv",
        "rider;start_time\n" + "".join(f"r{n % 9};{n % 28 + 1}.01.2025 10:00\n" for n in range(60)),
    ),
    "odd event names": (
        "e.csv",
        "uid,time,event\n" + "".join(f'u{n % 9},2025-01-01 10:{n:02},"{ODD[n % 2]}"\n' for n in range(60)),
    ),
}


@pytest.mark.parametrize("shape", UNFITTING)
@pytest.mark.parametrize("template", TEMPLATES)
def test_data_that_do_not_fit_give_a_sound_workspace_all_the_same(
    template: str, shape: str, tmp_path: Path, run_main: Run
) -> None:
    name, text = UNFITTING[shape]
    (tmp_path / name).write_text(text, encoding="utf-8")
    summary, _ = begun(tmp_path / "ws", run_main, "--template", template, "--data", tmp_path / name)
    assert summary["off"]
    if shape == "users only":
        assert (summary["tags"], summary["segments"], summary["scenarios"]) == (1, 0, 0)
    if shape == "unknown events":
        rows = values(tmp_path / "ws", run_main, "select sum(foo_1_count_30d) as acts from profiles")
        assert rows[0]["acts"] == 20
    # The off definitions name a reason each.
    assert all(row["why"] for row in summary["off"])


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("product_id,price\np1,2.5\np2,3.5\n", "no-user-column", "its columns: product_id, price"),
        (
            "a,b,t\n" + "".join(f"x{n % 9},y{n % 8},2025-01-{1 + n % 9:02}\n" for n in range(60)),
            "no-user-column",
            "a or b",
        ),
        ("user_id,city\nu1,x\nu1,y\nu2,x\n", "no-time-column", "user_id, city"),
        ("user_id,event\n" + "u1,login\nu2,buy\n" * 30, "no-time-column", "its columns: user_id, event"),
        (
            "uid,t1,t2,x\n" + "u1,2025-01-01,2025-01-02,a\nu2,2025-01-03,2025-01-04,b\n" * 30,
            "no-time-column",
            "t1 or t2",
        ),
    ],
)
def test_without_a_user_or_time_column_nothing_is_written(
    tmp_path: Path, run_main: Run, text: str, code: str, words: str
) -> None:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    exit_code, _, err = run_main("init", tmp_path / "ws", "--template", "app", "--data", tmp_path / "x.csv", "--yes")
    assert (exit_code, f"[{code}]" in err, words in err) == (1, True, True)
    assert not (tmp_path / "ws").exists()


def test_a_folder_without_any_usable_file_is_an_error(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "products.csv").write_text("product_id,price\np1,2.5\np2,3.5\n", encoding="utf-8")
    code, _, err = run_main("init", tmp_path / "ws", "--template", "app", "--data", tmp_path / "data", "--yes")
    assert (code, "[no-user-column]" in err) == (1, True)


def test_without_a_terminal_the_proposals_are_taken_and_that_is_said(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "订单.csv").write_text(ORDERS, encoding="utf-8")
    code, out, err = run_main("init", tmp_path / "ws", "--template", "retail", "--data", tmp_path / "订单.csv")
    assert code == 0
    assert "there is no terminal to ask at: every proposal is taken" in err
    assert "definitions are off, in comments:" in out
    assert f"limner check --dir {tmp_path / 'ws'}" in out


def test_data_inside_the_folder_of_the_workspace(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "ws" / "data").mkdir(parents=True)
    (tmp_path / "ws" / "data" / "订单.csv").write_text(ORDERS, encoding="utf-8")
    begun(tmp_path / "ws", run_main, "--template", "retail", "--data", tmp_path / "ws" / "data")
    config = yaml.safe_load((tmp_path / "ws" / "limner.yaml").read_text(encoding="utf-8"))
    assert config["sources"]["订单"]["path"] == "data/订单.csv"


def test_columns_with_odd_names_are_mapped(tmp_path: Path, run_main: Run) -> None:
    header = '"用户 ID","Event: {} name","Time, local","it\'s # odd {x}","no","say ""hi"""'
    rows = "".join(
        f"u{n % 9},{'login' if n % 2 else 'pay'},2025-01-01 10:{n:02},{n % 3}.5,{n % 4},x{n % 5}\n" for n in range(60)
    )
    (tmp_path / "odd [1].csv").write_text(f"{header}\n{rows}", encoding="utf-8")
    summary, _ = begun(tmp_path / "my: shop", run_main, "--template", "app", "--data", tmp_path / "odd [1].csv")
    source = summary["sources"][0]
    assert (source["user"], source["event"], source["time"]) == ("用户 ID", "Event: {} name", "Time, local")
    config = yaml.safe_load((tmp_path / "my: shop" / "limner.yaml").read_text(encoding="utf-8"))
    (fields,) = (mapped["properties"] for mapped in config["sources"].values())
    assert fields == {"it_s_odd_x": "it's # odd {x}", "no": {"column": "no", "type": "category"}, "say_hi": 'say "hi"'}
    assert config["name"] == "my: shop"
    assert values(tmp_path / "my: shop", run_main, "select sum(order_count) as orders from profiles") == [
        {"orders": 30}
    ]


def test_a_slip_in_a_table_is_told_and_costs_no_definitions(tmp_path: Path, run_main: Run) -> None:
    data = tmp_path / "data"
    data.mkdir()
    members = [f"{number},北京,2024-01-05 10:00:00" for number in range(1000, 1400)]
    orders = [
        f"D{number:04};{1000 + number % 400};2025-0{1 + number % 3}-11 12:00;{10 + number % 7}.5"
        for number in range(900)
    ]
    tables = {"会员": ("会员编号,城市,注册时间", members), "订单": ("订单号;会员编号;下单时间;实付金额", orders)}
    summaries = {}
    for slips in (False, True):
        if slips:
            members.append("1007,北京 ,2024-02-05 10:00:00")
            orders[500] = orders[500].rsplit(";", 1)[0] + ";许多"
        for name, (header, rows) in tables.items():
            (data / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        root = tmp_path / f"shop{slips}"
        summaries[slips], err = begun(root, run_main, "--template", "retail", "--data", data)
    assert summaries[True]["off"] == summaries[False]["off"]
    assert {source["source"]: source["type"] for source in summaries[True]["sources"]} == {
        "会员": "users",
        "订单": "orders",
    }
    assert [source["unsure"] for source in summaries[False]["sources"]] == [[], []]
    unsure = [line for source in summaries[True]["sources"] for line in source["unsure"]]
    assert unsure == [
        "会员编号: 1 row of 401 repeats the id of another; the last row of a user counts",
        "城市: 1 of 2 values differ from another only in blanks at the ends, and count as values of their own; mend them in the file",
        "实付金额: 1 row of 900 is no number ('许多'): kept aside at the build",
    ]
    assert "? 订单.csv: 实付金额: 1 row of 900 is no number" in " ".join(err.split())
    kept = values(root, run_main, "SELECT * FROM sources")
    assert {(row["name"], row["rows"], row["rejected"]) for row in kept} == {
        ("会员", 400, 0),
        ("订单", 899, 1),
    }
