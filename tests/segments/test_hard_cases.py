"""Conditions and definitions at the edge: names that collide, fields that came later, files that changed, the ends of the calendar."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from limner.materialising import materialise
from limner.project import Project, build, open_project
from limner.steps import Silent
from limner_profile.errors import UserError
from limner_segments.audience import audience_query, measure_audience, prepare
from limner_segments.expectation import STALE
from limner_segments.listing import list_sizes
from limner_segments.segment import resolve
from limner_segments.unseen_events import unseen_events

CONFIG = """name: shop
timezone: Asia/Shanghai
sources:
  people: {type: users, path: people.csv, user: u, attributes: [city]}
  acts: {type: events, path: acts.csv, user: u, time: t, event: e, amount: price, properties: [product]}
"""
# Tags are called like columns of events, and like the relations and columns of our own SQL.
OWN_WORDS = (
    "product",
    "source",
    "profiles",
    "events",
    "segment",
    "reached",
    "m0",
    "u0",
    "part_0",
    "unknown_0",
    "rules",
    "users_alike",
)
TAGS = """amount: {kind: count, event: buy, window: all}
score: {kind: count, event: view, window: all}
time: {kind: last, event: view, of: time}
event: {kind: attribute, attribute: city}
""" + "".join(f"{name}: {{kind: count, event: view, window: all}}\n" for name in OWN_WORDS)
ACTS = (
    "u,t,e,price,product,score\n"
    "ann,2025-02-01 10:00,buy,10,a,9\nann,2025-02-02 10:00,view,,b,9\nben,2025-02-01 10:00,view,3,,9\n"
)
SEGMENTS = "buyers: {where: did('buy')}\nlisted: {where: in_list('vip')}\nmany: {where: amount >= 1}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built workspace of ann, who bought and looked, ben, who looked, and chen."""
    root = tmp_path_factory.mktemp("shop")
    for name, text in {
        "limner.yaml": CONFIG, "tags/t.yaml": TAGS, "acts.csv": ACTS, "segments/s.yaml": SEGMENTS,
        "people.csv": "u,city\nann,Oslo\nben,Lima\nchen,\n", "lists/vip.txt": "ann\nben\n",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    build(open_project(root), "2025-03-01", Silent())
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")


def users(project: Project, text: str) -> str:
    """The users of a condition, counted by another way as well."""
    condition = resolve(None, text, project.segments, project.catalog, project.workspace).condition
    with project.store.open() as snapshot:
        size = measure_audience(snapshot, condition).size
        sql = audience_query(condition, prepare(snapshot.connection, condition)).sql(dialect="duckdb")
        found = [row["user_id"] for row in snapshot.rows(sql)]
    assert size == len(found)
    return " ".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("did('view', where => amount >= 1)", "ben"),
        ("total(amount, at_least => 5)", "ann"),
        ("amount >= 1", "ann"),
        ("did(where => event = 'buy')", "ann"),
        ("event = 'Oslo'", "ann"),
        ("did('view', where => product = 'b') and product >= 1", "ann"),
        ("sequence('buy', 'view') and reached >= 1", "ann"),
        ("in_top(amount, 1) or in_top(time, 1)", "ann"),
        (" and ".join(f"{name} >= 1" for name in OWN_WORDS), "ann ben"),
    ],
)
def test_a_tag_may_be_called_like_a_column_of_events(root: Path, text: str, expected: str) -> None:
    assert users(open_project(root), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "did('buy', where => score = 1)",
        "did_not('buy', where => not (score = 1))",
        "total(score, at_least => 1)",
        "distinct(score, at_least => 1)",
        "last_did('buy', where => score = 1)",
        "sequence('buy', step('view', where => score = 1))",
    ],
)
def test_a_field_mapped_after_the_build_is_not_mistaken_for_the_tag_of_that_name(root: Path, text: str) -> None:
    (root / "limner.yaml").write_text(CONFIG.replace("[product]", "[product, score]"), encoding="utf-8")
    project = open_project(root)
    with pytest.raises(UserError, match="have no field score") as refused:
        users(project, text)
    assert refused.value.code == "not-built"
    build(project, "2025-03-01", Silent())
    users(open_project(root), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("did('buy', since => date '0001-01-01')", "ann"),
        ("did('buy', before => date '0001-01-01')", ""),
        ("did('buy', since => date '9999-12-31')", ""),
        ("did('buy', within => 'all')", "ann"),
        ("did('x'') OR 1=1 --')", ""),
        ("event = 'x''; DROP TABLE profiles; --' or event like '%'' OR true --'", ""),
    ],
)
def test_ends_of_the_calendar_and_quotes_in_texts(root: Path, text: str, expected: str) -> None:
    assert users(open_project(root), text) == expected


