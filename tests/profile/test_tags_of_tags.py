"""Tags computed from other tags: their values against a plain oracle, and what the catalog makes of the references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile.catalog import load_catalog, read_catalog
from limner_profile.compiler import compile_profiles
from limner_profile.errors import InternalError, Issue
from limner_profile.tags.base import TAG_KINDS, Tag
from limner_profile.workspace import Schema, open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]
Values = Callable[[Path, str], dict[str, dict[str, Any]]]
Row = tuple[float | None, float | None, float | None]

SCHEMA = Schema(
    {}, dict.fromkeys("rfm", "number"), dict.fromkeys("rfm", "people"), ("people",), frozenset(), False, False
)
GROUPS = ("important_value", "important_keep", "important_develop", "important_win_back",
          "general_value", "general_keep", "general_develop", "general_win_back")  # fmt: skip


def tag(kind: str, **fields: Any) -> Tag:
    return TAG_KINDS.get(kind).model_validate({"kind": kind, **fields})


THREE = {"recency": "r", "frequency": "f", "monetary": "m"}
TAGS = {
    # Stands before what it refers to, and is a step further from the sources than the others.
    "rank_of_rank": tag("rank", of="place", order="lowest"),
    "percentile": tag("rank", of="f"),
    "place": tag("rank", of="f", **{"as": "rank"}),
    "reverse": tag("rank", of="f", order="lowest"),
    "last_place": tag("rank", of="f", order="lowest", **{"as": "rank"}),
    "r": tag("attribute", attribute="r"),
    "f": tag("attribute", attribute="f"),
    "m": tag("attribute", attribute="m"),
    "band": tag("band", of="f", cuts=[0, 2.5], labels=["low", "middle", "high"]),
    "thirds": tag("band", of="f", quantiles=[0.3, 0.7]),
    "rfm_mean": tag("rfm", **THREE),
    "rfm_quantile": tag("rfm", **THREE, cut="quantile", quantile=0.6),
    "rfm_custom": tag("rfm", **THREE, cut="custom", cuts={"recency": 1, "frequency": 2, "monetary": 3}),
    "stage": tag(
        "lifecycle",
        stages=[
            {"name": "a", "where": "f > 2 and not (m <= 1)"},
            {"name": "b", "where": "r is unknown or thirds = 'Q1'"},
        ],
    ),
    "worth": tag("sql", expression="case when m > 0 then f / m else ln(r) end"),
    "filled": tag("sql", expression="f * 2 + worth", default=-1),
}


QUERY = compile_profiles(TAGS, datetime(2025, 3, 1, tzinfo=UTC), ZoneInfo("UTC"), SCHEMA).sql(dialect="duckdb")


def share_below(value: float, values: Sequence[float]) -> float:
    return sum(other < value for other in values) / len(values)


def group(high: Sequence[bool]) -> str:
    r, f, m = high
    return GROUPS[(0 if m else 4) + (0 if f else 2) + (0 if r else 1)]


def rfm(row: Row, rows: Sequence[Row], cut: str) -> str | None:
    whole = [each for each in rows if None not in each]
    if None in row:
        return None
    high = []
    for number, value in enumerate(row):
        # The recency turned round, so that more is better of all three.
        sign = -1 if number == 0 else 1
        mine, everyone = sign * value, [sign * each[number] for each in whole]  # type: ignore[operator]
        limits = {"mean": fmean(everyone), "custom": sign * (number + 1)}
        high.append(share_below(mine, everyone) >= 0.6 if cut == "quantile" else mine >= limits[cut])
    return group(high)


def expected(rows: Sequence[Row]) -> list[dict[str, Any]]:
    from math import log

    known = [f for _, f, _ in rows if f is not None]
    places = [1 + sum(other > f for other in known) for f in known]
    found = []
    for row in rows:
        r, f, m = row
        others = len(known) - 1
        place = None if f is None else 1 + sum(other > f for other in known)
        below = None if f is None else share_below(f, known)
        thirds = None if below is None else "Q1" if below < 0.3 else "Q2" if below < 0.7 else "Q3"
        a = f is not None and f > 2 and not (m is not None and m <= 1)
        b = r is None or thirds == "Q1"
        if m is not None and m > 0:
            worth = None if f is None else f / m
        else:
            worth = log(r) if r is not None and r > 0 else None
        found.append({
            "rank_of_rank": None if place is None else sum(other > place for other in places) / others if others else 0,
            "percentile": None if f is None else sum(other < f for other in known) / others if others else 0,
            "place": place,
            "reverse": None if f is None else sum(other > f for other in known) / others if others else 0,
            "last_place": None if f is None else 1 + sum(other < f for other in known),
            "r": r, "f": f, "m": m,
            "band": None if f is None else "low" if f < 0 else "middle" if f < 2.5 else "high",
            "thirds": thirds,
            "rfm_mean": rfm(row, rows, "mean"),
            "rfm_quantile": rfm(row, rows, "quantile"),
            "rfm_custom": rfm(row, rows, "custom"),
            "stage": "a" if a else "b" if b else None,
            "worth": worth,
            "filled": -1 if f is None or worth is None else f * 2 + worth,
        })  # fmt: skip
    return found


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET threads = 1")
        yield opened


# Few different values, so that many are equal and means fall on values; quarters are exact in binary.
NUMBERS = st.none() | st.integers(-8, 16).map(lambda quarters: quarters / 4) | st.sampled_from((0.0, 1.0, 2.5, 3.0))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_kinds_agree_with_the_oracle(connection: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    connection.execute("CREATE OR REPLACE TABLE users_people (user_id VARCHAR, r DOUBLE, f DOUBLE, m DOUBLE)")
    marks = ", ".join(["(?, ?, ?, ?)"] * len(rows))
    values = [value for number, row in enumerate(rows) for value in (f"{number:03}", *row)]
    connection.execute(f"INSERT INTO users_people VALUES {marks}", values)
    cursor = connection.execute(f"{QUERY} ORDER BY user_id")
    names = [column[0] for column in cursor.description or ()]
    assert names == ["user_id", *TAGS]
    found = [dict(zip(names[1:], row[1:], strict=True)) for row in cursor.fetchall()]
    for value, wanted in zip(found, expected(rows), strict=True):
        assert value == {name: pytest.approx(it) if isinstance(it, float) else it for name, it in wanted.items()}


def test_a_reference_outside_the_query_is_our_fault() -> None:
    with pytest.raises(InternalError):
        compile_profiles({"x": tag("rank", of="f")}, datetime(2025, 3, 1, tzinfo=UTC), ZoneInfo("UTC"), SCHEMA)


FILES = {
    "limner.yaml": "name: t\ntimezone: UTC\nsources:\n"
    "  people: {type: users, path: p.csv, user: u, attributes: {city: c, born: b}}\n"
    "  acts: {type: events, path: a.csv, user: u, time: t, event: e, amount: n, properties: {genre: g}}\n",
    "p.csv": "u,c,b\na,x,1990\n",
    "a.csv": "u,t,e,g,n\na,2025-01-01,order,x,3\nb,2025-01-02,order,y,5\nc,2025-01-03,login,,\n",
    "given.csv": "user_id,value\na,1.5\nb,x\n",
    "twice.csv": "user_id,value\na,1\na,2\n",
}
SPEND = "spend: {kind: sum, event: order}\ncity: {kind: attribute, attribute: city}\n"


def found_in(lay: Lay, tags: str) -> tuple[list[str], list[Issue]]:
    workspace = open_workspace(lay({**FILES, "tags/t.yaml": SPEND + tags}))
    catalog, issues = read_catalog(workspace, workspace.schema)
    return list(catalog.tags), issues


@pytest.mark.parametrize(
    ("text", "code", "where", "message", "hint"),
    [
        ("n: {kind: rank, of: spnd}\n", "unknown-tag", "tags/t.yaml:3:17", "unknown tag 'spnd'", "did you mean 'spend'?"),
        ("n: {kind: rank, of: city}\n", "wrong-type", "tags/t.yaml:3:17", "the tag 'city' is a category, not a number",
         "name another tag"),
        ("n: {kind: band, of: city, cuts: [1]}\n", "wrong-type", "tags/t.yaml:3:17",
         "the tag 'city' is a category, not a number", None),
        ("n: {kind: band, of: spend, cuts: [2, 1]}\n", "bad-value", "tags/t.yaml:3:1", "the cuts must rise", None),
        ("n: {kind: band, of: spend}\n", "bad-value", "tags/t.yaml:3:1", "a band needs either 'cuts' or 'quantiles'", None),
        ("n: {kind: band, of: spend, quantiles: [1]}\n", "bad-value", "tags/t.yaml:3:1",
         "quantiles are shares of the users, above 0 and below 1", "such as quantiles: [0.25, 0.5]"),
        ("n: {kind: lifecycle, stages: []}\n", "bad-value", "tags/t.yaml:3:1", "a lifecycle needs at least one stage", None),
        ("n: {kind: count, event: order, default: [1]}\n", "bad-value", "tags/t.yaml:3:32",
         "'default': expected one number, text, true or false", None),
        ("n: {kind: mean, event: order, default: .inf}\n", "bad-value", "tags/t.yaml:3:31",
         "'default': expected one number, text, true or false (got inf)", None),
        ("n: {kind: sql, expression: spend +}\n", "bad-value", "tags/t.yaml:3:16",
         "'expression': this is no SQL expression: it is not complete (got 'spend +')", "such as spend / order_count"),
        ("n: {kind: band, of: spend, cuts: [1], labels: [a]}\n", "bad-value", "tags/t.yaml:3:1",
         "1 cuts make 2 bands, and there are 1 labels", "give one label a band, the lowest first"),
        ("n: {kind: rfm, recency: spend, frequency: spend, monetary: city}\n", "wrong-type", "tags/t.yaml:3:50",
         "the tag 'city' is a category, not a number", None),
        ("n: {kind: rfm, recency: spend, frequency: spend, monetary: spend, cut: custom}\n", "bad-value", "tags/t.yaml:3:1",
         "'cuts' and 'cut: custom' belong together", None),
        ("n:\n  kind: lifecycle\n  stages:\n    - {name: a, where: spend > 1}\n    - {name: b, where: spent > 1}\n",
         "unknown-tag", "tags/t.yaml:7:17", "unknown tag 'spent'", "did you mean 'spend'?"),
        ("n:\n  kind: lifecycle\n  stages: [{name: a, where: city > 1}]\n", "wrong-type", "tags/t.yaml:5:22",
         "'city' is a category, but 1 is a number", None),
        ("n:\n  kind: lifecycle\n  stages: [{name: a, where: spend > 1}, {name: a, where: spend > 2}]\n", "bad-value",
         "tags/t.yaml:3:1", "two stages are called 'a'", None),
        ("n: {kind: sql, expression: spnd / 2}\n", "unknown-tag", "tags/t.yaml:3:16", "unknown tag 'spnd'",
         "did you mean 'spend'?"),
        ("n: {kind: sql, expression: city = 3}\n", "wrong-type", "tags/t.yaml:3:16", None, "its tags: city (category)"),
        ("n: {kind: sql, expression: spend > 3}\n", "wrong-type", "tags/t.yaml:3:16",
         "the expression gives a boolean, not a number", "add a line 'type: boolean'"),
        ("n: {kind: sql, expression: (select 1)}\n", "bad-value", "tags/t.yaml:3:16", None, None),
        ("n: {kind: rank, of: n}\n", "tag-circle", "tags/t.yaml:3:1", "tags refer to each other: n → n", None),
        ("n: {kind: sql, expression: m + spend}\nm: {kind: rank, of: k}\nk: {kind: rank, of: n}\n", "tag-circle",
         "tags/t.yaml:3:1", "tags refer to each other: n → m → k → n", None),
        ("n: {kind: count, event: order, default: none}\n", "wrong-type", "tags/t.yaml:3:32",
         "'default': the tag is a whole number, and 'none' is none", "write a number without quotes, such as 0"),
        ("n: {kind: count, event: order, default: 0.5}\n", "wrong-type", "tags/t.yaml:3:32",
         "'default': the tag is a whole number, and 0.5 is none", None),
        ("n: {kind: mean, event: order, default: true}\n", "wrong-type", "tags/t.yaml:3:31",
         "'default': the tag is a number, and True is none", None),
        ("n: {kind: attribute, attribute: city, default: 3}\n", "wrong-type", "tags/t.yaml:3:39",
         "'default': the tag is a category, and 3 is none", None),
        ("n: {kind: last, event: order, of: time, default: soon}\n", "wrong-type", "tags/t.yaml:3:41",
         "'default': the tag is a time, and 'soon' is none", None),
        ("n: {kind: trend, event: order, window: all}\n", "bad-value", "tags/t.yaml:3:32",
         "'window': 'all' is not a length of time", "write days as 30d, hours as 24h"),
        ("n: {kind: count, event: order, freshness: soon}\n", "bad-value", "tags/t.yaml:3:32",
         "'freshness': 'soon' is not a length of time", "write days as 30d, hours as 24h"),
        ("n: {kind: first, event: order, of: gnre}\n", "unknown-property", "tags/t.yaml:3:32",
         "no event has a property 'gnre'", "did you mean 'genre'?"),
        ("n: {kind: mean, event: order, of: genre}\n", "wrong-type", "tags/t.yaml:3:31",
         "'genre' is a category, not a number",
         "name another property, or map it as 'genre: {column: …, type: number}' in limner.yaml: what is no number is then rejected, "
         "and numbers such as 1,5 need 'decimal_comma: true'"),
        ("n: {kind: imported, path: givn.csv, type: number}\n", "missing-file", "tags/t.yaml:3:21",
         "there is no file 'givn.csv'", "did you mean 'given.csv'?"),
        ("n: {kind: imported, path: given.csv, column: valeu, type: number}\n", "unknown-column", "tags/t.yaml:3:38",
         "given.csv has no column 'valeu'", "did you mean 'value'?"),
        ("n: {kind: imported, path: limner.yaml, type: number}\n", "unknown-format", "tags/t.yaml:3:21",
         "'limner.yaml' is neither CSV nor Parquet", None),
    ],
)  # fmt: skip
def test_complaints(lay: Lay, text: str, code: str, where: str, message: str | None, hint: str | None) -> None:
    names, (issue,) = found_in(lay, text)
    assert names == ["spend", "city"]
    assert (issue.code, issue.where) == (code, where)
    assert message is None or issue.message == message
    assert hint is None or issue.hint == hint


def test_a_broken_tag_takes_those_that_need_it_along_without_more_complaints(lay: Lay) -> None:
    tags = "a: {kind: rank, of: b}\nb: {kind: rank, of: c}\nc: {kind: sum, event: order, of: genre}\nd: {kind: rank, of: spend}\n"
    names, issues = found_in(lay, tags)
    assert names == ["spend", "city", "d"]
    assert [(issue.code, issue.where) for issue in issues] == [("wrong-type", "tags/t.yaml:5:30")]


def test_removing_or_renaming_a_tag_names_those_that_use_it(lay: Lay) -> None:
    tags = "spent: {kind: rank, of: spend}\nband: {kind: band, of: spend, cuts: [1]}\n"
    workspace = open_workspace(lay({**FILES, "tags/t.yaml": tags}))
    _, issues = read_catalog(workspace, workspace.schema)
    assert [(issue.code, issue.where, issue.message) for issue in issues] == [
        ("unknown-tag", "tags/t.yaml:1:21", "unknown tag 'spend'"),
        ("unknown-tag", "tags/t.yaml:2:20", "unknown tag 'spend'"),
    ]


CHAIN = """
value: {kind: sql, expression: 'place + age_rank'}
place: {kind: rank, of: spend}
age: {kind: attribute, attribute: born, as: age, sensitivity: SENSITIVITY}
age_rank: {kind: rank, of: age}
spend_band: {kind: band, of: spend, cuts: [CUT], title: TITLE}
spend: {kind: sum, event: order, window: WINDOW}
"""


def chain(lay: Lay, **changed: str) -> Any:
    text = CHAIN
    for word, value in ({"SENSITIVITY": "none", "CUT": "4", "TITLE": "t", "WINDOW": "all"} | changed).items():
        text = text.replace(word, value)
    return load_catalog(open_workspace(lay({**FILES, "tags/t.yaml": text})))


def test_what_a_tag_of_tags_has_of_those_that_it_refers_to(lay: Lay) -> None:
    catalog = chain(lay, SENSITIVITY="sensitive")
    assert list(catalog.tags) == ["value", "place", "age", "age_rank", "spend_band", "spend"]
    assert list(catalog.closure(["place"])) == ["place", "spend"]
    assert list(catalog.closure(["value", "no_tag"])) == ["value", "place", "age", "age_rank", "spend"]
    assert catalog.closure([]) == {}
    assert {name for name, it in catalog.tags.items() if it.provable} == {"place", "spend_band", "spend"}
    assert {name for name, it in catalog.tags.items() if it.sensitivity == "sensitive"} == {"value", "age", "age_rank"}
    assert chain(lay, SENSITIVITY="proxy")["value"].sensitivity == "proxy"


def test_hashes_follow_the_references_and_not_the_wording(lay: Lay) -> None:
    def differing(**changed: str) -> set[str]:
        first, second = chain(lay), chain(lay, **changed)
        return {name for name in first.tags if first[name].definition_hash != second[name].definition_hash}

    assert differing(WINDOW="30d") == {"spend", "place", "spend_band", "value"}
    assert differing(CUT="5") == {"spend_band"}
    assert differing(TITLE="other", SENSITIVITY="proxy") == {"age", "age_rank", "value"}
    assert differing(TITLE="other") == set()


def test_default_and_freshness(lay: Lay, values_of: Values) -> None:
    tags = """
