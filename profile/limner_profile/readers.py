"""The connection of whoever reads a snapshot: read-only, no network, and no files but those of the workspace's behaviour and lists."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.sql_text import text_of

# One configuration for every reader: DuckDB refuses two configurations of one file in one process.
READ_CONFIG: Mapping[str, Any] = {
    "enable_external_access": False,
    "python_enable_replacements": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "lock_configuration": True,
    "memory_limit": "2GB",
    "threads": 2,
}
# Folders below .limner that a reader may read beside the snapshot: conditions on behaviour, lists and lookalikes need them.
READABLE = ("events", "lists", "lookalikes")

_OPENING = threading.Lock()


def connect_reader(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection to the snapshot in a file, its configuration locked."""
    state = path.resolve().parent.parent
    # These folders can be named only once the database is open, and only before other access is shut off.
    later = ("enable_external_access", "lock_configuration")
    config = {name: value for name, value in READ_CONFIG.items() if name not in later}
    connection = duckdb.connect(str(path), read_only=True, config={**config, "file_search_path": str(state)})
    with _OPENING:
        if connection.execute("SELECT current_setting('lock_configuration')").fetchall() == [(False,)]:
            folders = [place for name in READABLE for place in (f"{state / name}/", f"{name}/")]
            connection.execute(f"SET allowed_directories = [{', '.join(map(text_of, folders))}]")
            for name in later:
                connection.execute(f"SET {name} = {str(READ_CONFIG[name]).lower()}")
    return connection
