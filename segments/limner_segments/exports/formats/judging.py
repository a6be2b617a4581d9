"""Contact data judged: every value cleaned, normalised, and refused with a reason where it cannot be used. SQL on the workbench.

Values that many users share (names, countries, postcodes) are judged and hashed once each, in a table of their own with a number for
each of them; the others in the row of their user. What comes out is the same. Imports floor 1, the field and the rules of normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from limner_profile.sql_text import quoted, text_of
from limner_profile.tags.expressions import calendar_day
from limner_segments.exports.formats.base import Given, Options
from limner_segments.exports.formats.platform_field import PlatformField, Surroundings
from limner_segments.exports.normalise.country import is_country
from limner_segments.exports.normalise.phone import bare_number, calling_codes, certain_number, read_phone
from limner_segments.exports.normalise.text import (
    EMPTY_SHA256,
    Cleaning,
    clean,
    clean_plain,
    is_digest,
    is_plain,
    is_sha256,
)

# More values than this are worth a branch of SQL of their own for their calling code, which this many rows are looked at for.
_MANY, _LOOKED_AT = 500, 100_000
# Values that so many users share on average are judged once each.
_SHARED = 2
# Stands among the reasons of values that are not there.
_MISSING = "missing"


@dataclass(frozen=True)
class Judged:
    """The table `judged` with a row a user: `user_id`, and a `<field>_cell` that is NULL where there is nothing to be written.

    The cell of a field in `shared` is a number in the table `<field>_judged`. `outputs` is header to SQL over `tables`.
    """

    names: tuple[str, ...]
    shared: tuple[str, ...]
    outputs: Mapping[str, str]
    users: int
    missing: Mapping[str, int]
    rejected: Mapping[str, Mapping[str, int]]

    @property
    def tables(self) -> str:
        """What a query of outputs selects from."""
        joins = [f"LEFT JOIN {name}_judged ON judged.{name}_cell = {name}_judged.id" for name in self.shared]
        return " ".join(["judged", *joins])


def judge(
    bench: duckdb.DuckDBPyConnection, rules: Mapping[str, PlatformField], given: Given, options: Options
) -> Judged:
    """The contact data of the relation `given`, judged by the rules of the fields that it has."""
    return _Judge(bench, {name: rule for name, rule in rules.items() if name in given.columns}, given, options).judged()


class _Judge:
    def __init__(
        self, bench: duckdb.DuckDBPyConnection, rules: Mapping[str, PlatformField], given: Given, options: Options
    ) -> None:
        self.bench, self.rules, self.given, self.options = bench, rules, given, options
        self.hashing = options.hashing == "on"
        region = text_of(options.region) if options.region else "NULL"
        country = f"CASE WHEN {is_country('country')} THEN upper(country) ELSE {region} END"
        self.around = Surroundings(
            country if "country" in rules else f"CAST({region} AS VARCHAR)", text_of(given.today.isoformat())
        )

    def judged(self) -> Judged:
        texts = ", ".join(f"{_text(name, self.given)} AS {name}" for name in self.rules)
        # A view costs nothing where the tags are texts already; anything else would be turned into one over and over.
        kind = "VIEW" if {self.given.types[name] for name in self.rules} == {"VARCHAR"} else "TABLE"
        self.bench.execute(f"CREATE OR REPLACE TEMP {kind} texts AS SELECT user_id, {texts} FROM given")
        users, *values = self.bench.execute(
            f"SELECT count(*), {', '.join(f'approx_count_distinct({name})' for name in self.rules)} FROM texts"
        ).fetchall()[0]
        shared = self._shared(users, dict(zip(self.rules, values, strict=True)))
        for name in shared:
            self._judge_shared(name)
        own = [name for name in self.rules if name not in shared]
        cells, joins = ["texts.user_id"], []
        for name in shared:
            joins.append(f"LEFT JOIN {name}_judged ON {self._same_keys(name, 'texts', f'{name}_judged')}")
            cells.append(f"CASE WHEN {name}_judged.cell IS NOT NULL THEN {name}_judged.id END AS {name}_cell")
        if "country" in shared and any(self.rules[name].by_country for name in own):
            cells.append("country_judged.cleaned AS country")
        self._judge_rows("texts", own, cells, joins, [f"{name}_cell" for name in shared], "judged")
        outputs: dict[str, str] = {}
        for name, rule in self.rules.items():
            cells_of = self._outputs(name, f"{name}_cell")
            outputs |= {
                column: f"{name}_judged.{quoted(column)}" if name in shared else cells_of[column]
                for column in rule.outputs
            }
        return Judged(tuple(self.rules), shared, outputs, users, *self._counts(shared))

    def _shared(self, users: int, values: Mapping[str, int]) -> tuple[str, ...]:
        """The fields with few different values beside the users, the country first, since others look at it."""
        chosen: list[str] = []
        for name in sorted(self.rules, key=lambda name: name != "country"):
            keys = self._keys(name)
            different = 1
            for key in keys:
                different *= values[key] + 1
            if _SHARED * different <= users and all(key in chosen for key in keys if key != name):
                chosen.append(name)
        return tuple(chosen)

    def _keys(self, name: str) -> tuple[str, ...]:
        """The fields whose texts decide what becomes of one."""
        return (name, "country") if self.rules[name].by_country and "country" in self.rules else (name,)

    def _same_keys(self, name: str, one: str, other: str) -> str:
        return " AND ".join(f"{one}.{key} IS NOT DISTINCT FROM {other}.{key}_given" for key in self._keys(name))

    def _judge_shared(self, name: str) -> None:
        """Make `<field>_judged`: each text once, with its users, cell, reason and outputs, and a number to join it by."""
        keys = self._keys(name)
        self.bench.execute(
            "CREATE OR REPLACE TEMP TABLE shared AS "
            f"SELECT {', '.join(keys)}, count(*) AS users FROM texts GROUP BY {', '.join(keys)}"
        )
        cells = ["shared.users", *(f"shared.{key} AS {key}_given" for key in keys)]
        joins = []
        if len(keys) > 1:
            cells.append("country_judged.cleaned AS country")
            joins.append(f"LEFT JOIN country_judged ON {self._same_keys('country', 'shared', 'country_judged')}")
        kept = ["users", *(f"{key}_given" for key in keys), f"{name} AS cleaned"]
        self._judge_rows("shared", [name], cells, joins, kept, "one")
        outputs = [f"{cell} AS {quoted(column)}" for column, cell in self._outputs(name, f"{name}_cell").items()]
        self.bench.execute(
            f"CREATE OR REPLACE TEMP TABLE {name}_judged AS SELECT CAST(row_number() OVER () AS INTEGER) AS id, "
            f"one.* RENAME ({name}_cell AS cell, {name}_reason AS reason), {', '.join(outputs)} FROM one"
        )
        self.bench.execute("DROP TABLE shared; DROP TABLE one")

    def _judge_rows(
        self,
        source: str,
        names: Sequence[str],
        cells: Sequence[str],
        joins: Sequence[str],
        kept: Sequence[str],
        into: str,
    ) -> None:
        """Make the table `into` of a source's rows: for each field a `<field>_cell` and a `<field>_reason`, beside what is `kept`.

        `cells` and `joins` are what is selected with the cleaned texts.
        """
        cells, joins = list(cells), list(joins)
        odd = self._odd(source, [name for name in names if self.hashing or not self.rules[name].hashed])
        for name in names:
            column = f"{source}.{name}"
            if self.rules[name].hashed and not self.hashing:
                cells.append(f"trim({column}) AS {name}")
                continue
            cleaning = self.rules[name].cleaning
            plain = clean_plain(column, cleaning)
            if name in odd:
                self._clean_odd(source, name, cleaning)
                joins.append(f"LEFT JOIN {name}_cleaned ON {column} = {name}_cleaned.given")
                plain = f"coalesce({name}_cleaned.cleaned, {plain})"
            cells.append(f"{plain} AS {name}")
        rows = f"(SELECT {', '.join(cells)} FROM {source} {' '.join(joins)})"
        for name in names:
            if self.rules[name].phone and self.hashing:
                rows = self._read_phones(name, rows)
        values = [f"{self._value(name)} AS {name}_value" for name in names]
        reasons = [f"{self._reason(name)} AS {name}_reason" for name in names]
        found = [
            f"CASE WHEN {name}_reason IS NULL THEN nullif({name}_value, '') END AS {name}_cell, {name}_reason"
            for name in names
        ]
        first = [] if into == "one" else ["user_id"]
        # Each step by itself: what a later one repeats is computed once.
        steps = rows
        for more in (values, reasons):
            steps = f"(SELECT {', '.join(['*', *more])} FROM {steps})"
        self.bench.execute(
            f"CREATE OR REPLACE TEMP TABLE {into} AS SELECT {', '.join([*first, *kept, *found])} FROM {steps}"
        )

    def _value(self, name: str) -> str:
        """SQL for the normalised value of a field."""
        rule = self.rules[name]
        if rule.hashed and not self.hashing:
            return f"lower({name})"
        return rule.value(f"{name}_number" if rule.phone else name, self.around)

    def _reason(self, name: str) -> str:
        """SQL for why the value of a field cannot be used, NULL where it can."""
        rule = self.rules[name]
        if rule.hashed and not self.hashing:
            reason = f"WHEN NOT {is_sha256(name)} THEN 'not-hashed' WHEN {name}_value = '{EMPTY_SHA256}' THEN 'hash-of-nothing'"
        else:
            other = f"{name}_trouble" if rule.phone else rule.reason(name, f"{name}_value", self.around)
            hashed = f"WHEN {is_digest(name)} THEN 'already-hashed'" if rule.hashed else ""
            reason = f"{hashed} ELSE {other}"
        return f"CASE WHEN coalesce({name} = '', true) THEN '{_MISSING}' {reason} END"

    def _outputs(self, name: str, cell: str) -> dict[str, str]:
        """Header to SQL for the columns that the cell of a field fills."""
        rule = self.rules[name]
        hashes = rule.hashed and self.hashing
        return {
            column: f"sha256({output(cell)})" if hashes else output(cell) for column, output in rule.outputs.items()
        }

    def _odd(self, source: str, names: Sequence[str]) -> set[str]:
        """The fields with a text that SQL may not clean by itself."""
        if not names:
            return set()
        tests = ", ".join(f"bool_or(NOT {is_plain(name)})" for name in names)
        found = self.bench.execute(f"SELECT {tests} FROM {source}").fetchall()[0]
        return {name for name, odd in zip(names, found, strict=True) if odd}

    def _clean_odd(self, source: str, name: str, cleaning: Cleaning) -> None:
        """Make `<field>_cleaned` of the texts that only Python can clean."""
        odd = self.bench.execute(f"SELECT DISTINCT {name} FROM {source} WHERE NOT {is_plain(name)}").fetchall()
        given = [text for (text,) in odd]
        self._keep(f"{name}_cleaned", {"given": given, "cleaned": [clean(text, cleaning) for text in given]})

    def _read_phones(self, name: str, rows: str) -> str:
        """SQL for the rows with `<field>_number` and `<field>_trouble`: what SQL is not certain of `phonenumbers` reads, each text once."""
        region = self.options.region
        bare = f"(SELECT *, {bare_number(name)} AS bare FROM {rows})"
        (count,) = self.bench.execute("SELECT count(*) FROM texts").fetchall()[0]
        starts = self.bench.execute(
            f"SELECT left({bare_number(name)}, 5) FROM texts WHERE hash({name}) % {max(count // _LOOKED_AT, 1)} = 0 "
            f"GROUP BY ALL HAVING count(*) >= {_MANY * min(1.0, _LOOKED_AT / max(count, 1))} ORDER BY ALL"
        ).fetchall()
        certain = certain_number("bare", calling_codes([start for (start,) in starts if start]), region)
        self.bench.execute(
            f"CREATE OR REPLACE TEMP TABLE certain AS SELECT * EXCLUDE bare, {certain} AS certain FROM {bare}"
        )
        others = self.bench.execute(
            f"SELECT DISTINCT {name} FROM certain WHERE {name} <> '' AND certain IS NULL AND NOT {is_digest(name)}"
        ).fetchall()
        read = [(text, read_phone(text, region)) for (text,) in others]
        columns = {
            "given": [text for text, _ in read],
            "number": [phone.number for _, phone in read],
            "reason": [phone.reason for _, phone in read],
        }
        self._keep("read", columns)
        return (
            f"(SELECT certain.* EXCLUDE certain, coalesce(certain, number) AS {name}_number, reason AS {name}_trouble "
            f"FROM certain LEFT JOIN read ON CASE WHEN certain IS NULL THEN certain.{name} END = read.given)"
        )

    def _keep(self, name: str, columns: Mapping[str, list[Any]]) -> None:
        """Make a table of texts on the bench."""
        import pyarrow

        schema = pyarrow.schema([(column, pyarrow.string()) for column in columns])
        self.bench.register("arriving", pyarrow.table(dict(columns), schema=schema))
        self.bench.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM arriving")
        self.bench.unregister("arriving")

    def _counts(self, shared: Sequence[str]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """The users without a value by field, and the values that cannot be used by field and reason; only what there is."""
        missing, rejected = {}, {}
        for name in self.rules:
            reason, count, source = (
                ("reason", "sum(users)::BIGINT", f"{name}_judged")
                if name in shared
                else (f"{name}_reason", "count(*)", "judged")
            )
            found = dict(
                self.bench.execute(
                    f"SELECT {reason}, {count} FROM {source} WHERE {reason} IS NOT NULL GROUP BY ALL ORDER BY ALL"
                ).fetchall()
            )
            if _MISSING in found:
                missing[name] = found.pop(_MISSING)
            if found:
                rejected[name] = found
        return missing, rejected


def _text(name: str, given: Given) -> str:
    """SQL: a tag's value as text. Whole numbers have no decimals, instants become local days."""
    column, type_ = quoted(name), given.types[name]
    if type_ == "VARCHAR":
        return column
    if type_ in ("DOUBLE", "FLOAT"):
        whole = f"CAST(CAST({column} AS HUGEINT) AS VARCHAR)"
        return f"CASE WHEN {column} = trunc({column}) AND abs({column}) < 1e18 THEN {whole} ELSE CAST({column} AS VARCHAR) END"
    if type_.startswith("TIMESTAMP"):
        day = calendar_day(exp.column(name, quoted=True), given.timezone).sql(dialect="duckdb")
        return f"CAST({day} AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"
