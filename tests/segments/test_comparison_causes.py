"""Which traits a definition fixes: its own tags, what is computed from them, and what the data show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.definitions import Title
from limner_profile.predicates.parser import parse
from limner_profile.sources import FieldType
from limner_segments.comparison import Comparison, compare_audience
from segments.small import make_snapshot

TYPES: dict[str, FieldType] = {
    "spend": "number", "spend_band": "category", "value_group": "category", "orders": "number", "coin": "boolean",
}  # fmt: skip


def catalog() -> Catalog:
    """`spend_band` is computed from `spend`, `value_group` from the band; `orders` is a tag of its own that goes with spend."""
    spend, orders, coin = (
        CatalogTag(name, "sum", TYPES[name], Title(en=name, zh=name)) for name in ("spend", "orders", "coin")
    )
    band = CatalogTag("spend_band", "band", "category", Title(en="band", zh="段"), parents=(spend,))
    group = CatalogTag("value_group", "rfm", "category", Title(en="group", zh="组"), parents=(band,))
    return Catalog({tag.name: tag for tag in (spend, band, group, orders, coin)})


def person(number: int) -> list[Any]:
    spend = number % 200
    band = "low" if spend < 50 else "middle" if spend < 150 else "high"
    group = "star" if band == "high" and number % 3 else "rest"
    return [float(spend), band, group, float(1 + spend // 40), (number // 200) % 2 == 0]


def compared(folder: Path, where: str, against: str | None = None) -> Comparison:
    with make_snapshot(folder, TYPES, [person(number) for number in range(800)]) as snapshot:
        other: Any = parse(against) if against else "everyone"
        return compare_audience(snapshot, parse(where), catalog(), against=other)


def causes(found: Comparison, tag: str) -> set[str | None]:
    return {trait.fixed_by for trait in found.differences if trait.tag == tag}


def test_own_tags_and_those_computed_from_them_are_fixed_and_chance_is_not(tmp_path: Path) -> None:
    found = compared(tmp_path, "spend >= 100")
    assert causes(found, "spend") == {"condition"}
    # Half of `middle` is in the audience: the band as a whole still says what the condition says, since `low` is empty.
    assert causes(found, "spend_band") == {"derived"}
    assert causes(found, "value_group") == {"derived"}  # through the band; every star is in the audience
    assert causes(found, "coin") == {None}
    for trait in found.differences:
        assert trait.tautological == (trait.fixed_by is not None)


def test_what_a_tag_of_the_condition_is_computed_from_is_fixed_too(tmp_path: Path) -> None:
    found = compared(tmp_path, "spend_band = 'high'")
    assert causes(found, "spend_band") == {"condition"}
    assert causes(found, "spend") == {"derived"}
    assert {mean.tag: mean.fixed_by for mean in found.means} == {"spend": "derived", "orders": "data"}


def test_a_tag_without_kinship_is_fixed_where_the_data_show_it(tmp_path: Path) -> None:
    found = compared(tmp_path, "spend >= 160")
    # Spending 160 means the fifth order: nobody inside has fewer, and that is most of those outside.
    assert causes(found, "orders") == {"data"}


def test_single_values_that_one_side_lacks_are_fixed_by_themselves(tmp_path: Path) -> None:
    found = compared(tmp_path, "spend < 150")
    traits = {trait.trait: trait.fixed_by for trait in found.traits if trait.tag == "orders"}
    assert traits["1"] == traits["2"] == traits["3"] == "data"  # only those inside have so few
    assert causes(compared(tmp_path / "b", "coin = true"), "orders") == {None}


@pytest.mark.parametrize("where", ["coin = true", "spend >= 100"])
def test_the_definition_of_the_other_audience_fixes_traits_as_well(tmp_path: Path, where: str) -> None:
    other = {"coin = true": "spend >= 100", "spend >= 100": "coin = true"}[where]
    found = compared(tmp_path, where, other)
    assert causes(found, "spend") == causes(found, "coin") == {"condition"}
    assert causes(found, "spend_band") == {"derived"}


def test_what_is_fixed_stands_behind_what_was_found_out(tmp_path: Path) -> None:
    found = compared(tmp_path, "spend >= 100")
    order = [trait.tautological for trait in found.differences if not trait.suppressed]
    assert order == sorted(order)
