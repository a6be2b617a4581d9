"""Building: ingested events and users become the tables `profiles`, `tags` and `rejects` of a snapshot.

Imports catalog, compiler, ingest, snapshots and workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.attached import attach_files, attach_sources, in_use
from limner_profile.behaviour import write_events_view
from limner_profile.casts import SQL_TYPE
from limner_profile.catalog import Catalog, CatalogTag
from limner_profile.compiler import compile_late, compile_profiles
from limner_profile.errors import Issue, RefusedError
from limner_profile.freshness import find_stale, newest_data
from limner_profile.ingest import read_ingested
from limner_profile.merged_views import create_identities, merge_identities
from limner_profile.overlaps import parquet_list
from limner_profile.quality import Breach, Quality, Staleness, find_breaches
from limner_profile.schema import table, together
from limner_profile.snapshots import SnapshotWriter
from limner_profile.sources import FieldType
from limner_profile.sql_text import quoted, text_of
from limner_profile.stage_tables import write_stages
from limner_profile.statistics import record_breaches, write_statistics
from limner_profile.tags.base import Tag
from limner_profile.tags.expressions import instant
from limner_profile.tags.sql import Sql
from limner_profile.versions import write_attribute_history
from limner_profile.windows import midnight, parse_as_of, parse_timezone
from limner_profile.workspace import Workspace

TAGS_TABLE = table(
    "tags",
    "The catalog: a row for each column of profiles, in the order of the definitions.",
    [
        ("name", "VARCHAR", "The column in profiles"),
        ("kind", "VARCHAR", "How it is computed; score for what a model writes"),
        ("type", "VARCHAR", "number, category, boolean, date or time"),
        ("title_en", "VARCHAR", "Title in English"),
        ("title_zh", "VARCHAR", "Title in Chinese, English where there is none"),
        ("description", "VARCHAR", "What it means, in the owner's words"),
        ("owner", "VARCHAR", "Who answers for it"),
        ("unit_en", "VARCHAR", "Unit in English, empty for none"),
        ("unit_zh", "VARCHAR", "Unit in Chinese, empty for none"),
        ("window_text", "VARCHAR", "The window before as_of, such as 30d; empty for none"),
        ("sensitivity", "VARCHAR", "none, sensitive or proxy: the strongest of the tag and of those that it refers to"),
        ("freshness", "VARCHAR", "How old the newest data behind it may be, such as 2d; empty for no limit"),
        ("definition", "VARCHAR", "The definition as JSON"),
        ("definition_hash", "VARCHAR", "Twelve hex digits that change with what the definition computes"),
        (
            "version",
            "BIGINT",
            "The version that the definition states, 1 unless it does; raised where a change is meant",
        ),
        ("users", "BIGINT", "How many users have a value"),
        ("coverage", "DOUBLE", "The share of users who have a value, 0 to 1"),
        ("distinct_values", "BIGINT", "How many different values there are"),
    ],
)
REJECTS_TABLE = table(
    "rejects",
    "Source rows that could not be read, kept aside.",
    [
        ("source", "VARCHAR", "The source in limner.yaml"),
        ("file", "VARCHAR", "The file's name"),
        ("line", "BIGINT", "The line at which the row begins (CSV), or the number of the row (Parquet)"),
        ("field", "VARCHAR", "The column at fault"),
        ("value", "VARCHAR", "Its value as text; the whole row where it is broken"),
        ("reason", "VARCHAR", "A stable word: missing-user, bad-time, bad-number, broken-row: …"),
    ],
)
SOURCES_TABLE = table(
    "sources",
    "What each source held when the snapshot was built, and how fresh it was.",
    [
        ("name", "VARCHAR", "The source in limner.yaml"),
        ("type", "VARCHAR", "users, events, orders or identities"),
        ("files", "BIGINT", "How many files it has"),
        ("rows", "BIGINT", "How many rows were kept"),
        ("duplicates", "BIGINT", "How many were dropped since they repeat another"),
        ("rejected", "BIGINT", "How many could not be read"),
        ("first_time", "TIMESTAMP", "The oldest event, in UTC; empty for users and identities"),
        ("last_time", "TIMESTAMP", "The newest event, in UTC; empty for users and identities"),
        ("age_hours", "DOUBLE", "From the newest event to as_of; negative where later events are known"),
    ],
)


def default_as_of(workspace: Workspace, now: datetime) -> datetime:
    """The as_of of the settings, else the local midnight after the last event, and never later than the next one.

    Data that ended long ago is seen as of its end; an event dated in the far future does not move as_of there.
    """
    if workspace.settings.as_of:
        return parse_as_of(workspace.settings.as_of, workspace.timezone)
    tomorrow = midnight(now.astimezone(workspace.timezone).date() + timedelta(days=1), workspace.timezone)
    ends = [
        datetime.fromisoformat(entry.last_time).replace(tzinfo=UTC)
        for entry in read_ingested(workspace)
        if entry.last_time
    ]
    if not ends:
        return tomorrow
    last_day = max(ends).astimezone(workspace.timezone).date()
    return min(midnight(last_day + timedelta(days=1), workspace.timezone), tomorrow)


def profile_query(tags: Mapping[str, Tag], as_of: datetime, workspace: Workspace) -> str:
    """The DuckDB SQL for profiles, over the relations that `attach_sources` and `attach_files` make."""
    return compile_profiles(tags, as_of, workspace.timezone, workspace.schema).sql(dialect="duckdb", pretty=True)


def write_profiles(writer: SnapshotWriter, workspace: Workspace, catalog: Catalog) -> int:
    """How many users the new `profiles` table holds; writes `profiles`, `tags` and `rejects` into the snapshot.

    A tag of the catalog without a definition (a score) becomes an empty column, filled by whoever computes it, and so does a
    tag that is computed from scores (`write_late`). The counts of `tags` come with the statistics (`check_quality`), which
    read every column once.
    """
    connection = writer.connection
    connection.execute("SET memory_limit = ?", [workspace.settings.memory])
    attach_sources(connection, workspace)
    attach_files(connection, workspace, catalog)
    merge_identities(connection, workspace, writer.as_of)
    with writer.run("profiles", f"{len(catalog.computed)} tags") as count:
        query = compile_profiles(catalog.computed, writer.as_of, workspace.timezone, workspace.schema)
        empty = "".join(
            f", CAST(NULL AS {_column_type(tag)}) AS {quoted(name)}"
            for name, tag in catalog.tags.items()
            if name not in catalog.computed
        )
        columns = "".join(
            f", CAST({quoted(name)} AS {_column_type(catalog[name])}) AS {quoted(name)}" for name in catalog.computed
        )
        # Every join is written with the users on the left and few columns on the right, which is what the hash table is made of. The
        # optimiser cannot know that each side has one row a user, and would turn some round, so that wide rows are hashed.
        connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
        try:
            query, stages = write_stages(connection, query, whole=_looks_at_all(catalog))
            made = connection.execute(
                f"CREATE OR REPLACE TABLE profiles AS SELECT user_id{columns}{empty} FROM ({query.sql(dialect='duckdb')}) ORDER BY user_id"
            )
            count.rows = int(made.fetchall()[0][0])
        except duckdb.Error:
            _blame_query(connection, workspace, catalog, writer.as_of)
            raise
        for stage in stages:
            connection.execute(f"DROP TABLE temp.{stage}")
        connection.execute("RESET disabled_optimizers")
    if count.rows == 0:
        raise RefusedError(
            Issue(
                "no-users",
                "as_of",
                f"no user is known before {writer.as_of:%Y-%m-%d %H:%M} UTC",
                "choose a later --as-of",
            )
        )
    with together(connection):
        _describe_profiles(connection, catalog)
        _write_tags(connection, catalog)
        _write_rejects(connection, workspace)
        create_identities(connection)
        write_events_view(writer, workspace)
        _write_sources(writer, workspace)
        write_attribute_history(connection, workspace, writer.as_of)
    return count.rows


def _describe_profiles(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    connection.execute("COMMENT ON TABLE profiles IS 'A row for each user known at as_of, a column for each tag.'")
    connection.execute("COMMENT ON COLUMN profiles.user_id IS 'The user'")
    for name, tag in catalog.tags.items():
        comment = f"{tag.title.en}{f' ({tag.unit.en})' if tag.unit and tag.unit.en else ''}"
        connection.execute(f"COMMENT ON COLUMN profiles.{quoted(name)} IS {text_of(comment)}")


def _looks_at_all(catalog: Catalog) -> bool:
    """Whether a tag is a query of the user's own, which may look at all users for the value of one."""
    return any(isinstance(tag, Sql) and tag.query is not None for tag in catalog.computed.values())


