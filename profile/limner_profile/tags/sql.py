"""Tag kind `sql`: an expression over other tags, or a query over events and users; both checked against a list of what is allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

import sqlglot
from pydantic import AfterValidator, model_validator
from sqlglot import exp
from sqlglot.errors import SqlglotError

from limner_profile.definitions import Location, Title
from limner_profile.errors import Issue, did_you_mean
from limner_profile.source_files import field_type
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Example, Tag, check_reference
from limner_profile.tags.expressions import as_number, calendar_day, instant
from limner_profile.tags.query import (
    AS_OF,
    AS_OF_DAY,
    SQL_TYPES,
    Query,
    bind_query,
    check_names,
    events_compared,
    parse_query,
    relations_of,
    try_query,
)
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema

# What an expression may be made of. None of these can read a table or a file, fail on a row, or run long.
_NODES: frozenset[type[exp.Expr]] = frozenset(
    {exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul,
     exp.Div, exp.Mod, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In,
     exp.Between, exp.Case, exp.If}
)  # fmt: skip
_FUNCTIONS: Mapping[type[exp.Expr], str] = {
    exp.Abs: "abs", exp.Ceil: "ceil", exp.Coalesce: "coalesce", exp.Floor: "floor", exp.Greatest: "greatest",
    exp.Least: "least", exp.Length: "length", exp.Ln: "ln", exp.Lower: "lower", exp.Nullif: "nullif",
    exp.Round: "round", exp.Sqrt: "sqrt", exp.Upper: "upper",
}  # fmt: skip
_HINT = "allowed: tags, numbers, 'texts', + - * / %, comparisons, and, or, not, in, between, is null, case, "
_HINT += ", ".join(sorted(_FUNCTIONS.values()))
_MOST_NODES = 500


def _check_expression(text: str) -> str:
    _parsed(text)
    return text


def _parsed(text: str) -> exp.Expr:
    """The expression as a tree of allowed nodes; raises ValueError with cause and remedy otherwise."""
    try:
        statements = sqlglot.parse(f"SELECT {text}", dialect="duckdb")
    except (SqlglotError, RecursionError) as error:
        cause = str(error).splitlines()[0].split(". Line")[0]
        cause = "it is not complete" if "Required keyword" in cause else cause
        raise ValueError(f"this is no SQL expression: {cause} | such as spend / order_count") from None
    select = statements[0] if len(statements) == 1 else None
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        raise ValueError("one expression is expected, without SELECT or ';' | such as spend / order_count")
    if any(value for name, value in select.args.items() if name != "expressions"):
        raise ValueError("an expression over tags has no FROM, WHERE and the like | write a query as 'query: SELECT …'")
    tree: exp.Expr = select.expressions[0]
    nodes = list(tree.walk())
    if len(nodes) > _MOST_NODES:
        raise ValueError(f"the expression has more than {_MOST_NODES} parts | cut it into several tags")
    for node in nodes:
        if type(node) not in _NODES and type(node) not in _FUNCTIONS:
            shown = node.name if isinstance(node, exp.Anonymous) else node.sql(dialect="duckdb")
            hint = did_you_mean(shown.lower(), _FUNCTIONS.values(), _HINT) if isinstance(node, exp.Anonymous) else _HINT
            raise ValueError(f"{shown!r} is not allowed in an expression over tags | {hint}")
        if isinstance(node, exp.Column) and (node.table or not isinstance(node.this, exp.Identifier)):
            raise ValueError(f"{node.sql(dialect='duckdb')!r} is not the name of a tag | write the tag alone: spend")
        if isinstance(node, exp.In) and not node.expressions:
            raise ValueError("'in' needs a list of values | write it as city in ('x', 'y')")
    return tree


Expression = Annotated[str, AfterValidator(_check_expression)]


@TAG_KINDS.kind("sql")
class Sql(Tag):
    """The value of an `expression` over other tags, or of a `query` over events and users; `type` says what it gives, a number
    unless stated.

    An `expression` may use operators, comparisons, `case` and a list of functions. What cannot be computed is unknown: a
    division by zero, the logarithm or root of a number that has none, what no number can hold, and most things with an
    unknown value. For a user without events it follows from what the tags give.

    A `query` is one SELECT that gives `user_id` and one value, and is grouped by `user_id` alone, so that no user has two rows. It
    reads `events` (user_id, event, time, amount, source and the properties) and `users_<source>` (user_id, the attributes, and
    `since` where it is mapped); other tables, files and clocks are refused. `events` holds only what had happened, and been
    received, before as_of; times are in UTC. `as_of` is that instant, `as_of_day` its local day, and `local_day(time)` the local
    day of a time. Whom the query does not list has an unknown value. A cast that fails, and what fails in an
    `expression`, is NULL. A query that reads events, and users from sources with `updated_at`, whose attributes are those of as_of, can be
    shown to have been known at a past as_of.
    """

    kind: Literal["sql"]
    expression: Expression | None = None
    """A value made of other tags, such as `spend / order_count`."""
    query: Query | None = None
    """A SELECT over events and users instead."""
    type: FieldType = "number"

    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "sql", "expression": "round(spend / order_count, 2)"},
            {"u1": 16.67, "u2": None},
            events=(
                {"user_id": "u1", "time": "2025-02-01 12:00", "event": "order", "amount": 10.0},
                {"user_id": "u1", "time": "2025-02-02 12:00", "event": "order", "amount": 30.0},
                {"user_id": "u1", "time": "2025-02-03 12:00", "event": "order", "amount": 10.0},
                {"user_id": "u2", "time": "2025-02-03 12:00", "event": "login", "amount": None},
            ),
            tags={"spend": {"kind": "sum", "event": "order"}, "order_count": {"kind": "count", "event": "order"}},
        ),
        Example(
            {
                "kind": "sql", "type": "category",
                "expression": "case when city is null then 'nowhere' when age < 30 then lower(city) else city end",
            },
            {"u1": "york", "u2": "nowhere", "u3": "York"},
            users=(
                {"user_id": "u1", "city": "York", "birth_year": 2000},
                {"user_id": "u2", "city": None, "birth_year": 2000},
                {"user_id": "u3", "city": "York", "birth_year": 1980},
            ),
            tags={
                "city": {"kind": "attribute", "attribute": "city"},
                "age": {"kind": "attribute", "attribute": "birth_year", "as": "age"},
            },
        ),
        Example(
            {
                "kind": "sql",
                "query": "SELECT user_id, max(amount) - min(amount) AS spread FROM events\n"
                "WHERE event = 'order' AND local_day(time) >= as_of_day - 30 GROUP BY user_id",
            },
            {"u1": 20.0, "u2": None},
            events=(
                {"user_id": "u1", "time": "2025-01-01 12:00", "event": "order", "amount": 90.0},
                {"user_id": "u1", "time": "2025-02-02 12:00", "event": "order", "amount": 30.0},
                {"user_id": "u1", "time": "2025-02-03 12:00", "event": "order", "amount": 10.0},
                {"user_id": "u1", "time": "2025-03-01 00:00", "event": "order", "amount": 500.0},
                {"user_id": "u2", "time": "2025-02-03 12:00", "event": "login", "amount": None},
            ),
        ),
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_of_them(self) -> Sql:
        if (self.expression is None) == (self.query is None):
            raise ValueError(
                "a tag of kind sql has either 'expression' or 'query' | 'expression' is over other tags, 'query' over events"
            )
        return self

    @cached_property
    def tree(self) -> exp.Expr:
        """The parsed expression; NULL, which refers to nothing, for a query."""
        return _parsed(self.expression) if self.expression is not None else exp.Null()

    @cached_property
    def select(self) -> exp.Select | None:
        """The parsed query, None for an expression."""
        return parse_query(self.query) if self.query is not None else None

    def provable(self, schema: Schema) -> bool:
        """An expression is, where its tags are; a query, where it reads events and users with a history only."""
        dated = {"events", *(f"users_{source}".casefold() for source in schema.sources_with_history)}
        return self.select is None or dated.issuperset(relations_of(self.select))

    def data_events(self) -> tuple[str, ...] | None:
        """Any event, for a query over events only."""
        return () if self.select is not None and set(relations_of(self.select)) == {"events"} else None

    def asked_events(self) -> list[tuple[Location, str]]:
        """What a query compares the column `event` with."""
        return [(("query",), name) for name in events_compared(self.select)] if self.select is not None else []

    def references(self) -> tuple[str, ...]:
        """The columns of the expression, in the order in which they occur; a query refers to no tags."""
        columns = [node.name for node in self.tree.find_all(exp.Column, bfs=False)]
        return tuple(dict.fromkeys(columns))

    def value(self, scope: Scope) -> exp.Expr:
        """The expression with each tag's column, or the query's column, and with guards where SQL would fail on a row."""
        if self.select is None:
            value = _guarded(self.tree, scope.tag, scope.types)
        else:
            value = scope.per_user(self._bound(scope))
        if self.type != "number":
            return value
        if self.select is not None:
            value = as_number(value)
        # No infinity and no NaN, which is above all numbers in DuckDB and Spark alike.
        low, high = (as_number(exp.Literal.number(limit)) for limit in (-sys.float_info.max, sys.float_info.max))
        finite = exp.Between(this=value.copy(), low=low, high=high)
        return exp.Case(ifs=[exp.If(this=finite, true=value)])

    def _bound(self, scope: Scope) -> exp.Select:
        names = {AS_OF: instant(scope.as_of), AS_OF_DAY: scope.as_of_day}
        select = self.select or exp.Select()
        made = {alias.alias.casefold() for alias in select.find_all(exp.Alias)}
        made |= {column.name.casefold() for alias in select.find_all(exp.TableAlias) for column in alias.columns}

        def local_day(moment: exp.Expr) -> exp.Expr:
            column = moment.this if isinstance(moment, exp.Max | exp.Min) else moment
            if isinstance(column, exp.Column) and column.name.casefold() == "time" and "time" not in made:
                return scope.local_day(moment)  # the quick way, for what lies before as_of
            return calendar_day(exp.Paren(this=moment.copy()), scope.timezone)

        return bind_query(select, names, local_day)

    def value_type(self, schema: Schema) -> FieldType:
        """As stated; `check` and `check_tags` find a wrong statement."""
        return self.type

    def default_title(self) -> Title:
        """The expression itself; empty for a query, whose column is often called by a letter."""
        return Title(en=self.expression or "")

    def check(self, schema: Schema) -> list[tuple[str, Issue]]:
        """What is wrong with the names of a query, and one where it gives no value of the stated type."""
        if self.select is None:
            return []
        issues = check_names(self.select, schema)
        if not issues:
            scope = Scope(datetime(2025, 1, 1, tzinfo=UTC), ZoneInfo("UTC"), schema)
            issues = try_query(self._bound(scope), schema, self.type)
        return [("query", issue) for issue in issues]

    def check_tags(self, types: Mapping[str, FieldType]) -> list[tuple[Location, Issue]]:
        """An issue for each unknown tag, and one where the expression gives no value of the stated type."""
        if self.select is not None:
            return []
        unknown = [found for name in self.references() for found in check_reference("expression", name, types)]
        return unknown or self._check_type({name: types[name] for name in self.references()})

    def _check_type(self, types: Mapping[str, FieldType]) -> list[tuple[Location, Issue]]:
        """What DuckDB says of the expression over a few rows of such columns.

        Every part of it is tried by itself, since a text that is compared with a number, say, fails only on a row.
        """
        import duckdb

        rows = [
            exp.select(
                exp.alias_(exp.Literal.number(number), "row number"),
                *(exp.alias_(_try_value(kind, number), name, quoted=True) for name, kind in types.items()),
            )
            for number in range(3)
        ]
        table = exp.union(exp.union(rows[0], rows[1], distinct=False), rows[2], distinct=False)
        value = _guarded(self.tree, lambda name: exp.column(name, quoted=True), types)
        parts = [node for node in value.walk() if isinstance(node, _PARTS) and not isinstance(node, exp.If)]
        columns = [exp.alias_(part.copy(), f"part{number}") for number, part in enumerate([value, *parts])]
        with duckdb.connect() as connection:
            try:
                tried = connection.sql(exp.select(*columns).from_(table.subquery("tags")).sql(dialect="duckdb"))
                given = field_type(str(tried.types[0]))
                tried.fetchall()
            except duckdb.Error as error:
                first = str(error).splitlines()[0]
                cause = first.partition(": ")[2] or first
                message = f"'expression': {cause[:1].lower()}{cause[1:]}"
                hint = "its tags: " + (", ".join(f"{name} ({kind})" for name, kind in types.items()) or "none")
                return [(("expression",), Issue("wrong-type", "", message, hint))]
        if given != self.type:
            message = f"the expression gives a {given}, not a {self.type}"
            return [(("expression",), Issue("wrong-type", "", message, f"add a line 'type: {given}'"))]
        return []


_PARTS = (exp.Binary, exp.Func, exp.Not, exp.Neg, exp.In, exp.Between)


def _try_value(kind: FieldType, row: int) -> exp.Expr:
    """A value of a type to try an expression on; the last row has none."""
    texts: Mapping[FieldType, tuple[str, str]] = {
        "number": ("0", "-1.5"), "category": ("x~", ""), "boolean": ("true", "false"),
        "date": ("2024-02-29", "1970-01-01"), "time": ("2024-02-29 23:59:59", "1970-01-01 00:00:00"),
    }  # fmt: skip
    value: exp.Expr = exp.Literal.string(texts[kind][row]) if row < 2 else exp.Null()
    return exp.Cast(this=value, to=exp.DataType.build(SQL_TYPES[kind]))


def _guarded(tree: exp.Expr, column: Callable[[str], exp.Expr], types: Mapping[str, FieldType]) -> exp.Expr:
    """A copy with the columns in place, numbers as DOUBLE, and NULL where SQL would raise an error on a row."""

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            found = column(node.name)
            return as_number(found) if types[node.name] == "number" else found
        if isinstance(node, exp.Literal) and not node.is_string and node.arg_key != "decimals":
            return as_number(node.copy())
        return node

    changed = tree.copy().transform(change)
    for node in reversed(list(changed.walk())):  # what is inside first, since the guard of a logarithm copies it
        node.pop_comments()
        if isinstance(node, exp.Div | exp.Mod):
            divisor = node.expression.copy()
            node.set("expression", exp.Nullif(this=divisor, expression=exp.Literal.number(0)))
        elif isinstance(node, exp.Ln | exp.Sqrt):
            argument = node.this.copy()
            above = exp.GTE if isinstance(node, exp.Sqrt) else exp.GT
            sound = above(this=exp.Paren(this=argument), expression=exp.Literal.number(0))
            node.set("this", exp.Case(ifs=[exp.If(this=sound, true=argument.copy())]))
    return exp.Paren(this=changed) if isinstance(changed, exp.Binary | exp.Not | exp.In | exp.Between) else changed
