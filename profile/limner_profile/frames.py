"""Tables in memory: frames of pandas, polars or Arrow as a source, and what is known of their columns. Imports errors only."""

from __future__ import annotations

import hashlib
from typing import Any

import duckdb

from limner_profile.errors import Issue, SourceError


def as_arrow(frame: Any, where: str) -> Any:
    """The frame as a pyarrow Table: of pandas, of polars (lazy ones are collected), or Arrow already; raises SourceError."""
    import pyarrow as pa

    if hasattr(frame, "collect"):
        frame = frame.collect()
    try:
        if isinstance(frame, pa.Table):
            return frame
        if isinstance(frame, pa.RecordBatch):
            return pa.Table.from_batches([frame])
        if isinstance(frame, pa.RecordBatchReader):
            return frame.read_all()
        if hasattr(frame, "to_arrow"):
            return frame.to_arrow()
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, AttributeError, TypeError) as error:
        first = str(error).splitlines()[0]
        message = f"a {type(frame).__name__} cannot be read as a table: {first}"
        hint = "give a frame of pandas, polars or pyarrow whose columns have one type each"
        raise SourceError(Issue("bad-frame", where, message, hint)) from None


def table_columns(table: Any) -> dict[str, str]:
    """Column name to DuckDB type."""
    with duckdb.connect() as con:
        con.register("frame_of_columns", table)
        return {str(row[0]): str(row[1]) for row in con.execute("DESCRIBE SELECT * FROM frame_of_columns").fetchall()}


def table_digest(table: Any) -> str:
    """Hex digits that change with the content of a table: its names, types, rows and their order."""
    import pyarrow as pa

    digest = hashlib.sha256()
    digest.update(str(table.schema.remove_metadata()).encode())
    sink = pa.BufferOutputStream()
    batches = table.replace_schema_metadata(None).combine_chunks().to_batches(max_chunksize=1 << 20)
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        for batch in batches:
            writer.write_batch(batch)
    digest.update(memoryview(sink.getvalue()))
    return digest.hexdigest()
