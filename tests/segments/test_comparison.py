from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner_profile.definitions import Title
from limner_profile.predicates.parser import parse
from limner_profile.sources import FieldType
from limner_segments.comparison import Trait, compare_audience
from segments.small import make_catalog, make_snapshot

Compare = Callable[..., list[Trait]]
TITLES = {"city": {"上海": Title(en="Shanghai", zh="上海")}}


def compared(
    folder: Path, types: dict[str, FieldType], rows: Sequence[Sequence[Any]], where: str, **options: Any
) -> list[Trait]:
    with make_snapshot(folder, types, rows) as snapshot:
        return list(compare_audience(snapshot, parse(where), make_catalog(types, TITLES), **options).traits)


def by_trait(traits: list[Trait], tag: str) -> dict[str, Trait]:
    return {trait.trait: trait for trait in traits if trait.tag == tag}


def people(*groups: tuple[int, list[Any]]) -> list[list[Any]]:
    return [row for count, row in groups for _ in range(count)]


# in the audience (pays) 60 of 100 live in Shanghai, 30 in Oslo, 10 unknown; among the other 300: 60, 180, 60
PAYERS = people(
    (60, [True, "上海"]), (30, [True, "Oslo"]), (10, [True, None]), (60, [False, "上海"]), (180, [False, "Oslo"]), (60, [False, None])
)  # fmt: skip
PAYER_TYPES: dict[str, FieldType] = {"pays": "boolean", "city": "category"}


def test_tgi_of_a_category_by_hand(tmp_path: Path) -> None:
    traits = by_trait(compared(tmp_path, PAYER_TYPES, PAYERS, "pays = true"), "city")
    assert set(traits) == {"Shanghai", "Oslo", "unknown"}
    shanghai = traits["Shanghai"]
    assert (shanghai.audience_count, shanghai.base_count) == (60, 120)
    assert (shanghai.audience_share, shanghai.base_share) == (0.6, 0.3)
    assert shanghai.tgi == pytest.approx(200)
    assert shanghai.ceiling == pytest.approx(100 * 400 / 120)
    assert shanghai.tgi_low is not None
    assert shanghai.tgi_high is not None
    assert 100 < shanghai.tgi_low < 200 < shanghai.tgi_high < 400
    assert shanghai.q_value is not None
    assert shanghai.q_value < 1e-6
    assert traits["Oslo"].tgi == pytest.approx(100 * 0.3 / (210 / 400))
    assert traits["unknown"].tgi == pytest.approx(100 * 0.1 / (70 / 400))


def test_chinese_titles_and_words(tmp_path: Path) -> None:
    traits = compared(tmp_path, PAYER_TYPES, PAYERS, "pays = true", language="zh")
    assert set(by_trait(traits, "city")) == {"上海", "Oslo", "未知"}
    assert {trait.title for trait in traits} == {"某city", "某pays"}


def test_the_segments_own_tags_are_marked_and_stand_behind_the_others(tmp_path: Path) -> None:
    traits = compared(tmp_path, PAYER_TYPES, PAYERS, "pays = true")
    own = [trait for trait in traits if trait.tag == "pays"]
    assert all(trait.tautological for trait in own)
    assert not any(trait.tautological for trait in traits if trait.tag == "city")
    assert traits[-2:] == own
    assert by_trait(traits, "pays")["true"].tgi == pytest.approx(400)  # at its ceiling
    assert by_trait(traits, "pays")["true"].ceiling == pytest.approx(400)
    assert by_trait(traits, "pays")["false"].tgi == 0


def test_what_distinguishes_most_comes_first_by_effect_and_not_by_p_value(tmp_path: Path) -> None:
    # `city` is a small difference of many, `plan` a large one of few users with a known plan.
    rows = people(
        (2_000, [True, "A", "pro"]), (1_600, [True, "B", "free"]), (1_600, [False, "A", "free"]), (2_000, [False, "B", "free"])
    )  # fmt: skip
    types: dict[str, FieldType] = {"pays": "boolean", "city": "category", "plan": "category"}
    rows = [
        [pays, city, plan if plan == "free" and index % 9 else "pro"] for index, (pays, city, plan) in enumerate(rows)
    ]
    free = [trait for trait in compared(tmp_path, types, rows, "pays = true") if not trait.tautological]
    least = [trait.certainty for trait in free]
    assert least == sorted(least, reverse=True)
    assert {trait.tag for trait in free[:2]} == {"plan"}
    for trait in free:
        share_out = ((trait.base_count or 0) - (trait.audience_count or 0)) / 3_600
        by_hand = 2 * math.asin(math.sqrt(trait.audience_share or 0)) - 2 * math.asin(math.sqrt(share_out))
        assert trait.effect_size == pytest.approx(by_hand)
        assert trait.certainty == pytest.approx(abs(by_hand) - 1.959964 * math.sqrt(2 / 3_600), abs=1e-6)


