"""The process that writes a snapshot anew from files, started by `erasure_rewrite` and told of nobody who was erased.

DuckDB fills the unused ends of blocks with what the memory of its process held (its issue 23382). This one has never
read an erased row. Reads the job as JSON from stdin; imports nothing of Limner.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import duckdb


def main() -> None:
    """Make the database of the job: its tables, their rows from Parquet files, then the rest of the schema."""
    job = json.load(sys.stdin)
    with duckdb.connect(job["target"]) as connection:
        connection.execute("SET threads = 2")
        connection.execute("SET temp_directory = ?", [job["spill"]])
        connection.execute("SET file_search_path = ?", [job["search"]])
        for statement in job["before"]:
            connection.execute(statement)
        for table, file in job["rows"]:
            connection.execute(f"INSERT INTO {table} SELECT * FROM read_parquet(?)", [file])
        for statement in job["after"]:
            connection.execute(statement)
        for statements in job["views"]:
            with suppress(duckdb.IOException):  # the view of an old snapshot, whose files have gone
                for statement in statements:
                    connection.execute(statement)
        connection.execute("CHECKPOINT")


if __name__ == "__main__":
    main()
