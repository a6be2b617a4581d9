"""The examples of each kind of condition, executed in DuckDB on the rows that they state."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import duckdb
import pytest

from limner_profile.predicates.base import load
from limner_profile.predicates.words import FieldWords
from limner_segments.audience import audience_query
from limner_segments.conditions import CALLS, parse_condition
from limner_segments.conditions.base import SetExample, UserSet
from limner_segments.conditions.scope import Scope

ZONE = ZoneInfo("Asia/Shanghai")
SCOPE = Scope(datetime(2025, 3, 1, tzinfo=ZONE).astimezone(UTC), ZONE)
CASES = [
    pytest.param(example, id=example.text)
    for _, kind in CALLS
    if issubclass(kind, UserSet)
    for example in kind.SET_EXAMPLES
]


def tables(connection: duckdb.DuckDBPyConnection, example: SetExample) -> None:
    """The tables `profiles` and `events` of an example."""
    tags = sorted({name for values in example.profiles.values() for name in values})
    kinds = {
        name: "VARCHAR" if any(isinstance(values.get(name), str) for values in example.profiles.values()) else "DOUBLE"
        for name in tags
    }
    columns = "".join(f', "{name}" {kinds[name]}' for name in tags)
    connection.execute(f"CREATE TABLE profiles (user_id VARCHAR{columns})")
    for user, values in example.profiles.items():
        row = [user, *(values.get(name) for name in tags)]
        connection.execute(f"INSERT INTO profiles VALUES ({', '.join('?' * len(row))})", row)
    connection.execute(
        "CREATE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR, amount DOUBLE, product VARCHAR)"
    )
    for user, time, event, fields in example.acts:
        utc = datetime.fromisoformat(time).replace(tzinfo=ZONE).astimezone(UTC).replace(tzinfo=None)
        connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)", [user, utc, event, fields.get("amount"), fields.get("product")]
        )


@pytest.mark.parametrize("example", CASES)
def test_example_matches_in_duckdb(example: SetExample) -> None:
    with duckdb.connect() as connection:
        tables(connection, example)
        condition = parse_condition(example.text)
        query = audience_query(condition, SCOPE).sql(dialect="duckdb")
        assert {row[0] for row in connection.execute(query).fetchall()} == example.matches
        opposite = audience_query(parse_condition(f"not ({example.text})"), SCOPE).sql(dialect="duckdb")
        others = {row[0] for row in connection.execute(opposite).fetchall()}
        assert others == set(example.profiles) - example.matches


@pytest.mark.parametrize("example", CASES)
def test_example_comes_back_from_text_and_dictionary(example: SetExample) -> None:
    condition = parse_condition(example.text)
    assert parse_condition(condition.to_text()) == condition
    assert load(condition.model_dump(mode="json")) == condition
    for language in ("en", "zh"):
        assert condition.to_sentence(language, FieldWords)
