"""Databases as sources: SQLite through SQLAlchemy, the cursor, secrets, and PostgreSQL through ADBC on a server of its own."""
# ruff: noqa: DTZ001  (stored instants are UTC without a zone, and so are the ones compared with them)

from __future__ import annotations

import importlib
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from limner_profile.databases import mark_of, mark_value
from limner_profile.errors import DefinitionError, SourceError, UserError
from limner_profile.ingest import ingest
from limner_profile.manifest import Ingested, read_manifest
from limner_profile.sync_plan import plan_sync
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

CONFIG = (
    "name: t\ntimezone: UTC\nsources:\n"
    "  acts: {type: events, url: '%s', user: u, time: t, event: e, amount: n, properties: [p]%s}\n"
)


def run(root: Path) -> Ingested:
    (entry,) = ingest(open_workspace(root))
    return entry


def rows_of(root: Path, entry: Ingested, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        files = [str(root / ".limner" / file) for file in entry.files]
        return sorted(con.execute(f"SELECT {columns} FROM read_parquet(?)", [files]).fetchall(), key=repr)


def counts(entry: Ingested) -> tuple[int, int, int]:
    return entry.rows, entry.duplicates, entry.rejected


class Shop:
    """A SQLite file with a table `acts`, and statements run on it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *statements: str) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    pytest.importorskip("sqlalchemy")
    made = Shop(tmp_path / "shop-s3cret.db")
    made("CREATE TABLE acts (id INTEGER, u TEXT, t TEXT, e TEXT, n REAL, p, changed INTEGER)")
    monkeypatch.setenv("SHOP", f"sqlite:///{made.path}")
    return made


def test_a_table_is_read_whole_and_again_only_when_it_changed(lay: Lay, shop: Shop) -> None:
    shop("INSERT INTO acts VALUES (1, 'a', '2025-01-01', 'x', 1.5, 1, 1), (2, 'b', 'never', 'x', 2, 'text', 1)")
    root = lay({"limner.yaml": CONFIG % ("${SHOP}", ", table: acts")})
    entry = run(root)
    assert counts(entry) == (1, 0, 1)
    assert rows_of(root, entry, "user_id, time, amount, p") == [("a", datetime(2025, 1, 1), 1.5, "1")]
    assert run(root).reused
    shop("DELETE FROM acts WHERE id = 2", "INSERT INTO acts VALUES (3, 'c', '2025-01-02', 'x', 3, NULL, 2)")
    (plan,) = plan_sync(open_workspace(root))
    assert plan.changed == ("acts",)
    assert counts(run(root)) == (2, 0, 0)


def test_a_query_may_hold_colons(lay: Lay, shop: Shop) -> None:
    shop("INSERT INTO acts VALUES (1, 'a', '2025-01-01', 'x', 1.5, 1, 1)")
    query = "SELECT *, ''a:b'' AS q FROM acts WHERE t < ''2025-01-01 10:00:00'';"
    config = (CONFIG % ("${SHOP}", f", query: '{query}', cursor: changed")).replace("[p]", "[q]")
    root = lay({"limner.yaml": config})
    entry = run(root)
    assert rows_of(root, entry, "user_id, q") == [("a", "a:b")]
    shop("INSERT INTO acts VALUES (2, 'b', '2024-01-01', 'x', 1.5, 1, 2)")
    assert len(rows_of(root, run(root), "user_id")) == 2


def test_the_cursor_asks_only_for_newer_rows(lay: Lay, shop: Shop) -> None:
    shop("INSERT INTO acts VALUES (1, 'a', '2025-01-01', 'x', 1, 1, 10), (2, 'b', '2025-01-02', 'x', 2, 2, 20)")
    root = lay({"limner.yaml": CONFIG % ("${SHOP}", ", table: acts, cursor: changed, event_id: id")})
    first = run(root)
    assert (counts(first), first.mark) == ((2, 0, 0), ("int", "20"))
    before = {path: path.read_bytes() for path in (root / ".limner").rglob("*") if path.is_file()}
    assert run(root).reused
    assert {path: path.read_bytes() for path in (root / ".limner").rglob("*") if path.is_file()} == before

    # A tie with the mark, a late row, a change of an old row, and a row behind the mark that nobody asks for.
    shop("INSERT INTO acts VALUES (3, 'c', '2024-01-01', 'x', 3, 3, 20), (4, 'd', '2025-01-04', 'x', 4, 4, 5)")
    shop("UPDATE acts SET n = 100, changed = 30 WHERE id = 1")
    (plan,) = plan_sync(open_workspace(root))
    assert (plan.new, plan.unchanged) == (("acts after 20",), 1)
    entry = run(root)
    assert (counts(entry), entry.mark) == ((3, 1, 0), ("int", "30"))
    assert [part.rows + part.duplicates + part.rejected for part in entry.parts] == [2, 2]
    assert entry.parts[0].file == first.parts[0].file
    assert rows_of(root, entry, "user_id, amount") == [("a", 100.0), ("b", 2.0), ("c", 3.0)]
    assert entry.first_time == "2024-01-01T00:00:00"
    shop("INSERT INTO acts VALUES (5, 'e', '2025-01-05', 'x', 5, 5, 30)")
    assert [part.rows for part in run(root).parts] == [2, 2, 1]
    assert run(root).reused
    lay({"limner.yaml": CONFIG % ("${SHOP}", ", table: acts, cursor: changed")})
    assert counts(run(root)) == (5, 0, 0)  # mapped otherwise: read again from the start


def test_a_column_that_was_empty_until_now(lay: Lay, shop: Shop) -> None:
    shop("INSERT INTO acts VALUES (1, 'a', '2025-01-01', 'x', 1, NULL, 10)")
    root = lay({"limner.yaml": CONFIG % ("${SHOP}", ", table: acts, cursor: changed")})
    run(root)
    shop("INSERT INTO acts VALUES (2, 'b', '2025-01-01', 'x', 1, 7, 20)")
    entry = run(root)
    assert rows_of(root, entry, "user_id, p") == [("a", None), ("b", 7.0)]
    assert open_workspace(root).schema.event_fields["p"] == "number"


def test_missing_new_and_retyped_columns_of_a_table(lay: Lay, shop: Shop) -> None:
    shop("INSERT INTO acts VALUES (1, 'a', '2025-01-01', 'x', 1, 1, 10)")
    root = lay({"limner.yaml": CONFIG % ("${SHOP}", ", table: acts, cursor: changd")})
    with pytest.raises(SourceError) as caught:
        run(root)
    assert (caught.value.code, caught.value.issues[0].hint) == ("unknown-column", "did you mean 'changed'?")
    lay({"limner.yaml": CONFIG % ("${SHOP}", ", table: acts, cursor: changed")})
    run(root)
    shop("ALTER TABLE acts ADD COLUMN os TEXT", "INSERT INTO acts VALUES (2, 'a', '2025-01-02', 'x', 1, 1, 20, 'z')")
    assert run(root).notes == ("acts: new columns that are not mapped: os",)
    shop(
        "INSERT INTO acts VALUES (3, 'a', '2025-01-02', 'x', 1, 'low', 30, 'z'), (4, 'a', '2025-01-03', 'x', 1, 'high', 30, 'z')"
    )
    (plan,) = plan_sync(open_workspace(root))
    assert plan.retyped_columns == ("p",)
    with pytest.raises(SourceError, match="'p' was a number"):
        run(root)
    shop("DELETE FROM acts WHERE id > 2", "ALTER TABLE acts DROP COLUMN p")
    with pytest.raises(SourceError, match="acts has no column 'p'"):
        run(root)


def test_an_opened_workspace_asks_the_database_only_before_the_first_sync(
    lay: Lay, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop("INSERT INTO acts VALUES (1, 'a', '2025-01-01', 'x', 1, 1, 10)")
    root = lay({"limner.yaml": CONFIG % ("${SHOP}", ", table: acts")})
    run(root)
    monkeypatch.delenv("SHOP")
    assert open_workspace(root).schema.event_fields["p"] == "number"
    with pytest.raises(SourceError) as caught:
        run(root)
    assert (caught.value.code, caught.value.issues[0].where) == ("missing-variable", "limner.yaml:4:24")


def test_secrets_stay_out_of_files_and_messages(lay: Lay, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop("INSERT INTO acts VALUES (1, 'a', '2025-01-01', 'x', 1, 1, 10)")
    root = lay({"limner.yaml": CONFIG % ("sqlite:///${SHOP_FILE}", ", table: acts, cursor: changed")})
    monkeypatch.setenv("SHOP_FILE", str(shop.path))
    run(root)
    for path in (root / ".limner").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
    shop("DROP TABLE acts")
    for url in (
        "sqlite:///${SHOP_FILE}",
        "sqlite:////nowhere/${SHOP_FILE}/x",
        "${SHOP_FILE}",
        "postgresql://me:${PASS}@127.0.0.1:1/x",
    ):
        monkeypatch.setenv("PASS", "s3cret-password")
        lay({"limner.yaml": CONFIG % (url, ", table: acts, cursor: changed")})
        with pytest.raises(SourceError) as caught:
            run(root)
        assert caught.value.code in ("database-error", "missing-extra")
        assert "s3cret" not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "extra", "message"),
    [
        ("postgresql://me:hunter2@db/x", ", table: a", "a password in a file is no secret"),
        ("postgresql://db/x", "", "a database has many tables"),
        ("postgresql://db/x", ", table: a, path: a.csv", "either 'path' or 'url'"),
        ("postgresql://db/x", ", table: a, query: SELECT 1", "either 'table' or 'query'"),
    ],
)
def test_what_a_url_needs(lay: Lay, url: str, extra: str, message: str) -> None:
    root = lay({"limner.yaml": CONFIG % (url, extra)})
    with pytest.raises(DefinitionError, match=message) as caught:
        open_workspace(root)
    assert "hunter2" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_named(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> Any:
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", absent)
    for url, extra in (("sqlite://", "sql"), ("postgresql://127.0.0.1:1/x", "postgres")):
        root = lay({"limner.yaml": CONFIG % (url, ", table: acts")})
        with pytest.raises(UserError, match=rf"limner\[{extra}\]"):
            run(root)


@pytest.mark.parametrize(
    "value", [5, 2.5, "2025", Decimal("1.10"), datetime(2025, 1, 1, 10), datetime(2025, 1, 1).date()]
)
def test_marks_survive_the_manifest(value: Any) -> None:
    assert mark_value(mark_of(value)) == value
    assert type(mark_value(mark_of(value))) is type(value)


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    at = shutil.which("initdb") or (str(found[-1]) if found else None)
    return Path(at).resolve().parent if at else None


def _free_port() -> int:
    """A port below those that the system hands out by itself, so that no server of another test process takes it meanwhile."""
    for port in range(20_000 + os.getpid() % 5_000, 30_000):
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives in a temporary folder, owned by a user who is not root."""
    pytest.importorskip("adbc_driver_postgresql")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed here: no initdb")
    as_user: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        data, log = f"{folder}/data", f"{folder}/log"
        port = _free_port()

        def call(*command: str) -> None:
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120, **as_user)
            if done.returncode:
                pytest.skip(f"PostgreSQL does not start here: {(done.stderr or done.stdout).strip()[-300:]}")

        call(str(binaries / "initdb"), "-D", data, "-U", "limner", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        call(str(binaries / "pg_ctl"), "-D", data, "-l", log, "-w", "-o", options, "start")
        try:
            yield f"postgresql://limner:s3cret@127.0.0.1:{port}/postgres"
        finally:
            stop = [str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "stop"]
            subprocess.run(stop, capture_output=True, cwd=folder, timeout=60, check=True, **as_user)


def test_postgresql(lay: Lay, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dbapi: Any = importlib.import_module("adbc_driver_postgresql.dbapi")

    def do(*statements: str) -> None:
        with dbapi.connect(server) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    do(
        "CREATE SCHEMA app",
        'CREATE TABLE app."Acts" (id uuid, u bigint, t timestamptz, e text, n numeric(9, 2), p jsonb, changed timestamp)',
        """INSERT INTO app."Acts" VALUES
        ('00000000-0000-0000-0000-000000000001', 7, '2025-01-01 08:00+08', '读', 1.25, '{"a": 1}', '2025-01-01 10:00:00.123456'),
        ('00000000-0000-0000-0000-000000000002', NULL, '2025-01-01', 'x', 1, NULL, '2025-01-01 10:00:00')""",
    )
    monkeypatch.setenv("PASSWORD", "s3cret")
    url = server.replace("s3cret", "${PASSWORD}")
    root = lay({"limner.yaml": CONFIG % (url, ", table: app.Acts, cursor: changed, event_id: id")})
    first = run(root)
    assert counts(first) == (1, 0, 1)
    assert first.mark == ("datetime", "2025-01-01T10:00:00.123456")
    assert rows_of(root, first, "user_id, time, event, amount, p") == [
        ("7", datetime(2025, 1, 1), "读", 1.25, '{"a": 1}')
    ]
    assert run(root).reused
    do(
        """INSERT INTO app."Acts" VALUES
        ('00000000-0000-0000-0000-000000000003', 8, '2024-01-01', 'x', 2, NULL, '2025-01-01 10:00:00.123456')""",
        """UPDATE app."Acts" SET n = 5, changed = '2025-02-01' WHERE u = 7""",
    )
    entry = run(root)
    assert (counts(entry), [part.rows for part in entry.parts]) == ((2, 1, 1), [1, 2])
    assert rows_of(root, entry, "user_id, amount") == [("7", 5.0), ("8", 2.0)]
    manifest = (root / ".limner" / "ingested.json").read_text(encoding="utf-8")
    assert "s3cret" not in manifest
    assert len(read_manifest(root / ".limner")) == 1
    query = "SELECT u, t, e, n, p FROM app.\"Acts\" WHERE e LIKE ''读%'';"
    lay({"limner.yaml": CONFIG % (url, f", query: '{query}'")})
    assert rows_of(root, run(root), "user_id") == [("7",)]
    lay({"limner.yaml": CONFIG % (url, ", table: app.nothing")})
    with pytest.raises(SourceError) as caught:
        run(root)
    assert caught.value.code == "database-error"
    assert "nothing" in str(caught.value)
    assert "s3cret" not in str(caught.value)