def _blame_query(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, catalog: Catalog, as_of: datetime
) -> None:
    """Raises RefusedError `failed-query` where a query of the user's own fails by itself, naming the tag."""
    for name, tag in catalog.computed.items():
        if isinstance(tag, Sql) and tag.query is not None:
            try:
                connection.execute(profile_query({name: tag}, as_of, workspace)).fetchall()
            except duckdb.Error as error:
                cause = str(error).splitlines()[0]
                hint = "guard it in the query, as with CASE WHEN; the snapshot that was current stays"
                raise RefusedError(
                    Issue("failed-query", catalog[name].where, f"the tag {name!r}: {cause}", hint)
                ) from None


def check_quality(
    writer: SnapshotWriter, catalog: Catalog, previous: Path | None, workspace: Workspace | None = None
) -> list[Breach]:
    """The limits that tags do not keep but may; writes `tag_statistics`, with the drift against the file `previous`.

    Raises RefusedError `quality-limit` where the definition of such a tag says `on_breach: stop`. Follows `write_profiles`. Without
    `workspace` the age of attributes is unknown, though their source may tell it.
    """
    zone = writer.connection.execute("SELECT timezone FROM snapshot").fetchall()[0][0]
    attributes = _newest_attributes(writer, workspace) if workspace else {}
    data = newest_data(catalog, newest_events(writer.connection, writer.as_of), attributes)
    with writer.run("statistics", previous.stem if previous else "") as count:
        ages = {name: newest.hours(writer.as_of) for name, newest in data.items()}
        rows = write_statistics(writer.connection, catalog.computed, previous, ages)
        count.rows = len(rows)
    return _judged(writer, catalog, rows, find_stale(catalog, data, writer.as_of, parse_timezone(zone)))


