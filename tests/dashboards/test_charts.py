"""Charts say in numbers what they were given, whatever the labels look like."""

from __future__ import annotations

import math
from typing import Any

import pytest

from limner_dashboards.charts.card import lift_interval_chart, lift_range, reason_bars
from limner_dashboards.charts.evaluation import ScoreBin, calibration_chart, score_histogram, top_k_chart
from limner_dashboards.charts.shares import Bar, share_bars, size_bars
from limner_dashboards.charts.traits import FLOOR, telling_traits, tgi_chart
from limner_segments.comparison import Trait


def texts(figure: Any) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def trait(tag: str, tgi: float | None, q: float | None = 0.001, *, tautological: bool = False) -> Trait:
    hidden = tgi is None
    low, high = (None, None) if tgi is None else (tgi * 0.9, tgi * 1.1)
    return Trait(
        tag,
        f"title of {tag}",
        "some",
        40,
        80,
        0.4,
        0.2,
        tgi,
        low,
        high,
        500.0,
        None if hidden else q,
        tautological,
        hidden,
    )


def card(lift: float, low: float, high: float) -> dict[str, Any]:
    return {"lift": lift, "lift_low": low, "lift_high": high}


def test_share_bars_show_every_share_and_hatch_unknown() -> None:
    bars = [Bar("female", 45, 0.45), Bar("male", 37, 0.37), Bar("unknown", 18, 0.18, "unknown")]
    figure = share_bars(bars)
    drawn = figure.data[1]
    assert list(drawn.x) == [0.45, 0.37, 0.18]
    assert list(drawn.y) == [3, 2, 1]
    assert list(drawn.marker.pattern.shape) == ["", "", "/"]
    assert texts(figure) == ["female", "45 %", "male", "37 %", "unknown", "18 %"]


def test_labels_are_shortened_and_never_read_as_markup() -> None:
    long = "一个非常长的标签名称" * 8
    figure = share_bars([Bar("<b>x</b>", 5, 0.5), Bar(long, 5, 0.5)])
    assert texts(figure)[0] == "&lt;b&gt;x&lt;/b&gt;"
    assert texts(figure)[2].endswith("…")
    assert figure.layout.annotations[2].hovertext == long


def test_bars_without_rows_are_an_empty_figure() -> None:
    assert len(share_bars([]).data[1].x) == 0
    assert texts(size_bars([])) == []


def test_size_bars_state_users_and_share() -> None:
    assert texts(size_bars([("Active readers", 3855, 0.481875)])) == ["Active readers", "3,855 · 48 %"]


def test_a_wider_bin_of_scores_is_drawn_as_high_as_its_users_deserve() -> None:
    figure = score_histogram([ScoreBin(0.0, 0.05, 50, 0.5), ScoreBin(0.05, 0.15, 50, 0.5)], 0.12, "en")
    assert list(figure.data[0].y) == pytest.approx([50.0, 25.0])
    assert list(figure.data[0].width) == pytest.approx([5.0, 10.0])
    assert "base rate 12 %" in texts(figure)


def test_lift_and_gain_put_all_scorers_on_one_axis() -> None:
    rows = [{"k": 0.01, "value": 6.0, "low": 5.0, "high": 7.0}, {"k": 0.1, "value": 4.0, "low": 3.5, "high": 4.5}]
    base = [{"k": 0.01, "value": 1.0, "low": 1.0, "high": 1.0}, {"k": 0.1, "value": 1.0, "low": 1.0, "high": 1.0}]
    figure = top_k_chart({"lightgbm": rows, "base_rate": base}, "lift", "en")
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["LightGBM", "base rate"]
    assert list(figure.layout.xaxis.ticktext) == ["1 %", "10 %"]
    gain = top_k_chart({"lightgbm": [{**rows[0], "value": 0.07}]}, "gain", "zh")
    assert next(trace for trace in gain.data if trace.name).y[0] == pytest.approx(7.0)


