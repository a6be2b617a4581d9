"""How tag values become the numbers that a model sees, fitted on training rows and kept with the model.

An `Encoding` is data: it goes through JSON unchanged, and says for every column of the matrix which tag (and which
level of it) it stands for, so that contributions can be summed back to tags. Imports only the errors of the profile
floor; numpy and pandas are imported where they are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from limner_profile.errors import Issue, RefusedError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    FloatArray = npt.NDArray[np.float64]

ValueType = Literal["number", "category", "boolean", "date"]
Role = Literal["value", "level", "other", "unknown"]

MAX_LEVELS = 20
MIN_LEVEL_ROWS = 20
MIN_LEVEL_SHARE = 0.005


class EncodedColumn(BaseModel):
    """One column of the matrix: its `name` in the model, its tag, and what a 1 in it means.

    `role` is `value` for a number, a boolean or a date (days before as_of), else `level` (then `level` holds it),
    `other` for every rarer or unseen level, or `unknown` for a user without a value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tag: str
    role: Role
    level: str | None = None


class TagEncoding(BaseModel):
    """How one tag is encoded; `levels` are the kept levels of a category, most frequent first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tag: str
    value_type: ValueType
    levels: tuple[str, ...] = ()


class Encoding(BaseModel):
    """The fitted encoding of all tags of a model, in the order of its columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoded: tuple[TagEncoding, ...]

    @model_validator(mode="after")
    def _tags_are_distinct(self) -> Encoding:
        twice = [tag for tag, count in Counter(self.tags).items() if count > 1]
        if twice:
            raise ValueError(f"tag {twice[0]!r} is encoded twice")
        return self

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of the tags, in the order of their columns."""
        return tuple(one.tag for one in self.encoded)

    @cached_property
    def columns(self) -> tuple[EncodedColumn, ...]:
        """The columns of the matrix, from left to right.

        They are called c0, c1, … because LightGBM refuses names with JSON's special characters, and a level may
        hold any.
        """
        found: list[tuple[str, Role, str | None]] = []
        for one in self.encoded:
            if one.value_type == "category":
                found.extend((one.tag, "level", level) for level in one.levels)
                found.extend([(one.tag, "other", None), (one.tag, "unknown", None)])
            else:
                found.append((one.tag, "value", None))
        return tuple(
            EncodedColumn(name=f"c{at}", tag=tag, role=role, level=level) for at, (tag, role, level) in enumerate(found)
        )

    @property
    def column_names(self) -> list[str]:
        """The names of the columns as the model knows them."""
        return [column.name for column in self.columns]

    @property
    def tag_of(self) -> list[str]:
        """The tag of each column, for summing contributions back to tags."""
        return [column.tag for column in self.columns]

    def encode(self, frame: pd.DataFrame) -> FloatArray:
        """A float64 matrix, a row for each row of `frame` and a column for each of `columns`.

        Columns of `frame` that the encoding does not know are ignored. Raises UnknownNameError (`missing-tag`)
        where a tag is missing, RefusedError (`infinite-value`, `not-a-number`, `not-a-boolean`) where a value
        cannot be read.
        """
        import numpy as np

        require_tags(self.tags, frame)
        matrix = np.zeros((len(frame), len(self.columns)), dtype=np.float64)
        at = 0
        for one in self.encoded:
            values = frame[one.tag]
            if one.value_type == "category":
                width = len(one.levels) + 2
                rows = np.arange(len(frame))
                matrix[rows, at + _level_positions(values, one.levels)] = 1.0
                at += width
            else:
                matrix[:, at] = read_booleans(values) if one.value_type == "boolean" else read_numbers(values)
                at += 1
        return matrix

    def encode_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The matrix of `encode` as a DataFrame with the model's column names."""
        import pandas as pd

        return pd.DataFrame(self.encode(frame), columns=self.column_names)

    def sum_by_tag(self, by_column: FloatArray) -> FloatArray:
        """An (n × tags) array from an (n × columns) one: the columns of one tag added up, in the order of `tags`."""
        import numpy as np

        position = {tag: at for at, tag in enumerate(self.tags)}
        membership = np.zeros((len(self.columns), len(self.tags)), dtype=np.float64)
        for row, tag in enumerate(self.tag_of):
            membership[row, position[tag]] = 1.0
        summed: FloatArray = by_column @ membership
        return summed


