"""SQL of strangers (a dashboard's visitor, the network) against a snapshot: in a process of its own, within hard limits.

The worker opens the snapshot read-only without files, network or settings, has so much memory and time and may write no file;
the query must pass `sql_guard`. What it gives comes back as JSON, so that nothing of the worker is trusted. Imports errors, query.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from limner_profile.errors import InternalError, Issue, QueryError
from limner_profile.query import QueryResult

_GRACE = 10.0  # seconds to start Python and to say that time is up, before the process is killed
_KEPT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "TZDIR")  # nothing else of the environment is the worker's business


def run_guarded(path: Path, sql: str, seconds: float = 10.0, megabytes: int = 1024, rows: int = 10_000) -> QueryResult:
    """The result of one harmless SELECT on a snapshot's file.

    Raises QueryError for SQL that is not allowed or wrong, and where it takes longer than `seconds` (`query-timeout`), more
    than `megabytes` (`query-memory`) or gives more than `rows` rows or 32 MB of text (`result-too-large`).
    """
    request = {"path": str(path), "sql": sql, "seconds": seconds, "megabytes": megabytes, "rows": rows}
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # One pool of memory for all threads: each further one would reserve 64 MB of the allowance.
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-m", "limner_profile.guard_worker"]
    try:
        done = subprocess.run(
            command, input=json.dumps(request).encode(), capture_output=True, timeout=seconds + _GRACE, env=environment
        )
    except subprocess.TimeoutExpired:
        raise QueryError(timed_out(seconds)) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        # It died without an answer: by a signal, where the allowance ran out and nobody could say so.
        told = done.stderr.decode("utf-8", errors="replace")
        if done.returncode < 0 or "MemoryError" in told or "bad_alloc" in told:
            raise QueryError(out_of_memory(megabytes)) from None
        raise InternalError(f"the worker for SQL ended with {done.returncode}: {told[-2000:]}") from None
    if "issue" in answer:
        raise QueryError(Issue(**answer["issue"]))
    return QueryResult(answer["columns"], [tuple(decode(value) for value in row) for row in answer["rows"]])


def timed_out(seconds: float) -> Issue:
    """The issue of a query that takes too long."""
    return Issue("query-timeout", "sql", f"stopped after {seconds:g} seconds", "narrow the query")


def out_of_memory(megabytes: int) -> Issue:
    """The issue of a query that needs too much memory."""
    return Issue(
        "query-memory", "sql", f"stopped: it needs more than {megabytes:,} MB", "aggregate, or narrow the query"
    )


def encode(value: Any) -> Any:
    """A value of DuckDB as JSON; what JSON has no word for is a list of its type's name and a text.

    >>> decode(encode({"a": [Decimal("1.50"), date(2025, 1, 2), None]}))
    {'a': [Decimal('1.50'), datetime.date(2025, 1, 2), None]}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime | date | time):
        return [type(value).__name__, value.isoformat()]
    if isinstance(value, timedelta):
        return ["timedelta", [value.days, value.seconds, value.microseconds]]
    if isinstance(value, bytes | bytearray | memoryview):
        return ["bytes", bytes(value).hex()]
    if isinstance(value, list):
        return ["list", [encode(item) for item in value]]
    if isinstance(value, tuple):
        return ["tuple", [encode(item) for item in value]]
    if isinstance(value, dict):
        return ["dict", [[encode(key), encode(item)] for key, item in value.items()]]
    if isinstance(value, Decimal | UUID):
        return [type(value).__name__, str(value)]
    return str(value)


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "list":
        return [decode(item) for item in content]
    if kind == "tuple":
        return tuple(decode(item) for item in content)
    if kind == "dict":
        return {decode(key): decode(item) for key, item in content}
    if kind == "timedelta":
        return timedelta(days=content[0], seconds=content[1], microseconds=content[2])
    if kind == "bytes":
        return bytes.fromhex(content)
    readers: dict[str, Any] = {
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "time": time.fromisoformat,
        "Decimal": Decimal,
        "UUID": UUID,
    }
    return readers[kind](content)
