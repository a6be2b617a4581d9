"""Every tag kind of the registry: its examples run from files to values, and its SQL in both dialects stays as seen."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlglot
import yaml

from limner_profile.catalog import load_catalog
from limner_profile.compiler import compile_profiles
from limner_profile.tags.base import TAG_KINDS, Example
from limner_profile.windows import parse_as_of, window_start
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]
Values = Callable[[Path, str], dict[str, dict[str, Any]]]

EXAMPLES = [
    pytest.param(kind, example, id=f"{kind}-{index}")
    for kind, cls in TAG_KINDS
    for index, example in enumerate(cls.EXAMPLES)
]
FIXED = {"user_id", "time", "event", "amount", "event_id", "received", "since", "updated_at"}


def _table(rows: Any) -> tuple[str, dict[str, str]]:
    """The rows as CSV, and the types of the columns that are no fixed ones."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    types = {}
    for name in names:
        if name not in FIXED:
            value = next((row[name] for row in rows if row.get(name) is not None), "")
            types[name] = "category" if isinstance(value, str) else "boolean" if isinstance(value, bool) else "number"
    return text.getvalue(), types


def example_files(example: Example) -> dict[str, str | bytes]:
    """A workspace that holds what an example says."""
    files: dict[str, str | bytes] = {}
    sources: dict[str, Any] = {}
    if example.events:
        text, types = _table(example.events)
        files["acts.csv"] = text
        sources["acts"] = {
            "type": "events", "path": "acts.csv", "user": "user_id", "time": "time", "event": "event",
            "properties": {name: {"column": name, "type": kind} for name, kind in types.items()},
            **{name: name for name in ("amount", "event_id", "received") if any(name in row for row in example.events)},
        }  # fmt: skip
    if example.users:
        text, types = _table(example.users)
        files["people.csv"] = text
        sources["people"] = {
            "type": "users", "path": "people.csv", "user": "user_id",
            "attributes": {name: {"column": name, "type": kind} for name, kind in types.items()},
            **({"updated_at": "updated_at"} if any("updated_at" in row for row in example.users) else {}),
        }  # fmt: skip
    files["limner.yaml"] = yaml.safe_dump({"name": "example", "timezone": "Asia/Shanghai", "sources": sources})
    files["tags/tag.yaml"] = yaml.safe_dump(
        {**{name: dict(tag) for name, tag in example.tags.items()}, "tag": dict(example.definition)}, allow_unicode=True
    )
    files |= example.files
    return files


def test_every_kind_has_examples() -> None:
    assert TAG_KINDS.words()
    for kind, cls in TAG_KINDS:
        assert cls.EXAMPLES, f"the kind {kind} has no example"
        assert all(example.definition["kind"] == kind for example in cls.EXAMPLES)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_example_gives_its_values(kind: str, example: Example, lay: Lay, values_of: Values) -> None:
    values = values_of(lay(example_files(example)), example.as_of)
    assert {user: values[user]["tag"] for user in example.values} == dict(example.values)


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
@pytest.mark.parametrize("kind", TAG_KINDS.words())
def test_golden_sql(kind: str, dialect: str, lay: Lay, golden: Callable[[str, str], None]) -> None:
    example = TAG_KINDS.get(kind).EXAMPLES[0]
    workspace = open_workspace(lay(example_files(example)))
    tags = load_catalog(workspace).computed
    as_of = parse_as_of(example.as_of, workspace.timezone)
    text = compile_profiles(tags, as_of, workspace.timezone, workspace.schema).sql(dialect=dialect, pretty=True)
    sqlglot.parse_one(text, dialect=dialect)
    golden(f"sql/{kind}.{dialect}.sql", text + "\n")


@pytest.mark.parametrize("kind", TAG_KINDS.words())
def test_titles_are_in_both_languages_and_definitions_have_a_digest(kind: str, lay: Lay) -> None:
    workspace = open_workspace(lay(example_files(TAG_KINDS.get(kind).EXAMPLES[0])))
    tag = load_catalog(workspace)["tag"]
    assert tag.title.of("en")
    assert tag.title.of("zh")
    assert len(tag.definition_hash) == 12
    assert f'"kind": "{kind}"' in tag.definition_json


CONFIG = """name: t
timezone: Asia/Shanghai
sources:
  people: {type: users, path: people.csv, user: u, attributes: {城市 "名": c, select: c}}
  acts:
    {type: events, path: acts.csv, user: u, time: t, event: e, amount: a, properties: {order: p, 'a"b': p, weight: p,
     value: p, last_time: p, time_of_day: p}}
"""
ACTS = 'u,t,e,a,p\na,2025-01-01 10:00,it\'s,5,x\na,2025-01-02 10:00,"say ""hi""",7,y\nb,2025-01-03,it\'s,,\n'


def test_unknown_is_not_zero(lay: Lay, values_of: Values) -> None:
    tags = """
counted: {kind: count, event: "it's"}
summed: {kind: sum, event: "it's"}
recent: {kind: recency, event: "it's"}
shared: {kind: share, event: "it's", of: amount, part: amount > 1}
preferred: {kind: preference, event: "it's", by: order}
owned: {kind: attribute, attribute: select}
"""
    root = lay({"limner.yaml": CONFIG, "acts.csv": ACTS, "people.csv": "u,c\nc,北京\na,\n", "tags/t.yaml": tags})
    values = values_of(root, "2025-01-05")
    a, b, c = values["a"], values["b"], values["c"]
    assert (a["counted"], b["counted"], c["counted"]) == (1, 1, 0)
    assert (a["summed"], b["summed"], c["summed"]) == (5, 0, 0)  # an unknown amount counts as nothing
    assert (a["recent"], b["recent"], c["recent"]) == (4, 2, None)
    assert (a["shared"], b["shared"], c["shared"]) == (1, None, None)
    assert (a["preferred"], b["preferred"], c["preferred"]) == ("x", None, None)
    assert (a["owned"], b["owned"], c["owned"]) == (None, None, "北京")


