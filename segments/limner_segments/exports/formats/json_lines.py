"""Export kind `jsonl`: one JSON object a user, a line each. Imports the base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import duckdb

from limner_profile.sql_text import quoted, text_of
from limner_segments.exports.formats.base import FORMATS, Contents, FileFormat, FormatExample, Given, Options, Prepared
from limner_segments.exports.formats.cells import json_cell


@FORMATS.kind("jsonl")
class JsonLines(FileFormat):
    """One JSON object a user: `user_id` and the chosen tags; numbers and booleans as such, unknown is null."""

    SUFFIX: ClassVar[str] = ".jsonl"
    EXAMPLES: ClassVar[tuple[FormatExample, ...]] = (
        FormatExample(
            ("city", "n", "member"),
            {"u2": (None, -2.5, None), "u1": ('上海 "x"', float("nan"), True)},
            '{"user_id":"u1","city":"上海 \\"x\\"","n":null,"member":true}\n'
            '{"user_id":"u2","city":null,"n":-2.5,"member":null}\n',
        ),
    )

    def prepare(self, bench: duckdb.DuckDBPyConnection, given: Given, options: Options) -> Prepared:
        """Every value as what JSON has for it."""
        types = {"user_id": "VARCHAR", **given.types}
        cells = ", ".join(f"{json_cell(column, type_)} AS {quoted(column)}" for column, type_ in types.items())
        (users,) = bench.execute("SELECT count(*) FROM given").fetchall()[0]
        return Prepared(f"SELECT {cells} FROM given ORDER BY given.user_id", tuple(types), users)

    def write(self, bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
        """As JSON lines."""
        bench.execute(f"COPY ({prepared.query}) TO {text_of(str(path))} (FORMAT json)")

    def read(self, path: Path) -> Contents:
        """The keys of the objects and their number; raises ValueError where a line is no object or has other keys."""
        header: tuple[str, ...] = ()
        rows = 0
        with path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    content = json.loads(line)
                except RecursionError:
                    raise ValueError(f"line {rows + 1} is nested too deeply") from None
                if not isinstance(content, dict):
                    raise ValueError(f"line {rows + 1} is no object")
                header = header or tuple(content)
                if tuple(content) != header:
                    raise ValueError(f"line {rows + 1} has other keys")
                rows += 1
        return Contents(header, rows)