def _newest_attributes(writer: SnapshotWriter, workspace: Workspace) -> dict[str, datetime]:
    """Attribute to the newest `updated_at` before as_of that its source delivered, whether or not it changed anything."""
    newest: dict[str, datetime] = {}
    for entry in in_use(workspace):
        if entry.source in workspace.schema.sources_with_history:
            files = parquet_list(workspace.state / part.file for part in entry.parts)
            cut = instant(writer.as_of).sql(dialect="duckdb")
            query = f"SELECT max(updated_at) FROM read_parquet({files}) WHERE updated_at < {cut}"
            (found,) = writer.connection.execute(query).fetchall()[0]
            if found is not None:
                of_source = (
                    name for name, source in workspace.schema.attribute_source.items() if source == entry.source
                )
                for name in of_source:
                    newest[name] = found.replace(tzinfo=UTC)
    return newest


def write_late(writer: SnapshotWriter, workspace: Workspace, catalog: Catalog, previous: Path | None) -> list[Breach]:
    """Fill the columns of the tags that are computed from scores, and their statistics; the limits that they do not keep but may.

    Follows the scorers. Raises what `check_quality` raises.
    """
    late = catalog.late
    if not late:
        return []
    with writer.run("late tags", f"{len(late)} tags") as count:
        given: dict[str, FieldType] = {name: kind for name, kind in catalog.types.items() if name not in late}
        query = compile_late(late, given, writer.as_of, workspace.timezone, workspace.schema).sql(dialect="duckdb")
        values = ", ".join(
            f"{quoted(name)} = CAST(late.{quoted(name)} AS {_column_type(catalog[name])})" for name in late
        )
        writer.connection.execute(
            f"UPDATE profiles SET {values} FROM ({query}) AS late WHERE late.user_id = profiles.user_id"
        )
        rows = write_statistics(writer.connection, late, previous)
        count.rows = len(rows)
    unknown = Staleness("how old its data is cannot be known: it is computed from a score", known=False)
    return _judged(writer, catalog, rows, {name: unknown for name, tag in late.items() if tag.freshness})


