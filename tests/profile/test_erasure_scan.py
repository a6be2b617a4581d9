"""Looking for ids: in whatever columns there are, by themselves and not within longer ones, however they are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_profile.erasure_list import ErasureList, leave_out_erased, read_erasures, write_erasures
from limner_profile.erasure_scan import scan, trace_file, wanted_ids
from limner_profile.errors import DefinitionError, RefusedError

ODD = ["o'brien+42", "a.b*c(1)2", "名字-12", 'q"uo te-7', "back\\slash1", "x[0-9]{2}|y", "user-0042", "a@b.de"]


def parquet(path: Path, **columns: Sequence[object]) -> Path:
    import pyarrow as pa

    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.register("frame", pa.table(columns))
        connection.execute(f"COPY (SELECT * FROM frame) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return path


@pytest.mark.parametrize("id_", ODD)
def test_odd_ids_are_found_by_themselves_only(tmp_path: Path, id_: str) -> None:
    wanted = wanted_ids([id_], everywhere=True)
    texts = [id_, f"about {id_}, and more", f"{id_}9", f"z{id_}", f"[{id_}][{id_}]", "nothing", None]
    path = parquet(tmp_path / "events" / "e.parquet", user_id=[id_, *"bcdefg"], text=[*texts[1:], id_])
    (trace,) = trace_file(tmp_path, path, wanted)
    assert (trace.rows, trace.named) == (1, {"text": 2})  # the first row is the person's own
    (tmp_path / "m.json").write_text(
        json.dumps([f"{id_}9", id_], ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')
    )
    assert [trace.values for trace in trace_file(tmp_path, tmp_path / "m.json", wanted)] == [1]


def test_tables_and_columns_are_found_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "snapshots" / "s.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE anything (n INTEGER, user_id VARCHAR, names VARCHAR[])")
        connection.execute("INSERT INTO anything VALUES (1, 'user-0042', NULL), (2, 'b', ['user-0042', 'c'])")
        connection.execute("CREATE TABLE other (json JSON); INSERT INTO other VALUES ('{\"user-0042\": 3}'), ('{}')")
        connection.execute("CREATE TABLE clean (user_id VARCHAR); INSERT INTO clean VALUES ('user-00421')")
    found = {trace.place.split()[-1]: (trace.rows, trace.named) for trace in scan(tmp_path, wanted_ids(["user-0042"]))}
    assert found == {"anything": (1, {"names": 1}), "other": (0, {"json": 1})}


def test_bytes_that_no_value_explains_are_found(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (user_id VARCHAR); INSERT INTO t VALUES ('user-0042')")
        connection.execute("CHECKPOINT")
        connection.execute("DELETE FROM t")
    # A row that was deleted in place is no value any more, and its bytes are still there: why files are written anew.
    (trace,) = trace_file(tmp_path, path, wanted_ids(["user-0042"]))
    assert trace.rows == 0
    assert trace.named["(bytes)"] > 0
    with duckdb.connect(str(tmp_path / "l.duckdb")) as connection:
        connection.execute("CREATE TABLE t (user_id VARCHAR); INSERT INTO t VALUES ('user-00421')")
    assert trace_file(tmp_path, tmp_path / "l.duckdb", wanted_ids(["user-0042"])) == []


def test_words_and_short_numbers_count_in_columns_of_ids_only(tmp_path: Path) -> None:
    path = parquet(tmp_path / "events" / "e.parquet", user_id=["7", "b"], size=["7", "7"])
    assert [(trace.rows, trace.named) for trace in trace_file(tmp_path, path, wanted_ids(["7"]))] == [(1, {})]
    found = trace_file(tmp_path, path, wanted_ids(["7"], everywhere=True))
    assert [(trace.rows, trace.named) for trace in found] == [(1, {"size": 1})]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RefusedError, match=r"a\.parquet"):
        scan(tmp_path, wanted_ids(["user-0042"]))


def test_the_erasure_list_holds_no_ids_and_is_checked(tmp_path: Path) -> None:
    erasures = ErasureList().with_ids(["user-0042", "7"], ["user-0042"])
    write_erasures(tmp_path, erasures)
    text = (tmp_path / "erased.txt").read_text(encoding="utf-8")
    assert "0042" not in text.replace(erasures.salt, "").split("salt:")[0]
    again = read_erasures(tmp_path)
    assert again == erasures
    assert ["user-0042" in again, "7" in again, "8" in again] == [True, True, False]
    assert "7" not in again.without_ids(["7"])
    (tmp_path / "erased.txt").write_text(text.replace("salt: ", "# "), encoding="utf-8")
    with pytest.raises(DefinitionError, match="the line 'salt: …' is missing"):
        read_erasures(tmp_path)
    (tmp_path / "erased.txt").write_text(text + "anna\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"erased.txt:7:1  this line is no digest"):
        read_erasures(tmp_path)


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(st.lists(_texts, min_size=1, max_size=12), st.data())
def test_ingestion_leaves_out_whoever_is_on_the_list(users: list[str], data: st.DataObject) -> None:
    erased = set(data.draw(st.lists(st.sampled_from(users), max_size=4)))
    with duckdb.connect() as connection:
        connection.execute("CREATE TEMP TABLE read_rows (user_id VARCHAR, friend VARCHAR, _problem VARCHAR)")
        connection.executemany(
            "INSERT INTO read_rows VALUES (?, ?, NULL)", [[user, user] for user in users] + [["x9", users[0]]]
        )
        connection.execute("CREATE TEMP TABLE rejected (value VARCHAR)")
        connection.execute("INSERT INTO rejected VALUES (?), (NULL)", [users[0]])
        count = leave_out_erased(connection, ErasureList().with_ids(erased, erased))
        left = connection.execute("SELECT user_id, friend FROM read_rows").fetchall()
        value = connection.execute("SELECT value FROM rejected LIMIT 1").fetchall()[0][0]
    assert count == sum(user in erased for user in users)
    kept = [(user, user) for user in users if user not in erased]
    assert sorted(left[:-1]) == sorted(kept)
    assert left[-1] == ("x9", None if users[0] in erased else users[0])
    assert value == (None if users[0] in erased else users[0])
