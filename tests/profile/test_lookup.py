"""Looking up one user: values and percentiles by hand, hints for unknown users, and the timeline in local time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limner_profile.builder import check_quality, write_profiles
from limner_profile.catalog import load_catalog
from limner_profile.errors import UnknownNameError
from limner_profile.ingest import ingest
from limner_profile.lookup import read_profile, read_timeline
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_profile.windows import parse_as_of
from limner_profile.workspace import Workspace, open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

FILES = {
    "limner.yaml": """name: t
timezone: Asia/Shanghai
sources:
  people: {type: users, path: p.csv, user: u, attributes: {city: c}}
  acts: {type: events, path: a.csv, user: u, time: t, event: e, received: r, amount: a, properties: {genre: g}}
""",
    "p.csv": "u,c\nnew,\n",
    "a.csv": """u,t,e,r,a,g
anna,2025-01-01 00:00:00,order,,5,x
anna,2025-01-01 23:59:59,order,,2.5,
anna,2025-01-02 08:00:00,read,,,y
anna,2025-01-02 08:00:00,browse,,,
anna,2025-01-03 00:00:00,order,,9,
anna,2025-01-02 09:00:00,order,2025-01-03 12:00:00,7,
ben,2025-01-02 08:00:00,order,,1,x
cara,2025-01-02 08:00:00,order,,1,x
""",
    "tags/t.yaml": """
orders: {kind: count, event: order, title: {en: orders, zh: 订单}, unit: times}
recent: {kind: recency, event: read, window: 30d}
genre: {kind: preference, event: [order, read], by: genre}
city: {kind: attribute, attribute: city}
""",
}


def built(root: Path, as_of: str, *, places: bool = False) -> tuple[Workspace, Snapshot]:
    workspace = open_workspace(root)
    ingest(workspace)
    store = SnapshotStore(workspace.state)
    with store.create(parse_as_of(as_of, workspace.timezone), workspace.timezone, 3) as writer:
        write_profiles(writer, workspace, load_catalog(workspace))
        if places:
            check_quality(writer, load_catalog(workspace), None)
    return workspace, store.open()


@pytest.mark.parametrize("places", [True, False])
def test_values_and_percentiles_by_hand(lay: Lay, places: bool) -> None:
    _, snapshot = built(lay(FILES), "2025-01-03", places=places)
    with snapshot:
        anna = {value.tag: value for value in read_profile(snapshot, "anna")}
        new = {value.tag: value for value in read_profile(snapshot, "new")}
        ben = {value.tag: value for value in read_profile(snapshot, "ben")}
    assert list(anna) == ["orders", "recent", "genre", "city"]
    # Orders known on the 3rd: anna 2, ben 1, cara 1, new 0.
    assert [(user["orders"].value, user["orders"].percentile) for user in (anna, ben, new)] == [
        (2, 0.75),
        (1, 0.25),
        (0, 0),
    ]
    assert (anna["recent"].value, anna["recent"].percentile) == (1, 0)  # nobody else has read
    assert (ben["recent"].value, ben["recent"].percentile) == (None, None)
    assert (anna["genre"].value, anna["genre"].percentile) == ("y", None)  # a tie goes to the one acted on last
    assert anna["city"].value is None
    first = anna["orders"]
    assert (first.title_en, first.title_zh, first.kind, first.window, first.unit) == (
        "orders", "订单", "count", "all", "times"
    )  # fmt: skip
    assert anna["recent"].window == "30d"


def test_kept_places_are_exact_to_a_thousandth(lay: Lay) -> None:
    # 4,000 users with many values and many equal ones, so that most values lie between two kept ones.
    amounts = {f"u{user}": (user * 7919 % 4001) / 4 if user % 3 else float(user % 5) for user in range(4000)}
    rows = "".join(f"{user},2025-01-01,order,,{amount},\n" for user, amount in amounts.items())
    tags = "spend: {kind: sum, event: order}\n"
    _, snapshot = built(
        lay({**FILES, "a.csv": "u,t,e,r,a,g\n" + rows, "p.csv": "u,c\nu1,\n", "tags/t.yaml": tags}),
        "2025-01-03",
        places=True,
    )
    with snapshot:
        assert 500 < snapshot.rows("SELECT count(*) AS n FROM tag_places")[0]["n"] <= 1001
        for user, amount in list(amounts.items())[::40]:
            (value,) = read_profile(snapshot, user)
            exact = sum(other < amount for other in amounts.values()) / len(amounts)
            assert value.value == amount
            assert value.percentile == pytest.approx(exact, abs=0.001)


def test_an_unknown_user_gets_a_hint(lay: Lay) -> None:
    _, snapshot = built(lay(FILES), "2025-01-03")
    with snapshot:
        for user, hint in (
            ("ana", "did you mean 'anna'?"),
            ("BEN", "did you mean 'ben'?"),
            ("' OR 1=1 --", "try: limner sql"),
        ):
            with pytest.raises(UnknownNameError) as caught:
                read_profile(snapshot, user)
            assert caught.value.code == "unknown-user"
            assert caught.value.issues[0].hint.startswith(hint)


def test_the_timeline_is_local_newest_first_and_ends_before_as_of(lay: Lay) -> None:
    workspace, snapshot = built(lay(FILES), "2025-01-03")
    with snapshot:
        as_of = snapshot.as_of
    acts = read_timeline(workspace, "anna", as_of)
    assert acts == [
        {"time": "2025-01-02 08:00", "event": "browse", "properties": {}},
        {"time": "2025-01-02 08:00", "event": "read", "properties": {"genre": "y"}},
        {"time": "2025-01-01 23:59", "event": "order", "properties": {"amount": 2.5}},
        {"time": "2025-01-01 00:00", "event": "order", "properties": {"amount": 5.0, "genre": "x"}},
    ]
    assert read_timeline(workspace, "anna", as_of, limit=2) == acts[:2]
    assert read_timeline(workspace, "nobody", as_of) == []
    # What arrived at noon of the 3rd is known in the evening, in its place.
    later = read_timeline(workspace, "anna", datetime(2025, 1, 3, 12, tzinfo=UTC))
    assert [(act["time"], act["properties"].get("amount")) for act in later[:3]] == [
        ("2025-01-03 00:00", 9.0), ("2025-01-02 09:00", 7.0), ("2025-01-02 08:00", None)
    ]  # fmt: skip


def test_a_workspace_without_events_has_no_timeline(lay: Lay) -> None:
    config = FILES["limner.yaml"].split("  acts:")[0]
    root = lay({"limner.yaml": config, "p.csv": "u,c\nnew,x\n"})
    workspace = open_workspace(root)
    ingest(workspace)
    assert read_timeline(workspace, "new", datetime(2025, 1, 3, tzinfo=UTC)) == []