mean_spend: {kind: mean, event: order, default: 0, freshness: 2d}
genre: {kind: last, event: order, of: genre, default: none}
last_order: {kind: last, event: order, of: time, default: '1970-01-01 00:00:00'}
band: {kind: band, of: mean_spend, cuts: [1, 4], labels: [nothing, little, much]}
group: {kind: lifecycle, stages: [{name: a, where: genre = 'x'}], default: other}
"""
    root = lay({**FILES, "tags/t.yaml": tags})
    values = values_of(root, "2025-01-05")
    assert [list(values[user].values()) for user in "abc"] == [
        [3, "x", datetime(2025, 1, 1), "little", "a"],  # noqa: DTZ001
        [5, "y", datetime(2025, 1, 2), "much", "other"],  # noqa: DTZ001
        [0, "none", datetime(1970, 1, 1), "nothing", "other"],  # noqa: DTZ001
    ]
    catalog = load_catalog(open_workspace(root))
    definition = catalog["mean_spend"].definition
    assert definition is not None
    assert definition.freshness == "2d"
    unlimited = definition.model_copy(update={"freshness": None})
    assert unlimited.digest(wording=False) == catalog["mean_spend"].definition_hash  # a limit computes nothing
    undefaulted = definition.model_copy(update={"default": None})
    assert undefaulted.digest(wording=False) != catalog["mean_spend"].definition_hash


def test_names_that_the_query_uses_itself(lay: Lay, values_of: Values) -> None:
    tags = """