def test_a_number_is_cut_near_the_quintiles_of_all_users_at_round_values(tmp_path: Path) -> None:
    rows = [[value >= 80, float(value)] for value in range(100)] + [[False, None]] * 25
    types: dict[str, FieldType] = {"pays": "boolean", "age": "number"}
    traits = by_trait(compared(tmp_path, types, rows, "pays = true", min_group=1), "age")
    bands = {name: (trait.audience_count, trait.base_count) for name, trait in traits.items()}
    assert bands == {
        "≤ 19": (0, 20), "20 – 39": (0, 20), "40 – 59": (0, 20), "60 – 79": (0, 20), "≥ 80": (20, 20), "unknown": (0, 25)
    }  # fmt: skip
    assert traits["≥ 80"].tgi == traits["≥ 80"].ceiling == pytest.approx(100 * 125 / 20)


def test_zero_stands_apart_where_it_is_common(tmp_path: Path) -> None:
    rows = people((90, [False, 0.0]), (30, [True, 0.0])) + [[True, 0.5 + value] for value in range(40)]
    rows += [[False, -1.5 - value] for value in range(20)]
    types: dict[str, FieldType] = {"pays": "boolean", "balance": "number"}
    traits = by_trait(compared(tmp_path, types, rows, "pays = true", min_group=1), "balance")
    assert (traits["0"].audience_count, traits["0"].base_count) == (30, 120)
    assert traits["0"].condition == "balance = 0"
    positive = {name: trait for name, trait in traits.items() if trait.condition.startswith("balance > 0")}
    assert list(positive) == ["> 0 – 20"]
    assert positive["> 0 – 20"].condition == "balance > 0 and balance < 20"
    assert traits["≥ 20"].audience_count == 20


def test_a_number_of_few_values_shows_each(tmp_path: Path) -> None:
    rows = people((90, [False, 0.0]), (30, [True, 0.0]), (10, [True, 2.0]), (5, [True, 7.5]))
    types: dict[str, FieldType] = {"pays": "boolean", "spend": "number"}
    traits = by_trait(compared(tmp_path, types, rows, "pays = true", min_group=1), "spend")
    assert {name: trait.audience_count for name, trait in traits.items()} == {"0": 30, "2": 10, "7.5": 5}
    assert traits["7.5"].condition == "spend = 7.5"


@pytest.mark.parametrize(("kind", "value"), [("number", 3.0), ("category", "x"), ("boolean", False)])
def test_tags_of_one_value_or_none_at_all(tmp_path: Path, kind: FieldType, value: Any) -> None:
    types: dict[str, FieldType] = {"pays": "boolean", "same": kind, "empty": kind}
    rows = people((40, [True, value, None]), (60, [False, value, None]))
    traits = compared(tmp_path, types, rows, "pays = true")
    (same,) = by_trait(traits, "same").values()
    assert (same.trait, same.tgi) == ({"number": "3", "category": "x", "boolean": "false"}[kind], 100)
    (empty,) = by_trait(traits, "empty").values()
    assert (empty.trait, empty.audience_count, empty.base_count, empty.tgi) == ("unknown", 40, 100, 100)


def test_the_tail_of_a_long_category_is_one_trait_and_nothing_is_lost(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        [index % 2 == 0, f"c{number:02d}"] for number in range(20) for index in range(40 + 2 * number)
    ]
    rows += [[True, None]] * 30 + [[False, None]] * 30
    types: dict[str, FieldType] = {"pays": "boolean", "genre": "category"}
    traits = by_trait(compared(tmp_path, types, rows, "pays = true"), "genre")
    assert set(traits) == {*(f"c{number}" for number in range(10, 20)), "other", "unknown"}
    assert traits["other"].base_count == sum(40 + 2 * number for number in range(10))
    assert sum(trait.base_count or 0 for trait in traits.values()) == len(rows)
    assert sum(trait.audience_count or 0 for trait in traits.values()) == sum(row[0] for row in rows)


def hidden(traits: list[Trait], tag: str) -> set[str]:
    return {trait.trait for trait in traits if trait.tag == tag and trait.suppressed}


