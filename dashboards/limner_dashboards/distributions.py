"""Aggregates for the overview, computed in DuckDB: how users spread over the values of a tag, and over the scores.

Groups below the smallest size allowed go into "other"; bands of a number and bins of scores into their neighbour.
Imports floors 1 and 2 and the charts' rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sqlglot import exp

from limner_dashboards.charts.evaluation import STEP, ScoreBin
from limner_dashboards.charts.shares import Bar
from limner_dashboards.formatting import plain
from limner_dashboards.words import say
from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.snapshots import Snapshot
from limner_profile.tags.expressions import calendar_day
from limner_segments.conditions.scope import scope_of

LEVELS = 5


def read_distribution(snapshot: Snapshot, entry: CatalogTag, language: str, min_group: int) -> list[Bar]:
    """The bars of a tag: its values or bands, then the rest, then unknown; their shares add up to all users."""
    users = int(snapshot.value("SELECT count(*) FROM profiles"))
    if not users:
        return []
    if entry.type == "number":
        found = _bands(snapshot, entry.name, min_group)
    elif entry.type in ("date", "time"):
        day: exp.Expr = exp.column(entry.name, quoted=True)
        if entry.type == "time":
            day = calendar_day(day, scope_of(snapshot.connection).timezone)
        found = _groups(snapshot, f"CAST(year({day.sql(dialect='duckdb')}) AS VARCHAR)")
    else:
        found = _groups(snapshot, f'CAST("{entry.name}" AS VARCHAR)')
    return _bars(found, users, entry, language, min_group)


def _bars(
    found: Sequence[tuple[str | None, int]], users: int, entry: CatalogTag, language: str, min_group: int
) -> list[Bar]:
    bars: list[Bar] = []
    other = 0
    banded = entry.type == "number"
    for value, number in found:
        if value is None:
            continue
        if number < min_group or (not banded and len(bars) >= LEVELS):
            other += number
            continue
        bars.append(Bar(_value_title(entry, value, language), number, number / users))
    if 0 < other < min_group and bars:
        # A rest that small could be read off by subtraction, so the smallest shown group joins it.
        smallest = min(range(len(bars)), key=lambda at: bars[at].users)
        other += bars.pop(smallest).users
    if other:
        # Of a number only the single band that all its few values were joined in can be too small to be named.
        bars.append(Bar(say("has_value" if banded else "other", language), other, other / users, "other"))
    unknown = sum(number for value, number in found if value is None)
    if unknown:
        bars.append(Bar(say("unknown", language), unknown, unknown / users, "unknown"))
    return bars


def _value_title(entry: CatalogTag, value: str, language: str) -> str:
    if value in entry.values:
        return entry.values[value].of(language)
    return say(value, language) if entry.type == "boolean" and value in ("true", "false") else value


def _groups(snapshot: Snapshot, expression: str) -> list[tuple[str | None, int]]:
    rows = snapshot.rows(
        f"SELECT {expression} AS value, count(*) AS users FROM profiles GROUP BY 1 ORDER BY users DESC, value"
    )
    return [(row["value"], int(row["users"])) for row in rows]


def _bands(snapshot: Snapshot, name: str, min_group: int) -> list[tuple[str | None, int]]:
    """Bands of a number: the lowest value by itself where many have it (often 0), then bands that begin near quantiles of the rest.

    A band of fewer than `min_group` users is joined with a neighbour, so that every band is a range that can be named.
    """
    column = '"' + name + '"'
    lowest = snapshot.value(f"SELECT min({column}) FROM profiles")
    if lowest is None:
        return [(None, int(snapshot.value("SELECT count(*) FROM profiles")))]
    heavy = bool(
        snapshot.value(f"SELECT count(*) FILTER (WHERE {column} = ?) >= 0.15 * count({column}) FROM profiles", [lowest])
    )
    rest = f"{column} > {float(lowest)!r}" if heavy else "TRUE"
    inner = [0.25, 0.5, 0.75] if heavy else [0.2, 0.4, 0.6, 0.8]
    first, quantiles, highest, whole = (
        snapshot.rows(
            f"SELECT min({column}) AS first, quantile_disc({column}, {inner}) AS edges, max({column}) AS highest, "
            f"bool_and({column} = round({column})) AS whole FROM profiles WHERE {rest}"
        )[0]
    ).values()
    start = [float(lowest)]
    if first is not None:
        start += [float(first)] if heavy else []
        start += [round_edge(float(edge), whole=bool(whole)) for edge in quantiles]
    edges = sorted({edge for edge in start if edge >= float(lowest) and (highest is None or edge <= float(highest))})
    cases = " ".join(f"WHEN {column} < {edge!r} THEN {index}" for index, edge in enumerate(edges[1:]))
    banded = f"CASE WHEN {column} IS NULL THEN NULL {cases} ELSE {len(edges) - 1} END"
    rows = snapshot.rows(f"SELECT {banded} AS band, count(*) AS users FROM profiles GROUP BY 1 ORDER BY band")
    counted = {row["band"]: int(row["users"]) for row in rows}
    starts, sizes = join_small(edges, [counted.get(band, 0) for band in range(len(edges))], min_group)
    alone = heavy and starts[1:2] == edges[1:2]
    names = _band_names(starts, float(highest if highest is not None else lowest), bool(whole), alone)
    unknown: list[tuple[str | None, int]] = [(None, counted[None])] if None in counted else []
    return [*zip(names, sizes, strict=True), *unknown]


def join_small(edges: Sequence[float], sizes: Sequence[int], min_group: int) -> tuple[list[float], list[int]]:
    """The beginnings and sizes of the bands, each too small one joined with the smaller of its neighbours.

    >>> join_small([0.0, 1.0, 5.0, 9.0], [400, 3, 200, 100], 10)
    ([0.0, 1.0, 9.0], [400, 203, 100])
    >>> join_small([0.0, 1.0], [2, 3], 10)
    ([0.0], [5])
    """
    starts, users = list(edges), list(sizes)
    while len(users) > 1 and min(users) < min_group:
        small = users.index(min(users))
        into = min((at for at in (small - 1, small + 1) if 0 <= at < len(users)), key=lambda at: users[at])
        users[min(small, into)] += users.pop(max(small, into))
        starts.pop(max(small, into))
    return starts, users


def round_edge(edge: float, *, whole: bool) -> float:
    """The round number nearest to a quantile, so that bands read well; small whole numbers stay as they are.

    >>> round_edge(146.0, whole=True), round_edge(7.0, whole=True), round_edge(0.2934, whole=False)
    (150.0, 7.0, 0.3)
    """
    if edge == 0 or (whole and abs(edge) < 10):
        return edge
    power = math.floor(math.log10(abs(edge)))
    steps = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    nearest = min(steps, key=lambda step: abs(abs(edge) / 10.0**power - step))
    return math.copysign(float(f"{nearest * 10.0**power:.6g}"), edge)


def _band_names(edges: Sequence[float], highest: float, whole: bool, lowest_alone: bool) -> list[str]:
    """The names of the bands that begin at `edges`.

    >>> _band_names([0.0, 1.0, 3.0, 7.0], 40.0, True, True)
    ['0', '1–2', '3–6', '≥ 7']
    >>> _band_names([0.0, 0.001, 0.2, 0.5], 1.0, False, True)
    ['0', '> 0 – 0.2', '0.2 – 0.5', '≥ 0.5']
    >>> _band_names([0.0, 0.5], 1.0, False, False)
    ['< 0.5', '≥ 0.5']
    """
    if len(edges) == 1:
        return [plain(edges[0]) if highest == edges[0] else f"≥ {plain(edges[0])}"]
    names = []
    for index, (low, high) in enumerate(pairwise(edges)):
        if whole:
            names.append(plain(low) if high - low <= 1 else f"{plain(low)}–{plain(high - 1)}")
        elif index == 0:
            names.append(plain(low) if lowest_alone else f"< {plain(high)}")
        elif index == 1 and lowest_alone:
            names.append(f"> {plain(edges[0])} – {plain(high)}")
        else:
            names.append(f"{plain(low)} – {plain(high)}")
    last = edges[-1]
    return [*names, plain(last) if whole and highest == last else f"≥ {plain(last)}"]


def read_score_bins(snapshot: Snapshot, scenario: str, min_group: int) -> list[ScoreBin]:
    """The scored users in steps of 5 points; a step with fewer than `min_group` users is joined with its neighbours."""
    rows = snapshot.rows(
        "SELECT least(CAST(floor(score / ?) AS INTEGER), ?) AS step, count(*) AS users FROM scores WHERE scenario = ? GROUP BY 1",
        [STEP, round(1 / STEP) - 1, scenario],
    )
    counts = {int(row["step"]): int(row["users"]) for row in rows}
    total = sum(counts.values())
    if not total:
        return []
    merged: list[list[int]] = []  # [first step, last step, users]
    for step in range(max(counts) + 1):
        if merged and merged[-1][2] < min_group:
            merged[-1][1], merged[-1][2] = step, merged[-1][2] + counts.get(step, 0)
        else:
            merged.append([step, step, counts.get(step, 0)])
    if len(merged) > 1 and merged[-1][2] < min_group:
        _, last, users = merged.pop()
        merged[-1][1], merged[-1][2] = last, merged[-1][2] + users
    return [ScoreBin(first * STEP, (last + 1) * STEP, users, users / total) for first, last, users in merged]


def main_tags(snapshot: Snapshot, catalog: Catalog, limit: int = 12) -> list[str]:
    """The tags to show first: attributes and preferences, then the numbers that scores lean on most, else catalog order.

    Of the tags that count the same in several windows one is enough. Tags that nobody has a value for are left out.
    """
    known = {
        row["name"]: row
        for row in snapshot.rows(
            "SELECT name, type, window_text FROM tags WHERE coverage > 0 AND kind <> 'score' AND distinct_values > 1"
        )
        if row["name"] in catalog
    }
    described = [name for name, row in known.items() if row["type"] in ("category", "boolean")]
    weight: dict[str, float] = {}
    if snapshot.columns("importances"):
        for row in snapshot.rows("SELECT tag, max(mean_abs_contribution) AS weight FROM importances GROUP BY tag"):
            weight[row["tag"]] = float(row["weight"])
    order = list(known)
    numbers = sorted(
        (name for name, row in known.items() if row["type"] == "number"),
        key=lambda name: (-weight.get(name, 0.0), order.index(name)),
    )
    chosen: list[str] = []
    families: set[Any] = set()
    for name in numbers:
        family = name.rsplit("_", 1)[0] if known[name]["window_text"] not in ("", "all") else name
        if family not in families:
            families.add(family)
            chosen.append(name)
    half = limit // 2
    first = described[: max(half, limit - len(chosen))]
    picked = {*first, *chosen[: limit - len(first)]}
    return sorted(picked, key=order.index)
