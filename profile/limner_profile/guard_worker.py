"""The process in which SQL of strangers runs: one request on stdin, one answer on stdout, then the end.

Started by `guarded` with `python -m limner_profile.guard_worker`. Limits itself before it looks at the query.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.errors import Issue, QueryError
from limner_profile.guarded import encode, out_of_memory, timed_out
from limner_profile.query import explain_error
from limner_profile.readers import READ_CONFIG
from limner_profile.snapshots import Snapshot
from limner_profile.sql_guard import check_sql

_LARGEST = 32_000_000  # characters of an answer


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request: columns and rows, or the issue."""
    megabytes, limit = int(request["megabytes"]), int(request["rows"])
    path = Path(request["path"])
    settings = {**READ_CONFIG, "memory_limit": f"{max(megabytes // 2, 64)}MB", "temp_directory": ""}
    try:
        with Snapshot(path.stem, path, duckdb.connect(str(path), read_only=True, config=settings)) as snapshot:
            tables = [row["table_name"] for row in snapshot.rows("SELECT table_name FROM duckdb_tables()")]
            _limit_memory(megabytes)
            timer = threading.Timer(float(request["seconds"]), snapshot.connection.interrupt)
            timer.start()
            try:
                check_sql(snapshot.connection, request["sql"], tables)
                return _run(snapshot.connection, request["sql"], limit)
            except duckdb.InterruptException:
                return {"issue": asdict(timed_out(request["seconds"]))}
            except duckdb.OutOfMemoryException:
                return {"issue": asdict(out_of_memory(megabytes))}
            except duckdb.Error as error:
                if "bad_alloc" in str(error) or "allocate" in str(error).lower():
                    return {"issue": asdict(out_of_memory(megabytes))}
                return {"issue": asdict(explain_error(error, snapshot).issues[0])}
            finally:
                timer.cancel()
    except QueryError as error:
        return {"issue": asdict(error.issues[0])}
    except (MemoryError, RecursionError):
        return {"issue": asdict(out_of_memory(megabytes))}


def _run(connection: duckdb.DuckDBPyConnection, sql: str, limit: int) -> dict[str, Any]:
    relation = connection.sql(sql)
    columns, kinds = list(relation.columns), [str(kind) for kind in relation.types]
    zoned = {index for index, kind in enumerate(kinds) if kind == "TIMESTAMP WITH TIME ZONE"}
    if any("WITH TIME ZONE" in kind for kind in kinds):
        # By their place, since two columns may have one name.
        chosen = ", ".join(_readable(f"#{index}", kind) for index, kind in enumerate(kinds, 1))
        relation = relation.project(chosen)
    found = relation.limit(limit + 1).fetchall()
    if len(found) > limit:
        message = f"the result has more than {limit:,} rows"
        return {"issue": asdict(Issue("result-too-large", "sql", message, "aggregate, or add LIMIT"))}
    rows = [
        [["datetime", value] if index in zoned and value else encode(value) for index, value in enumerate(row)]
        for row in found
    ]
    return {"columns": columns, "rows": rows}


def _readable(column: str, kind: str) -> str:
    # DuckDB turns instants with a time zone into Python's by a library that need not be there: they travel as UTC.
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%f+00:00')"
    return f"CAST({column} AS VARCHAR)" if "WITH TIME ZONE" in kind else column


def _limit_memory(megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: DuckDB's own limit and the list of functions are all there is
        return
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        standing = pages * resource.getpagesize()
    except OSError:
        standing = 1 << 30
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # not one byte into any file
    allowance = standing + megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (allowance, allowance))


if __name__ == "__main__":
    text = json.dumps(answer(json.load(sys.stdin)))
    if len(text) > _LARGEST:
        words = f"the result has more than {_LARGEST // 1_000_000} MB of text"
        issue = Issue("result-too-large", "sql", words, "choose fewer columns or rows")
        text = json.dumps({"issue": asdict(issue)})
    sys.stdout.write(text)
