"""SQL of strangers: what is refused, what is stopped, and that honest questions get the answer that DuckDB gives."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_profile.errors import InternalError, QueryError
from limner_profile.guarded import decode, encode, run_guarded
from limner_profile.query import run_query
from limner_profile.snapshots import SnapshotStore
from limner_profile.sql_guard import check_sql

HOSTILE = [
    ("select repeat('x', 2000000000)", "not-allowed"),
    ("select REPEAT('x', 2000000000)", "not-allowed"),
    ("select 'x'.repeat(2000000000)", "not-allowed"),
    ("select main.repeat('x', 2)", "not-allowed"),
    ("select lpad('x', 2000000000, 'y')", "not-allowed"),
    ("select format('{:2000000000d}', 1)", "not-allowed"),
    ("select * from range(100000000000)", "not-allowed"),
    ("select unnest(generate_series(1, 100000000000))", "not-allowed"),
    ("select [x for x in range(10)]", "not-allowed"),
    ("with recursive r as (select 1 a union all select a + 1 from r) select count(*) from r", "not-allowed"),
    ("select getenv('HOME')", "not-allowed"),
    ("select current_setting('memory_limit')", "not-allowed"),
    ("select * from duckdb_settings()", "not-allowed"),
    ("select * from duckdb_secrets()", "not-allowed"),
    ("select * from information_schema.tables", "not-allowed"),
    ("select * from system.main.sqlite_master", "not-allowed"),
    ("select * from sqlite_master", "unknown-table"),
    ("select * from pragma_database_list()", "not-allowed"),
    ("select * from read_csv('/etc/passwd')", "not-allowed"),
    ("select * from read_text('/etc/passwd')", "not-allowed"),
    ("select * from '/etc/passwd'", "unknown-table"),
    ("select * from 'http://example.com/x.parquet'", "unknown-table"),
    ("select * from glob('/*')", "not-allowed"),
    ("select * from query('select 1')", "not-allowed"),
    ("select * from query_table('profiles')", "not-allowed"),
    ("select (select content from read_text('/etc/passwd'))", "not-allowed"),
    ("select * from profiles where n in (select getenv('HOME'))", "not-allowed"),
    ("select count(*) filter (where getenv('HOME') = '') over (order by repeat('x', 9)) from profiles", "not-allowed"),
    ("select n from profiles order by repeat(user_id, 100000)", "not-allowed"),
    ("select n from profiles limit (select length(getenv('HOME')))", "not-allowed"),
    ("select 1 union all select length(repeat('x', 2000000000))", "not-allowed"),
    ("with x as (insert into profiles values ('z', 1, null) returning *) select * from x", "not-allowed"),
    ("with x as (delete from profiles returning *) select * from x", "not-allowed"),
    ("insert into profiles values ('z', 1, null)", "not-read-only"),
    ("drop table profiles", "not-read-only"),
    ("copy profiles to '/tmp/stolen.csv'", "not-read-only"),
    ("attach '/tmp/x.duckdb'", "not-read-only"),
    ("install httpfs", "not-read-only"),
    ("set memory_limit = '100GB'", "not-read-only"),
    ("pragma version", "not-read-only"),
    ("call pragma_version()", "not-read-only"),
    ("explain select 1", "not-read-only"),
    ("describe profiles", "not-allowed"),
    ("select 1; select 2", "one-statement"),
    ("", "one-statement"),
    ("selec 1", "bad-sql"),
    ("select 1)) --", "bad-sql"),
    ("select $1", "not-allowed"),
]
HONEST = [
    "select count(*) as n, avg(n), median(n), quantile_cont(n, 0.9) from profiles",
    "select city, count(*) as users, round(100.0 * count(*) / sum(count(*)) over (), 1) as share from profiles group by all "
    "order by users desc, city",
    "with big as (select * from profiles where n > 10), small as (select user_id from profiles except select user_id from big) "
    "select (select count(*) from big) as big, count(*) as small from small",
    "select * exclude (city) from profiles where city is not distinct from 'Oslo' or city like 'R%' order by user_id limit 3 offset 1",
    "select case when n > 3 then 'many' else 'few' end as size, string_agg(user_id, ',' order by user_id) from profiles where n < 6 "
    "group by 1 order by 1",
    "select user_id, row_number() over (partition by city order by n desc, user_id) as place from main.profiles "
    "qualify place = 1 order by 1",
    "select date_trunc('month', as_of) as month, as_of::date + interval 1 day as next, extract(year from as_of) as year from snapshot",
    "select a.user_id from profiles as a join profiles as b on a.n = b.n + 1 where b.user_id = 'u3' -- the one before",
    "select upper(city) as c, length(city), city || '!' as d, regexp_extract(city, '[A-Z]') from profiles where city in ('Oslo') limit 1",
    "select unnest([3, 1, 2]) as x order by x",
    "select 1 as a, 2 as a",
    "from profiles select max(n)",
]  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of 1,000 users: u<i> has n = i, of cities Oslo, Rome and unknown."""
    store = SnapshotStore(tmp_path_factory.mktemp("guarded"))
    with store.create(datetime(2025, 3, 1, tzinfo=UTC), ZoneInfo("UTC"), 3) as writer:
        writer.connection.execute(
            "CREATE TABLE profiles AS SELECT 'u' || i AS user_id, i AS n, ['Oslo', 'Rome', NULL][1 + i % 3] AS city "
            "FROM range(1000) AS r(i)"
        )
    return store.folder / f"{store.current_id()}.duckdb"


