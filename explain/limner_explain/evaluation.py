"""Evaluation of predicates on a data frame of tag values, with the meaning that their SQL has.

A second, small implementation for the kinds of condition that mining makes: rules are measured on rows in memory here
and saved as text that DuckDB runs, and a test holds the two to the same answer. Imports the predicate language of
floor 1; pandas only inside functions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from limner_profile.errors import InternalError, unknown_name
from limner_profile.predicates import AllOf, AnyOf, Between, Compare, Known, Not, OneOf, Predicate, Value

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
ColumnKind: TypeAlias = Literal["number", "category", "boolean", "other"]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class TagColumn:
    """One tag's values (float64, bool or object), which of them are known, and what kind they are."""

    kind: ColumnKind
    values: NDArray[Any]
    known: Flags


class TagTable:
    """A frame of tag values (rows are users, columns are tags; NaN, None and NA are unknown) to evaluate on."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._columns: dict[str, TagColumn] = {}
        self.rows = len(frame)

    def column(self, tag: str) -> TagColumn:
        """The values of a tag; raises UnknownNameError where the frame has no such column."""
        if tag not in self._columns:
            if tag not in self._frame.columns:
                raise unknown_name("tag", tag, [str(name) for name in self._frame.columns])
            self._columns[tag] = read_column(self._frame[tag])
        return self._columns[tag]

    def evaluate(self, predicate: Predicate) -> Flags:
        """One flag a row: does the predicate hold? Unknown never matches a comparison, unless the predicate says so."""
        if isinstance(predicate, AllOf):
            return np.asarray(np.logical_and.reduce([self.evaluate(part) for part in predicate.parts]))
        if isinstance(predicate, AnyOf):
            return np.asarray(np.logical_or.reduce([self.evaluate(part) for part in predicate.parts]))
        if isinstance(predicate, Not):
            return ~self.evaluate(predicate.part)
        if isinstance(predicate, Known):
            known = self.column(predicate.field).known
            return known.copy() if predicate.known else ~known
        if isinstance(predicate, Compare):
            column = self.column(predicate.field)
            flags = self._matched(column, OPERATORS[predicate.operator], predicate.value)
        elif isinstance(predicate, Between):
            column = self.column(predicate.field)
            flags = self._matched(column, operator.ge, predicate.low) & self._matched(
                column, operator.le, predicate.high
            )
        elif isinstance(predicate, OneOf):
            column = self.column(predicate.field)
            flags = np.logical_or.reduce([self._matched(column, operator.eq, value) for value in predicate.values])
            flags = column.known & ~flags if predicate.negated else flags
        else:
            kind = type(predicate).__name__
            raise InternalError(f"a condition of kind {kind} cannot be evaluated on rows in memory")
        return flags | ~column.known if predicate.include_unknown else flags

    def _matched(self, column: TagColumn, compare: Callable[[Any, Any], Any], value: Value) -> Flags:
        if column.kind == "other":
            raise InternalError("only numbers, categories and booleans can be compared on rows in memory")
        flags = np.zeros(self.rows, dtype=bool)
        flags[column.known] = np.asarray(compare(column.values[column.known], value), dtype=bool)
        return flags


def read_column(series: pd.Series[Any]) -> TagColumn:
    """A pandas column as values, known flags and kind; columns of dates, lists and the like are of kind `other`."""
    import pandas as pd
    from pandas.api import types

    known = series.notna().to_numpy(dtype=bool)
    present = series[known]
    if isinstance(series.dtype, pd.CategoricalDtype):
        series, present = series.astype(object), present.astype(object)
    inferred = types.infer_dtype(present, skipna=True)
    if types.is_bool_dtype(series.dtype) or inferred == "boolean":
        return TagColumn("boolean", _filled(present, known, bool), known)
    if types.is_numeric_dtype(series.dtype) or inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
        return TagColumn("number", _filled(present, known, np.float64), known)
    kind: ColumnKind = "category" if inferred == "string" else "other"
    return TagColumn(kind, _filled(present, known, object), known)


def _filled(present: pd.Series[Any], known: Flags, dtype: Any) -> NDArray[Any]:
    """The known values at their places; the others hold a filler that nothing looks at."""
    values = np.zeros(len(known), dtype=dtype)
    values[known] = present.to_numpy(dtype=dtype)
    return values