def _judged(
    writer: SnapshotWriter, catalog: Catalog, rows: list[dict[str, Any]], stale: Mapping[str, Staleness]
) -> list[Breach]:
    limits = {name: (tag.quality or Quality(), catalog[name].where) for name, tag in catalog.definitions.items()}
    breaches = find_breaches(limits, rows, stale)
    stopping = [breach.issue for breach in breaches if breach.stop]
    if stopping:
        raise RefusedError(stopping)
    record_breaches(writer.connection, {breach.tag: breach.words for breach in breaches})
    return breaches


def newest_events(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> dict[str, datetime]:
    """Event name to the time of the newest such event that was known before as_of; reads the view `events`, if there is one."""
    columns = connection.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'events'").fetchall()
    if not columns:
        return {}
    cut = instant(as_of).sql(dialect="duckdb")
    known = f" AND (received IS NULL OR received < {cut})" if ("received",) in columns else ""
    rows = connection.execute(
        f"SELECT event, max(time) FROM events WHERE time < {cut}{known} GROUP BY event"
    ).fetchall()
    return {str(event): time.replace(tzinfo=UTC) for event, time in rows if event is not None}


def _column_type(tag: CatalogTag) -> str:
    # One type a field type, whatever the file had: no decimal or huge integer may reach the model.
    whole = tag.definition is not None and tag.definition.whole_numbers
    return "BIGINT" if whole else SQL_TYPE[tag.type]


def _write_tags(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    TAGS_TABLE.create(connection, replace=True)
    rows = []
    for name, tag in catalog.tags.items():
        definition = tag.definition
        # Counted with the statistics, in one pass; what comes after the scorers has no value until it is computed.
        users, coverage, distinct = (None, None, None) if name in catalog.computed else (0, 0.0, 0)
        rows.append(
            {
                "name": name,
                "kind": tag.kind,
                "type": tag.type,
                "title_en": tag.title.en,
                "title_zh": tag.title.of("zh"),
                "description": definition.description if definition else "",
                "owner": definition.owner if definition else "",
                "unit_en": tag.unit.en if tag.unit else "",
                "unit_zh": tag.unit.of("zh") if tag.unit else "",
                "window_text": definition.window_text if definition else "",
                "sensitivity": tag.sensitivity,
                "freshness": (definition.freshness or "") if definition else "",
                "definition": tag.definition_json,
                "definition_hash": tag.definition_hash,
                "version": definition.version if definition else 1,
                "users": users,
                "coverage": coverage,
                "distinct_values": distinct,
            }
        )
    TAGS_TABLE.insert(connection, rows)


def refresh_tag_statistics(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Count a tag's coverage and distinct values again, after its column has been filled."""
    connection.execute(
        f'UPDATE tags SET users = s.n, coverage = s.c, distinct_values = s.d FROM (SELECT count("{name}") n, count("{name}") / count(*) c, '
        f'count(DISTINCT "{name}") d FROM profiles) s WHERE name = ?',
        [name],
    )


def _write_rejects(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    files = parquet_list(workspace.state / file for entry in read_ingested(workspace) for file in entry.rejects_files)
    REJECTS_TABLE.create(connection, replace=True)
    connection.execute(f"INSERT INTO rejects SELECT * FROM read_parquet({files})")


def _write_sources(writer: SnapshotWriter, workspace: Workspace) -> None:
    SOURCES_TABLE.create(writer.connection, replace=True)
    as_of = writer.as_of.astimezone(UTC)
    rows = []
    for entry in in_use(workspace):
        first, last = (
            datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
            for text in (entry.first_time, entry.last_time)
        )
        rows.append(
            {
                "name": entry.source,
                "type": entry.type,
                "files": len(entry.parts),
                "rows": entry.rows,
                "duplicates": entry.duplicates,
                "rejected": entry.rejected,
                "first_time": first.replace(tzinfo=None) if first else None,
                "last_time": last.replace(tzinfo=None) if last else None,
                "age_hours": round((as_of - last).total_seconds() / 3600, 2) if last else None,
            }
        )
    SOURCES_TABLE.insert(writer.connection, rows)