@pytest.mark.parametrize(("sql", "code"), HOSTILE)
def test_what_is_refused_before_it_runs(sql: str, code: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE profiles (user_id VARCHAR, n INTEGER, city VARCHAR)")
        with pytest.raises(QueryError) as caught:
            check_sql(connection, sql, ["profiles", "snapshot"])
    assert caught.value.code == code
    assert caught.value.issues[0].hint


@pytest.mark.parametrize("sql", HONEST)
def test_what_is_allowed(sql: str) -> None:
    with duckdb.connect() as connection:
        check_sql(connection, sql, ["profiles", "snapshot"])


def test_honest_questions_get_the_answer_of_duckdb(path: Path) -> None:
    with SnapshotStore(path.parents[1]).open() as snapshot:
        for sql in (HONEST[0], HONEST[1], HONEST[6]):
            mine, theirs = run_guarded(path, sql), run_query(snapshot, sql)
            assert (mine.columns, mine.rows) == (theirs.columns, theirs.rows)
    everything = run_guarded(path, "select n from profiles order by n desc -- all of them")
    assert everything.rows == [(n,) for n in range(999, -1, -1)]


def test_values_keep_their_types(path: Path) -> None:
    sql = """select 1.50::decimal(9, 2) as a, date '2025-01-02' as b, timestamptz '2025-01-02 01:00+01' as c, [1, null] as d,
        {'x': 'ü'} as e, map {1: 'y'} as f, interval 36 hour as g, '\\x01'::blob as h, null as i, 'nan'::double as j,
        '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid as k, 170141183460469231731687303715884105727 as l, true as a"""
    result = run_guarded(path, sql)
    assert result.columns == [*"abcdefghijkl", "a"]
    (row,) = result.rows
    assert row[:9] == (
        Decimal("1.50"), date(2025, 1, 2), datetime(2025, 1, 2, tzinfo=UTC), [1, None], {"x": "ü"}, {1: "y"},
        timedelta(hours=36), b"\x01", None,
    )  # fmt: skip
    assert row[9] != row[9]
    assert row[10:] == (UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), 2**127 - 1, True)


BOMBS = [
    ("select count(*) from profiles a, profiles b, profiles c, profiles d, profiles e", "query-timeout"),
    ("select list(a.user_id || b.user_id || c.user_id) from profiles a, profiles b, profiles c", "query-memory"),
    ("select user_id, unnest(list_transform([1, 2, 3], lambda x: x + n)) from profiles", "result-too-large"),
    ("select string_agg(user_id, ',') || n from profiles group by n", "result-too-large"),
]


@pytest.mark.parametrize(("sql", "code"), BOMBS)
def test_what_is_stopped_while_it_runs(path: Path, sql: str, code: str) -> None:
    started = time.monotonic()
    with pytest.raises(QueryError) as caught:
        run_guarded(path, sql, seconds=3 if code == "query-timeout" else 60, megabytes=300, rows=900)
    assert caught.value.code == code
    assert time.monotonic() - started < 60


def test_a_text_that_grows_tenfold_nine_times_does_not_take_the_machine(path: Path) -> None:
    text = "'xxxxxxxxxx'"
    for _ in range(9):
        text = f"replace({text}, 'x', 'xxxxxxxxxx')"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # the largest child of earlier tests
    with pytest.raises(QueryError) as caught:
        run_guarded(path, f"select length({text})", seconds=20, megabytes=300)
    assert caught.value.code in ("query-memory", "query-timeout")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert largest < max(1_500_000, before + 1)  # kilobytes; the text would have 10 GB


def test_mistakes_are_told_as_everywhere(path: Path) -> None:
    with pytest.raises(QueryError) as caught:
        run_guarded(path, "select citty from profiles")
    assert (caught.value.code, caught.value.issues[0].hint) == ("unknown-column", "did you mean 'city'?")
    with pytest.raises(QueryError) as caught:
        run_guarded(path, "select city from profile")
    assert (caught.value.code, caught.value.issues[0].hint) == ("unknown-table", "did you mean 'profiles'?")
    with pytest.raises(InternalError):
        run_guarded(path.with_name("nothing.duckdb"), "select 1")


def test_the_worker_knows_nothing_of_our_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}
    real = subprocess.run

    def spy(*arguments: Any, **options: Any) -> Any:
        seen.update(options["env"])
        return real(*arguments, **options)

    monkeypatch.setenv("LIMNER_TEST_SECRET", "hush")
    monkeypatch.setattr(subprocess, "run", spy)
    assert run_guarded(path, "select 1 as n").rows == [(1,)]
    assert "LIMNER_TEST_SECRET" not in seen
    assert "LIMNER_TEST_SECRET" in os.environ


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.dates() | st.datetimes() | st.timedeltas()
    | st.decimals(allow_nan=False, allow_infinity=False) | st.uuids() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(VALUES)
def test_values_survive_the_way(value: object) -> None:
    import json

    assert decode(json.loads(json.dumps(encode(value)))) == value
