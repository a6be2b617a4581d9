"""Files for ad platforms: contact data, normalised as the platform says, hashed where it says so, counted where it cannot be used.

A value that cannot be normalised is not guessed: its cell is empty and counted by reason, and a user whom nothing identifies is left
out. The platforms differ in their fields and rules only. Imports the base, the CSV kind and the rules of normalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import duckdb

from limner_profile.errors import Issue, did_you_mean
from limner_profile.sql_text import quoted, text_of
from limner_segments.exports.formats.base import Contents, FileFormat, Given, Options, Prepared
from limner_segments.exports.formats.csv_file import read_csv, write_csv
from limner_segments.exports.normalise.phone import bare_number, calling_codes, certain_number, is_region, read_phone
from limner_segments.exports.normalise.text import (
    EMPTY_SHA256,
    Cleaning,
    clean,
    clean_plain,
    is_digest,
    is_plain,
    is_sha256,
)


@dataclass(frozen=True)
class Surroundings:
    """What a rule may know beside its own text: SQL for the country (ISO, upper-case, NULL where unknown), and the day of as_of."""

    country: str
    today: str


@dataclass(frozen=True)
class PlatformField:
    """A field of a platform: how its text is cleaned, its value in SQL, why a value is refused, and the columns that it fills.

    `value` and `reason` take SQL for the cleaned text; `reason` gets the value as well. `outputs` is header to SQL over the value.
    """

    outputs: Mapping[str, Callable[[str], str]]
    value: Callable[[str, Surroundings], str] = lambda text, _: text
    reason: Callable[[str, str, Surroundings], str] = lambda text, value, _: "CAST(NULL AS VARCHAR)"
    cleaning: Cleaning = field(default=Cleaning())
    hashed: bool = True
    phone: bool = False
    # A date of birth becomes three columns: no one digest could be passed on for it.
    splits: bool = False


def same(value: str) -> str:
    """The value itself: the output of a field that fills one column."""
    return value


# More values than this are worth a branch of SQL of their own for their calling code.
_MANY = 500


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
        """Normalised, hashed cells, those who cannot be matched left out."""
        names = [name for name in self.FIELDS if name in given.columns]
        texts = ", ".join(f"{_text(name, given)} AS {name}" for name in names)
        bench.execute(f"CREATE OR REPLACE TEMP TABLE texts AS SELECT user_id, {texts} FROM given")
        hashing = options.hashing == "on"
        cleaned, joins = [], []
        for name in names:
            rule = self.RULES[name]
            if rule.hashed and not hashing:
                cleaned.append(f"trim(texts.{name}) AS {name}")
            else:
                expression, join = _cleaned(bench, name, rule.cleaning)
                cleaned.append(f"{expression} AS {name}")
                joins.append(join)
        bench.execute(
            f"CREATE OR REPLACE TEMP TABLE cleaned AS SELECT user_id, {', '.join(cleaned)} FROM texts {' '.join(joins)}"
        )
        around = Surroundings(_country(names, options), text_of(given.today.isoformat()))
        for name in names:
            if self.RULES[name].phone and hashing:
                _read_phones(bench, name, options)
        values = [f"{self._value(name, hashing, around)} AS {name}_value" for name in names]
        reasons = [f"{self._reason(name, hashing, around)} AS {name}_reason" for name in names]
        usable_values = [
            f"CASE WHEN {name} <> '' AND {name}_reason IS NULL THEN nullif({name}_value, '') END AS {name}_cell"
            for name in names
        ]
        # Each step by itself: what a later one repeats is computed once.
        bench.execute(
            "CREATE OR REPLACE TEMP TABLE judged AS "
            f"SELECT user_id, {', '.join(usable_values)}, COLUMNS('_reason$'), "
            + ", ".join(f"coalesce({name} = '', true) AS {name}_missing" for name in names)
            + f" FROM (SELECT *, {', '.join(reasons)} FROM (SELECT *, {', '.join(values)} FROM cleaned))"
        )
        usable = " OR ".join(
            "(" + " AND ".join(f"{name}_cell IS NOT NULL" for name in fields) + ")"
            for fields in self.IDENTIFYING
            if set(fields) <= set(names)
        )
        cells, header = [], []
        for name in names:
            rule = self.RULES[name]
            for column, output in rule.outputs.items():
                cell = output(f"{name}_cell")
                cells.append(f"{f'sha256({cell})' if rule.hashed and hashing else cell} AS {quoted(column)}")
                header.append(column)
        users, kept = bench.execute(f"SELECT count(*), count(*) FILTER ({usable}) FROM judged").fetchall()[0]
        return Prepared(
            f"SELECT {', '.join(cells)} FROM judged WHERE {usable} ORDER BY user_id",
            tuple(header),
            users,
            "sha256" if hashing else "as-given",
            *_counts(bench, names),
            left_out=users - kept,
        )

    def _value(self, name: str, hashing: bool, around: Surroundings) -> str:
        """SQL for the normalised value of a field."""
        rule = self.RULES[name]
        if rule.hashed and not hashing:
            return f"lower({name})"
        return rule.value(f"{name}_number" if rule.phone else name, around)

    def _reason(self, name: str, hashing: bool, around: Surroundings) -> str:
        """SQL for why the value of a field cannot be used, NULL where it can or there is none."""
        rule = self.RULES[name]
        if rule.hashed and not hashing:
            reason = f"WHEN NOT {is_sha256(name)} THEN 'not-hashed' WHEN {name}_value = '{EMPTY_SHA256}' THEN 'hash-of-nothing'"
        else:
            other = f"{name}_trouble" if rule.phone else rule.reason(name, f"{name}_value", around)
            reason = (
                f"{f'WHEN {is_digest(name)} THEN {chr(39)}already-hashed{chr(39)} ' if rule.hashed else ''}ELSE {other}"
            )
        return f"CASE WHEN coalesce({name} = '', true) THEN NULL {reason} END"

    def write(self, bench: duckdb.DuckDBPyConnection, prepared: Prepared, path: Path) -> None:
        """As CSV with the platform's header."""
        write_csv(bench, prepared, path)

    def read(self, path: Path) -> Contents:
        """The header and the number of rows."""
        return read_csv(path)


