"""Comparisons of one crowd against everything counted and computed again in plain Python, and against themselves turned round."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from statistics import mean, variance
from typing import Any

import pytest
from scipy import stats

from limner_profile.catalog import Catalog
from limner_profile.predicates.parser import parse
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.audience import measure_audience
from limner_segments.comparison import Against, Comparison, MeanTrait, Trait, compare_audience
from segments.small import make_catalog, make_snapshot

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
TYPES: dict[str, FieldType] = {
    "pays": "boolean", "app": "boolean", "orders": "number", "spend": "number", "stars": "number", "city": "category",
    "genre": "category", "joined": "date", "seen": "time",
}  # fmt: skip


def person(rng: random.Random) -> list[Any]:
    pays = rng.random() < 0.3
    orders = (
        None if rng.random() < 0.05 else 0.0 if rng.random() < (0.2 if pays else 0.7) else float(rng.randint(1, 40))
    )
    spend = None if orders is None else round(orders * rng.uniform(-2, 20), 2)
    city = rng.choice([None, "Oslo", "上海", "Aš", "O'Hara"]) if rng.random() < 0.8 or not pays else "Oslo"
    genre = f"g{int(rng.random() ** 2 * 40):02d}" if rng.random() < 0.9 else None
    joined = date(2023, 1, 1) + timedelta(days=rng.randint(0, 700))
    seen = (
        None if rng.random() < 0.1 else f"{joined + timedelta(days=rng.randint(0, 60))} {rng.randint(0, 23):02d}:30:00"
    )
    return [
        pays,
        rng.random() < (0.6 if pays else 0.4),
        orders,
        spend,
        float(rng.randint(1, 5)),
        city,
        genre,
        joined,
        seen,
    ]


ROWS = [person(random.Random(seed)) for seed in range(1_500)]
CROWD: list[Row] = [dict(zip(TYPES, row, strict=True)) for row in ROWS]
SEGMENTS: dict[str, tuple[str, Test]] = {
    "payers": ("pays = true", lambda row: row["pays"]),
    "buyers": ("orders >= 10", lambda row: row["orders"] is not None and row["orders"] >= 10),
    "not Oslo": ("city != 'Oslo' include_unknown", lambda row: row["city"] != "Oslo"),
    "app or recent": (
        "app = true or joined >= date '2024-06-01'",
        lambda row: row["app"] or row["joined"] >= date(2024, 6, 1),
    ),
}
PAIRS = [
    ("payers", "everyone"), ("payers", "complement"), ("buyers", "everyone"), ("not Oslo", "complement"), ("payers", "buyers"),
    ("app or recent", "not Oslo"), ("buyers", "payers"),
]  # fmt: skip


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    with make_snapshot(tmp_path_factory.mktemp("crowd"), TYPES, ROWS) as snapshot:
        yield snapshot


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return make_catalog(TYPES)


def base_of(name: str, inside: Test) -> tuple[Against, Test]:
    if name == "everyone":
        return "everyone", lambda row: True
    if name == "complement":
        return "complement", lambda row: not inside(row)
    text, test = SEGMENTS[name]
    return parse(text), test


def key(trait: Trait | MeanTrait) -> tuple[str, str]:
    return trait.tag, trait.condition if isinstance(trait, Trait) else "mean"


@pytest.mark.parametrize(("name", "base"), PAIRS)
def test_every_number_is_what_counting_by_hand_gives(crowd: Snapshot, catalog: Catalog, name: str, base: str) -> None:
    text, inside = SEGMENTS[name]
    against, other = base_of(base, inside)
    found = compare_audience(crowd, parse(text), catalog, min_group=1, against=against)
    audience, compared = [row for row in CROWD if inside(row)], [row for row in CROWD if other(row)]
    assert (found.size, found.base_size, found.users) == (len(audience), len(compared), len(CROWD))
    assert found.both == sum(inside(row) and other(row) for row in CROWD)
    for tag in TYPES:
        traits = [trait for trait in found.traits if trait.tag == tag]
        assert sum(trait.audience_count or 0 for trait in traits) == found.size  # every user has one trait of each tag
        assert sum(trait.base_count or 0 for trait in traits) == found.base_size
        unknown = [trait for trait in traits if trait.condition == f"{tag} is unknown"]
        assert [trait.audience_count for trait in unknown] == [sum(row[tag] is None for row in audience)] * len(unknown)
    for trait in found.traits:
        assert trait.audience_share == (trait.audience_count or 0) / len(audience)
        assert trait.base_share == (trait.base_count or 0) / len(compared)
        if trait.base_count:
            assert trait.tgi == pytest.approx(100 * trait.audience_share / trait.base_share)
            assert trait.ceiling == pytest.approx(100 / trait.base_share)
            assert (trait.tgi_low or 0) <= (trait.tgi or 0) <= (trait.tgi_high or 0)
        rest = [row for row in compared if not inside(row)] if base == "everyone" else compared
        share_out = ((trait.base_count or 0) - (trait.audience_count or 0 if base == "everyone" else 0)) / len(rest)
        by_hand = 2 * math.asin(math.sqrt(trait.audience_share)) - 2 * math.asin(math.sqrt(share_out))
        assert trait.effect_size == pytest.approx(by_hand, abs=1e-9)
    assert {one.tag for one in found.means} == {"orders", "spend", "stars"}
    for one in found.means:
        a, b = ([row[one.tag] for row in rows if row[one.tag] is not None] for rows in (audience, compared))
        assert (one.audience_known, one.base_known) == (len(a), len(b))
        assert one.audience_mean == pytest.approx(mean(a))
        assert one.base_mean == pytest.approx(mean(b))
        assert one.mean_difference == pytest.approx(mean(a) - mean(b))
        assert one.mean_low is not None
        assert one.mean_low < (one.mean_difference or 0) < (one.mean_high or 0)
        outside = [
            row[one.tag] for row in compared if row[one.tag] is not None and (base != "everyone" or not inside(row))
        ]
        pooled = ((len(a) - 1) * variance(a) + (len(outside) - 1) * variance(outside)) / (len(a) + len(outside) - 2)
        assert one.effect_size == pytest.approx((mean(a) - mean(outside)) / math.sqrt(pooled), abs=1e-9)


@pytest.mark.parametrize("name", ["payers", "app or recent"])
def test_the_condition_of_a_trait_has_the_size_of_the_trait(crowd: Snapshot, catalog: Catalog, name: str) -> None:
    text, _ = SEGMENTS[name]
    found = compare_audience(crowd, parse(text), catalog, min_group=1)
    for trait in found.traits:
        assert measure_audience(crowd, parse(trait.condition)).size == trait.base_count
        assert measure_audience(crowd, parse(f"({text}) and ({trait.condition})")).size == trait.audience_count


@pytest.mark.parametrize(
    ("one", "other"), [("payers", "not (pays = true)"), ("not Oslo", "orders >= 10"), ("buyers", "pays = true")]
)
def test_the_comparison_turned_round_says_the_opposite(crowd: Snapshot, catalog: Catalog, one: str, other: str) -> None:
    text, _ = SEGMENTS[one]
    there = compare_audience(crowd, parse(text), catalog, min_group=1, against=parse(other))
    back = compare_audience(crowd, parse(other), catalog, min_group=1, against=parse(text))
    mirrored = {key(trait): trait for trait in back.differences}
    assert [key(trait) for trait in there.differences if not trait.tautological] == [
        key(trait) for trait in back.differences if not trait.tautological
    ]
    for trait in there.differences:
        twin = mirrored[key(trait)]
        assert trait.q_value == pytest.approx(twin.q_value, rel=1e-6, abs=1e-12)
        assert trait.effect_size == pytest.approx(-(twin.effect_size or 0), abs=1e-9)
        assert (trait.fixed_by, trait.suppressed) == (twin.fixed_by, twin.suppressed)
        if isinstance(trait, Trait) and isinstance(twin, Trait):
            assert (trait.audience_count, trait.base_count) == (twin.base_count, twin.audience_count)
            for mine, its in ((trait.tgi, twin.tgi), (trait.tgi_low, twin.tgi_high), (trait.tgi_high, twin.tgi_low)):
                if mine and its:
                    assert mine * its == pytest.approx(10_000, rel=1e-9)
        elif isinstance(trait, MeanTrait) and isinstance(twin, MeanTrait):
            assert trait.mean_low == pytest.approx(-(twin.mean_high or 0), abs=1e-9)


def test_the_complement_is_the_condition_negated(crowd: Snapshot, catalog: Catalog) -> None:
    said = compare_audience(crowd, parse("orders >= 10"), catalog, against="complement")
    written = compare_audience(crowd, parse("orders >= 10"), catalog, against=parse("not (orders >= 10)"))
    assert said == written
    everyone = compare_audience(crowd, parse("orders >= 10"), catalog)
    shown = {key(trait): trait.q_value for trait in everyone.differences if not trait.suppressed}
    assert {key(trait): trait.q_value for trait in said.differences if not trait.suppressed} == pytest.approx(
        shown, rel=1e-9
    )


def test_false_discoveries_are_controlled_over_all_looks_but_those_that_the_definition_fixes(
    crowd: Snapshot, catalog: Catalog
) -> None:
    tags = ["pays", "orders", "stars", "city", "seen"]
    found = compare_audience(crowd, parse("pays = true"), catalog, min_group=1, tags=tags)
    free = [trait for trait in found.differences if not trait.tautological]
    p_values = {key(trait): p_value_by_hand(trait, found) for trait in free}
    assert len(p_values) > 15
    # Benjamini and Hochberg: the smallest p·m/rank of this and every higher rank.
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    expected, least = {}, 1.0
    for rank, (trait_key, p) in reversed(list(enumerate(ranked, start=1))):
        least = min(least, p * len(ranked) / rank)
        expected[trait_key] = least
    assert {key(trait): trait.q_value for trait in free} == pytest.approx(expected, rel=1e-6, abs=1e-14)


def p_value_by_hand(trait: Trait | MeanTrait, found: Comparison) -> float:
    """Two proportions with the pooled rate for a share, Welch for a mean, of payers against the others."""
    if isinstance(trait, Trait):
        a, n_a = trait.audience_count or 0, found.size
        b, n_b = (trait.base_count or 0) - a, found.users - found.size
        pooled = (a + b) / (n_a + n_b)
        z = (a / n_a - b / n_b) / math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
        return math.erfc(abs(z) / math.sqrt(2))
    groups = [
        [row[trait.tag] for row in CROWD if row["pays"] is pays and row[trait.tag] is not None]
        for pays in (True, False)
    ]
    return float(stats.ttest_ind(*groups, equal_var=False).pvalue)
