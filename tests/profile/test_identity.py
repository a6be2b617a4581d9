"""Identities: which ids become one user, as of when, and what builds then read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile.attached import attach_files, attach_sources
from limner_profile.builder import profile_query
from limner_profile.catalog import load_catalog
from limner_profile.errors import DefinitionError
from limner_profile.identity import find_identities, has_identities
from limner_profile.ingest import ingest
from limner_profile.merged_views import merge_identities
from limner_profile.windows import parse_as_of
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

CONFIG = """name: t
timezone: UTC
sources:
  people: {type: users, path: people.csv, user: id, attributes: [city, plan], since: joined}
  acts: {type: events, path: acts.csv, user: u, time: t, event: e, event_id: i, amount: a}
  links: {type: identities, path: 'links*.csv', user: device, other: who, kind: kind, time: known}
settings: {max_identities: 4}
"""
TAGS = """
city: {kind: attribute, attribute: city}
plan: {kind: attribute, attribute: plan}
acts_all: {kind: count, event: act, window: all}
spent: {kind: sum, event: act, of: amount, window: all}
gift: {kind: imported, path: gifts.csv, user: id, column: gift, type: category}
"""
FILES = {
    "limner.yaml": CONFIG,
    "tags/t.yaml": TAGS,
    "people.csv": "id,city,plan,joined\nanna,,gold,2025-01-05\nbert,Bonn,,\nd1,Ulm,free,2025-01-01\n",
    "acts.csv": "u,t,e,i,a\nd1,2025-01-02,act,1,10\nanna,2025-01-03,act,2,20\nd2,2025-01-04,act,3,30\nbert,2025-01-05,act,4,40\n"
    "d2,2025-01-03,act,2,20\n",
    "links.csv": "device,who,kind,known\nd1,anna,account,2025-01-03\nd2,anna,account,2025-01-04\n",
    "gifts.csv": "id,gift\nd2,mug\n",
}


def profiles(root: Path, as_of: str) -> dict[str, dict[str, Any]]:
    """Ingest, merge and compute every tag: user to tag to value."""
    workspace = open_workspace(root)
    ingest(workspace)
    catalog = load_catalog(workspace)
    moment = parse_as_of(as_of, workspace.timezone)
    with duckdb.connect() as connection:
        attach_sources(connection, workspace)
        attach_files(connection, workspace, catalog)
        merge_identities(connection, workspace, moment)
        cursor = connection.execute(profile_query(catalog.computed, moment, workspace))
        names = [column[0] for column in cursor.description or ()]
        rows = cursor.fetchall()
    values = {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}
    assert len(values) == len(rows), "a user has two rows"
    return values


def identities(root: Path, as_of: str = "2030-01-01") -> tuple[dict[str, str], dict[str, tuple[str, int]]]:
    """Ingest and find: id to user for those merged, id to reason and size for those refused."""
    workspace = open_workspace(root)
    ingest(workspace)
    with duckdb.connect() as connection:
        find_identities(connection, workspace, parse_as_of(as_of, workspace.timezone))
        merged = connection.execute("SELECT id, user_id FROM identity_map").fetchall()
        refused = connection.execute("SELECT id, reason, ids FROM identity_refused").fetchall()
    return dict(merged), {row[0]: (row[1], row[2]) for row in refused}


def test_merged_users_have_one_row_and_each_act_counts_once(lay: Lay) -> None:
    found = profiles(lay(FILES), "2025-02-01")
    assert found == {
        # The account's own values come first; what it lacks comes from the others in order. Event 2 came under two ids.
        "anna": {"city": "Ulm", "plan": "gold", "acts_all": 3, "spent": 60, "gift": "mug"},
        "bert": {"city": "Bonn", "plan": None, "acts_all": 1, "spent": 40, "gift": None},
    }


def test_a_build_at_a_past_instant_knows_only_the_pairs_of_then(lay: Lay) -> None:
    root = lay(FILES)
    at_first = profiles(root, "2025-01-03")
    assert {user: row["acts_all"] for user, row in at_first.items()} == {"d1": 1, "bert": 0}
    later = profiles(root, "2025-01-04")  # the second pair is known at that instant, and not before it
    assert {user: row["acts_all"] for user, row in later.items()} == {"anna": 2, "bert": 0}
    assert profiles(root, "2025-01-04T00:00:01")["anna"]["acts_all"] == 3


def test_merged_users_exist_since_the_first_of_their_ids_does(lay: Lay) -> None:
    config = CONFIG.replace(", time: known", "")
    root = lay({**FILES, "limner.yaml": config, "acts.csv": "u,t,e,i,a\nx,2025-03-01,act,1,1\n"})
    assert set(profiles(root, "2025-01-01")) == {"bert"}
    assert set(profiles(root, "2025-01-02")) == {"anna", "bert"}


def test_the_histories_of_merged_users_become_one(lay: Lay) -> None:
    config = CONFIG.replace("since: joined", "updated_at: at").replace(", time: known", "")
    people = "id,city,plan,at\nanna,Bonn,,2025-01-03\nd1,Ulm,free,2025-01-01\nd1,Kiel,pro,2025-01-05\nbert,Bonn,,2025-01-02\n"
    root = lay({**FILES, "limner.yaml": config, "people.csv": people})
    found = {as_of: profiles(root, as_of)["anna"] for as_of in ("2025-01-02", "2025-01-04", "2025-01-06")}
    assert {as_of: (row["city"], row["plan"]) for as_of, row in found.items()} == {
        "2025-01-02": ("Ulm", "free"), "2025-01-04": ("Bonn", "free"), "2025-01-06": ("Bonn", "pro"),
    }  # fmt: skip
    assert profiles(root, "2025-01-06")["bert"]["city"] == "Bonn"


def test_what_is_stored_keeps_its_ids(lay: Lay) -> None:
    root = lay(FILES)
    profiles(root, "2025-02-01")
    (root / "links.csv").write_text("device,who,kind,known\nd1,anna,account,2025-01-03\n", encoding="utf-8")
    found = profiles(root, "2025-02-01")
    assert {user: row["acts_all"] for user, row in found.items()} == {"anna": 2, "bert": 1, "d2": 1}


@pytest.mark.parametrize(
    ("rows", "user"),
    [
        ("z,a,account\nz,b,device", "a"),  # an account
        ("z,bert,phone\nz,b,device", "bert"),  # else one that a source of users lists
        ("z,a,phone\nz,b,device", "z"),  # else one of the column `user`
        ("b,c,\na,b,", "a"),  # else, known since equally long, the first in order
    ],
)
def test_the_user_is_chosen_by_a_stable_rule(lay: Lay, rows: str, user: str) -> None:
    links = "device,who,kind,known\n" + "".join(f"{row},\n" for row in rows.splitlines())
    merged, _ = identities(lay({**FILES, "links.csv": links}))
    assert set(merged.values()) == {user}
    assert len(merged) == 3


def test_of_equal_ids_the_one_known_longest_is_the_user(lay: Lay) -> None:
    links = "device,who,kind,known\na,m,,2025-01-03\nb,m,,2025-01-02\n"
    assert set(identities(lay({**FILES, "links.csv": links}))[0].values()) == {"b"}


def test_junk_and_shared_ids_merge_nobody_and_are_told(lay: Lay) -> None:
    shared = "".join(f"kiosk,p{n},,\n" for n in range(4))
    chain = "".join(f"c{n},c{n + 1},,\n" for n in range(5))
    links = f"device,who,kind,known\nd1,anna,account,\nNULL,anna,,\n0,anna,,\n0,bert,,\n00-00,bert,,\n{shared}{chain}"
    merged, refused = identities(lay({**FILES, "links.csv": links}))
    assert merged == {"anna": "anna", "d1": "anna"}
    assert refused == {
        "NULL": ("placeholder", 1), "0": ("placeholder", 2), "00-00": ("placeholder", 1), "kiosk": ("shared-id", 4),
        **{f"c{n}": ("too-many-ids", 6) for n in range(6)},
    }  # fmt: skip


def test_pairs_can_be_taken_back(lay: Lay) -> None:
    config = CONFIG.replace("time: known", "time: known, removed: gone, until: ends")
    links = (
        "device,who,kind,known,gone,ends\n"
        "d1,anna,,2025-01-01,false,\nanna,d1,,2025-01-10,true,\nd1,anna,,2025-01-20,false,\n"
        "d2,bert,,2025-01-01,,2025-01-15\n"
    )
    root = lay({**FILES, "limner.yaml": config, "links.csv": links})
    for as_of, together in (
        ("2025-01-02", {"d1", "anna", "d2", "bert"}),
        ("2025-01-10", {"d1", "anna", "d2", "bert"}),  # taken back at that instant, which is not before it
        ("2025-01-11", {"d2", "bert"}),
        ("2025-01-16", set()),
        ("2025-01-21", {"d1", "anna"}),
    ):
        assert set(identities(root, as_of)[0]) == together, as_of


def test_exceptions_keep_ids_apart(lay: Lay) -> None:
    root = lay({**FILES, "identities.yaml": "unmerged:\n- {id: d2, note: shared}\n"})
    merged, refused = identities(root)
    assert (set(merged), refused) == ({"anna", "d1"}, {"d2": ("unmerged", 1)})
    lay({"identities.yaml": "unmerged:\n- {id: 7}\n"})
    with pytest.raises(DefinitionError, match=r"identities.yaml:2:4  'id': 7 is a number here"):
        identities(root)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{type: identities, path: links.csv, user: device}", "needs 'other'"),
        ("{type: identities, path: links.csv, user: device, other: who, removed: gone}", "'removed' needs 'time'"),
        ("{type: identities, path: links.csv, user: device, other: who, amount: x}", "has no field 'amount'"),
        ("{type: users, path: people.csv, user: id, other: city}", "has no field 'other'"),
        ("{type: events, path: acts.csv, user: u, time: t, event: e, until: t}", "has no field 'until'"),
    ],
)
def test_a_wrong_mapping_is_refused(lay: Lay, source: str, message: str) -> None:
    root = lay({**FILES, "limner.yaml": f"name: t\ntimezone: UTC\nsources:\n  links: {source}\n"})
    with pytest.raises(DefinitionError, match=message):
        open_workspace(root)


def test_pairs_alone_make_no_profiles(lay: Lay) -> None:
    links = "{type: identities, path: links.csv, user: device, other: who}"
    root = lay({**FILES, "limner.yaml": f"name: t\ntimezone: UTC\nsources:\n  links: {links}\n"})
    with pytest.raises(DefinitionError, match="pairs of ids alone"):
        open_workspace(root)


def test_without_pairs_nothing_is_laid_over_the_events(lay: Lay) -> None:
    root = lay({**FILES, "links.csv": "device,who,kind,known\nd1,anna,account,2025-01-03\n"})
    workspace = open_workspace(root)
    ingest(workspace)
    assert has_identities(workspace)
    with duckdb.connect() as connection:
        attach_sources(connection, workspace)
        merge_identities(connection, workspace, datetime(2025, 1, 1, tzinfo=UTC))
        sql = connection.execute("SELECT sql FROM duckdb_views() WHERE view_name = 'events'").fetchall()
    assert "identity_map" not in sql[0][0]


_ids = st.sampled_from([f"i{n}" for n in range(12)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_ids, _ids), min_size=1, max_size=14))
def test_groups_are_the_connected_components(lay: Lay, pairs: list[tuple[str, str]]) -> None:
    config = CONFIG.replace("max_identities: 4", "max_identities: 100")
    config = "".join(line for line in config.splitlines(keepends=True) if "acts.csv" not in line)
    links = "device,who,kind,known\n" + "".join(f"{a},{b},,\n" for a, b in pairs)
    root = lay({"limner.yaml": config, "people.csv": FILES["people.csv"], "links.csv": links})
    merged, refused = identities(root)
    groups: list[set[str]] = []  # the oracle: join the groups that a pair touches
    for a, b in pairs:
        if a != b:
            touched = [group for group in groups if group & {a, b}]
            groups = [group for group in groups if group not in touched] + [set().union({a, b}, *touched)]
    found = defaultdict(set)
    for id_, user in merged.items():
        found[user].add(id_)
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, groups))
    assert all(user in group for user, group in found.items())
    assert refused == {}
