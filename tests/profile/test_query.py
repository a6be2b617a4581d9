"""Read-only SQL: what is let through, what is refused and with which word, time limits, and values of every type."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from limner_profile.errors import QueryError
from limner_profile.query import run_query
from limner_profile.snapshots import Snapshot, SnapshotStore


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    store = SnapshotStore(tmp_path_factory.mktemp("query"))
    with store.create(datetime(2025, 1, 1, tzinfo=UTC), ZoneInfo("UTC"), 3) as writer:
        writer.connection.execute(
            "CREATE TABLE profiles AS SELECT 'u' || i AS user_id, CAST(i AS DOUBLE) AS order_count, "
            "TIMESTAMP '2025-01-01' + i * INTERVAL 1 DAY AS last_time FROM range(5) AS r(i)"
        )
    with store.open() as opened:
        yield opened


@pytest.mark.parametrize(
    ("sql", "columns", "rows"),
    [
        ("SELECT user_id, order_count FROM profiles ORDER BY 1 LIMIT 1", ["user_id", "order_count"], [("u0", 0.0)]),
        ("from profiles select count(*) as n;", ["n"], [(5,)]),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x -- a remark", ["a"], [(1,)]),
        ("VALUES (1, 'a')", ["col0", "col1"], [(1, "a")]),
        ("SELECT 1 AS a, 2 AS a, NULL AS a", ["a", "a", "a"], [(1, 2, None)]),
        ("SELECT user_id FROM profiles WHERE false", ["user_id"], []),
        ("SELECT DATE '2024-02-29' AS d, TIMESTAMP '2024-02-29 01:02:03' AS t", ["d", "t"],
         [(date(2024, 2, 29), datetime(2024, 2, 29, 1, 2, 3))]),  # noqa: DTZ001
        ("SELECT 170141183460469231731687303715884105727 AS h, 1.50 AS d", ["h", "d"], [(2**127 - 1, Decimal("1.50"))]),
        ("SELECT [1, NULL] AS l, {'a': [1]} AS s, MAP {'k': 1} AS m, '\\xAA'::BLOB AS b", ["l", "s", "m", "b"],
         [([1, None], {"a": [1]}, {"k": 1}, b"\xaa")]),
        ("SELECT TIMESTAMPTZ '2025-01-01 10:00:00+08' AS t, 2 AS n, sum(1::BIGINT) AS s, NULL::HUGEINT AS h",
         ["t", "n", "s", "h"], [(datetime(2025, 1, 1, 2, tzinfo=UTC), 2, 1, None)]),
        ("SELECT [TIMESTAMPTZ '2025-01-01 10:00:00+00'] AS t, NULL::TIMESTAMPTZ AS n", ["t", "n"],
         [([datetime(2025, 1, 1, 10, tzinfo=UTC)], None)]),
    ],
)  # fmt: skip
def test_what_comes_back(snapshot: Snapshot, sql: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    result = run_query(snapshot, sql)
    assert (result.columns, result.rows) == (columns, rows)


def test_now_and_instants_of_every_row(snapshot: Snapshot) -> None:
    result = run_query(
        snapshot, "SELECT user_id, now() AS n, last_time::TIMESTAMPTZ AS t FROM profiles ORDER BY t DESC"
    )
    assert [row[0] for row in result.rows] == ["u4", "u3", "u2", "u1", "u0"]
    assert all(row[1].tzinfo is not None for row in result.rows)
    assert run_query(snapshot, "SELECT now() AS n WHERE false").rows == []


@pytest.mark.parametrize("sql", ["DESCRIBE profiles", "SHOW TABLES", "SUMMARIZE profiles"])
def test_looking_around_is_allowed(snapshot: Snapshot, sql: str) -> None:
    assert run_query(snapshot, sql).rows


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("", "one-statement"), ("-- nothing", "one-statement"), (";", "one-statement"),
        ("SELECT 1; SELECT 2", "one-statement"), ("SELECT 1; DROP TABLE profiles", "one-statement"),
        ("INSERT INTO profiles VALUES ('x', 1, NULL)", "not-read-only"),
        ("DELETE FROM profiles RETURNING *", "not-read-only"), ("UPDATE profiles SET order_count = 1", "not-read-only"),
        ("DROP TABLE profiles", "not-read-only"), ("ALTER TABLE profiles ADD COLUMN x INTEGER", "not-read-only"),
        ("CREATE TEMP TABLE t AS SELECT 1", "not-read-only"), ("COPY profiles TO '/tmp/out.csv'", "not-read-only"),
        ("EXPORT DATABASE '/tmp/out'", "not-read-only"), ("ATTACH '/tmp/a.duckdb'", "not-read-only"),
        ("DETACH memory", "not-read-only"), ("USE memory", "not-read-only"), ("INSTALL httpfs", "not-read-only"),
        ("LOAD httpfs", "not-read-only"), ("SET threads = 1", "not-read-only"), ("RESET threads", "not-read-only"),
        ("PRAGMA database_list", "not-read-only"), ("PRAGMA threads = 4", "not-read-only"),
        ("CALL pragma_version()", "not-read-only"), ("BEGIN", "not-read-only"), ("CHECKPOINT", "not-read-only"),
        ("VACUUM", "not-read-only"), ("PREPARE p AS SELECT 1", "not-read-only"), ("EXECUTE p", "not-read-only"),
        ("SELECT * FROM read_csv('/etc/passwd')", "not-allowed"), ("SELECT * FROM read_text('/etc/passwd')", "not-allowed"),
        ("SELECT * FROM glob('/*')", "not-allowed"), ("SELECT * FROM read_parquet('https://example.org/a')", "not-allowed"),
        ("SELECT * FROM '/etc/passwd'", "unknown-table"), ("SELECT * FROM query('DROP TABLE profiles')", "bad-sql"),
        ("SELECT getenv('HOME')", "bad-sql"), ("SELECT ?", "bad-sql"), ("SELECT 'a", "bad-sql"), ("SELEC 1", "bad-sql"),
        ("SELECT error('boom')", "bad-sql"), ("SELECT nonsense(1)", "bad-sql"), ("SELECT CAST('x' AS INTEGER)", "bad-sql"),
    ],
)  # fmt: skip
def test_refusals(snapshot: Snapshot, sql: str, code: str) -> None:
    with pytest.raises(QueryError) as caught:
        run_query(snapshot, sql)
    assert caught.value.code == code
    assert caught.value.issues[0].hint
    assert run_query(snapshot, "SELECT count(*) FROM profiles").rows == [(5,)]  # no harm done


def test_a_variable_of_the_program_is_no_table(snapshot: Snapshot) -> None:
    secrets = [1, 2, 3]
    assert secrets
    with pytest.raises(QueryError) as caught:
        run_query(snapshot, "SELECT * FROM secrets")
    assert caught.value.code == "unknown-table"


@pytest.mark.parametrize(
    ("sql", "code", "message", "hint"),
    [
        ("SELECT * FROM profile", "unknown-table", "unknown table 'profile'", "did you mean 'profiles'?"),
        ("SELECT * FROM xyzzy", "unknown-table", "unknown table 'xyzzy'", "tables: profiles, runs, snapshot"),
        ("SELECT order_cuont FROM profiles", "unknown-column", "unknown column 'order_cuont'",
         "did you mean 'order_count'?"),
        ("SELECT p.order_cuont FROM profiles AS p", "unknown-column", "unknown column 'order_cuont'",
         "did you mean 'order_count'?"),
        ("SELECT xyzzy FROM profiles", "unknown-column", "unknown column 'xyzzy'",
         "try: select name, title_en from tags"),
    ],
)  # fmt: skip
def test_unknown_names_get_a_hint(snapshot: Snapshot, sql: str, code: str, message: str, hint: str) -> None:
    with pytest.raises(QueryError) as caught:
        run_query(snapshot, sql)
    (issue,) = caught.value.issues
    assert (issue.code, issue.message, issue.hint) == (code, message, hint)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(hash(a.i + b.i)) FROM range(10000000) AS a(i), range(1000000) AS b(i)",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
        "SELECT max(now() + a.i * INTERVAL 1 SECOND) FROM range(10000000) AS a(i), range(1000000) AS b(i)",
    ],
)
def test_a_runaway_query_is_stopped(snapshot: Snapshot, sql: str) -> None:
    started = time.perf_counter()
    with pytest.raises(QueryError) as caught:
        run_query(snapshot, sql, seconds=0.2)
    assert caught.value.code == "query-timeout"
    assert time.perf_counter() - started < 60  # each of them would take hours
    assert run_query(snapshot, "SELECT 1 AS a").rows == [(1,)]


def test_a_query_leaves_nothing_behind(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(QueryError):
        run_query(snapshot, f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'")
    assert not list(tmp_path.iterdir())