stage0: {kind: sum, event: order}
staged: {kind: rank, of: stage0, as: rank}
over: {kind: rank, of: staged}
known: {kind: band, of: over, quantiles: [0.5]}
acts: {kind: sql, expression: '"order" + stage0'}
order: {kind: count, event: order}
value: {kind: imported, path: twice.csv, type: number}
"""
    root = lay({**FILES, "twice.csv": "user_id,value\na,1\n", "tags/t.yaml": tags})
    assert values_of(root, "2025-01-05")["a"] == {
        "stage0": 3, "staged": 2, "over": 0.5, "known": "Q1", "acts": 4, "order": 1, "value": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("given.csv", "wrong-type", "given.csv: 'x' is no number, for the user 'b'"),
        ("twice.csv", "duplicate-user", "twice.csv: there are 2 rows, for the user 'a'"),
    ],
)
def test_a_file_that_does_not_give_one_value_a_user(
    lay: Lay, values_of: Values, path: str, code: str, message: str
) -> None:
    from limner_profile.errors import RefusedError

    root = lay({**FILES, "tags/t.yaml": f"n: {{kind: imported, path: {path}, type: number}}\n"})
    with pytest.raises(RefusedError) as caught:
        values_of(root, "2025-01-05")
    (issue,) = caught.value.issues
    assert (issue.code, issue.where, issue.message) == (code, "tags/t.yaml:1:1", message)


def test_kinds_bring_titles_for_their_values(lay: Lay) -> None:
    tags = """
group: {kind: rfm, recency: days, frequency: spend, monetary: spend, values: {general_keep: {en: mine, zh: 我的}}}
days: {kind: recency, event: order}
spend: {kind: sum, event: order}
band: {kind: band, of: spend, cuts: [10, 50.5]}
life: {kind: lifecycle, stages: [{name: at_risk, where: days > 1}, {name: own, where: days > 0}]}
"""
    catalog = load_catalog(open_workspace(lay({**FILES, "tags/t.yaml": tags})))
    group = catalog.words("group", "zh").value_titles
    assert len(group) == 8
    assert (group["important_value"], group["general_win_back"], group["general_keep"]) == (
        "重要价值",
        "一般挽留",
        "我的",
    )
    assert catalog.words("life", "zh").value_titles == {"at_risk": "流失预警"}
    assert catalog.words("band", "zh").value_titles == {
        "below 10": "10以下", "10 to below 50.5": "10至50.5", "50.5 or more": "50.5及以上",
    }  # fmt: skip
