"""The generated reading app: the same arguments give the same bytes, and the committed data are what it writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from limner_samples.reading import generator, truth
from limner_samples.reading.behaviour import PLAN_WEEKS
from limner_samples.reading.log import PLAN_AMOUNTS

READING = Path(generator.__file__).parent
DATA = READING / "data"
NAMES = ("users", "events", "orders", "campaigns")


def plain(table: pa.Table) -> pa.Table:
    """The table with dictionaries undone, as a reader of the file sees it."""
    fields = [pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(fields))


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = generator.write_sample(tmp_path / "a", users=400, seed=11)
    second = generator.write_sample(tmp_path / "b", users=400, seed=11)
    other = generator.write_sample(tmp_path / "c", users=400, seed=12)
    assert first == second
    assert first["events.parquet"] != other["events.parquet"]
    for name in NAMES:
        assert (tmp_path / "a" / f"{name}.parquet").read_bytes() == (tmp_path / "b" / f"{name}.parquet").read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(f"{name}.parquet" for name in NAMES)


def test_the_committed_files_hold_what_the_generator_writes() -> None:
    sample = generator.generate(generator.SAMPLE_USERS, generator.SAMPLE_SEED)
    for name in NAMES:
        committed = pq.read_table(DATA / f"{name}.parquet")
        assert committed.equals(plain(getattr(sample, name))), f"{name}.parquet is stale"


def test_the_committed_files_are_small() -> None:
    assert sum(path.stat().st_size for path in DATA.glob("*.parquet")) < 3_000_000


def test_encodings_are_those_that_every_supported_duckdb_reads() -> None:
    # BYTE_STREAM_SPLIT would save a tenth, but DuckDB 1.5 reads it for floats only.
    allowed = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "DELTA_BINARY_PACKED"}
    for path in DATA.glob("*.parquet"):
        group = pq.ParquetFile(path).metadata.row_group(0)
        used = {code for column in range(group.num_columns) for code in group.column(column).encodings}
        assert used <= allowed, path.name


def test_rows_reported_are_rows_written_and_progress_ends_at_one(tmp_path: Path) -> None:
    heard: list[float] = []
    counts = generator.write_sample(tmp_path, users=300, seed=1, progress=heard.append)
    assert counts["users.parquet"] == 300
    assert counts == {f"{name}.parquet": pq.read_metadata(tmp_path / f"{name}.parquet").num_rows for name in NAMES}
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


def test_users_in_several_chunks_are_distinct_and_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "CHUNK_USERS", 150)
    sample = generator.generate(400, seed=5)
    assert sample.users["user_id"].to_pylist() == [f"u{number:06d}" for number in range(400)]
    registered = sample.users["registered_at"].to_pylist()
    assert registered == sorted(registered)
    acting = set(plain(sample.events)["user_id"].to_pylist()) - {None}
    assert acting <= set(sample.users["user_id"].to_pylist())
    assert max(acting) > "u000300"


@pytest.mark.parametrize("users", [0, -3])
def test_no_users_is_an_error(users: int) -> None:
    with pytest.raises(ValueError, match="at least one user"):
        generator.generate(users)


def test_one_user_is_enough(tmp_path: Path) -> None:
    assert generator.write_sample(tmp_path, users=1)["users.parquet"] == 1


def test_log_is_in_the_order_of_arrival_with_late_double_and_broken_rows() -> None:
    events = pq.read_table(DATA / "events.parquet")
    received = events["received_at"].cast(pa.int64()).to_numpy()
    assert (received[1:] >= received[:-1]).all()
    lag = pc.subtract(events["received_at"].cast(pa.int64()), events["time"].cast(pa.int64()))
    assert pc.min(lag).as_py() > 0
    late = pc.mean(pc.cast(pc.greater(lag, 3_000_000), pa.float64())).as_py()
    assert 0.015 < late < 0.025
    twice = events.num_rows - pc.count_distinct(events["event_id"]).as_py()
    assert 0.003 < twice / events.num_rows < 0.007
    # A row that was broken after it was doubled differs from its twin, so a few may be distinct by content.
    whole = events.group_by(events.column_names).aggregate([]).num_rows
    assert 0 <= whole - (events.num_rows - twice) <= 3
    assert events["user_id"].null_count == generator.BROKEN_ROWS
    assert events["time"].null_count == generator.BROKEN_ROWS


def test_the_year_is_2025_and_columns_are_as_promised() -> None:
    events = pq.read_table(DATA / "events.parquet")
    for column in (events["time"], events["received_at"], pq.read_table(DATA / "orders.parquet")["time"]):
        assert str(pc.min(column).as_py()) >= "2025-01-01"
        assert str(pc.max(column).as_py()) < "2026-01-01"
    assert set(events["event"].to_pylist()) == {"login", "read", "search", "share", "comment", "add_to_shelf"}
    reads = pc.equal(events["event"], "read")
    assert events.filter(reads)["minutes"].null_count == 0
    assert events.filter(pc.invert(reads))["minutes"].null_count == events.num_rows - pc.sum(reads).as_py()
    users = pq.read_table(DATA / "users.parquet")
    assert str(pc.min(users["registered_at"]).as_py()) < "2023-01-01"
    share = {name: users[name].null_count / users.num_rows for name in ("gender", "birth_year", "city")}
    assert share == pytest.approx({"gender": 0.18, "birth_year": 0.30, "city": 0.08}, abs=0.02)
    assert pc.min(users["birth_year"]).as_py() == 1900


def test_nobody_acts_before_the_registration() -> None:
    users = pq.read_table(DATA / "users.parquet", columns=["user_id", "registered_at"])
    joined = pq.read_table(DATA / "events.parquet", columns=["user_id", "time"]).join(
        users, "user_id", join_type="inner"
    )
    assert pc.all(pc.greater_equal(joined["time"], joined["registered_at"])).as_py()


def test_truth_file_is_not_stale() -> None:
    assert (READING / "TRUTH.md").read_text(encoding="utf-8") == truth.render_truth()


def test_plans_have_a_length_and_an_amount_each() -> None:
    assert len(PLAN_AMOUNTS) == len(PLAN_WEEKS)
