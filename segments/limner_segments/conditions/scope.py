"""What a condition on users is compiled against: the snapshot's instant, and where prepared files lie. Imports floor 1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
from sqlglot import exp

from limner_profile.predicates.columns import Columns, day_start
from limner_profile.tags.expressions import event_column
from limner_profile.windows import window_start

_TIMES = (
    "SELECT table_name, column_name FROM duckdb_columns() WHERE data_type = 'TIMESTAMP'"
    " AND database_name = current_database() AND table_name IN ('profiles', 'events')"
)


def tag_column(name: str) -> exp.Column:
    """The column of a tag in `profiles`."""
    return exp.column(name, quoted=True)


@dataclass(frozen=True)
class Scope:
    """The columns of `profiles` as `Predicate.to_sql` asks for them, with the instant that windows are counted from.

    `state` is the workspace's folder `.limner`, below which some kinds keep prepared files (lists, lookalikes), and `snapshot` the
    id of the snapshot; both are empty where SQL is compiled for no snapshot in particular. `times` are the tags that are instants,
    `event_times` the fields of events.
    """

    as_of: datetime
    timezone: ZoneInfo
    state: Path | None = None
    snapshot: str = ""
    times: frozenset[str] = frozenset()
    event_times: frozenset[str] = frozenset({"time"})

    @property
    def events(self) -> Columns:
        """The fields of `events`, as conditions on them find them."""
        return Columns(event_column, self.event_times, self.timezone)

    def __call__(self, name: str) -> exp.Column:
        """The column of a tag."""
        return tag_column(name)

    def start(self, window: str) -> datetime | None:
        """The UTC instant at which a window such as `30d` before as_of begins, None for `all`."""
        return window_start(window, self.as_of, self.timezone)

    def midnight(self, day: date) -> datetime:
        """The UTC instant at which a local day begins; the end of the calendar for the first and the last day that it has."""
        return day_start(day, self.timezone)


def scope_of(connection: duckdb.DuckDBPyConnection) -> Scope:
    """The scope of the snapshot that a connection reads or writes."""
    with connection.cursor() as cursor:
        id_, as_of, timezone = cursor.execute("SELECT id, CAST(as_of AS VARCHAR), timezone FROM snapshot").fetchall()[0]
        path = cursor.execute(
            "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchall()[0][0]
        moments = cursor.execute(_TIMES).fetchall()
    moment = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    times, event_times = (
        frozenset(column for table, column in moments if table == wanted) for wanted in ("profiles", "events")
    )
    return Scope(moment, ZoneInfo(timezone), Path(path).parent.parent if path else None, id_, times, event_times)
