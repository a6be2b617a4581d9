"""Comparison: how an audience differs from the rest, trait by trait, as TGI with an interval.

TGI = 100 × share of the trait in the audience ÷ share among all users. The test is against the complement; the
interval is on the log ratio; false discoveries are controlled over all traits. Imports floor 1, audience and intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from limner_profile.catalog import Catalog
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_segments.audience import AudienceSize, condition_sql, measure_audience, prepare
from limner_segments.intervals import complement_p_value, false_discovery, lift_interval

MAX_LEVELS = 10


@dataclass(frozen=True)
class Trait:
    """One value or band of a tag: how common it is in the audience and among all users.

    Shares are 0 to 1; `tgi`, its bounds and `ceiling` (what the TGI would be if the whole audience had the trait) are on
    the 100 scale. `tautological` marks traits that the segment's own condition fixes: those of its tags, and
    those that nobody or everybody in the audience has. The counts of a trait whose
    audience or complement has fewer than the smallest group allowed are None (`suppressed`), and so are those of
    another trait of the tag where the difference to the whole would give the small number away.
    """

    tag: str
    title: str
    trait: str
    audience_count: int | None
    base_count: int | None
    audience_share: float | None
    base_share: float | None
    tgi: float | None
    tgi_low: float | None
    tgi_high: float | None
    ceiling: float | None
    q_value: float | None
    tautological: bool
    suppressed: bool


def compare_audience(
    snapshot: Snapshot,
    condition: Predicate,
    catalog: Catalog,
    language: str = "en",
    min_group: int = 10,
    tags: Sequence[str] | None = None,
) -> list[Trait]:
    """The traits of the audience, those that distinguish it most and most surely first.

    Numbers are cut at the quintiles of all users, categories show their ten most frequent values and the rest.
    Unknown is a trait like any other. Tags that the snapshot does not have yet are passed over.
    """
    size = measure_audience(snapshot, condition)
    inside = condition_sql(condition, prepare(snapshot.connection, condition)).sql(dialect="duckdb")
    own = condition.fields()
    counted: list[tuple[str, str, int, int]] = []
    built = snapshot.columns("profiles")
    for tag in tags if tags is not None else [name for name in catalog.tags if name in built]:
        counted += [(tag, *row) for row in _count_traits(snapshot, catalog, tag, inside, language)]
    if not counted or size.size == 0:
        return []
    hits = [row[2] for row in counted]
    base = [row[3] for row in counted]
    intervals = lift_interval(hits, size.size, base, size.users)
    q_values = false_discovery(complement_p_value(hits, size.size, base, size.users))
    hides = _hidden(counted, size, min_group)
    traits = []
    for index, (tag, trait, count, base_count) in enumerate(counted):
        hidden = hides[index]
        tgi, low, high = (100 * float(bound[index]) for bound in intervals)
        traits.append(
            Trait(
                tag,
                catalog[tag].title.of(language),
                trait,
                None if hidden else count,
                None if hidden else base_count,
                None if hidden else count / size.size,
                None if hidden else base_count / size.users,
                None if hidden else tgi,
                None if hidden else low,
                None if hidden else high,
                None if hidden else 100 * size.users / base_count,
                None if hidden else float(q_values[index]),
                tag in own or _implied(count, base_count, size),
                hidden,
            )
        )
    return sorted(traits, key=_sure_difference, reverse=True)


def _implied(count: int, base_count: int, size: AudienceSize) -> bool:
    """Whether nobody in the audience has the trait, or everybody: beyond chance, that follows from the condition.

    Who ordered within 90 days has a known time of the last order, whatever the segment is about.
    """
    expected = base_count * size.size / size.users
    everybody = count == size.size and base_count < size.users and size.size - expected >= 20
    return (count == 0 and expected >= 20) or everybody


def _hidden(counted: Sequence[tuple[str, str, int, int]], size: AudienceSize, min_group: int) -> list[bool]:
    """Which counts stay hidden: small ones, and as many more of a tag as keep subtraction from telling a small one.

    All are hidden where the audience or its complement is itself a small group: even a zero would tell of everyone in it.
    """

    def small(count: int) -> bool:
        return 0 < count < min_group

    if small(size.size) or small(size.users - size.size):
        return [True] * len(counted)
    hidden = [small(count) or small(base - count) for _, _, count, base in counted]
    for tag in {row[0] for row in counted}:
        rows = sorted((row for row in range(len(counted)) if counted[row][0] == tag), key=lambda row: counted[row][3])
        while any(hidden[row] for row in rows):
            inside = sum(counted[row][2] for row in rows if hidden[row])
            outside = sum(counted[row][3] - counted[row][2] for row in rows if hidden[row])
            shown = [row for row in rows if not hidden[row]]
            if small(inside):
                shown = [row for row in shown if counted[row][2] > 0]
            elif small(outside):
                shown = [row for row in shown if counted[row][3] > counted[row][2]]
            else:
                break
            if not shown:
                break
            hidden[shown[0]] = True
    return hidden


def _sure_difference(trait: Trait) -> tuple[bool, bool, float]:
    """Suppressed and tautological traits last; then by the distance of the nearer bound from 100, as a ratio."""
    if trait.suppressed or trait.tgi_low is None or trait.tgi_high is None:
        return (False, False, 0.0)
    distance = max(trait.tgi_low / 100, 100 / max(trait.tgi_high, 1e-9))
    return (True, not trait.tautological, distance)


def _count_traits(
    snapshot: Snapshot, catalog: Catalog, tag: str, inside: str, language: str
) -> Iterator[tuple[str, int, int]]:
    column = f'"{tag}"'
    entry = catalog[tag]
    if entry.type == "number":
        banded, names = _bands(snapshot, column)
    elif entry.type in ("date", "time"):
        return
    else:
        banded, names = f"CAST({column} AS VARCHAR)", None
    rows = snapshot.rows(
        f"SELECT {banded} AS trait, count(*) FILTER (WHERE {inside}) AS audience, count(*) AS base "
        "FROM profiles GROUP BY 1 ORDER BY base DESC, trait"
    )
    if names is None and len(rows) > MAX_LEVELS + 2:
        known = [row for row in rows if row["trait"] is not None]
        rest = known[MAX_LEVELS:]
        rows = known[:MAX_LEVELS] + [row for row in rows if row["trait"] is None]
        yield _word("other", language), sum(row["audience"] for row in rest), sum(row["base"] for row in rest)
    for row in rows:
        yield _trait_name(row["trait"], names, entry.values, language), int(row["audience"]), int(row["base"])


def _bands(snapshot: Snapshot, column: str) -> tuple[str, list[str] | None]:
    """The SQL that numbers the band of a value, and the bands' names; bands are the quintiles of all users."""
    found = snapshot.value(f"SELECT quantile_disc({column}, [0.2, 0.4, 0.6, 0.8]) FROM profiles")
    lowest, highest = (snapshot.value(f"SELECT {which}({column}) FROM profiles") for which in ("min", "max"))
    if found is None or lowest is None:
        return "NULL", []
    edges = sorted({float(edge) for edge in found if float(edge) > float(lowest)})
    if not edges and float(highest) > float(lowest):
        # Most users share the lowest value (often 0): what is above it is the other band.
        edges = [float(snapshot.value(f"SELECT min({column}) FROM profiles WHERE {column} > ?", [lowest]))]
    if not edges:
        return f"CASE WHEN {column} IS NOT NULL THEN 0 END", [_plain(float(lowest))]
    cases = " ".join(f"WHEN {column} < {edge!r} THEN {index}" for index, edge in enumerate(edges))
    names = [
        f"< {_plain(edges[0])}",
        *(f"{_plain(a)} – {_plain(b)}" for a, b in pairwise(edges)),
        f"≥ {_plain(edges[-1])}",
    ]
    return f"CASE WHEN {column} IS NULL THEN NULL {cases} ELSE {len(edges)} END", names


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def _trait_name(value: Any, names: list[str] | None, titles: Any, language: str) -> str:
    if value is None:
        return _word("unknown", language)
    if names is not None:
        return names[int(value)]
    return titles[value].of(language) if value in titles else str(value)


def _word(word: str, language: str) -> str:
    return {"unknown": "未知", "other": "其他"}[word] if language == "zh" else word
