from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_profile.errors import RefusedError, UnknownNameError, UserError
from limner_segments.scoring.encoding import Encoding, TagEncoding, fit_encoding, read_numbers, value_type_of


def training_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "spend": [float(at) for at in range(99)] + [math.nan],
            "city": np.array(["上海"] * 40 + ["北京"] * 30 + ['O"dd:{}'] * 19 + [None] * 11, dtype=object),
            "is_member": np.array([True] * 50 + [False] * 40 + [None] * 10, dtype=object),
        }
    )


def test_columns_say_what_they_stand_for() -> None:
    encoding = fit_encoding(training_frame())
    assert [(c.name, c.tag, c.role, c.level) for c in encoding.columns] == [
        ("c0", "spend", "value", None),
        ("c1", "city", "level", "上海"),
        ("c2", "city", "level", "北京"),
        ("c3", "city", "other", None),
        ("c4", "city", "unknown", None),
        ("c5", "is_member", "value", None),
    ]
    assert encoding.tag_of == ["spend", "city", "city", "city", "city", "is_member"]
    assert encoding.tags == ("spend", "city", "is_member")


def test_rare_unseen_and_unknown_levels() -> None:
    encoding = fit_encoding(training_frame())
    rows = pd.DataFrame(
        {
            "is_member": np.array([None, True, False, True], dtype=object),
            "ignored": [1, 2, 3, 4],
            "city": np.array(["北京", 'O"dd:{}', "新疆", None], dtype=object),
            "spend": [math.nan, 1.5, -2.0, 0.0],
        },
        index=[7, 7, 7, 7],
    )
    nan = math.nan
    np.testing.assert_array_equal(
        encoding.encode(rows),
        [
            [nan, 0, 1, 0, 0, nan],
            [1.5, 0, 0, 1, 0, 1],
            [-2.0, 0, 0, 1, 0, 0],
            [0.0, 0, 0, 0, 1, 1],
        ],
    )
    assert list(encoding.encode_frame(rows).columns) == ["c0", "c1", "c2", "c3", "c4", "c5"]


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_text_columns_of_any_dtype_encode_alike(dtype: str) -> None:
    encoding = fit_encoding(training_frame())
    frame = training_frame()
    frame = frame.astype({"city": dtype})
    np.testing.assert_array_equal(encoding.encode(frame), encoding.encode(training_frame()))
    assert value_type_of(frame["city"]) == "category"


def test_booleans_of_any_dtype_encode_alike() -> None:
    frame = training_frame()
    frame["is_member"] = frame["is_member"].astype("boolean")
    assert fit_encoding(frame) == fit_encoding(training_frame())
    np.testing.assert_array_equal(fit_encoding(frame).encode(frame), fit_encoding(frame).encode(training_frame()))


def test_a_level_needs_half_a_percent_of_many_rows_and_at_most_twenty_are_kept() -> None:
    many = pd.DataFrame({"a": ["x"] * 9951 + ["y"] * 49})
    assert fit_encoding(many).encoded[0].levels == ("x",)
    enough = pd.DataFrame({"a": ["x"] * 9950 + ["y"] * 50})
    assert fit_encoding(enough).encoded[0].levels == ("x", "y")
    wide = pd.DataFrame({"a": [f"{at:02}" for at in range(30) for _ in range(40 + (at == 29))]})
    kept = fit_encoding(wide).encoded[0].levels
    assert len(kept) == 20
    assert kept[:2] == ("29", "00")  # the most frequent first, then by name


def test_a_tag_known_for_nobody_is_kept() -> None:
    frame = pd.DataFrame({"n": np.array([None] * 3, dtype=object), "b": np.array([None] * 3, dtype=object)})
    encoding = fit_encoding(frame, {"n": "number", "b": "boolean"})
    assert np.isnan(encoding.encode(frame)).all()


@pytest.mark.parametrize(
    ("values", "value_type", "code"),
    [
        ([1.0, math.inf], "number", "infinite-value"),
        ([1.0, -math.inf], "date", "infinite-value"),
        (["one", "2"], "number", "not-a-number"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), "date", "not-a-number"),
        (["yes", "no"], "boolean", "not-a-boolean"),
    ],
)
def test_unreadable_values_are_refused(values: list[object], value_type: str, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        fit_encoding(pd.DataFrame({"tag_a": values}), {"tag_a": value_type})  # type: ignore[dict-item]
    assert caught.value.code == code
    assert "tag_a" in str(caught.value)


def test_a_missing_tag_and_no_tag_are_refused() -> None:
    encoding = fit_encoding(training_frame())
    with pytest.raises(UnknownNameError, match="needs tag 'city'") as caught:
        encoding.encode(training_frame().rename(columns={"city": "citty"}))
    assert caught.value.code == "missing-tag"
    assert "citty" in caught.value.issues[0].hint
    with pytest.raises(UserError) as none:
        fit_encoding(pd.DataFrame(index=range(5)))
    assert none.value.code == "no-tags"


def test_a_tag_is_encoded_once() -> None:
    with pytest.raises(ValueError, match="encoded twice"):
        Encoding(encoded=(TagEncoding(tag="a", value_type="number"), TagEncoding(tag="a", value_type="number")))


def test_sum_by_tag() -> None:
    encoding = fit_encoding(training_frame())
    np.testing.assert_array_equal(encoding.sum_by_tag(np.array([[1.0, 2, 4, 8, 16, 32]])), [[1, 30, 32]])


LEVELS = st.sampled_from(["上海", "北京", "a,b", 'q"', "", "other", "unknown", None])


@settings(max_examples=40, deadline=None)
@given(st.lists(LEVELS, min_size=1, max_size=8), st.lists(LEVELS, min_size=1, max_size=8))
def test_json_round_trip_encodes_the_same_and_each_row_has_one_level(fitted: list[str], later: list[str]) -> None:
    encoding = fit_encoding(pd.DataFrame({"c": np.array(fitted * 20, dtype=object)}))
    back = Encoding.model_validate_json(encoding.model_dump_json())
    assert back == encoding
    rows = pd.DataFrame({"c": np.array(later, dtype=object)})
    matrix = back.encode(rows)
    np.testing.assert_array_equal(matrix, encoding.encode(rows))
    np.testing.assert_array_equal(matrix.sum(axis=1), 1.0)
    for row, level in zip(matrix, later, strict=True):
        column = encoding.columns[int(np.argmax(row))]
        assert column.role == ("unknown" if level is None else "level" if level in set(fitted) else "other")
        assert column.role != "level" or column.level == level


def test_numbers_keep_their_unknowns() -> None:
    np.testing.assert_array_equal(read_numbers(pd.Series([1, None], dtype="Int64")), [1.0, math.nan])