def test_calibration_has_the_diagonal_and_the_intervals() -> None:
    figure = calibration_chart([{"k": 0.1, "value": 0.12, "low": 0.1, "high": 0.15}], "en")
    assert list(figure.data[0].x) == list(figure.data[0].y)
    assert figure.data[1].error_y.array[0] == pytest.approx(3.0)
    assert figure.data[1].error_y.arrayminus[0] == pytest.approx(2.0)


def test_the_tgi_chart_tells_above_from_below_by_shape_and_sign() -> None:
    figure = tgi_chart([trait("high", 250.0), trait("low", 40.0), trait("none", 0.0)], "en")
    symbols = {trace.marker.symbol: list(trace.x) for trace in figure.data if trace.mode == "markers"}
    assert symbols == {"triangle-up": [250.0], "triangle-down": [40.0, FLOOR]}
    assert [text for text in texts(figure) if text[0] in "▲▼"] == ["▲ 250", "▼ 40", "▼ 0"]
    assert figure.layout.xaxis.range[0] < math.log10(FLOOR) < 2 < math.log10(250) < figure.layout.xaxis.range[1]


def test_the_chart_takes_one_trait_a_tag_and_side_and_nothing_trivial() -> None:
    given = [
        trait("a", 300.0),
        trait("a", 200.0),
        trait("a", 20.0),
        trait("own", 400.0, tautological=True),
        trait("small", None),
        trait("chance", 150.0, 0.2),
    ]
    assert [(one.tag, one.tgi) for one in telling_traits(given)] == [("a", 300.0), ("a", 20.0)]


def test_lift_is_a_point_with_its_interval_on_a_shared_log_axis() -> None:
    cards = [card(3.75, 3.41, 4.13), card(0.39, 0.33, 0.45)]
    bounds = lift_range(cards)
    assert bounds == (0.33, 4.13)
    for one in cards:
        figure = lift_interval_chart(one, bounds)
        assert list(figure.data[1].x) == [one["lift_low"], one["lift_high"]]
        assert figure.data[2].marker.symbol == ("triangle-up" if one["lift"] > 1 else "triangle-down")
        assert 1 in figure.layout.xaxis.tickvals
    assert (
        lift_interval_chart(cards[0], bounds).layout.xaxis.range
        == lift_interval_chart(cards[1], bounds).layout.xaxis.range
    )


def test_a_lift_of_zero_stays_on_the_axis() -> None:
    one = card(0.0, 0.0, 0.2)
    figure = lift_interval_chart(one, lift_range([one]))
    assert all(math.isfinite(value) for trace in figure.data for value in (trace.x or ()))
    assert min(figure.data[2].x) > 0


def test_reasons_diverge_from_zero_with_their_sign() -> None:
    figure = reason_bars([("logins", 0.81), ("age", -0.2)], 1.0)
    assert list(figure.data[0].x) == [0.81, -0.2]
    assert list(figure.layout.xaxis.range) == [-1.0, 1.0]
    assert texts(figure) == ["logins", "▲ +0.81", "age", "▼ −0.20"]


def test_a_long_reason_takes_two_lines_and_no_text_comes_near_a_bar() -> None:
    long = "days since the last membership order of the household"
    figure = reason_bars([("logins", 0.8), (long, -0.2), ("最近三十天内登录次数与阅读分钟数之比", 0.1)], 1.0)
    labels = [note for note in figure.layout.annotations if note.x == 0]
    assert [note.text.count("<br>") for note in labels] == [0, 1, 1]
    assert labels[1].text.replace("<br>", " ") == long
    assert figure.layout.yaxis.range[1] + 12 == figure.layout.height, "one unit is one pixel"
    bar = figure.data[0]
    for at, note in enumerate(labels):
        assert note.y > bar.y[at] + bar.width / 2, "a label begins above its bar"
        top = note.y + 16 * (1 + note.text.count("<br>"))
        assert top <= (bar.y[at - 1] - bar.width / 2 if at else figure.layout.yaxis.range[1]) + 1
