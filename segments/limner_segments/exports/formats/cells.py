"""Cells of the kinds that take any tag: unknown is empty, times are ISO 8601 in UTC. SQL texts; imports floor 1."""

from __future__ import annotations

from limner_profile.sql_text import quoted


def text_cell(column: str, type_: str) -> str:
    """SQL: the value of a column for a text file; booleans are true and false, times have a T."""
    name = quoted(column)
    if type_.startswith("TIMESTAMP"):
        return f"replace(CAST({name} AS VARCHAR), ' ', 'T')"
    return name if type_ == "VARCHAR" else f"CAST({name} AS VARCHAR)"


def json_cell(column: str, type_: str) -> str:
    """SQL: the value of a column for JSON: numbers and booleans as such, null for what JSON cannot say (not a number, infinity)."""
    name = quoted(column)
    if type_ in ("DOUBLE", "FLOAT"):
        return f"CASE WHEN isfinite({name}) THEN {name} END"
    return text_cell(column, type_) if type_.startswith(("TIMESTAMP", "DATE")) else name


def safe_cell(text: str) -> str:
    """SQL: a text that no spreadsheet runs: an apostrophe before what begins like a formula, in full-width signs, too."""
    return f"CASE WHEN regexp_matches({text}, '^[=+@＝＋＠－\\t\\r\\n-]') THEN '''' || {text} ELSE {text} END"
