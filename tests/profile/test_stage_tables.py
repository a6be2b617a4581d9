"""A snapshot written in portions of users holds what one written at once holds: merged users, several sources, values of files, stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from limner_profile import stage_tables
from limner_profile.builder import write_profiles
from limner_profile.catalog import load_catalog
from limner_profile.ingest import ingest
from limner_profile.snapshots import SnapshotStore
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

USERS = ("anna", "o'neil", "李雷", "zoë", "d1", "d2", "d3", "m1", "m2", "x", "y", "a b", "Ω")
CONFIG = """name: t
timezone: Asia/Shanghai
sources:
  people: {type: users, path: people.csv, user: u, attributes: [city]}
  members: {type: users, path: members.csv, user: u, attributes: [level]}
  moves: {type: users, path: moves.csv, user: u, updated_at: at, attributes: [home]}
  acts: {type: events, path: 'acts*.csv', user: u, time: t, event: e, amount: a, properties: [genre]}
  links: {type: identities, path: links.csv, user: device, other: who, kind: kind}
"""
OF_SOURCES = """
reads: {kind: count, event: read, window: 30d, default: 0}
spent: {kind: sum, event: buy, of: amount, window: all}
genre: {kind: preference, event: read, by: genre, window: all}
second: {kind: preference, event: read, by: genre, window: all, give: runner_up}
genres: {kind: distinct, event: read, of: genre, window: all}
days: {kind: active_days, event: read, window: 30d}
last: {kind: last, event: read, of: genre, window: all}
city: {kind: attribute, attribute: city}
level: {kind: attribute, attribute: level}
home: {kind: attribute, attribute: home}
gift: {kind: imported, path: gifts.csv, user: u, column: gift, type: category}
"""
OF_TAGS = """
place: {kind: rank, of: spent}
band: {kind: band, of: spent, quantiles: [0.5]}
"""
OWN_QUERY = """
crowd:
  kind: sql
  query: >-
    select e.user_id, max(w.n) as value from events e
    join (select genre, count(*) as n from events group by genre) w on w.genre = e.genre group by e.user_id
"""


def acts(part: int) -> str:
    """Half of the acts; every user has some, several of them on one instant."""
    rows = [
        f"{user},2025-02-{1 + (n * 7 + at) % 28:02} 0{at % 9}:00,{('read', 'buy')[n % 3 == 0]},{n + at},{('玄幻', 'b', '')[(n + at) % 3]}"
        for at, user in enumerate(USERS)
        for n in range(part, 12 + at, 2)
    ]
    return "\n".join(["u,t,e,a,genre", *rows, ""])


FILES = {
    "limner.yaml": CONFIG,
    "people.csv": "u,city\n" + "".join(f"{user},{('Ulm', '北京', '')[at % 3]}\n" for at, user in enumerate(USERS[:9])),
    "members.csv": "u,level\nm1,3\nm9,4\n",
    "moves.csv": "u,at,home\nanna,2025-01-01,Ulm\nx,2025-02-02,Bonn\nzz,2025-02-02,Kiel\n",
    "gifts.csv": "u,gift\nd2,mug\n李雷,cup\n",
    "links.csv": "device,who,kind\nd1,anna,account\nd2,anna,account\nd3,zoë,account\n",
    "acts0.csv": acts(0),
    "acts1.csv": acts(1),
}


def built(root: Path) -> list[tuple[Any, ...]]:
    """The rows of the profiles of a new snapshot, in their order."""
    workspace = open_workspace(root)
    ingest(workspace)
    store = SnapshotStore(workspace.state)
    with store.create(datetime(2025, 3, 1, tzinfo=UTC), workspace.timezone, 9) as writer:
        write_profiles(writer, workspace, load_catalog(workspace))
        left = writer.connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'stage%'")
        assert left.fetchall() == []
    with store.open() as snapshot:
        return snapshot.connection.execute("SELECT * FROM profiles").fetchall()


@pytest.mark.parametrize(
    ("tags", "portioned"),
    [(OF_SOURCES, True), (OF_SOURCES + OF_TAGS, True), (OF_SOURCES + OF_TAGS + OWN_QUERY, False)],
    ids=["one stage", "stages", "a query that looks at all users"],
)
def test_portions_make_the_same_profiles(lay: Lay, monkeypatch: pytest.MonkeyPatch, tags: str, portioned: bool) -> None:
    root = lay({**FILES, "tags/t.yaml": tags})
    whole = built(root)
    assert len(whole) == 12  # three of the ids are others' and two are only listed
    portions: list[int] = []

    def counted(query: Any, cuts: list[str]) -> list[str]:
        portions.append(len(cuts) + 1)
        return narrowed(query, cuts)

    narrowed = stage_tables.narrowed
    monkeypatch.setattr(stage_tables, "narrowed", counted)
    for users in (1, 2, 5):
        monkeypatch.setattr(stage_tables, "USERS", users)
        assert built(root) == whole
    assert (max(portions, default=1) > 3) == portioned


def test_portions_are_of_users_and_not_of_rows() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TEMP VIEW acted AS SELECT 'u' || lpad((i % 900)::VARCHAR, 3, '0') AS user_id FROM range(90_000) t(i)"
        )
        connection.execute("CREATE TEMP VIEW users_people AS SELECT 'u' || i AS user_id FROM range(800) t(i)")
        assert stage_tables.cut_points(connection, {"acted", "users_people"}, 1_000) == []
        assert stage_tables.cut_points(connection, {"acted", "users_people"}, 100_000) == []
        cuts = stage_tables.cut_points(connection, {"acted", "users_people"}, 300)
        assert 2 <= len(cuts) <= 3
        assert cuts == sorted(cuts)
        assert stage_tables.cut_points(connection, set(), 1) == []
