from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from sqlglot import exp

from limner_profile.errors import DefinitionError
from limner_profile.tags.base import Example
from limner_profile.tags.expressions import event_column
from limner_profile.workspace import Schema
from limner_segments.scoring.outcomes.base import OUTCOME_KINDS, Outcome
from limner_segments.scoring.outcomes.did import Did
from limner_segments.scoring.scenario import Scenario  # noqa: F401  # the import that discovers the kinds

CASES = [(word, kind, example) for word, kind in OUTCOME_KINDS for example in kind.EXAMPLES]
SCHEMA = Schema({"event": "category", "amount": "number"}, {}, {}, (), frozenset(), False, True)


def happened(outcome: Outcome, example: Example) -> dict[str, bool]:
    """What the outcome says of every user of an example, in the seven days from as_of on, executed in DuckDB."""
    start = datetime.fromisoformat(example.as_of).replace(tzinfo=UTC)
    acts = outcome.acts_query(start, start + timedelta(days=7), event_column)
    query = (
        exp.select("u.user_id", outcome.happened(exp.func("coalesce", exp.column("acts"), exp.Literal.number(0))))
        .from_("users AS u")
        .join(acts.subquery("later"), on="later.user_id = u.user_id", join_type="left")
    )
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR, amount DOUBLE)")
        connection.execute("CREATE TABLE users (user_id VARCHAR)")
        for user in example.values:
            connection.execute("INSERT INTO users VALUES (?)", [user])
        for event in example.events:
            row: list[Any] = [event.get(name) for name in ("user_id", "time", "event", "amount")]
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row)
        return {str(user): bool(value) for user, value in connection.execute(query.sql(dialect="duckdb")).fetchall()}


def test_every_kind_has_examples() -> None:
    assert {"did", "did_not"} <= {word for word, _ in OUTCOME_KINDS}
    assert {word for word, _, _ in CASES} == {word for word, _ in OUTCOME_KINDS}
    assert all(kind.__doc__ and {True, False} <= set(example.values.values()) for _, kind, example in CASES)


@pytest.mark.parametrize(("word", "kind", "example"), CASES, ids=[word for word, _, _ in CASES])
def test_examples_say_what_happens(word: str, kind: type[Outcome], example: Example) -> None:
    outcome = kind.model_validate(example.definition)
    assert outcome.kind == word
    assert outcome.check(SCHEMA) == []
    assert happened(outcome, example) == dict(example.values)


def test_several_event_names_count_together() -> None:
    outcome = Did.model_validate({"kind": "did", "event": ["order", "gift"], "at_least": 2, "title": "pay twice"})
    times = ("2025-03-01 00:00", "2025-03-02 00:00")
    events = [
        {"user_id": "u1", "time": time, "event": event} for time, event in zip(times, ("order", "gift"), strict=True)
    ]
    events.append({"user_id": "u2", "time": times[0], "event": "order"})
    assert happened(outcome, Example({}, {"u1": True, "u2": False}, events=events)) == {"u1": True, "u2": False}


def test_the_filter_is_checked_against_the_event_fields() -> None:
    outcome = Did.model_validate({"kind": "did", "event": "order", "where": "amont > 3", "title": "pay"})
    ((field, issue),) = outcome.check(SCHEMA)
    assert (field, issue.code, issue.hint) == ("where", "unknown-field", "did you mean 'amount'?")


def test_a_workspace_without_events_cannot_have_an_outcome() -> None:
    outcome = Did.model_validate({"kind": "did", "event": "order", "title": "pay"})
    ((field, issue),) = outcome.check(Schema({}, {}, {}, ("people",), frozenset(), False, False))
    assert (field, issue.code) == ("event", "no-events")


def test_unknown_kinds_are_refused_with_the_known_ones() -> None:
    with pytest.raises(Exception, match="did") as caught:
        OUTCOME_KINDS.get("didnt")
    assert not isinstance(caught.value, DefinitionError)