def fit_encoding(frame: pd.DataFrame, value_types: Mapping[str, ValueType] | None = None) -> Encoding:
    """The encoding of every column of `frame`, fitted on its rows (training rows only).

    `value_types` says what each tag is; a tag that it does not name is judged by its dtype. A category keeps the
    levels with at least max(20, 0.5 %) rows, at most 20 of them; every other level, and every level that turns up
    later, is `other`; a user without a value has a column of its own. Raises RefusedError (`no-tags`) for a frame
    without columns.
    """
    if frame.shape[1] == 0:
        raise RefusedError(Issue("no-tags", "", "there is no tag to learn from", "allow at least one tag"))
    floor = max(MIN_LEVEL_ROWS, MIN_LEVEL_SHARE * len(frame))
    encoded: list[TagEncoding] = []
    for tag in frame.columns:
        values = frame[tag]
        value_type = (value_types or {}).get(tag) or value_type_of(values)
        levels: tuple[str, ...] = ()
        if value_type == "category":
            counts = _level_counts(values)
            kept = sorted(
                (level for level, n in counts.items() if n >= floor), key=lambda level: (-counts[level], level)
            )
            levels = tuple(kept[:MAX_LEVELS])
        elif value_type == "boolean":
            read_booleans(values)
        else:
            read_numbers(values)
        encoded.append(TagEncoding(tag=str(tag), value_type=value_type, levels=levels))
    return Encoding(encoded=tuple(encoded))


def value_type_of(values: pd.Series[Any]) -> ValueType:
    """The value type that the dtype and the values of a column suggest: number, boolean or category."""
    from pandas.api import types

    if types.is_bool_dtype(values.dtype):
        return "boolean"
    if types.is_numeric_dtype(values.dtype):
        return "number"
    known = values.dropna()
    if len(known) and all(isinstance(value, _boolean_classes()) for value in known.unique()):
        return "boolean"
    return "category"


def read_numbers(values: pd.Series[Any]) -> FloatArray:
    """The values as float64, NaN where unknown; raises RefusedError for an infinite value or one that is no number."""
    import numpy as np
    import pandas as pd

    try:
        if values.dtype.kind in "mM":  # would be read as nanoseconds
            raise TypeError
        numbers: FloatArray = np.asarray(pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        raise RefusedError(
            Issue("not-a-number", str(values.name), f"tag {values.name!r} holds values that are not numbers")
        ) from None
    if np.isinf(numbers).any():
        raise RefusedError(
            Issue(
                "infinite-value",
                str(values.name),
                f"tag {values.name!r} is infinite for {int(np.isinf(numbers).sum()):,} users",
                "guard the division in its definition, so that such a user has no value",
            )
        )
    return numbers


def read_booleans(values: pd.Series[Any]) -> FloatArray:
    """1.0 for true, 0.0 for false, NaN for unknown; raises RefusedError for any other value."""
    import numpy as np
    import pandas as pd

    codes, uniques = pd.factorize(np.asarray(values, dtype=object))
    table = np.full(len(uniques) + 1, np.nan)  # the last entry answers code -1: unknown
    for at, value in enumerate(uniques):
        if value not in (0, 1):
            raise RefusedError(
                Issue("not-a-boolean", str(values.name), f"tag {values.name!r} should be true or false, not {value!r}")
            )
        table[at] = float(value)
    numbers: FloatArray = table[codes]
    return numbers


def level_codes(values: pd.Series[Any]) -> tuple[npt.NDArray[np.intp], list[str]]:
    """For each row the position of its level in the list that comes second, −1 where unknown."""
    import numpy as np
    import pandas as pd

    codes, uniques = pd.factorize(np.asarray(values, dtype=object))
    return codes, [str(value) for value in uniques]


def require_tags(tags: tuple[str, ...], frame: pd.DataFrame) -> None:
    """Nothing; raises UnknownNameError with an issue for every tag that `frame` lacks."""
    have = [str(column) for column in frame.columns]
    missing = [tag for tag in tags if tag not in set(have)]
    if missing:
        fallback = "build a snapshot that has the tag, or train the scenario again without it"
        raise UnknownNameError(
            [
                Issue("missing-tag", "", f"the model needs tag {tag!r}, which these rows lack", fallback)
                if not (near := did_you_mean(tag, have))
                else Issue("missing-tag", "", f"the model needs tag {tag!r}, which these rows lack", near)
                for tag in missing
            ]
        )


def _boolean_classes() -> tuple[type, ...]:
    import numpy as np

    return (bool, np.bool_)


def _level_counts(values: pd.Series[Any]) -> Counter[str]:
    """Rows of each level; values that print alike are one level."""
    import numpy as np

    codes, levels = level_codes(values)
    counts: Counter[str] = Counter()
    for level, rows in zip(levels, np.bincount(codes[codes >= 0], minlength=len(levels)), strict=True):
        counts[level] += int(rows)
    return counts


def _level_positions(values: pd.Series[Any], levels: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """For each row the column within the tag: a level, then `other`, then `unknown`."""
    import numpy as np

    codes, seen = level_codes(values)
    known = {level: at for at, level in enumerate(levels)}
    other, unknown = len(levels), len(levels) + 1
    table = np.array([known.get(level, other) for level in seen] + [unknown], dtype=np.intp)
    positions: npt.NDArray[np.intp] = table[codes]  # code -1 picks the last entry: unknown
    return positions
