"""How old the data behind a tag is, and what a build does where it is older than the tag's limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile.builder import check_quality, write_profiles
from limner_profile.catalog import Catalog, CatalogTag, load_catalog
from limner_profile.definitions import Title
from limner_profile.errors import RefusedError
from limner_profile.freshness import find_stale, newest_data
from limner_profile.ingest import ingest
from limner_profile.quality import Quality, Staleness, find_breaches
from limner_profile.snapshots import SnapshotStore
from limner_profile.statistics import read_statistics
from limner_profile.tags.base import TAG_KINDS
from limner_profile.windows import parse_as_of, window_start
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]
FILES = {
    "limner.yaml": """name: t
timezone: Europe/Berlin
sources:
  people: {type: users, path: p.csv, user: u, attributes: {city: c}}
  acts: {type: events, path: a.csv, user: u, time: t, event: e, received: r, properties: {g: g}}
""",
    "p.csv": "u,c\na,Oslo\nb,\n",
    # The last visit before the fourth was received on the fifth only.
    "a.csv": "u,t,e,r,g\na,2025-01-01 12:00,read,2025-01-01 12:00,x\nb,2025-01-03 06:00,visit,2025-01-03 07:00,\n"
    "b,2025-01-03 18:00,visit,2025-01-05 07:00,\nb,2025-01-09 12:00,read,2025-01-09 12:00,y\n",
    "tags/t.yaml": """
reads: {kind: count, event: read, freshness: 2d}
visits: {kind: count, event: visit, freshness: 30h, where: "g = 'z'"}
both: {kind: count, event: [read, visit], freshness: 2d}
city: {kind: attribute, attribute: city, freshness: 365d}
gone: {kind: count, event: order, freshness: 365d}
older: {kind: sql, expression: reads + visits, freshness: 2d}
unsure: {kind: sql, expression: case when city is null then visits else gone end, freshness: 2d}
free: {kind: count, event: read}
""",
}


def build(root: Path, as_of: str) -> tuple[dict[str, float | None], dict[str, str]]:
    workspace = open_workspace(root)
    ingest(workspace)
    store, catalog = SnapshotStore(workspace.state), load_catalog(workspace)
    with store.create(parse_as_of(as_of, workspace.timezone), workspace.timezone, 9) as writer:
        write_profiles(writer, workspace, catalog)
        breaches = {breach.tag: breach.words for breach in check_quality(writer, catalog, None, workspace)}
    with store.open() as snapshot:
        rows = {row["tag"]: row for row in read_statistics(snapshot)}
    assert {tag: row["breach"] for tag, row in rows.items() if row["breach"]} == breaches
    return {tag: row["age_hours"] for tag, row in rows.items()}, breaches


def test_a_build_tells_what_is_older_than_its_limit(lay: Lay) -> None:
    ages, breaches = build(lay(FILES), "2025-01-04")
    assert ages == {
        "reads": 60.0, "visits": 18.0, "both": 18.0, "city": None, "gone": None, "older": 60.0, "unsure": None, "free": 60.0,
    }  # fmt: skip
    assert breaches == {
        "reads": "the newest event 'read' is 2.5 days old at as_of, with a freshness of 2d",
        "city": "how old its data is cannot be known: what a tag of kind attribute reads carries no time",
        "gone": "there was no data before as_of, with a freshness of 365d: the newest event 'order'",
        "older": "the newest event 'read' is 2.5 days old at as_of, with a freshness of 2d",
        "unsure": "how old its data is cannot be known: what a tag of kind attribute reads carries no time",
    }
    # What arrived later was not known then, and what happened later does not make it fresh.
    assert build(lay({}), "2025-01-06")[0]["visits"] == 54.0


def test_old_data_stops_a_build_where_the_tag_says_so(lay: Lay) -> None:
    stop = "quality: {on_breach: stop}"
    root = lay({**FILES, "tags/t.yaml": f"reads: {{kind: count, event: read, freshness: 2d, {stop}}}\n"})
    build(root, "2025-01-03")
    with pytest.raises(RefusedError) as caught:
        build(root, "2025-01-04")
    assert caught.value.code == "quality-limit"
    assert str(caught.value).startswith("tags/t.yaml:1:1  the tag 'reads': the newest event 'read' is 2.5 days old")
    with pytest.raises(RefusedError, match="there was no data before as_of"):
        build(lay({"tags/t.yaml": f"gone: {{kind: count, event: order, freshness: 9d, {stop}}}\n"}), "2025-01-04")
    # Unknown is not fresh, but nobody can say that it is old.
    city = lay({"tags/t.yaml": f"city: {{kind: attribute, attribute: city, freshness: 2d, {stop}}}\n"})
    assert list(build(city, "2025-01-04")[1]) == ["city"]


def test_updated_at_tells_the_age_of_attributes(lay: Lay) -> None:
    config = FILES["limner.yaml"].replace("attributes: {city: c}", "updated_at: at, attributes: {city: c}")
    # The second row changes nothing, and is data all the same; the third comes after the build.
    people = "u,c,at\na,Oslo,2025-01-01 12:00\na,Oslo,2025-01-02 12:00\nb,Rome,2025-01-09 12:00\n"
    tags = "city: {kind: attribute, attribute: city, freshness: 2d}\nboth: {kind: sql, type: boolean, expression: city = 'Oslo'}\n"
    root = lay({**FILES, "limner.yaml": config, "p.csv": people, "tags/t.yaml": tags})
    assert build(root, "2025-01-04") == ({"city": 36.0, "both": 36.0}, {})
    ages, breaches = build(root, "2025-01-06")
    assert ages == {"city": 84.0, "both": 84.0}
    assert breaches == {
        "city": "the newest row of the source of 'city' is 3.5 days old at as_of, with a freshness of 2d"
    }


def test_an_unknown_age_does_not_stop_but_is_told_beside_what_does() -> None:
    row = {"tag": "a", "coverage": 0.5, "psi": None, "compared_with": None}
    quality, unknown = Quality(coverage_min=0.8, on_breach="stop"), Staleness("nobody knows", known=False)
    (breach,) = find_breaches({"a": (quality, "")}, [row], {"a": unknown})
    assert (breach.stop, breach.words) == (True, "coverage 0.5 is below 0.8; nobody knows")
    (breach,) = find_breaches({"a": (quality, "")}, [{**row, "coverage": 1.0}], {"a": unknown})
    assert (breach.stop, breach.words) == (False, "nobody knows")


@given(st.integers(0, 10 * 24 * 60), st.sampled_from(["1d", "2d", "25h", "3d"]))
def test_the_limit_is_exact_to_the_boundary(minutes: int, limit: str) -> None:
    """Over the night in which the clocks of Berlin go forward."""
    zone, as_of = ZoneInfo("Europe/Berlin"), datetime(2025, 3, 31, 9, tzinfo=UTC)
    catalog = _one_tag(limit)
    time = as_of - timedelta(minutes=minutes)
    start = window_start(limit, as_of, zone)
    assert start is not None
    data = newest_data(catalog, {"read": time, "visit": as_of})
    assert ("n" in find_stale(catalog, data, as_of, zone)) == (time < start)
    assert data["n"].hours(as_of) == pytest.approx(minutes / 60, abs=1e-3)


def _one_tag(limit: str) -> Catalog:
    definition = TAG_KINDS.get("count").model_validate({"kind": "count", "event": "read", "freshness": limit})
    return Catalog({"n": CatalogTag("n", "count", "number", Title(en="n"), definition=definition)})
