"""Fitting templates: counterparts of events and fields, definition texts, time zones, and what is put in comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from limner.initial.definition_text import EntryText, entry_at, join_entries, scalar, split_entries, with_events
from limner.initial.drafts import (
    config_text,
    draft_sources,
    offer_of,
    propose_zone,
    shown_path,
    strangers,
    tell_orders_apart,
)
from limner.initial.fitting import Offer, fit_template, large_amount
from limner.initial.template import Template, read_template
from limner.initial.vocabulary import Match, match_events, match_fields, sensitivity_of
from limner_profile.mapping.fields import FieldProposal
from limner_profile.mapping.proposal import propose_mapping
from limner_profile.mapping.sample import FileSample, data_files, read_samples


def field(column: str, kind: Any = "category") -> FieldProposal:
    return FieldProposal(column.lower(), column, kind)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("login", "sign_in"), ("login", "AppOpen"), ("login", "用户登录"), ("login", "登录"), ("order", "Purchase"),
        ("order", "pay_success"), ("order", "支付成功"), ("order", "下单"), ("view", "view_item"), ("view", "PageView"),
        ("cart", "加入购物车"), ("level_up", "levelUp"), ("withdraw", "提现"), ("renew", "membership_renewed"),
    ],
)  # fmt: skip
def test_events_are_found_by_other_names(event: str, name: str) -> None:
    assert match_events([event], {name: 5, "something_else": 9})[event].name == name


@pytest.mark.parametrize(
    "name", ["order_cancelled", "支付失败", "begin_checkout", "order_page_view", "open_chest", "reorder_list", "coffee"]
)
def test_what_only_sounds_like_an_event_is_not_taken(name: str) -> None:
    assert match_events(["login", "order"], {name: 5}) == {"login": Match(None), "order": Match(None)}
    assert match_events(["view"], {"click_banner": 5, "click": 2})["view"].name == "click"


def test_the_name_itself_goes_before_other_words_and_equals_are_told() -> None:
    found = match_events(["order"], {"pay": 900, "order": 3})["order"]
    assert (found.name, found.sure, found.others) == ("order", "sure", ("pay",))
    unsure = match_events(["order"], {"web_purchase": 5, "app_purchase": 9})["order"]
    assert (unsure.name, unsure.sure, unsure.others) == ("app_purchase", "?", ("web_purchase",))
    one = match_events(["order"], {"web_purchase": 5})["order"]
    assert (one.name, one.sure) == ("web_purchase", "likely")


def test_a_name_counts_for_one_event_only() -> None:
    found = match_events(["order", "deposit"], {"recharge": 5})
    assert (found["deposit"].name, found["order"].name) == ("recharge", None)
    both = match_events(["order", "deposit"], {"recharge": 5, "申购": 2})
    assert (both["deposit"].name, both["order"].name) == ("recharge", "申购")


def test_fields_are_found_by_other_names_where_the_type_fits() -> None:
    fields = [field("Sex"), field("user_city"), field("DOB", "date"), field("Customer Level", "number")]
    found = match_fields("attributes", ["gender", "city", "birth_year", "member_level"], fields)
    assert {concept: known.column for concept, known in found.items()} == {
        "gender": "Sex", "city": "user_city", "birth_year": "DOB", "member_level": "Customer Level",
    }  # fmt: skip
    assert match_fields("properties", ["quantity"], [field("Qty")]) == {}
    assert match_fields("properties", ["quantity"], [field("Qty", "number")])["quantity"].column == "Qty"
    assert match_fields("properties", ["category"], [field("props.genre")])["category"].column == "props.genre"
    assert match_fields("attributes", ["birth_year"], [field("birthday")]) == {}
    assert match_fields("attributes", ["member_level"], [field("noise_level")]) == {}


def test_attributes_that_say_much_of_a_person_are_marked() -> None:
    levels = {
        name: sensitivity_of(name) for name in ("MaritalStatus", "年龄段", "home_city", "邮编", "favourite_colour")
    }
    assert levels == {
        "MaritalStatus": "sensitive", "年龄段": "sensitive", "home_city": "proxy", "邮编": "proxy", "favourite_colour": "none",
    }  # fmt: skip


@given(st.text(min_size=1))
def test_any_text_is_read_back_from_yaml(text: str) -> None:
    if any(
        ord(letter) < 32
        or 0x7F <= ord(letter) < 0xA0
        or letter in "\u2028\u2029\ufeff\ufffe\uffff"
        or 0xD800 <= ord(letter) < 0xE000
        for letter in text
    ):
        return
    assert yaml.safe_load(f"a: {scalar(text)}\n") == {"a": text}
    assert yaml.safe_load(f"a: [{scalar(text)}, {{b: {scalar(text)}}}]\n") == {"a": [text, {"b": text}]}


TEXT = "# Head.\none:\n  kind: count\n  event: login\ntwo:\n  outcome:\n    kind: did\n    event: [a, b]\n  part: x\n"


def test_entries_are_split_commented_and_found_by_line() -> None:
    entries = split_entries(TEXT)
    assert [entry.name for entry in entries] == ["", "one", "two"]
    assert join_entries(entries) == TEXT
    off = [entries[0], EntryText("one", entries[1].text, "no event"), entries[2]]
    assert join_entries(off).startswith("# Head.\n# off: no event\n# one:\n#   kind: count\n#   event: login\ntwo:\n")
    assert yaml.safe_load(join_entries(off)) == {"two": yaml.safe_load(TEXT)["two"]}
    lines = join_entries(off).splitlines()
    assert entry_at(off, 1 + lines.index("two:")) == 2
    assert entry_at(off, 1 + lines.index("#   kind: count")) == 1


def test_events_are_renamed_where_they_stand() -> None:
    one, two = split_entries(TEXT)[1:]
    assert with_events(one, lambda names: ["app open: cold"]).content == {"kind": "count", "event": "app open: cold"}
    assert with_events(one, lambda names: ["x", "y"]).content["event"] == ["x", "y"]
    assert with_events(two, lambda names: [*names, "no"]).content["outcome"]["event"] == ["a", "b", "no"]


@pytest.mark.parametrize(
    ("amounts", "large"),
    [
        ([], None),
        ([0, -5], None),
        ([5, 10, 20, 30, 460], 20),
        ([7], 5),
        ([1000] * 5, 1000),
        ([0.2, 0.4, 0.5, 0.9], 0.5),
        ([3, 90000], 50000),
    ],
)
def test_a_large_amount_is_round_and_parts_the_amounts(amounts: list[float], large: float | None) -> None:
    assert large_amount(amounts) == large


TEMPLATE = Template(
    "tiny",
    "title: Tiny\n",
    {
        "tags/t.yaml": "active_days:\n  kind: active_days\n  event: [login, view]\n"
        "searches:\n  kind: count\n  event: search\n"
        "spend:\n  kind: sum\n  event: order\n"
        "large:\n  kind: share\n  event: order\n  of: amount\n  part: amount >= 100\n"
        "age:\n  kind: attribute\n  attribute: birth_year\n  as: age\n  minimum: 5\n"
        "taste:\n  kind: preference\n  event: view\n  by: category\n",
        "scenarios/s.yaml": "churn:\n  outcome:\n    kind: did_not\n    event: [login, view]\n",
    },
    {},
)


def fitted(offer: Offer, matches: dict[str, Match]) -> tuple[dict[str, EntryText], tuple[str, ...]]:
    found = fit_template(TEMPLATE, offer, matches)
    return {entry.name: entry for entries in found.files.values() for entry in entries if entry.name}, found.notes


def test_what_has_a_counterpart_is_renamed_and_the_rest_is_off_with_a_reason() -> None:
    offer = Offer(
        {"open": 9, "pay": 3, "other": 1},
        {"open": frozenset(), "pay": frozenset({"amount"}), "other": frozenset()},
        {"age": "number", "shoe_size": "number"},
        {"pay": [10, 20, 30, 400], "other": [7000]},
    )
    entries, notes = fitted(
        offer, {"login": Match("open"), "order": Match("pay"), "search": Match(None), "view": Match(None)}
    )
    assert entries["active_days"].content["event"] == ["open"]
    assert entries["churn"].content["outcome"]["event"] == ["open"]
    assert entries["spend"].content["event"] == "pay"
    assert entries["large"].content["part"] == "amount >= 200"
    assert "at least 200" in notes[0]
    # The source states the age itself.
    assert entries["age"].content == {"kind": "attribute", "attribute": "age", "minimum": 5}
    assert entries["searches"].off == "no event in the data is like 'search'"
    assert entries["taste"].off == "no event in the data is like 'view'"
    assert entries["other_count_30d"].content["event"] == "other"
    assert entries["shoe_size"].content == {"kind": "attribute", "attribute": "shoe_size"}
    assert not {"age_2", "open_count_30d", "pay_count_30d"} & set(entries)


def test_a_field_must_stand_beside_the_event_that_is_asked_for() -> None:
    offer = Offer({"see": 9, "pay": 3}, {"see": frozenset(), "pay": frozenset({"category"})})
    entries, _ = fitted(
        offer, {"login": Match(None), "view": Match("see"), "order": Match("pay"), "search": Match(None)}
    )
    assert entries["taste"].off == "no column like 'category' stands beside see"
    assert entries["spend"].off == "no column like 'amount' stands beside pay"


def test_the_lines_of_orders_tell_what_the_orders_do_not() -> None:
    offer = Offer(
        {"order": 9, "order_line": 30},
        {"order": frozenset({"amount"}), "order_line": frozenset({"amount", "category"})},
    )
    template = Template(
        "t",
        "",
        {
            "tags/t.yaml": "n:\n  kind: count\n  event: order\ntaste:\n  kind: preference\n  event: order\n  by: category\n"
        },
        {},
    )
    found = fit_template(template, offer, {"order": Match("order")})
    assert [entry.content["event"] for entry in found.files["tags/t.yaml"]] == ["order", "order_line"]


def test_any_act_is_a_sign_of_life_where_no_better_one_is_known() -> None:
    offer = Offer({"foo": 1, "bar": 5}, {"foo": frozenset(), "bar": frozenset()})
    entries, notes = fitted(offer, dict.fromkeys(["login", "view", "order", "search"], Match(None)))
    assert entries["active_days"].content["event"] == ["bar", "foo"]
    assert notes == ("no event says that a user was active, so any act counts: bar, foo",)
    nothing, _ = fitted(Offer(), dict.fromkeys(["login", "view", "order", "search"], Match(None)))
    assert all(entry.off for entry in nothing.values())


def sample(label: str, columns: dict[str, str], rows: list[dict[str, str | None]]) -> FileSample:
    return FileSample((Path("data") / label,), label, columns, rows)


def drafted(*samples: FileSample) -> Any:
    found = [(given, propose_mapping(given.columns, given.rows, given.label)) for given in samples]
    return draft_sources(found, {"category", "quantity"}, {"gender", "city"})


def people(label: str = "people.csv", prefix: str = "p") -> FileSample:
    rows: list[dict[str, str | None]] = [
        {"id": f"{prefix}{n}", "sex": "fm"[n % 2], "level": "abc"[n % 3]} for n in range(60)
    ]
    return sample(label, {"id": "VARCHAR", "sex": "VARCHAR", "level": "VARCHAR"}, rows)


def acts(label: str, time: str = "2025-01-01 10:00", **more: list[str]) -> FileSample:
    rows = [
        {
            "user": f"p{n % 20}",
            "time": time,
            "event": "view" if n % 2 else "buy",
            **{name: values[n % 2] for name, values in more.items()},
        }
        for n in range(60)
    ]
    kinds = {name: "DOUBLE" if values[0].isdigit() else "VARCHAR" for name, values in more.items()}
    return sample(
        label, {"user": "VARCHAR", "time": "TIMESTAMP", "event": "VARCHAR", **kinds}, [dict(row) for row in rows]
    )


def test_sources_agree_on_names_and_types() -> None:
    drafts = drafted(
        people(), people("members.csv"), acts("a.csv", genre=["x", "y"], v=["1", "2"]), acts("b.csv", v=["x", "y"])
    )
    names = {draft.name: {known.column: known.name for known in draft.fields} for draft in drafts}
    assert names == {
        "people": {"sex": "gender", "level": "level"},
        "members": {"sex": "members_gender", "level": "members_level"},
        "a": {"genre": "category", "v": "v"},
        "b": {"v": "b_v"},
    }
    twice = drafted(acts("a_1.csv"), acts("a_2.jsonl"))
    assert [draft.name for draft in twice] == ["a", "a_2"]


@pytest.mark.parametrize(
    ("times", "zone", "sure"),
    [
        (["2025-01-01T10:00:00+08:00"], "Asia/Shanghai", "likely"),
        (["2025-01-01T10:00:00+01:00", "2025-07-01T10:00:00+02:00"], "Europe/Berlin", "likely"),
        (["2025-01-01T10:00:00-05:00"], "America/New_York", "?"),
        (["2025-01-01T10:00:00Z"], "UTC", "?"),
        (["2025-01-01 10:00:00"], "UTC", "?"),
        (["2025-01-01T10:00:00Z", "2025-01-01T10:00:00"], "UTC", "?"),
    ],
)
def test_the_time_zone_is_seen_in_the_offsets(times: list[str], zone: str, sure: str) -> None:
    drafts = drafted(*(acts(f"x{n}.csv", time) for n, time in enumerate(times)))
    found = propose_zone(drafts)
    assert (found.name, found.sure) == (zone, sure)


def test_chinese_columns_suggest_a_time_zone_and_say_so() -> None:
    rows: list[dict[str, str | None]] = [
        {"用户ID": f"u{n % 9}", "时间": "2025-01-01", "事件": "登录" if n % 2 else "浏览"} for n in range(40)
    ]
    found = propose_zone(drafted(sample("x.csv", {"用户ID": "VARCHAR", "时间": "DATE", "事件": "VARCHAR"}, rows)))
    assert (found.name, found.sure) == ("Asia/Shanghai", "?")
    assert "Chinese" in found.why


def test_users_that_no_table_of_users_knows_are_told() -> None:
    assert strangers(drafted(people(), acts("a.csv"))) == []
    (line,) = strangers(drafted(people(prefix="q"), acts("a.csv")))
    assert line.startswith("no user of a.csv occurs in people")


def orders(label: str, lines: int, start: int = 0) -> FileSample:
    """A file of 40 orders with so many lines each, from an hour of its own on."""
    rows: list[dict[str, str | None]] = [
        {
            "order_id": f"o{n}",
            "user": f"p{n % 20}",
            "time": f"2025-01-{1 + n // 20:02} {start + n % 20 // 2:02}:{line and 0:02}",
            "total": f"{n}.5",
            "item": f"i{line}",
        }
        for n in range(40)
        for line in range(lines)
    ]
    kinds = {"order_id": "VARCHAR", "user": "VARCHAR", "time": "TIMESTAMP", "total": "DOUBLE", "item": "VARCHAR"}
    return sample(label, kinds, rows)


def test_orders_that_are_told_twice_count_once() -> None:
    drafts, notes = tell_orders_apart(drafted(orders("items.csv", 3), orders("orders.csv", 1)))
    assert {draft.name: draft.proposal.event_name for draft in drafts} == {"items": "order_line", "orders": None}
    assert "orders.csv and items.csv tell of the same orders" in notes[0]
    apart, notes = tell_orders_apart(drafted(orders("web.csv", 1), orders("store.csv", 1, start=12)))
    assert [draft.proposal.event_name for draft in apart] == [None, None]
    assert "web.csv and store.csv all count as orders" in notes[0]
    alike, _ = tell_orders_apart(drafted(orders("orders.csv", 1), orders("copy.csv", 1)))
    assert [draft.proposal.event_name for draft in alike] == [None, "copy_order"]


def test_amounts_are_told_by_event_and_events_counted_in_whole_files(tmp_path: Path) -> None:
    rows = "".join(
        f"u{n % 9},2025-01-{1 + n % 9:02},{'pay' if n % 3 else 'view'},{n if n % 3 else ''}\n" for n in range(30)
    )
    (tmp_path / "log.csv").write_text("user_id,time,event,amount\n" + rows, encoding="utf-8")
    (tmp_path / "people.csv").write_text("id,sex\n" + "".join(f"u{n},f\n" for n in range(30)), encoding="utf-8")
    offer = offer_of(drafted(*read_samples(data_files([tmp_path]))))
    assert offer.counts == {"pay": 20, "view": 10}
    assert offer.events == {"pay": frozenset({"amount"}), "view": frozenset()}
    assert offer.attributes == {"gender": "category"}
    assert offer.amounts == {"pay": [float(n) for n in range(30) if n % 3]}


def test_the_configuration_is_yaml_with_the_doubts_in_comments() -> None:
    drafts = drafted(people(), acts("a b.csv", genre=["x", "y"]))
    text = config_text("my: shop", "Tiny", propose_zone(drafts), drafts, Path(), "zh", "EUR")
    assert "timezone: UTC  # ? nothing in the data tells where days begin" in text
    content = yaml.safe_load(text)
    assert (content["name"], content["settings"]) == ("my: shop", {"language": "zh", "currency": "EUR"})
    assert content["sources"]["a_b"] == {
        "type": "events", "path": "data/a b.csv", "user": "user", "time": "time", "event": "event",
        "properties": {"category": "genre"},
    }  # fmt: skip


def test_paths_are_relative_where_the_files_lie_near(tmp_path: Path) -> None:
    assert shown_path(tmp_path / "shop" / "data" / "x.csv", tmp_path / "shop") == "data/x.csv"
    assert shown_path(tmp_path / "x.csv", tmp_path / "shop") == "../x.csv"
    far = tmp_path / "a" / "b" / "c" / "d" / "e"
    assert shown_path(tmp_path / "x.csv", far) == str((tmp_path / "x.csv").resolve())


@pytest.mark.parametrize("name", ["app", "game"])
def test_a_template_fitted_to_itself_is_itself(name: str) -> None:
    template = read_template(name)
    everything = frozenset({"category", "duration", "amount", "mode", "level", "product"})
    from limner.initial.fitting import wanted_events, wanted_fields

    events = wanted_events(template)
    offer = Offer(
        dict.fromkeys(events, 1), dict.fromkeys(events, everything), dict.fromkeys(wanted_fields(template)[1], "number")
    )
    found = fit_template(template, offer, match_events(events, offer.counts))
    assert {path: join_entries(entries) for path, entries in found.files.items()} == dict(template.definitions)
