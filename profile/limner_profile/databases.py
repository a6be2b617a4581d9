"""Rows of a database as an Arrow table: PostgreSQL through ADBC, every other one through SQLAlchemy.

Secrets come from environment variables, named in the URL as `${NAME}`; no message ever holds what they hold.
Drivers are extras, imported where they are needed. Imports errors, sources and frames.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from limner_profile.errors import Issue, SourceError
from limner_profile.sources import VARIABLE, Source

# The highest value of a cursor, as the kind of value and its text.
Mark: TypeAlias = tuple[str, str]
_BATCH = 50_000


def fetch(source: Source, where: str, mark: Mark | None = None, limit: int | None = None) -> Any:
    """The rows of a source's table or query as a pyarrow Table, those from `mark` on in the order of the cursor.

    Raises SourceError for a variable that is not set, a driver that is not installed, and whatever the database says.
    """
    url, secrets = _expanded(source, where, os.environ)
    try:
        if re.match(r"postgres(ql)?://", url):
            return _fetch_postgres(source, url, where, mark, limit)
        return _fetch_sqlalchemy(source, url, where, mark, limit)
    except SourceError:
        raise
    except Exception as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        text = f"{type(error).__name__}: {said[0] if said else ''}"
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        hint = "is the address right, is the server there, and does the table or the query work?"
        # The driver's own error can hold the address with the password: it is not passed on.
        raise SourceError(Issue("database-error", where, f"the database cannot be read: {text}", hint)) from None


def mark_of(value: Any) -> Mark:
    """A value of the cursor as the manifest keeps it.

    >>> mark_of(5), mark_of(datetime(2025, 1, 1, 8))
    (('int', '5'), ('datetime', '2025-01-01T08:00:00'))
    """
    if isinstance(value, datetime | date):
        return ("datetime" if isinstance(value, datetime) else "date", value.isoformat())
    kinds: Mapping[type, str] = {int: "int", float: "float", Decimal: "decimal"}
    return (kinds.get(type(value), "text"), repr(value) if isinstance(value, float) else str(value))


def mark_value(mark: Mark) -> Any:
    """The value that `mark_of` was given."""
    readers: Mapping[str, Any] = {
        "int": int,
        "float": float,
        "decimal": Decimal,
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "text": str,
    }
    return readers[mark[0]](mark[1])


def _expanded(source: Source, where: str, environment: Mapping[str, str]) -> tuple[str, list[str]]:
    names = VARIABLE.findall(source.url or "")
    missing = [name for name in names if name not in environment]
    if missing:
        message = f"the environment variable {missing[0]!r} is not set"
        raise SourceError(Issue("missing-variable", where, message, f"export {missing[0]}=… before 'limner sync'"))
    url = VARIABLE.sub(lambda match: environment[match[1]], source.url or "")
    # What drivers print of an address: the whole, what a variable held, and the password within it.
    inner = re.findall(r"://[^/@]*?:([^/]*)@", url)
    return url, [text for text in (url, *(environment[name] for name in names), *inner) if text]


def _driver(module: str, extra: str, where: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        hint = f"pip install 'limner[{extra}]'"
        raise SourceError(Issue("missing-extra", where, f"{module.split('.')[0]} is not installed", hint)) from None


def _statement(source: Source, quote: Any, condition: str, *, ordered: bool) -> str:
    if source.query:
        relation = f"({source.query.strip().rstrip(';')}) AS source_rows"
    else:
        relation = ".".join(quote(part) for part in (source.table or "").split("."))
    order = f" ORDER BY {quote(source.cursor)}" if source.cursor and ordered else ""
    return f"SELECT * FROM {relation}{condition}{order}"


def _fetch_postgres(source: Source, url: str, where: str, mark: Mark | None, limit: int | None) -> Any:
    adbc = _driver("adbc_driver_postgresql.dbapi", "postgres", where)

    def quote(name: str | None) -> str:
        return '"' + (name or "").replace('"', '""') + '"'

    # An untyped literal takes the column's type, whatever it is.
    literal = "'" + mark[1].replace("'", "''") + "'" if mark else ""
    condition = f" WHERE {quote(source.cursor)} >= {literal}" if mark else ""
    statement = _statement(source, quote, condition, ordered=not limit) + (f" LIMIT {limit}" if limit else "")
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return _plain(cursor.fetch_arrow_table())


def _plain(table: Any) -> Any:
    """The table without extension types: a NUMERIC comes as text of its own kind, and leaves as a float."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for number, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            column = pa.chunked_array([chunk.storage for chunk in table.column(number).chunks], field.type.storage_type)
            if getattr(field.type, "type_name", "") == "numeric":
                column = pc.cast(column, pa.float64())
            table = table.set_column(number, field.name, column)
    return table


def _fetch_sqlalchemy(source: Source, url: str, where: str, mark: Mark | None, limit: int | None) -> Any:
    sqlalchemy = _driver("sqlalchemy", "sql", where)
    import pyarrow as pa

    engine = sqlalchemy.create_engine(url, hide_parameters=True)
    try:
        quote = engine.dialect.identifier_preparer.quote
        condition = f" WHERE {quote(source.cursor)} >= :mark" if mark else ""
        statement = _statement(source, quote, condition, ordered=not limit)
        if source.query:
            # A colon within the user's own text is no parameter.
            own = source.query.strip().rstrip(";")
            statement = statement.replace(own, re.sub(r"(?<![:\\]):(?=\w)", r"\:", own))
        values = {"mark": mark_value(mark)} if mark else {}
        chunks = []
        with engine.connect().execution_options(stream_results=True) as connection:
            result = connection.execute(sqlalchemy.text(statement), values)
            names = list(result.keys())
            while rows := result.fetchmany(limit or _BATCH):
                chunks.append(_chunk(names, rows))
                if limit:
                    break
    finally:
        engine.dispose()
    if not chunks:
        return pa.table({name: pa.array([], pa.null()) for name in names})
    return _joined(chunks)


def _chunk(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    import pyarrow as pa

    arrays = []
    for number in range(len(names)):
        values = [row[number] for row in rows]
        try:
            arrays.append(pa.array(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            arrays.append(pa.array([None if value is None else str(value) for value in values], pa.string()))
    return pa.table(arrays, names=list(names))


def _joined(chunks: Sequence[Any]) -> Any:
    """One table of chunks whose columns may differ in type: those that cannot be widened become text."""
    import pyarrow as pa

    try:
        return pa.concat_tables(chunks, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = []
        for chunk in chunks:
            kinds = [
                (name, pa.string() if _differs(chunks, name) else chunk.schema.field(name).type)
                for name in chunk.column_names
            ]
            texts.append(chunk.cast(pa.schema(kinds)))
        return pa.concat_tables(texts, promote_options="permissive")


def _differs(chunks: Sequence[Any], name: str) -> bool:
    return len({str(chunk.schema.field(name).type) for chunk in chunks} - {"null"}) > 1
