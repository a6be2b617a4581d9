"""The snapshot store: publish, derive, prune, roll back; locks; builds killed, failing or out of space; readers at work."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from limner_profile.disk import writing
from limner_profile.errors import BusyError, UnknownNameError, UserError
from limner_profile.snapshots import SnapshotStore

ZONE = ZoneInfo("Asia/Shanghai")
AS_OF = datetime(2025, 2, 28, 16, tzinfo=UTC)  # 1 March in Shanghai
PROFILE = str(Path(sys.modules["limner_profile.snapshots"].__file__ or "").parents[1])

START = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo
from limner_profile.snapshots import SnapshotStore
store, zone, as_of = SnapshotStore(Path(sys.argv[1])), ZoneInfo("Asia/Shanghai"), datetime(2025, 2, 28, 16, tzinfo=UTC)
"""


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / ".limner")


def publish(store: SnapshotStore, value: int, *, keep: int = 10, derive: bool = False) -> str:
    with store.create(AS_OF, ZONE, keep, derive=derive) as writer:
        writer.connection.execute("CREATE OR REPLACE TABLE facts AS SELECT CAST(? AS INTEGER) AS n", [value])
        return writer.id


@contextmanager
def process(store: SnapshotStore, script: str) -> Iterator[subprocess.Popen[str]]:
    """A process of Python that has `store` at hand, once it has printed its first line."""
    running = subprocess.Popen(
        [sys.executable, "-c", START + textwrap.dedent(script), str(store.state)],
        env={**os.environ, "PYTHONPATH": PROFILE}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        assert running.stdout.readline().strip() == "ready"
        yield running
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def value_in(store: SnapshotStore) -> int:
    with store.open() as snapshot:
        return int(snapshot.value("SELECT n FROM facts"))


def fingerprint(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def test_before_the_first_build(store: SnapshotStore) -> None:
    assert (store.ids(), store.current_id()) == ([], None)
    with pytest.raises(UnknownNameError) as caught:
        store.open()
    assert caught.value.code == "no-snapshot"
    with pytest.raises(UnknownNameError), store.create(AS_OF, ZONE, 3, derive=True):
        pytest.fail("there is nothing to derive from")
    assert store.ids() == []


def test_a_published_snapshot_says_what_it_is(store: SnapshotStore) -> None:
    with store.create(AS_OF, ZONE, 3) as writer:
        with writer.run("step", "on what") as count:
            count.rows = 7
        assert store.current_id() is None  # nothing is published before the block ends
    assert store.ids() == ["20250301-0001"]
    assert store.current_id() == writer.id == "20250301-0001"
    assert sorted(path.name for path in store.folder.iterdir()) == ["20250301-0001.duckdb", "CURRENT"]
    with store.open() as snapshot:
        assert (snapshot.as_of, snapshot.as_of_text) == (AS_OF, "2025-03-01")
        (run,) = snapshot.rows("SELECT snapshot, step, rows, detail FROM runs")
        assert run == {"snapshot": "20250301-0001", "step": "step", "rows": 7, "detail": "on what"}
        assert "as_of" in snapshot.columns("snapshot")
        with pytest.raises(duckdb.Error):
            snapshot.rows("CREATE TABLE t (i INTEGER)")


def test_an_as_of_in_another_zone_is_the_same_instant(store: SnapshotStore) -> None:
    with store.create(AS_OF.astimezone(ZoneInfo("America/New_York")) + timedelta(hours=1), ZONE, 3):
        pass
    with store.open() as snapshot:
        assert snapshot.as_of == AS_OF + timedelta(hours=1)
        assert snapshot.as_of_text == "2025-03-01T01:00:00+08:00"


def test_deriving_copies_and_never_writes_the_published_file(store: SnapshotStore) -> None:
    first = publish(store, 1)
    path = store.folder / f"{first}.duckdb"
    before = fingerprint(path)
    with store.create(AS_OF, ZONE, 5, derive=True) as writer:
        writer.connection.execute("INSERT INTO facts VALUES (2)")
    assert fingerprint(path) == before
    with store.open() as new, store.open(first) as old:
        assert new.rows("SELECT n FROM facts ORDER BY n") == [{"n": 1}, {"n": 2}]
        assert new.rows("SELECT id, parent FROM snapshot") == [{"id": "20250301-0002", "parent": first}]
        assert old.rows("SELECT n FROM facts") == [{"n": 1}]
    assert fingerprint(path) == before


def test_only_the_newest_are_kept_and_never_less_than_the_current(store: SnapshotStore) -> None:
    for value in range(4):
        publish(store, value, keep=2)
    assert store.ids() == ["20250301-0003", "20250301-0004"]
    (store.folder / "CURRENT").write_text("20250301-0003\n", encoding="utf-8")  # rolled back
    assert value_in(store) == 2
    assert publish(store, 9, keep=1) == "20250301-0005"
    assert store.ids() == ["20250301-0005"]


def test_ids_go_on_after_four_digits_and_over_days(store: SnapshotStore) -> None:
    publish(store, 1)
    (store.folder / "20250301-0001.duckdb").rename(store.folder / "20250301-9999.duckdb")
    (store.folder / "CURRENT").write_text("20250301-9999\n", encoding="utf-8")
    assert publish(store, 2) == "20250301-10000"
    with store.create(AS_OF - timedelta(days=30), ZONE, 5) as writer:
        assert writer.id == "20250130-10001"
    assert store.ids() == ["20250301-9999", "20250301-10000", "20250130-10001"]


def test_an_unknown_snapshot_gets_a_hint(store: SnapshotStore) -> None:
    publish(store, 1)
    with pytest.raises(UnknownNameError) as caught:
        store.open("20250301-0002")
    assert caught.value.issues[0].hint == "kept: 20250301-0001"
    (store.folder / "CURRENT").write_text("20250301-0009\n", encoding="utf-8")
    with pytest.raises(UnknownNameError), store.create(AS_OF, ZONE, 3, derive=True):
        pytest.fail("CURRENT names a snapshot that is gone")


@pytest.mark.parametrize("derive", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_in_the_block_leaves_the_current_one(
    store: SnapshotStore, error: type[BaseException], derive: bool
) -> None:
    publish(store, 1)

    def build() -> None:
        with store.create(AS_OF, ZONE, 3, derive=derive) as writer:
            writer.connection.execute("CREATE OR REPLACE TABLE facts AS SELECT 2 AS n")
            raise error

    with pytest.raises(error):
        build()
    assert sorted(path.name for path in store.folder.iterdir()) == ["20250301-0001.duckdb", "CURRENT"]
    assert value_in(store) == 1
    assert publish(store, 3) == "20250301-0002"


def test_one_writer_at_a_time_over_processes(store: SnapshotStore) -> None:
    publish(store, 1)
    script = """
    import time
    with store.create(as_of, zone, 3):
        print("ready", flush=True)
        time.sleep(60)
    """
    with process(store, script):
        with pytest.raises(BusyError) as caught, store.create(AS_OF, ZONE, 3):
            pytest.fail("two builds at once")
        assert caught.value.code == "workspace-busy"
        assert value_in(store) == 1  # readers are not in the way
    assert publish(store, 2) == "20250301-0002"  # the killed holder's lock is free again


def test_the_lock_is_held_twice_by_one_thread_but_not_by_two(store: SnapshotStore) -> None:
    outcome: list[str] = []

    def try_it() -> None:
        try:
            with store.lock():
                outcome.append("held")
        except BusyError:
            outcome.append("busy")

    with store.lock(), store.lock():
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        publish(store, 1)
    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    assert outcome == ["busy", "held"]


def test_a_build_killed_at_any_moment_leaves_the_last_one_whole(store: SnapshotStore) -> None:
    publish(store, 0)
    script = """
    print("ready", flush=True)
    value = 0
    while True:
        value += 1
        with store.create(as_of, zone, 3, derive=value % 2 == 0) as writer:
            writer.connection.execute("CREATE OR REPLACE TABLE facts AS SELECT 1 AS n")
            writer.connection.execute(
                "CREATE OR REPLACE TABLE many AS SELECT i, hash(i) AS h FROM range(200000) AS r(i)")
        print("built", flush=True)
    """
    rng = random.Random(7)
    published = set()
    for number in range(8):
        with process(store, script) as builder:
            if number % 2:
                # However slow the machine is, some builds come to their end before the kill.
                assert builder.stdout is not None
                builder.stdout.readline()
            time.sleep(rng.uniform(0, 0.35))
            builder.send_signal(signal.SIGKILL)
        current = store.current_id()
        assert current in store.ids()
        published.add(current)
        for name in store.ids():
            with store.open(name) as snapshot:
                assert snapshot.value("SELECT id FROM snapshot") == name
                if snapshot.value("SELECT n FROM facts") == 1:
                    assert snapshot.value("SELECT count(*) FROM many WHERE h = hash(i)") == 200_000
    assert len(published) > 1, "no build came to its end between the kills"
    publish(store, 5)
    assert value_in(store) == 5
    assert not [path.name for path in store.folder.iterdir() if ".tmp" in path.name]  # what the killed ones left


def test_readers_go_on_while_snapshots_are_published(store: SnapshotStore) -> None:
    publish(store, 0)
    seen: list[int] = []
    done = threading.Event()
    with store.open() as held:

        def read() -> None:
            while not done.is_set():
                assert held.value("SELECT n FROM facts") == 0
                seen.append(value_in(store))

        reader = threading.Thread(target=read)
        reader.start()
        for value in range(1, 7):
            publish(store, value, keep=2)
        done.set()
        reader.join()
        assert held.value("SELECT n FROM facts") == 0  # though its file has been pruned by now
    assert seen
    assert seen == sorted(seen)
    assert value_in(store) == 6


def test_a_full_disk_leaves_the_current_one(store: SnapshotStore) -> None:
    publish(store, 1)
    script = """
    from limner_profile.errors import UserError
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    print("ready", flush=True)
    for derive in (False, True):
        try:
            with store.create(as_of, zone, 3, derive=derive) as writer:
                writer.connection.execute("CREATE TABLE many AS SELECT hash(i) AS h FROM range(1000000) AS r(i)")
        except UserError as error:
            print(error.code, flush=True)
    """
    with process(store, script) as full:
        assert full.stdout is not None
        assert full.stdout.read().split() == ["disk-full", "disk-full"]
    assert sorted(path.name for path in store.folder.iterdir()) == ["20250301-0001.duckdb", "CURRENT"]
    assert value_in(store) == 1


def test_what_the_system_refuses_is_told_with_a_remedy(tmp_path: Path) -> None:
    for number, code in ((28, "disk-full"), (13, "cannot-write"), (30, "cannot-write")):
        for error in (OSError(number, os.strerror(number)), duckdb.IOException(f"Cannot write: {os.strerror(number)}")):
            with pytest.raises(UserError) as caught, writing(tmp_path):
                raise error
            assert caught.value.code == code
            assert caught.value.issues[0].hint
            assert caught.value.__cause__ is error
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        raise FileNotFoundError(2, "gone")
    with pytest.raises(duckdb.BinderException), writing(tmp_path):
        raise duckdb.BinderException("something else")