def test_the_calendar_ends_in_zones_behind_as_well(root: Path) -> None:
    (root / "limner.yaml").write_text(CONFIG.replace("Asia/Shanghai", "America/Lima"), encoding="utf-8")
    build(open_project(root), "2025-03-01", Silent())
    assert users(open_project(root), "did('buy', before => date '9999-12-31')") == "ann"


def test_a_list_that_was_edited_is_counted_anew_and_the_stored_audience_called_old(root: Path) -> None:
    (root / "lists" / "vip.txt").write_text("ben\n", encoding="utf-8")
    project = open_project(root)
    assert users(project, "in_list('vip')") == users(project, "in_segment('listed')") == "ben"
    with project.store.open() as snapshot:
        listed = {one.named.name: one for one in list_sizes(snapshot, None, project.segments)}
    assert listed["listed"].size == 1
    assert [alert.code for alert in listed["listed"].alerts] == [STALE]
    assert "holds 2: a list was edited" in listed["listed"].alerts[0].words
    assert listed["buyers"].alerts == ()


def test_a_snapshot_of_before_there_were_events_lists_what_it_can(root: Path) -> None:
    project = open_project(root)
    with duckdb.connect(str(project.store.open().path)) as connection:
        connection.execute("DROP VIEW events")
        connection.execute("DROP TABLE event_files")
        connection.execute("DELETE FROM bitmaps")
    with project.store.open() as snapshot:
        assert unseen_events(snapshot, project.segments["buyers"].condition) == []
        listed = {one.named.name: one for one in list_sizes(snapshot, None, project.segments)}
        assert {name: one.size for name, one in listed.items()} == {"buyers": None, "listed": 2, "many": 1}
        assert "before snapshots had events" in listed["buyers"].alerts[0].words
    told = Silent()
    assert materialise(project, (), told).sizes == {"listed": 2, "many": 1}
    assert len(told.warnings) == 1
    assert "'buyers' has no audience" in told.warnings[0]


def test_one_seed_too_small_does_not_keep_the_other_audiences_from_being_made(root: Path) -> None:
    with (root / "segments" / "s.yaml").open("a", encoding="utf-8") as file:
        file.write("""alike: {where: "like_segment('many', top => 5)"}\n""")
    project, told = open_project(root), Silent()
    assert materialise(project, (), told).sizes == {"buyers": 1, "listed": 2, "many": 1}
    assert ["'alike' has no audience" in warning for warning in told.warnings] == [True]
    with pytest.raises(UserError, match="nothing can be learned"):
        materialise(project, ["alike"], told)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{kind: in_segment, segment: many, inner: {kind: did}}", r"unknown argument 'inner' of in_segment\(\)"),
        ("{kind: like_segment, segment: many, top: 5, inner: {kind: did}}", r"'inner' of like_segment\(\)"),
        ("{kind: did, events: [buy], since: '2025-13-01'}", "not a day of the calendar"),
        ("5", "a condition is text, or a mapping with a 'kind'"),
        ("[amount]", "a condition is text, or a mapping with a 'kind'"),
        ("", "a condition is text, or a mapping with a 'kind'"),
    ],
)
def test_trees_that_say_nothing_sensible_are_refused(root: Path, where: str, message: str) -> None:
    (root / "segments" / "tree.yaml").write_text(f"tree: {{where: {where} }}\n", encoding="utf-8")
    with pytest.raises(UserError, match=message) as refused:
        open_project(root)
    assert refused.value.issues[0].where.startswith("segments/tree.yaml:1:")


def test_trees_take_one_name_and_dates_with_and_without_quotes(root: Path) -> None:
    trees = [
        "{kind: did, events: buy, since: '2025-02-01'}",
        "{kind: did, events: [buy], since: 2025-02-01}",
        "{kind: sequence, steps: [buy, {events: view, within: 2d}]}",
        "{kind: sequence, steps: [{events: buy}, view], since: '2025-02-01'}",
    ]
    written = "".join(f"tree{number}: {{where: {tree}}}\n" for number, tree in enumerate(trees))
    (root / "segments" / "tree.yaml").write_text(written, encoding="utf-8")
    project = open_project(root)
    assert [users(project, f"in_segment('tree{number}')") for number in range(len(trees))] == ["ann"] * len(trees)
