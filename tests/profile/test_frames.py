"""Frames of pandas, polars and Arrow as sources."""
# ruff: noqa: DTZ001  (stored instants are UTC without a zone, and so are the ones compared with them)

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from limner_profile.errors import SourceError
from limner_profile.ingest import ingest, read_ingested
from limner_profile.manifest import Ingested
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

CONFIG = (
    "name: t\ntimezone: Asia/Shanghai\nsources:\n"
    "  acts: {type: events, path: frame, user: u, time: t, event: e, amount: n, properties: [p]}\n"
)
ROWS: dict[str, list[Any]] = {
    "u": ["b", "a", "a", None],
    "t": [datetime(2025, 1, 2, 8), datetime(2025, 1, 1, 8), datetime(2025, 1, 1, 8), datetime(2025, 1, 1, 8)],
    "e": ["x", "y", "y", "x"],
    "n": [1.5, None, None, 1.0],
    "p": [1, 2, 2, 3],
}


def give(root: Path, frame: Any) -> Ingested:
    (entry,) = ingest(open_workspace(root), frames={"acts": frame})
    return entry


def rows_of(root: Path, entry: Ingested) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        files = [str(root / ".limner" / file) for file in entry.files]
        return con.execute("SELECT user_id, time, event, amount, p FROM read_parquet(?)", [files]).fetchall()


def polars_frame(rows: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("polars").DataFrame(rows)


@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        pa.table,
        pa.RecordBatch.from_pydict,
        lambda rows: pa.table(rows).to_reader(),
        polars_frame,
        lambda rows: polars_frame(rows).lazy(),
    ],
    ids=["pandas", "arrow", "batch", "reader", "polars", "lazy"],
)
def test_every_kind_of_frame_gives_the_same(lay: Lay, make: Callable[[dict[str, list[Any]]], Any]) -> None:
    root = lay({"limner.yaml": CONFIG})
    entry = give(root, make(ROWS))
    assert (entry.rows, entry.duplicates, entry.rejected) == (2, 1, 1)
    assert sorted(rows_of(root, entry), key=lambda row: row[0]) == [
        ("a", datetime(2025, 1, 1), "y", None, 2.0),
        ("b", datetime(2025, 1, 2), "x", 1.5, 1.0),
    ]
    assert give(root, make(ROWS)).reused


def test_a_frame_replaces_the_one_before_and_stays_until_then(lay: Lay) -> None:
    root = lay({"limner.yaml": CONFIG})
    with pytest.raises(SourceError) as caught:
        ingest(open_workspace(root))
    assert (caught.value.code, caught.value.issues[0].where) == ("no-frame", "limner.yaml:4:24")
    first = give(root, pd.DataFrame(ROWS))
    (kept,) = ingest(open_workspace(root))
    assert (kept.reused, kept.files) == (True, first.files)
    assert open_workspace(root).schema.event_fields["p"] == "number"
    entry = give(root, pd.DataFrame(ROWS).iloc[:1])
    assert [row[0] for row in rows_of(root, entry)] == ["b"]
    assert not (root / ".limner" / first.files[0]).exists()
    lay({"limner.yaml": CONFIG.replace("amount: n, ", "")})
    with pytest.raises(SourceError, match="mapped otherwise"):
        ingest(open_workspace(root))


def test_frames_that_do_not_fit(lay: Lay) -> None:
    root = lay({"limner.yaml": CONFIG})
    for frame, code in (
        (pd.DataFrame(ROWS).drop(columns="p"), "unknown-column"),
        (pd.DataFrame({**ROWS, "p": [1, "x", [], {}]}), "bad-frame"),
        (42, "bad-frame"),
        (pd.DataFrame(ROWS).iloc[:0], "empty-source"),
    ):
        with pytest.raises(SourceError) as caught:
            give(root, frame)
        assert caught.value.code == code
    assert read_ingested(open_workspace(root)) == []


def test_only_one_source_is_synced_where_that_is_asked(lay: Lay) -> None:
    more = CONFIG + "  more: {type: events, path: 'm.csv', user: u, time: t, event_name: x}\n"
    root = lay({"limner.yaml": more, "m.csv": "u,t\na,2025-01-01\n"})
    workspace = open_workspace(root)
    (entry,) = ingest(workspace, frames={"acts": pa.table(ROWS)}, only=["acts"])
    assert [kept.source for kept in read_ingested(workspace)] == ["acts"]
    both = ingest(open_workspace(root))
    assert [(kept.source, kept.reused) for kept in both] == [("acts", True), ("more", False)]
    (again,) = ingest(open_workspace(root), frames={"acts": pa.table(ROWS)}, only=["acts"])
    assert again.reused
    assert again.files == entry.files
    assert [kept.source for kept in read_ingested(workspace)] == ["acts", "more"]