def _text(name: str, given: Given) -> str:
    """SQL: a tag's value as text. Whole numbers have no decimals, instants become local days."""
    column, type_ = quoted(name), given.types[name]
    if type_ == "VARCHAR":
        return column
    if type_ in ("DOUBLE", "FLOAT"):
        whole = f"CAST(CAST({column} AS HUGEINT) AS VARCHAR)"
        return f"CASE WHEN {column} = trunc({column}) AND abs({column}) < 1e18 THEN {whole} ELSE CAST({column} AS VARCHAR) END"
    if type_.startswith("TIMESTAMP"):
        local = f"({column} AT TIME ZONE 'UTC') AT TIME ZONE {text_of(str(given.timezone))}"
        return f"CAST(CAST({local} AS DATE) AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"


def _cleaned(bench: duckdb.DuckDBPyConnection, name: str, cleaning: Cleaning) -> tuple[str, str]:
    """SQL for the cleaned text of a field, and the join with what only Python can clean."""
    column = f"texts.{name}"
    odd = bench.execute(
        f"SELECT DISTINCT {name} FROM texts WHERE {name} IS NOT NULL AND NOT {is_plain(name)}"
    ).fetchall()
    plain = clean_plain(column, cleaning)
    if not odd:
        return plain, ""
    given = [text for (text,) in odd]
    _keep(bench, f"{name}_cleaned", {"given": given, "cleaned": [clean(text, cleaning) for text in given]})
    return f"coalesce({name}_cleaned.cleaned, {plain})", f"LEFT JOIN {name}_cleaned ON {column} = {name}_cleaned.given"


def _read_phones(bench: duckdb.DuckDBPyConnection, name: str, options: Options) -> None:
    """Add `<name>_number` and `<name>_trouble` to `cleaned`: what SQL is not certain of is read by `phonenumbers`, each value once."""
    bench.execute(f"CREATE OR REPLACE TEMP TABLE bare AS SELECT *, {bare_number(name)} AS {name}_bare FROM cleaned")
    starts = bench.execute(
        f"SELECT left({name}_bare, 5) FROM bare WHERE starts_with({name}_bare, '+') "
        f"GROUP BY ALL HAVING count(*) >= {_MANY} ORDER BY ALL"
    ).fetchall()
    certain = certain_number(f"{name}_bare", calling_codes([start for (start,) in starts]), options.region)
    bench.execute(f"CREATE OR REPLACE TEMP TABLE certain AS SELECT *, {certain} AS {name}_certain FROM bare")
    others = bench.execute(
        f"SELECT DISTINCT {name} FROM certain WHERE {name} <> '' AND {name}_certain IS NULL AND NOT {is_digest(name)}"
    ).fetchall()
    read = [(text, read_phone(text, options.region)) for (text,) in others]
    columns = {
        "given": [text for text, _ in read],
        "number": [phone.number for _, phone in read],
        "reason": [phone.reason for _, phone in read],
    }
    _keep(bench, "read", columns)
    bench.execute(
        f"CREATE OR REPLACE TEMP TABLE cleaned AS SELECT certain.* EXCLUDE ({name}_bare, {name}_certain), "
        f"coalesce({name}_certain, number) AS {name}_number, reason AS {name}_trouble "
        f"FROM certain LEFT JOIN read ON certain.{name} = read.given"
    )
    bench.execute("DROP TABLE bare; DROP TABLE certain; DROP TABLE read")


def _keep(bench: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, list[Any]]) -> None:
    """Make a table of texts on the bench."""
    import pyarrow

    schema = pyarrow.schema([(column, pyarrow.string()) for column in columns])
    bench.register("arriving", pyarrow.table(dict(columns), schema=schema))
    bench.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM arriving")
    bench.unregister("arriving")


def _country(names: list[str], options: Options) -> str:
    """SQL for the country of a user: of the mapped tag where it says one, else the region of the options."""
    from limner_segments.exports.normalise.country import is_country

    region = text_of(options.region) if options.region else "NULL"
    if "country" not in names:
        return f"CAST({region} AS VARCHAR)"
    return f"CASE WHEN {is_country('country')} THEN upper(country) ELSE {region} END"


def _counts(bench: duckdb.DuckDBPyConnection, names: list[str]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """The users without a value by field, and the values that cannot be used by field and reason; only what there is."""
    counts = ", ".join(f"count(*) FILTER ({name}_missing)" for name in names)
    row = bench.execute(f"SELECT {counts} FROM judged").fetchall()[0]
    missing = {name: count for name, count in zip(names, row, strict=True) if count}
    rejected = {}
    for name in names:
        found = bench.execute(
            f"SELECT {name}_reason, count(*) FROM judged WHERE {name}_reason IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        if found:
            rejected[name] = dict(found)
    return missing, rejected
