"""Simpson's paradox: planted reversals are found, with both numbers; harmless strata are not accused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from limner_explain.candidates import make_candidates
from limner_explain.simpson import (
    UNKNOWN_STRATUM,
    check_simpson,
    find_reversals,
    findings_by_rule,
    make_strata,
    two_level_conditions,
)


def kidney_stones(times: int) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Charig et al. (1986), BMJ 292, 879-882, each patient `times` over: treatment, size of stone; success."""
    cells = [
        ("open", "small", 81, 87),
        ("open", "large", 192, 263),
        ("keyhole", "small", 234, 270),
        ("keyhole", "large", 55, 80),
    ]
    rows = [(treatment, size) for treatment, size, _, total in cells for _ in range(times * total)]
    success = np.concatenate([np.arange(times * total) < times * hits for _, _, hits, total in cells])
    return pd.DataFrame(rows, columns=["treatment", "size"]), success


def planted_reversal(rows: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """App users buy more in all, since busy users take the app, yet less than others who are as busy."""
    rng = np.random.default_rng(seed)
    activity = rng.normal(0, 1, rows)
    app = rng.random(rows) < 1 / (1 + np.exp(-2 * activity))
    chance = 1 / (1 + np.exp(-(-2 + 2 * activity - 1.5 * app)))
    frame = pd.DataFrame({"app": app, "activity": activity, "shade": rng.choice(["a", "b", "c"], rows)})
    return frame, rng.random(rows) < chance


def test_the_kidney_stones_reverse_with_the_published_rates() -> None:
    frame, success = kidney_stones(times=6)
    conditions = make_candidates(frame, ["treatment"]).conditions
    found = find_reversals(frame, success, [one for one in conditions if one.text == "treatment = 'open'"])
    assert [(finding.tag, finding.finding) for finding in found] == [("size", "reversal")]
    # 273 of 350 against 289 of 350 in all; Mantel-Haenszel: (81·36/357 + 192·25/343) ÷ (6·234/357 + 71·55/343).
    assert found[0].crude == pytest.approx(273 * 61 / (77 * 289))
    assert found[0].crude_high < 1 < found[0].adjusted_low
    assert found[0].adjusted == pytest.approx((81 * 36 / 357 + 192 * 25 / 343) / (6 * 234 / 357 + 71 * 55 / 343))
    rates = {one.stratum: (one.rate_in, one.rate_out) for one in found[0].strata}
    assert rates["small"] == pytest.approx((81 / 87, 234 / 270))
    assert rates["large"] == pytest.approx((192 / 263, 55 / 80))
    assert [(one.size_in, one.size_out) for one in found[0].strata] == [(263 * 6, 80 * 6), (87 * 6, 270 * 6)]


def test_a_planted_reversal_is_found_and_an_idle_tag_is_not_blamed() -> None:
    frame, outcome = planted_reversal(6_000, seed=1)
    found = find_reversals(frame, outcome)
    assert [(finding.rule, finding.tag) for finding in found] == [("app = true", "activity")]
    assert found[0].crude_low > 1
    assert found[0].adjusted_high < 1


def test_an_effect_that_is_all_the_strata_s_vanishes() -> None:
    rng = np.random.default_rng(2)
    city = rng.choice(["a", "b"], 8_000)
    member = rng.random(8_000) < np.where(city == "a", 0.8, 0.2)
    outcome = rng.random(8_000) < np.where(city == "a", 0.3, 0.1)
    frame = pd.DataFrame({"city": city, "member": member})
    strata = make_strata(frame)
    found = check_simpson(["member"], [("member",)], member[:, None], outcome, strata)
    assert [(finding.tag, finding.finding) for finding in found] == [("city", "vanishes")]
    assert found[0].adjusted_low <= 1 <= found[0].adjusted_high
    assert findings_by_rule(found)["member"] == found


def test_honest_effects_are_rarely_accused() -> None:
    accused = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({f"c{at}": rng.choice(list("abcd"), 2_000) for at in range(20)})
        inside = rng.random(2_000) < 0.3
        outcome = rng.random(2_000) < np.where(inside, 0.2, 0.1)
        accused += len(check_simpson(["r"], [()], inside[:, None], outcome, make_strata(frame)))
    # 800 checks of a true effect; independent strata leave it as it is.
    assert accused <= 8


def test_a_rule_is_not_stratified_by_its_own_tags_and_findings_keep_the_order() -> None:
    frame, outcome = planted_reversal(6_000, seed=3)
    inside = np.column_stack([frame["app"], ~frame["app"]])
    strata = make_strata(frame, ["activity"])
    assert check_simpson(["r"], [("app", "activity")], inside[:, :1], outcome, strata) == ()
    found = check_simpson(["first", "second"], [("app",), ("app",)], inside, outcome, strata)
    assert [(finding.rule, finding.finding) for finding in found] == [("first", "reversal"), ("second", "reversal")]
    assert found[0].adjusted == pytest.approx(1 / found[1].adjusted)


def test_a_tag_that_coincides_with_the_rule_is_no_finding() -> None:
    """Each stratum lies wholly inside or outside: the odds ratio within strata is undefined, and not 1."""
    rng = np.random.default_rng(4)
    member = rng.random(4_000) < 0.4
    outcome = rng.random(4_000) < np.where(member, 0.4, 0.1)
    strata = make_strata(pd.DataFrame({"plan": np.where(member, "paid", "free")}))
    assert check_simpson(["member"], [("member",)], np.column_stack([member]), outcome, strata) == ()


def test_strata_of_every_kind_of_tag() -> None:
    frame = pd.DataFrame(
        {
            "spend": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, np.nan, np.nan],
            "orders": [0.0] * 8 + [2.0, 3.0],
            "city": ["a", "b"] * 5,
            "flag": [True, False, None] * 3 + [True],
            "constant": [1.0] * 10,
            "name": [f"u{at}" for at in range(10)],
            "day": pd.to_datetime(["2025-01-31"] * 10),
        }
    )
    strata = {stratum.tag: stratum for stratum in make_strata(frame, max_levels=5)}
    assert list(strata) == ["spend", "orders", "city", "flag"]
    assert strata["spend"].names == ("< 1", "1 to 3", "3 to 5", ">= 5", UNKNOWN_STRATUM)
    assert strata["spend"].codes.tolist() == [0, 1, 1, 2, 2, 3, 3, 3, 4, 4]
    assert strata["orders"].names == ("< 2", ">= 2")
    assert strata["flag"].names == ("False", "True", UNKNOWN_STRATUM)
    assert strata["city"].codes.tolist() == [0, 1] * 5


def test_two_level_tags_give_one_condition_each() -> None:
    frame = pd.DataFrame(
        {"flag": [True, False, False, None], "plan": ["free", "free", "paid", None], "n": [1, 2, 1, 2]}
    )
    assert [condition.text for condition in two_level_conditions(frame)] == ["flag = true", "plan = 'free'"]