def test_a_small_count_is_hidden_with_as_many_more_as_keep_subtraction_from_telling_it(tmp_path: Path) -> None:
    rows = people(
        (4, [True, "A"]),
        (100, [False, "A"]),
        (50, [True, "B"]),
        (60, [False, "B"]),
        (70, [True, "C"]),
        (80, [False, "C"]),
    )
    traits = compared(tmp_path, PAYER_TYPES, rows, "pays = true")
    # 4 payers in A; the payers are 124 on every screen, so one of B and C must go with A.
    assert hidden(traits, "city") == {"A", "B"} or hidden(traits, "city") == {"A", "C"}
    for trait in traits:
        numbers = [
            trait.audience_count, trait.base_count, trait.audience_share, trait.base_share, trait.tgi, trait.tgi_low,
            trait.tgi_high, trait.ceiling, trait.q_value,
        ]  # fmt: skip
        assert all((number is None) == trait.suppressed for number in numbers)
    assert traits[-2].suppressed
    assert traits[-1].suppressed  # hidden ones come last


def test_a_small_complement_is_hidden_too(tmp_path: Path) -> None:
    rows = people(
        (96, [True, "A"]),
        (4, [False, "A"]),
        (50, [True, "B"]),
        (60, [False, "B"]),
        (70, [True, "C"]),
        (80, [False, "C"]),
    )
    found = hidden(compared(tmp_path, PAYER_TYPES, rows, "pays = true"), "city")
    assert "A" in found
    assert len(found) == 2


def test_two_small_counts_that_add_up_to_a_small_one_take_a_third(tmp_path: Path) -> None:
    rows = people(
        (3, [True, "A"]),
        (4, [True, "B"]),
        (60, [False, "A"]),
        (60, [False, "B"]),
        (60, [True, "C"]),
        (60, [False, "C"]),
        (90, [True, "D"]),
        (90, [False, "D"]),
    )
    assert hidden(compared(tmp_path, PAYER_TYPES, rows, "pays = true"), "city") == {"A", "B", "C"}


def test_counts_that_are_none_or_large_enough_are_shown(tmp_path: Path) -> None:
    rows = people((10, [True, "A"]), (10, [False, "A"]), (30, [False, "B"]), (40, [True, "C"]))
    traits = by_trait(compared(tmp_path, PAYER_TYPES, rows, "pays = true"), "city")
    assert {name: trait.audience_count for name, trait in traits.items()} == {"A": 10, "B": 0, "C": 40}
    assert not any(trait.suppressed for trait in traits.values())


@pytest.mark.parametrize("small", [True, False])
def test_of_a_small_audience_or_a_small_rest_not_even_zeros_are_told(tmp_path: Path, small: bool) -> None:
    rows = people((5, [small, "A"]), (60, [not small, "A"]), (60, [not small, "B"]))
    traits = compared(tmp_path, PAYER_TYPES, rows, "pays = true")
    assert len(traits) == 4
    assert all(trait.suppressed for trait in traits)


def test_everyone_and_nobody(tmp_path: Path) -> None:
    everyone = compared(tmp_path / "a", PAYER_TYPES, PAYERS, "pays is known")
    assert {trait.tgi for trait in everyone} == {100}
    assert not any(trait.suppressed for trait in everyone)
    assert compared(tmp_path / "b", PAYER_TYPES, PAYERS, "city = 'nowhere'") == []


def test_dates_and_times_are_cut_at_first_days_and_tags_that_the_snapshot_lacks_are_passed_over(tmp_path: Path) -> None:
    types: dict[str, FieldType] = {"pays": "boolean", "day": "date", "at": "time"}
    days = [date(2020, 1, 15) + timedelta(days=5 * step) for step in range(365)]
    rows = [[step % 3 == 0, day, f"{day} 23:59:59"] for step, day in enumerate(days)] + [[True, None, None]] * 30
    with make_snapshot(tmp_path, types, rows) as snapshot:
        catalog = make_catalog({**types, "later": "number"})
        traits = list(compare_audience(snapshot, parse("pays = true"), catalog).traits)
    assert {trait.tag for trait in traits} == {"pays", "day", "at"}
    bands = {name: trait.base_count for name, trait in by_trait(traits, "day").items()}
    assert bands == {
        "≤ 2020-12-31": sum(day.year == 2020 for day in days),
        **{str(year): sum(day.year == year for day in days) for year in (2021, 2022, 2023)},
        "≥ 2024-01-01": sum(day.year >= 2024 for day in days),
        "unknown": 30,
    }
    assert by_trait(traits, "day")["2021"].condition == "day >= date '2021-01-01' and day < date '2022-01-01'"
    assert {name: trait.base_count for name, trait in by_trait(traits, "at").items()} == bands


def test_only_the_tags_asked_for(tmp_path: Path) -> None:
    traits = compared(tmp_path, PAYER_TYPES, PAYERS, "pays = true", tags=["city"])
    assert {trait.tag for trait in traits} == {"city"}
