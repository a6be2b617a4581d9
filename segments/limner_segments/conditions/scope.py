"""What a condition on users is compiled against: the snapshot's instant, and where prepared files lie. Imports floor 1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
from sqlglot import exp

from limner_profile.windows import midnight, window_start


@dataclass(frozen=True)
class Scope:
    """The columns of `profiles` as `Predicate.to_sql` asks for them, with the instant that windows are counted from.

    `state` is the workspace's folder `.limner`, below which some kinds keep prepared files (lists, lookalikes), and `snapshot` the
    id of the snapshot; both are empty where SQL is compiled for no snapshot in particular.
    """

    as_of: datetime
    timezone: ZoneInfo
    state: Path | None = None
    snapshot: str = ""

    def __call__(self, name: str) -> exp.Column:
        """The column of a tag."""
        return exp.column(name, quoted=True)

    def start(self, window: str) -> datetime | None:
        """The UTC instant at which a window such as `30d` before as_of begins, None for `all`."""
        return window_start(window, self.as_of, self.timezone)

    def midnight(self, day: date) -> datetime:
        """The UTC instant at which a local day begins; the end of the calendar for the first and the last day that it has."""
        try:
            return midnight(day, self.timezone)
        except OverflowError:  # it begins in the year 0 or 10000 of UTC
            return datetime(1, 1, 1, tzinfo=UTC) if day.year == 1 else datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def scope_of(connection: duckdb.DuckDBPyConnection) -> Scope:
    """The scope of the snapshot that a connection reads or writes."""
    with connection.cursor() as cursor:
        id_, as_of, timezone = cursor.execute("SELECT id, CAST(as_of AS VARCHAR), timezone FROM snapshot").fetchall()[0]
        path = cursor.execute(
            "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchall()[0][0]
    moment = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    return Scope(moment, ZoneInfo(timezone), Path(path).parent.parent if path else None, id_)
