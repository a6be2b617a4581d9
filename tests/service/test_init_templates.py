"""The templates: each is a sound workspace that builds at once, and its tags have the values that its example data give."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from limner.initial.definition_text import split_entries
from limner.initial.fitting import wanted_events, wanted_fields
from limner.initial.template import TEMPLATES, Template, read_template
from limner.initial.vocabulary import vocabulary

Run = Callable[..., tuple[int, str, str]]
AS_OF = date(2025, 7, 1)


def definitions(template: Template, folder: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path, text in template.definitions.items():
        if path.startswith(f"{folder}/"):
            content = yaml.safe_load(text)
            assert not set(content) & set(found), path
            found |= content
    return found


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_a_portrait_of_many_kinds(name: str) -> None:
    template = read_template(name)
    tags = definitions(template, "tags")
    assert 20 <= len(tags) <= 35
    assert len({tag["kind"] for tag in tags.values()}) >= 10
    assert 4 <= len(definitions(template, "segments")) <= 8
    assert 1 <= len(definitions(template, "scenarios")) <= 3
    for tag_name, tag in tags.items():
        assert set(tag["title"]) == {"en", "zh"}, tag_name
        assert tag["description"], tag_name
        assert tag["owner"], tag_name
        if tag_name in ("gender", "age", "income"):
            assert tag["sensitivity"] == "sensitive"
        for label in tag.get("labels", ()):
            assert set(tag["values"][label]) == {"en", "zh"}, f"{tag_name}: {label}"
    for thing in ("segments", "scenarios"):
        for content in definitions(template, thing).values():
            assert set(content["title"]) == {"en", "zh"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_vocabulary_knows_everything_that_a_template_asks_for(name: str) -> None:
    template = read_template(name)
    properties, attributes = wanted_fields(template)
    assert set(wanted_events(template)) <= set(vocabulary()["events"])
    assert properties <= set(vocabulary()["properties"])
    assert attributes <= set(vocabulary()["attributes"])
    for text in template.definitions.values():
        entries = split_entries(text)
        assert "".join(entry.text for entry in entries) == text
        assert {entry.name for entry in entries if entry.name} == set(yaml.safe_load(text))


def test_the_first_word_for_an_event_is_its_own_name() -> None:
    for kind in ("events", "properties", "attributes"):
        for concept, entry in vocabulary()[kind].items():
            words = entry if kind == "events" else entry["names"]
            assert words[0] == concept
            assert all(isinstance(word, str) for word in words), concept
            assert len(set(words)) == len(words), concept


class Acts:
    """The example data of a template, computed on by hand: plain loops over the rows of the files."""

    def __init__(self, template: Template) -> None:
        def rows(name: str) -> list[dict[str, str]]:
            return list(csv.DictReader(io.StringIO(template.data[f"data/{name}.csv"])))

        self.users = [row["user_id"] for row in rows("users")]
        self.people = {row["user_id"]: row for row in rows("users")}
        self.acts = [*rows("events"), *({**row, "event": "order"} for row in rows("orders"))]

    def of(self, user: str, *events: str, days: int | None = None) -> list[dict[str, str]]:
        start = AS_OF - timedelta(days=days) if days else date.min
        return [
            act
            for act in sorted(self.acts, key=lambda act: act["time"])
            if act["user_id"] == user and act["event"] in events and day(act) >= start
        ]

    def total(self, user: str, event: str, field: str = "amount", days: int | None = None) -> float:
        return sum(float(act[field] or 0) for act in self.of(user, event, days=days))

    def since(self, user: str, *events: str) -> int | None:
        found = self.of(user, *events)
        return (AS_OF - max(day(act) for act in found)).days if found else None

    def days(self, user: str, *events: str, days: int | None = None) -> int:
        return len({day(act) for act in self.of(user, *events, days=days)})

    def large(self, user: str, days: int | None = None) -> float | None:
        amounts = [float(act["amount"]) for act in self.of(user, "order", days=days)]
        return sum(amount for amount in amounts if amount >= 100) / sum(amounts) if amounts else None

    def age(self, user: str) -> int:
        return AS_OF.year - int(self.people[user]["birth_year"])


def day(act: dict[str, str]) -> date:
    return datetime.fromisoformat(act["time"]).date()


def expected(name: str, acts: Acts, user: str) -> dict[str, Any]:
    """Several tags of each template, computed from the rows."""
    app = ("login", "view", "search", "share", "comment", "favorite", "order")
    game = ("login", "battle", "level_up", "gacha", "order")
    if name == "app":
        views = acts.of(user, "view", days=90)
        active = acts.days(user, *app, days=30)
        return {
            "active_days_7d": acts.days(user, *app, days=7),
            "days_since_active": acts.since(user, *app),
            "view_duration_30d": acts.total(user, "view", "duration", 30),
            "category_count_90d": len({act["category"] for act in views}),
            "activity_band": "silent"
            if active < 1
            else "light"
            if active < 4
            else "regular"
            if active < 12
            else "heavy",
            "large_purchase_spend_share": acts.large(user),
            "age": acts.age(user),
        }
    if name == "retail":
        orders = [float(act["amount"]) for act in acts.of(user, "order", days=365)]
        spend: Counter[str] = Counter()
        for act in acts.of(user, "order", days=365):
            spend[act["category"]] += round(100 * float(act["amount"]))
        best = max(spend.values(), default=0)
        clear = [category for category, weight in spend.items() if weight == best]
        return {
            "order_count_90d": len(acts.of(user, "order", days=90)),
            "spend_365d": sum(orders),
            "smallest_order_365d": min(orders, default=None),
            "largest_order_365d": max(orders, default=None),
            "item_count_365d": acts.total(user, "order", "quantity", 365),
            "shopping_days_30d": acts.days(user, "view", "cart", "order", days=30),
            "days_since_order": acts.since(user, "order"),
            **({"preferred_category": clear[0] if clear else None} if len(clear) < 2 else {}),
        }
    if name == "game":
        levels = [int(act["level"]) for act in acts.of(user, "level_up")]
        spent = acts.total(user, "order")
        active = acts.days(user, *game)
        return {
            "level": max(levels, default=None),
            "top_up_count": len(acts.of(user, "order")),
            "spend": spent,
            "spend_per_active_day": round(spent / active, 2) if active else None,
            "days_since_level_up": acts.since(user, "level_up"),
            "play_duration_30d": acts.total(user, "battle", "duration", 30),
        }
    if name == "finance":
        return {
            "net_inflow_90d": acts.total(user, "deposit", days=90) - acts.total(user, "withdraw", days=90),
            "deposit_trend_30d": 2 * acts.total(user, "deposit", days=30) - acts.total(user, "deposit", days=60),
            "transfer_count_90d": len(acts.of(user, "transfer", days=90)),
            "invested_365d": acts.total(user, "order", days=365),
            "product_count_365d": len({act["product"] for act in acts.of(user, "order", days=365)}),
            "days_since_order": acts.since(user, "order"),
        }
    renewals = [day(act) for act in acts.of(user, "renew")]
    return {
        "visit_count_30d": len(acts.of(user, "visit", days=30)),
        "points_redeemed_365d": acts.total(user, "redeem", "points", 365),
        "benefit_kinds_365d": len({act["category"] for act in acts.of(user, "redeem", days=365)}),
        "renew_count": len(renewals),
        "renew_interval": (renewals[-1] - renewals[0]).days / (len(renewals) - 1) if len(renewals) > 1 else None,
        "days_since_redeem": acts.since(user, "redeem"),
        "auto_renew": acts.people[user]["auto_renew"] == "true",
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_builds_at_once_with_the_right_values(name: str, tmp_path: Path, run_main: Run) -> None:
    root = tmp_path / "new" / name
    code, out, err = run_main("init", root, "--template", name, "--format", "json")
    assert code == 0, err
    written = json.loads(out)
    assert list(written) == [
        "workspace", "template", "tags", "segments", "scenarios", "sources", "events", "off", "notes",
    ]  # fmt: skip
    assert (written["template"], written["off"]) == (name, [])
    code, out, err = run_main("check", "--dir", root)
    assert (code, out.split(" tags")[0]) == (0, str(written["tags"])), err
    assert run_main("sync", "--dir", root)[0] == 0
    code, out, err = run_main("build", "--dir", root, "--format", "json")
    assert code == 0, err
    built = json.loads(out)
    assert (built["as_of"], built["rejected"], built["users"]) == ("2025-07-01T00:00:00+08:00", 0, 30)
    # Every tag asks for events that are there, and the segments are not all empty.
    assert "asks for events" not in err
    assert sum(size > 0 for size in built["audiences"].values()) >= 3
    acts = Acts(read_template(name))
    rows = json.loads(run_main("sql", "select * from profiles order by user_id", "--dir", root, "--format", "json")[1])
    assert [row["user_id"] for row in rows] == acts.users
    for row in rows:
        for tag, value in expected(name, acts, row["user_id"]).items():
            assert row[tag] == (pytest.approx(value) if isinstance(value, float) else value), (row["user_id"], tag)


def test_language_currency_and_time_zone_are_taken(tmp_path: Path, run_main: Run) -> None:
    options = ("--lang", "zh", "--currency", "EUR", "--timezone", "Europe/Berlin")
    assert run_main("init", tmp_path / "shop", "--template", "retail", *options)[0] == 0
    config = yaml.safe_load((tmp_path / "shop" / "limner.yaml").read_text(encoding="utf-8"))
    assert (config["timezone"], config["settings"]) == ("Europe/Berlin", {"language": "zh", "currency": "EUR"})
    tags = yaml.safe_load((tmp_path / "shop" / "tags" / "orders.yaml").read_text(encoding="utf-8"))
    assert tags["spend_90d"]["unit"] == {"en": "EUR", "zh": "欧元"}
    assert run_main("check", "--dir", tmp_path / "shop")[0] == 0


def test_an_existing_workspace_is_refused_and_untouched(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "limner.yaml").write_text("mine", encoding="utf-8")
    code, _, err = run_main("init", tmp_path, "--template", "app")
    assert (code, "[workspace-exists]" in err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["limner.yaml"]


def test_no_file_is_overwritten_and_nothing_is_half_written(tmp_path: Path, run_main: Run) -> None:
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags" / "portrait.yaml").write_text("mine", encoding="utf-8")
    code, _, err = run_main("init", tmp_path, "--template", "app")
    assert (code, "[file-exists]" in err, "tags/portrait.yaml" in err) == (1, True, True)
    assert {path.name for path in tmp_path.rglob("*")} == {"tags", "portrait.yaml"}
    code, _, err = run_main("init", tmp_path / "tags" / "portrait.yaml", "--template", "app")
    assert (code, "[file-exists]" in err) == (1, True)


@pytest.mark.parametrize(
    ("options", "code", "hint"),
    [
        (["--template", "retial"], "unknown-template", "retail"),
        ([], "no-template", "membership"),
        (["--template", "app", "--lang", "de"], "bad-value", "en or zh"),
        (["--template", "app", "--timezone", "Asia/Shangai"], "bad-value", "Asia/Shanghai"),
        (["--template", "app", "--currency", "E: {R"], "bad-value", "EUR"),
        (["--template", "app", "--data", "nowhere.csv"], "missing-file", "exist"),
        (["--template", "app", "--format", "xml"], "bad-value", "table"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, run_main: Run, options: list[str], code: str, hint: str) -> None:
    exit_code, _, err = run_main("init", tmp_path / "x", *options)
    assert exit_code == 1
    assert f"[{code}]" in err
    assert hint in err
    assert not (tmp_path / "x").exists()


ROLE_NAMES = {
    "zh": {"user_id": "会员编号", "time": "发生时间", "event": "行为", "amount": "金额", "order_id": "订单号", "registered_at": "注册时间"},
    "en": {"user_id": "CustomerID", "time": "Event Time", "event": "Action", "amount": "Total Amount", "order_id": "OrderNo",
           "registered_at": "SignupDate"},
}  # fmt: skip


def renamed(template: Template, folder: Path, language: str) -> None:
    """Write the example data of a template under other names for columns and events: the last, or the second, of each that is known."""
    properties, attributes = wanted_fields(template)
    place = {"zh": -1, "en": 1}[language]
    columns = dict(ROLE_NAMES[language])
    for kind, wanted in (("properties", properties), ("attributes", attributes)):
        columns |= {name: vocabulary()[kind][name]["names"][place] for name in wanted}
    events = {event: vocabulary()["events"][event][place] for event in wanted_events(template)}
    assert len(set(columns.values())) == len(columns)
    for path, text in template.data.items():
        rows = list(csv.DictReader(io.StringIO(text)))
        with (folder / path.split("/")[1]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow([columns.get(name, name) for name in rows[0]])
            writer.writerows(
                [
                    [events.get(value, value) if name == "event" else value for name, value in row.items()]
                    for row in rows
                ]
            )


@pytest.mark.parametrize(
    ("name", "language"), [*((name, "zh") for name in TEMPLATES), ("retail", "en"), ("game", "en")]
)
def test_the_same_data_under_other_names_give_the_same_profiles(
    name: str, language: str, tmp_path: Path, run_main: Run
) -> None:
    (tmp_path / "data").mkdir()
    renamed(read_template(name), tmp_path / "data", language)
    options = ("--data", tmp_path / "data", "--yes", "--timezone", "Asia/Shanghai", "--format", "json")
    code, out, err = run_main("init", tmp_path / "fitted", "--template", name, *options)
    assert code == 0, err
    # Example data are short, so that a scenario may not be trainable; nothing else is lacking.
    assert all(row["why"].startswith("the data span") for row in json.loads(out)["off"])
    assert run_main("init", tmp_path / "ready", "--template", name)[0] == 0
    profiles = {}
    for workspace in ("ready", "fitted"):
        code, _, err = run_main("build", "--dir", tmp_path / workspace)
        assert code == 0, err
        query = "select * from profiles order by user_id"
        profiles[workspace] = json.loads(run_main("sql", query, "--dir", tmp_path / workspace, "--format", "json")[1])
    # What counts as a large purchase is fitted to the amounts, and no scenario is trained.
    compared = [tag for tag in profiles["ready"][0] if not tag.startswith("large_") and not tag.endswith("_score")]
    assert len(compared) >= 34
    for ready, fitted in zip(profiles["ready"], profiles["fitted"], strict=True):
        assert {tag: fitted[tag] for tag in compared} == {tag: ready[tag] for tag in compared}