def test_names_that_sql_would_stumble_over(lay: Lay, values_of: Values) -> None:
    tags = """
order: {kind: count, event: "it's"}
select: {kind: sum, event: ["it's", 'say "hi"']}
known: {kind: recency, event: 'say "hi"'}
seen: {kind: count, event: 'say "hi"', where: '"order" = ''y'''}
活跃天数: {kind: count, event: "it's", where: '"a""b" in (''x'', ''y'')'}
by_weight: {kind: preference, event: ["it's", 'say "hi"'], by: weight}
by_value: {kind: preference, event: ["it's", 'say "hi"'], by: value, of: amount}
by_last_time: {kind: preference, event: "it's", by: last_time}
group: {kind: preference, event: "it's", by: 'a"b'}
city: {kind: attribute, attribute: '城市 "名"'}
"""
    root = lay({"limner.yaml": CONFIG, "acts.csv": ACTS, "people.csv": "u,c\nc,北京\n", "tags/t.yaml": tags})
    values = values_of(root, "2025-01-05")
    assert values["a"] == {
        "order": 1, "select": 12, "known": 3, "seen": 1, "活跃天数": 1, "by_weight": "y", "by_value": "y",
        "by_last_time": "x", "group": "x", "city": None,
    }  # fmt: skip
    assert values["c"]["city"] == "北京"
    assert values["c"]["order"] == 0


@pytest.mark.parametrize("window", ["2d", "48h", "63d", "365d", "370d", "371d", "900d", "all"])
def test_days_are_counted_the_same_however_long_the_window(lay: Lay, values_of: Values, window: str) -> None:
    # In Newfoundland clocks went from 00:01 back to 23:01: the act of 02:30:30 UTC is on a later day than the as_of after it.
    config = CONFIG.replace("Asia/Shanghai", "America/St_Johns").replace("time: t,", "time: t, timezone: UTC,")
    hours = [0, 1, 24, 26, 47, 61 * 24, 62 * 24, 124 * 24 + 3, 363 * 24, 364 * 24, 369 * 24, 370 * 24, 800 * 24]
    as_of = datetime(2005, 10, 30, 2, 45, tzinfo=UTC)
    moments = [datetime(2005, 10, 30, 2, 30, 30, tzinfo=UTC), *(as_of - timedelta(hours=n, seconds=1) for n in hours)]
    acts = "u,t,e,a,p\n" + "".join(f"a,{moment:%Y-%m-%d %H:%M:%S},x,,\n" for moment in moments)
    zone = ZoneInfo("America/St_Johns")
    start = window_start(window, as_of, zone)
    days = {moment.astimezone(zone).date() for moment in moments if start is None or moment >= start}
    tags = f"days: {{kind: active_days, event: x, window: {window}}}\nnone: {{kind: active_days, event: y, window: {window}}}\n"
    root = lay({"limner.yaml": config, "acts.csv": acts, "people.csv": "u,c\nb,\n", "tags/t.yaml": tags})
    assert values_of(root, as_of.isoformat()) == {"a": {"days": len(days), "none": 0}, "b": {"days": 0, "none": 0}}


def test_what_arrived_late_is_not_known_before_it_arrived(lay: Lay, values_of: Values) -> None:
    config = CONFIG.replace("amount: a,", "amount: a, received: r,")
    acts = "u,t,e,a,p,r\na,2025-01-01,x,1,,2025-01-09\na,2025-01-02,x,1,,\nb,2025-01-01,x,1,,2025-01-09\n"
    tags = "n: {kind: count, event: x}\n"
    root = lay({"limner.yaml": config, "acts.csv": acts, "people.csv": "u,c\nz,1\n", "tags/t.yaml": tags})
    assert values_of(root, "2025-01-09") == {"a": {"n": 1}, "z": {"n": 0}}
    assert values_of(root, "2025-01-09T00:00:01") == {"a": {"n": 2}, "b": {"n": 1}, "z": {"n": 0}}


def test_users_are_known_from_their_since_on(lay: Lay, values_of: Values) -> None:
    config = """name: t
timezone: Asia/Shanghai
sources:
  people: {type: users, path: people.csv, user: u, since: s, attributes: [c]}
"""
    people = "u,s,c\na,2025-01-01,1\nb,2025-01-02,2\nc,,3\n"
    root = lay({"limner.yaml": config, "people.csv": people, "tags/t.yaml": "c: {kind: attribute, attribute: c}\n"})
    assert set(values_of(root, "2025-01-02")) == {"a", "c"}
    assert set(values_of(root, "2025-01-02T00:00:01")) == {"a", "b", "c"}


def test_one_pass_serves_tags_that_ask_for_the_same(lay: Lay) -> None:
    tags = "a: {kind: count, event: x}\nb: {kind: count, event: x}\nc: {kind: share, event: x, part: amount > 1}\n"
    root = lay({"limner.yaml": CONFIG, "acts.csv": ACTS, "people.csv": "u,c\nc,1\n", "tags/t.yaml": tags})
    workspace = open_workspace(root)
    as_of = parse_as_of("2025-01-05", ZoneInfo("UTC"))
    query = compile_profiles(load_catalog(workspace).computed, as_of, workspace.timezone, workspace.schema)
    assert query.sql(dialect="duckdb").count("COUNT(*)") == 2
    assert query.sql(dialect="duckdb").count("FROM events") == 1
