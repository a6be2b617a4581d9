"""One number for one segment on every surface: random conditions on tags and behaviour, nested, negated and asking for each other."""

from __future__ import annotations

import csv
import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.materialising import materialise
from limner.project import Project, build, open_project
from limner.steps import Silent
from limner_profile.query import run_query
from limner_profile.snapshots import Snapshot
from limner_segments.audience import audience_query, measure_audience, measure_many, prepare
from limner_segments.exports.files import About, write_rows
from limner_segments.segment import NamedSegment, resolve
from segments.small import TAGS, make_workspace

USERS = 60
LEAVES = [
    "visits_30d >= {small}",
    "visits_all < {small}",
    "visits_all between 1 and {small}",
    "days_since_visit != {small}",
    "days_since_visit <= {small} include_unknown",
    "city = {city}",
    "city != {city}",
    "city not in ({city}, 'Bergen')",
    "city in ({city}, 'Lima') include_unknown",
    "last_city is unknown",
    "last_city is known",
    "member_since < date '2025-01-{day}'",
    "in_sample('spring', 0.{day})",
    "did({event}, at_least => {small}, within => '{day}d')",
    "did({event}, where => amount >= {small})",
    "did_not({event}, within => '{day}d')",
    "total(amount, {event}, at_least => {small})",
    "average(amount, at_most => {small})",
    "distinct(product, {event}, at_least => 2, within => '{day}d')",
    "active_days({event}, at_least => {small})",
    "first_did({event}, within => '{day}d')",
    "last_did({event}, before => date '2025-02-{day}')",
    "sequence({event}, step('order', within => '{day}d'))",
]


@st.composite
def leaves(draw: st.DrawFn) -> str:
    """One condition without connectives."""
    return draw(st.sampled_from(LEAVES)).format(
        small=draw(st.integers(1, 9)),
        day=draw(st.integers(10, 28)),
        city=draw(st.sampled_from(["'Oslo'", "'上海'", "'Lima'", "'O''Hara'"])),
        event=draw(st.sampled_from(["'visit'", "'order'", "'visit', 'order'"])),
    )


def nested(leaf: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Conditions joined, negated and bracketed."""

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        joined = st.builds(
            lambda parts, word: f" {word} ".join(f"({part})" for part in parts),
            st.lists(inner, min_size=2, max_size=3),
            st.sampled_from(["and", "or"]),
        )
        return joined | inner.map(lambda part: f"not ({part})")

    return st.recursive(leaf, grow, max_leaves=6)


@st.composite
def segments(draw: st.DrawFn) -> dict[str, str]:
    """Segments by name, each of which may ask for those before it."""
    texts: dict[str, str] = {}
    for number in range(8):
        asked = st.sampled_from([f"in_segment('{name}')" for name in texts]) if texts else st.nothing()
        texts[f"s{number}"] = draw(nested(leaves() | asked))
    return texts


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built workspace of sixty users, of whom some have no city, and some never acted."""
    folder, dice = tmp_path_factory.mktemp("shop"), random.Random(4)
    people = ["user_id,since,city"]
    acts = ["user_id,time,event,received,amount,product"]
    for number in range(USERS):
        city = dice.choice(["Oslo", "上海", "Lima", "O'Hara", ""])
        people.append(f"u{number:02},2025-01-{dice.randint(1, 28):02},{city}")
        for _ in range(dice.choice([0, 0, 1, 2, 5, 9])):
            time = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=dice.randrange(24 * 59))
            event = dice.choice(["visit", "visit", "order"])
            amount, product = dice.choice(["", "2.5", "7"]), dice.choice(["", "book", "coin", "gift"])
            acts.append(f"u{number:02},{time:%Y-%m-%d %H:%M},{event},{time:%Y-%m-%d %H:%M},{amount},{product}")
    tags = TAGS + "member_since: {kind: first, event: visit, of: time}\n"
    make_workspace(folder, acts="\n".join(acts) + "\n", people="\n".join(people) + "\n", tags=tags)
    build(open_project(folder), "2025-03-01", Silent())
    return folder


def exported(snapshot: Snapshot, project: Project, named: NamedSegment, target: Path) -> tuple[int, list[str]]:
    """What the manifest says, and the users in the file."""
    when = datetime(2025, 3, 1, tzinfo=UTC)
    recipients = audience_query(named.condition, prepare(snapshot.connection, named.condition)).sql(dialect="duckdb")
    manifest = write_rows(
        snapshot, recipients, {"city": "city"}, "csv", target,
        named=named, catalog=project.catalog, about=About("me", when), min_size=0, overwrite=True,
    )  # fmt: skip
    with target.open(encoding="utf-8", newline="") as file:
        return manifest.rows, [row["user_id"] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names for exports."""
    folder = tmp_path_factory.mktemp("exports")
    return (folder / f"{number}.csv" for number in itertools.count())


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=segments())
def test_every_surface_has_the_same_users(root: Path, files: Iterator[Path], texts: dict[str, str]) -> None:
    written = {name: {"where": text} for name, text in texts.items()}
    (root / "segments" / "some.yaml").write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
    project = open_project(root)
    sizes = materialise(project).sizes
    with project.store.open() as snapshot:
        everyone = {row[0] for row in run_query(snapshot, "SELECT user_id FROM profiles").rows}
        assert len(everyone) == USERS
        many = measure_many(snapshot.connection, [project.segments[name].condition for name in texts])
        for (name, text), counted in zip(texts.items(), many, strict=True):
            named = project.segments[name]
            condition = named.condition
            sql = audience_query(condition, prepare(snapshot.connection, condition)).sql(dialect="duckdb")
            users = [row[0] for row in run_query(snapshot, sql).rows]
            assert users == sorted(set(users))
            measured = measure_audience(snapshot, condition)
            assert (measured.size, measured.users) == (len(users), USERS)
            assert counted == sizes[name] == len(users)
            assert exported(snapshot, project, named, next(files)) == (len(users), users)
            stored = f"SELECT user_id FROM audiences WHERE segment = '{name}' ORDER BY user_id"
            assert [row[0] for row in run_query(snapshot, stored).rows] == users
            assert run_query(snapshot, f"SELECT size FROM segments WHERE name = '{name}'").rows == [(len(users),)]
            negated = resolve(None, f"not ({text})", project.segments, project.catalog, project.workspace).condition
            scope = prepare(snapshot.connection, negated)
            rest = [row[0] for row in run_query(snapshot, audience_query(negated, scope).sql(dialect="duckdb")).rows]
            assert measure_audience(snapshot, negated).size == len(rest) == USERS - len(users)
            assert set(rest) == everyone - set(users)
            # The canonical text is the same segment, by name or as text.
            again = resolve(None, named.segment.where.to_text(), project.segments, project.catalog, project.workspace)
            assert again.condition == condition
