"""The queries of the tag kind `sql`: what one may be made of, which names it may use, and what it gives.

A query is one SELECT over `events` and `users_<source>`, grouped by user. It is read into sqlglot's tree, judged by a list of what is
allowed, and embedded as a tree: no text of it reaches the engine. Imports tags.base and workspace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import sqlglot
from pydantic import AfterValidator
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from limner_profile.errors import Issue, did_you_mean
from limner_profile.source_files import field_type
from limner_profile.sources import FieldType
from limner_profile.workspace import Schema

# None of these reads anything but a named relation, tells the time, draws by chance, or makes much out of little.
_NODES: frozenset[type[exp.Expr]] = frozenset(
    {exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Qualify, exp.Order, exp.Ordered, exp.With, exp.CTE,
     exp.Subquery, exp.Table, exp.TableAlias, exp.Alias, exp.Star, exp.Union, exp.Except, exp.Intersect, exp.Distinct, exp.Filter,
     exp.Window, exp.WindowSpec, exp.Exists, exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Neg,
     exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.DPipe, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.And,
     exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Case, exp.If, exp.Interval, exp.Var, exp.Cast,
     exp.TryCast, exp.DataType, exp.AtTimeZone, exp.Tuple}
)  # fmt: skip
FUNCTIONS: Mapping[type[exp.Expr], str] = {
    exp.Count: "count", exp.CountIf: "count_if", exp.Sum: "sum", exp.Avg: "avg", exp.Min: "min", exp.Max: "max",
    exp.ArgMax: "arg_max", exp.ArgMin: "arg_min", exp.Median: "median", exp.PercentileCont: "quantile_cont",
    exp.Quantile: "quantile_disc", exp.Stddev: "stddev", exp.StddevSamp: "stddev_samp", exp.StddevPop: "stddev_pop",
    exp.Variance: "variance", exp.VariancePop: "var_pop", exp.LogicalAnd: "bool_and", exp.LogicalOr: "bool_or",
    exp.RowNumber: "row_number", exp.Rank: "rank", exp.DenseRank: "dense_rank", exp.Lag: "lag", exp.Lead: "lead",
    exp.FirstValue: "first_value", exp.LastValue: "last_value",
    exp.Abs: "abs", exp.Ceil: "ceil", exp.Coalesce: "coalesce", exp.Floor: "floor", exp.Greatest: "greatest",
    exp.Least: "least", exp.Length: "length", exp.Ln: "ln", exp.Lower: "lower", exp.Nullif: "nullif", exp.Pow: "power",
    exp.Round: "round", exp.Sign: "sign", exp.Sqrt: "sqrt", exp.Upper: "upper", exp.Trim: "trim", exp.Substring: "substring",
    exp.StartsWith: "starts_with", exp.Contains: "contains", exp.DateDiff: "date_diff", exp.TimestampTrunc: "date_trunc",
    exp.DateTrunc: "date_trunc", exp.Extract: "extract", exp.TimeToUnix: "epoch", exp.Year: "year", exp.Month: "month",
    exp.Day: "day", exp.Hour: "hour", exp.Minute: "minute", exp.DayOfWeekIso: "isodow",
}  # fmt: skip
_TYPES = frozenset(
    getattr(exp.DataType.Type, word)
    for word in ("INT", "BIGINT", "DOUBLE", "VARCHAR", "TEXT", "BOOLEAN", "DATE", "TIMESTAMP")
)
_CLOCKS = frozenset({"now", "today", "current_date", "current_timestamp", "current_time", "localtimestamp", "localtime",
                     "get_current_timestamp", "get_current_time", "transaction_timestamp"})  # fmt: skip
_CLOCK_NODES = (
    exp.CurrentDate,
    exp.CurrentTimestamp,
    exp.CurrentTime,
    exp.CurrentDatetime,
    exp.Localtime,
    exp.Localtimestamp,
)
LOCAL_DAY = "local_day"
AS_OF, AS_OF_DAY = "as_of", "as_of_day"
_HINT = "allowed: SELECT with joins, WITH, windows and FILTER; local_day, " + ", ".join(sorted(set(FUNCTIONS.values())))
_MOST_NODES = 2000
SQL_TYPES: Mapping[FieldType, str] = {
    "number": "double", "category": "varchar", "boolean": "boolean", "date": "date", "time": "timestamp"
}  # fmt: skip


def _check_query(text: str) -> str:
    parse_query(text)
    return text


Query = Annotated[str, AfterValidator(_check_query)]


def parse_query(text: str) -> exp.Select:
    """The query as a tree of allowed nodes that gives a row a user; raises ValueError with cause and remedy otherwise."""
    try:
        statements = sqlglot.parse(text, dialect="duckdb")
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        cause = str(first.get("description") or "it is not complete").rstrip(".")
        place = f"line {first['line']}, column {first['col']}: " if first.get("line") else ""
        raise ValueError(f"this is no SQL query: {place}{cause} | {_SHAPE}") from None
    except (SqlglotError, RecursionError) as error:
        raise ValueError(f"this is no SQL query: {str(error).splitlines()[0]} | {_SHAPE}") from None
    if len(statements) != 1:
        raise ValueError(f"one SELECT is expected, without ';' | {_SHAPE}")
    tree = statements[0]
    if not isinstance(tree, exp.Select):
        remedy = f"put it into brackets: {_WRAPPED}" if isinstance(tree, exp.SetOperation) else _SHAPE
        raise ValueError(f"one SELECT is expected, grouped by user_id | {remedy}")
    nodes = list(tree.walk())
    if len(nodes) > _MOST_NODES:
        raise ValueError(f"the query has more than {_MOST_NODES} parts | cut it into several tags")
    for node in nodes:
        _check_node(node)
    _check_rows(tree)
    return tree


_SHAPE = "such as SELECT user_id, max(amount) AS value FROM events GROUP BY user_id"
_WRAPPED = "SELECT user_id, max(value) AS value FROM (…) AS rows GROUP BY user_id"


def _check_node(node: exp.Expr) -> None:
    """Raises ValueError where a node is not allowed, or not in this form."""
    name = node.name.casefold() if isinstance(node, exp.Anonymous) else ""
    if isinstance(node, _CLOCK_NODES) or name in _CLOCKS:
        raise _refused(node, "a tag knows no clock", "use as_of, or as_of_day for the local day")
    if name == LOCAL_DAY:
        if len(node.expressions) != 1:
            raise _refused(node, "local_day takes one time", "write it as local_day(time)")
    elif isinstance(node, exp.Anonymous):
        raise _refused(node, f"the function {node.name!r} is not allowed in a query", _near(node.name))
    elif type(node) not in _NODES and type(node) not in FUNCTIONS:
        word = _written(node) if isinstance(node, exp.Func) else type(node).__name__.lower()
        raise _refused(node, f"{word!r} is not allowed in a query", _near(word))
    if isinstance(node, exp.Alias | exp.TableAlias | exp.CTE) and node.alias_or_name.casefold() in (AS_OF, AS_OF_DAY):
        raise _refused(node, f"{node.alias_or_name!r} is the instant of the build", "give it another name")
    if isinstance(node, exp.Table):
        if not isinstance(node.this, exp.Identifier) or any(
            value for key, value in node.args.items() if key not in ("this", "alias")
        ):
            shown = node.sql(dialect="duckdb")
            raise _refused(
                node, f"{shown!r} is not allowed as a table", "name events, users_<source>, or a part of WITH"
            )
    elif isinstance(node, exp.Join):
        if not (node.args.get("on") or node.args.get("using")) or node.args.get("method"):
            raise _refused(node, "a join needs ON or USING", "write it as JOIN … USING (user_id)")
    elif isinstance(node, exp.With) and node.args.get("recursive"):
        raise _refused(node, "WITH RECURSIVE is not allowed in a query", _HINT)
    elif isinstance(node, exp.DataType) and node.this not in _TYPES:
        raise _refused(
            node, f"the type {node.sql(dialect='duckdb')} is not allowed", "one of double, bigint, varchar, …"
        )
    elif isinstance(node, exp.Group) and any(value for key, value in node.args.items() if key != "expressions"):
        raise _refused(node, "GROUP BY takes columns here", "no ALL, ROLLUP, CUBE or GROUPING SETS")
    elif isinstance(node, exp.Subquery) and not isinstance(
        node.parent, exp.From | exp.Join | exp.In | exp.CTE | exp.SetOperation
    ):
        # One that gives several rows fails, and only when it runs.
        raise _refused(node, "a query as a value is not allowed", "join it instead, or use IN or EXISTS")


def _check_rows(tree: exp.Select) -> None:
    """Raises ValueError where the query can give a user two rows, or other columns than `user_id` and a value.

    Asked of its form, since whether a user has two rows is otherwise seen only when the query runs.
    """
    outputs = tree.expressions
    if len(outputs) != 2 or any(isinstance(output, exp.Star) for output in outputs):
        raise ValueError(f"a query gives two columns, user_id and a value | {_SHAPE}")
    users = [output for output in outputs if output.alias_or_name.casefold() == "user_id"]
    if len(users) != 1:
        raise ValueError(f"a query gives two columns, user_id and a value | {_SHAPE}")
    user = users[0].unalias()
    group = tree.args.get("group")
    keys = group.expressions if group else []
    if (
        not isinstance(user, exp.Column)
        or len(keys) != 1
        or not isinstance(keys[0], exp.Column)
        or keys[0].name.casefold() != "user_id"
        or user.name.casefold() != "user_id"
    ):
        raise ValueError(
            "the query must be grouped by user_id alone, so that no user has two rows | "
            f"end it with GROUP BY user_id, or wrap it: {_WRAPPED}"
        )


def relations_of(tree: exp.Expr) -> dict[str, exp.Table]:
    """The relations that a query reads, in lower case, each with the place where it is first named; parts of WITH are none."""
    parts = {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    found: dict[str, exp.Table] = {}
    for table in tree.find_all(exp.Table, bfs=False):
        if table.name.casefold() not in parts:
            found.setdefault(table.name.casefold(), table)
    return found


def events_compared(tree: exp.Select) -> list[str]:
    """The texts that a query compares the column `event` of events with, by `=` or IN, in the order in which they occur."""
    if "events" not in relations_of(tree) or any(
        alias.alias.casefold() == "event" for alias in tree.find_all(exp.Alias)
    ):
        return []
    found: list[str] = []
    for node in tree.find_all(exp.EQ, exp.In, bfs=False):
        sides = [node.this, *(node.expressions if isinstance(node, exp.In) else [node.expression])]
        if any(isinstance(side, exp.Column) and side.name.casefold() == "event" for side in sides):
            found += [side.name for side in sides if isinstance(side, exp.Literal) and side.is_string]
    return list(dict.fromkeys(found))


def relation_columns(schema: Schema) -> dict[str, dict[str, FieldType]]:
    """The relations that a query may read, each with its columns and their types."""
    relations: dict[str, dict[str, FieldType]] = {}
    if schema.has_events:
        relations["events"] = {"user_id": "category", **schema.event_fields}
    for source in schema.user_sources:
        since: dict[str, FieldType] = {"since": "time"} if source in schema.sources_with_since else {}
        attributes: dict[str, FieldType] = {
            name: kind for name, kind in schema.attributes.items() if schema.attribute_source[name] == source
        }
        relations[f"users_{source}"] = {"user_id": "category", **since, **attributes}
    return relations


def check_names(tree: exp.Select, schema: Schema) -> list[Issue]:
    """An issue for each relation and column that is not there, and for a part of WITH that hides a relation."""
    relations = {name.casefold(): columns for name, columns in relation_columns(schema).items()}
    listed = f"there are: {', '.join(relation_columns(schema))}"
    issues = [
        Issue("bad-name", "", f"{_place(cte)}{cte.alias!r} is a relation already", "give the part of WITH another name")
        for cte in tree.find_all(exp.CTE)
        if cte.alias.casefold() in relations
    ]
    read = relations_of(tree)
    issues += [
        Issue(
            "unknown-table",
            "",
            f"{_place(table)}unknown table {table.name!r}",
            did_you_mean(table.name, relations, listed),
        )
        for name, table in read.items()
        if name not in relations
    ]
    if issues:
        return issues
    known = {column for name in read for column in relations[name]} | {AS_OF, AS_OF_DAY}
    made = {alias.alias for alias in tree.find_all(exp.Alias)}
    made |= {name.name for alias in tree.find_all(exp.TableAlias) for name in alias.args.get("columns") or ()}
    folded = {name.casefold() for name in known | made}
    seen: set[str] = set()
    for column in tree.find_all(exp.Column, bfs=False):
        name = column.name
        if isinstance(column.this, exp.Star) or name.casefold() in folded or name in seen:
            continue
        seen.add(name)
        hint = did_you_mean(name, known | made, f"its tables have: {', '.join(sorted(known))}")
        issues.append(Issue("unknown-column", "", f"{_place(column)}unknown column {name!r}", hint))
    return issues


def try_query(query: exp.Query, schema: Schema, kind: FieldType) -> list[Issue]:
    """What DuckDB says of the query over a few rows of such relations, and an issue where its value is not of this type.

    `query` is what `bind_query` gives.
    """
    import duckdb

    with duckdb.connect() as connection:
        for name, columns in relation_columns(schema).items():
            table = exp.union(
                _tried(columns, 0), exp.union(_tried(columns, 1), _tried(columns, 2), distinct=False), distinct=False
            )
            target = exp.to_identifier(name, quoted=True).sql(dialect="duckdb")
            connection.execute(f"CREATE TEMP TABLE {target} AS {table.sql(dialect='duckdb')}")
        try:
            tried = connection.sql(query.sql(dialect="duckdb"))
            user, given = (str(word) for word in tried.types)
            tried.fetchall()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            cause = first.partition(": ")[2] or first
            hint = "; ".join(
                f"{name}: {', '.join(f'{column} ({kind})' for column, kind in columns.items())}"
                for name, columns in relation_columns(schema).items()
            )
            return [Issue("wrong-type", "", f"'query': {cause[:1].lower()}{cause[1:]}", hint)]
    if user != "VARCHAR":
        return [Issue("wrong-type", "", f"user_id is a {user.lower()} here", "give the column user_id of a relation")]
    if field_type(given) != kind:
        hint = f"add a line 'type: {field_type(given)}'"
        return [Issue("wrong-type", "", f"the query gives a {field_type(given)}, not a {kind}", hint)]
    return []


def bind_query(
    tree: exp.Select, names: Mapping[str, exp.Expr], local_day: Callable[[exp.Expr], exp.Expr]
) -> exp.Select:
    """A copy with `as_of` and the like in place, and NULL where SQL would fail on a row; it gives `user_id` and `value`."""
    bound = tree.copy()
    for node in list(bound.walk()):
        node.pop_comments()
        if type(node) is exp.Cast and not isinstance(node.this, exp.Literal):
            node.replace(exp.TryCast(this=node.this, to=node.args["to"]))
        elif isinstance(node, exp.Column) and not node.table and node.name.casefold() in names:
            value = names[node.name.casefold()].copy()
            output = isinstance(node.parent, exp.Select) and node.arg_key == "expressions"
            node.replace(exp.alias_(value, node.name) if output else value)
    while (call := bound.find(exp.Anonymous)) is not None:
        call.replace(local_day(call.expressions[0].copy()))
    for node in reversed(list(bound.walk())):  # what is inside first, since the guard of a logarithm copies it
        if isinstance(node, exp.Div | exp.IntDiv | exp.Mod):
            node.set("expression", exp.Nullif(this=node.expression.copy(), expression=exp.Literal.number(0)))
        elif isinstance(node, exp.Ln | exp.Sqrt):
            above = exp.GTE if isinstance(node, exp.Sqrt) else exp.GT
            sound = above(this=exp.Paren(this=node.this.copy()), expression=exp.Literal.number(0))
            node.set("this", exp.Case(ifs=[exp.If(this=sound, true=node.this.copy())]))
    user, value = sorted(bound.expressions, key=lambda output: output.alias_or_name.casefold() != "user_id")
    bound.set("expressions", [exp.alias_(user.unalias(), "user_id"), exp.alias_(value.unalias(), "value")])
    return bound


def _tried(columns: Mapping[str, FieldType], row: int) -> exp.Select:
    """A row to try a query on: two users with values, and one with none."""
    texts: Mapping[FieldType, tuple[str, str]] = {
        "number": ("0", "-1.5"), "category": ("x~", ""), "boolean": ("true", "false"),
        "date": ("2024-02-29", "1970-01-01"), "time": ("2024-02-29 23:59:59", "1970-01-01 00:00:00"),
    }  # fmt: skip
    values = [
        exp.alias_(
            exp.Cast(
                this=exp.Literal.string(texts[kind][row]) if row < 2 else exp.Null(),
                to=exp.DataType.build(SQL_TYPES[kind]),
            ),
            name,
            quoted=True,
        )
        for name, kind in columns.items()
    ]
    return exp.select(*values)


def _written(node: exp.Func) -> str:
    """The name of a function as DuckDB writes it, and not as the parser calls it: strftime, not time_to_str."""
    call = re.match(r"(\w+)\(", node.sql(dialect="duckdb"))
    return call[1].lower() if call else node.sql_name().lower()


def _near(word: str) -> str:
    return did_you_mean(word.casefold(), [*FUNCTIONS.values(), LOCAL_DAY], _HINT)


def _refused(node: exp.Expr, cause: str, remedy: str) -> ValueError:
    return ValueError(f"{_place(node)}{cause} | {remedy}")


def _places(node: exp.Expr) -> Iterator[str]:
    for part in (node, *node.walk()):
        if "line" in part.meta:
            # Counted to the last letter of a name.
            column = part.meta["col"] - (part.meta["end"] - part.meta["start"])
            yield f"line {part.meta['line']}, column {column} of the query: "


def _place(node: exp.Expr) -> str:
    """Where a node stands in the text, or nothing where the parser did not keep it."""
    return next(_places(node), "")
