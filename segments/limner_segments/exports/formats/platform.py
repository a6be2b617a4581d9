"""Files for ad platforms: contact data, normalised as the platform says, hashed where it says so, counted where it cannot be used.

A value that cannot be normalised is not guessed: its cell is empty and counted by reason, and a user whom nothing identifies is left
out. The platforms differ in their fields and rules only. Imports the base, the CSV kind and the judging.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import duckdb

from limner_profile.errors import Issue, did_you_mean
from limner_segments.exports.formats.base import Contents, FileFormat, Given, Options, Prepared
from limner_segments.exports.formats.csv_file import csv_cell, read_csv, write_lines
from limner_segments.exports.formats.judging import judge
from limner_segments.exports.formats.platform_field import PlatformField
from limner_segments.exports.normalise.phone import is_region


class PlatformFile(FileFormat):
    """A CSV file of hashed contact data."""

    SUFFIX: ClassVar[str] = ".csv"
    RULES: ClassVar[Mapping[str, PlatformField]] = {}
    # A user whom none of these sets of fields identifies cannot be matched.
    IDENTIFYING: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def issues(self, columns: Mapping[str, str], options: Options) -> list[Issue]:
        """A field that the platform lacks, a mapping that identifies nobody, an unknown region, digests of what is split."""
        found = [
            Issue(
                "unknown-field", "", f"unknown field {name!r}", did_you_mean(name, self.FIELDS, ", ".join(self.FIELDS))
            )
            for name in columns
            if name not in self.FIELDS
        ]
        if not found and not any(set(fields) <= set(columns) for fields in self.IDENTIFYING):
            enough = "; or ".join(" and ".join(fields) for fields in self.IDENTIFYING)
            message = "nothing of what is mapped identifies a user" if columns else "no tag is mapped to a field"
            hint = f"map {enough}: below 'exports:' in limner.yaml, or by --map FIELD=TAG"
            found.append(Issue("no-identifier", "", message, hint))
        if options.region is not None and not is_region(options.region):
            hint = "an ISO code of two capital letters, such as CN or US"
            found.append(Issue("unknown-region", "", f"phone numbers cannot be read in {options.region!r}", hint))
        for name in columns:
            if options.hashing == "off" and name in self.RULES and self.RULES[name].splits:
                message = f"{name} becomes several hashed columns, so it cannot be passed on as one digest"
                found.append(Issue("cannot-pass-on", "", message, "leave it out, or hash here"))
        return found

    def prepare(self, bench: duckdb.DuckDBPyConnection, given: Given, options: Options) -> Prepared:
        """Normalised, hashed cells, those who cannot be matched left out; the query gives each row as a line of the file."""
        found = judge(bench, {name: self.RULES[name] for name in self.FIELDS}, given, options)
        usable = " OR ".join(
            "(" + " AND ".join(f"{name}_cell IS NOT NULL" for name in fields) + ")"
            for fields in self.IDENTIFYING
            if set(fields) <= set(found.names)
        )
        ((kept,),) = bench.execute(f"SELECT count(*) FROM judged WHERE {usable}").fetchall()
        written = {column for name in found.names if not self.RULES[name].hashed for column in self.RULES[name].outputs}
        cells = [csv_cell(sql) if column in written else sql for column, sql in found.outputs.items()]
        line = ", ',', ".join(cells)
        return Prepared(
            f"SELECT concat({line}, chr(10)) AS line FROM {found.tables} WHERE {usable} ORDER BY user_id",
            tuple(found.outputs),
            found.users,
            "sha256" if options.hashing == "on" else "as-given",
            missing=found.missing,
            rejected=found.rejected,
            left_out=found.users - kept,
        )

    def write(self, bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
        """As CSV with the platform's header."""
        write_lines(bench, prepared, path)

    def read(self, path: Path) -> Contents:
        """The header and the number of rows."""
        return read_csv(path)
