"""Who joined and left each audience since another snapshot, found by positions: users are matched once, not once a segment.

Imports floor 1 and bitmaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.schema import table
from limner_profile.sql_text import text_of
from limner_segments.bitmaps import stored_positions

CHANGES_TABLE = table(
    "audience_changes",
    "Who joined or left an audience since the snapshot before.",
    [
        ("segment", "VARCHAR", "The segment"),
        ("user_id", "VARCHAR", "The user"),
        ("change", "VARCHAR", "joined or left"),
    ],
)


class Before:
    """The audiences of the snapshot before, attached as `previous`, beside the profiles of the one being written.

    `moved` has for each user of before, by `user_id`, the position now, or -1 for one who is no longer known.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        import numpy as np

        self.connection = connection
        rows = connection.execute("SELECT name FROM previous.segments").fetchall()
        self.known = {name for (name,) in rows}
        numbered = "(SELECT user_id, row_number() OVER (ORDER BY user_id) - 1 AS position FROM {})"
        found = connection.execute(
            f"SELECT coalesce(n.position, -1) AS now FROM {numbered.format('previous.profiles')} AS o "
            f"LEFT JOIN {numbered.format('main.profiles')} AS n USING (user_id) ORDER BY o.position"
        ).fetchnumpy()
        self.moved = np.asarray(found["now"], dtype=np.int64)
        self.users = int(connection.execute("SELECT count(*) FROM main.profiles").fetchall()[0][0])
        self._ids: dict[str, Any] = {}

    def write_changes(self, name: str, now: Any) -> None:
        """Write who joined and left one audience; `now` are the positions of its members in the snapshot being written."""
        import numpy as np

        if name not in self.known:
            return
        before = stored_positions(self.connection, "previous", name)
        stayed = self.moved[before]
        was, is_ = np.zeros(self.users, dtype=bool), np.zeros(self.users, dtype=bool)
        was[stayed[stayed >= 0]] = True
        is_[now] = True
        still = np.zeros(len(before), dtype=bool)
        still[stayed >= 0] = is_[stayed[stayed >= 0]]
        self._insert(name, "joined", "main", np.flatnonzero(is_ & ~was))
        self._insert(name, "left", "previous", before[~still])

    def _insert(self, name: str, change: str, where: str, positions: Any) -> None:
        import pyarrow as pa

        if len(positions) == 0:
            return
        if where not in self._ids:
            ids = self.connection.sql(f"SELECT user_id FROM {where}.profiles ORDER BY user_id").to_arrow_table()
            self._ids[where] = ids.column("user_id").combine_chunks()
        changed = pa.table({"user_id": self._ids[where].take(pa.array(positions))})
        self.connection.register("changed", changed)
        self.connection.execute("INSERT INTO audience_changes SELECT ?, user_id, ? FROM changed", [name, change])
        self.connection.unregister("changed")


@contextmanager
def previous_audiences(connection: duckdb.DuckDBPyConnection, previous: Path | None) -> Iterator[Before | None]:
    """The audiences of a snapshot file inside the block; None where there is no file, or it has no audiences."""
    if previous is None:
        yield None
        return
    connection.execute(f"ATTACH {text_of(str(previous))} AS previous (READ_ONLY)")
    try:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'previous'"
        ).fetchall()
        whole = {("audiences",), ("segments",), ("profiles",)}.issubset(tables)
        yield Before(connection) if whole else None
    finally:
        connection.execute("DETACH previous")
