"""Identity: which ids are one user, found from the pairs of the identities sources.

What was ingested keeps the id that it came with, and `merged_views` applies the merge where a build reads, so a pair that is
taken back is undone by the next build. Imports identity_exceptions, manifest, schema and workspace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from limner_profile.identity_exceptions import read_exceptions
from limner_profile.manifest import Ingested, read_manifest
from limner_profile.schema import table
from limner_profile.sql_text import text_of
from limner_profile.workspace import Workspace

# Words that stand for no id at all, in lower case; so does anything of zeros and signs only.
PLACEHOLDERS = frozenset(
    {
        "null",
        "none",
        "nil",
        "nan",
        "na",
        "n/a",
        "unknown",
        "undefined",
        "anonymous",
        "guest",
        "test",
        "default",
        "empty",
        "missing",
        "-1",
        "#n/a",
        "(null)",
        "<na>",
    }
)
_ZEROS = r"[0\s.:_-]*"
# The kind of id that a user keeps when devices and numbers change.
ACCOUNT = "account"

IDENTITIES_TABLE = table(
    "identities",
    "The ids of users who have more than one: a row an id, that of the user included.",
    [
        ("id", "VARCHAR", "The id as the sources have it"),
        ("user_id", "VARCHAR", "The user in profiles that it belongs to"),
        ("kind", "VARCHAR", "What the pairs say it is, such as account, phone or device"),
        ("source", "VARCHAR", "The sources in limner.yaml that pair it"),
        ("since", "TIMESTAMP", "When the first of its pairs was known, in UTC; empty where no source says"),
    ],
)
REFUSALS_TABLE = table(
    "identity_refusals",
    "The ids that were not merged with the others that they are paired with, and why.",
    [
        ("id", "VARCHAR", "The id"),
        (
            "reason",
            "VARCHAR",
            "placeholder, shared-id (pairs with too many), too-many-ids (so large a group) or unmerged (by hand)",
        ),
        ("ids", "BIGINT", "How many other ids it would have been merged with; for too-many-ids the size of the group"),
    ],
)


@dataclass(frozen=True)
class Merged:
    """How many ids were merged into how many users, and how many were refused."""

    ids: int
    users: int
    refused: int


def has_identities(workspace: Workspace) -> bool:
    """Whether limner.yaml names a source of identities."""
    return any(source.type == "identities" for source in workspace.config.sources.values())


def find_identities(connection: duckdb.DuckDBPyConnection, workspace: Workspace, as_of: datetime) -> Merged:
    """How many ids are merged as of an instant; fills the temporary tables `identity_map` and `identity_refused`.

    `identity_map` has the columns of the table identities, a row an id of a user who has several. Of the pairs, those count
    that were known before `as_of` and not taken back by then. The user is the id of the kind account, else one that a
    source of users lists, else one of the column `user`, else the one known longest, else the first in order.
    """
    _read_pairs(connection, workspace, as_of)
    _refuse_hubs(connection, workspace)
    _find_groups(connection, workspace.settings.max_identities)
    users = _listed_users(workspace)
    listed = f"id IN (SELECT user_id FROM {users})" if users else "false"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE identity_map AS "
        "SELECT id, first_value(id) OVER (PARTITION BY part ORDER BY account DESC, listed DESC, leads DESC, "
        "since NULLS FIRST, id) AS user_id, kind, source, since FROM (SELECT g.id, g.part, s.* EXCLUDE (id), "
        f"{listed.replace('id IN', 'g.id IN')} AS listed FROM identity_groups AS g JOIN identity_sides AS s USING (id)) "
        "ORDER BY user_id, id"
    )
    counts = connection.execute(
        "SELECT count(*) FILTER (WHERE id <> user_id), count(DISTINCT user_id), (SELECT count(*) FROM identity_refused) "
        "FROM identity_map"
    ).fetchall()[0]
    for name in ("pairs", "sides", "groups"):
        connection.execute(f"DROP TABLE identity_{name}")
    return Merged(*(int(count) for count in counts))


def _parts(workspace: Workspace, source_type: str) -> list[Ingested]:
    sources = workspace.config.sources
    return [
        entry
        for entry in read_manifest(workspace.state)
        if entry.type == source_type and entry.source in sources and sources[entry.source].type == source_type
    ]


def _files(workspace: Workspace, entries: Iterable[Ingested]) -> str:
    paths = [text_of(str(workspace.state / file)) for entry in entries for file in entry.files]
    return f"read_parquet([{', '.join(paths)}], union_by_name = true)" if paths else ""


def _listed_users(workspace: Workspace) -> str:
    return _files(workspace, _parts(workspace, "users"))


def _read_pairs(connection: duckdb.DuckDBPyConnection, workspace: Workspace, as_of: datetime) -> None:
    """Fill `identity_pairs` (a, b with a < b) with what holds as of an instant, and `identity_sides` with what is said of each id."""
    moment = f"TIMESTAMP {text_of(as_of.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' '))}"
    types = {"kind": "VARCHAR", "time": "TIMESTAMP", "until": "TIMESTAMP", "removed": "BOOLEAN"}
    readings = []
    for entry in _parts(workspace, "identities"):
        files = _files(workspace, [entry])
        has = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()}
        columns = [f'"{name}"' if name in has else f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in types.items()]
        rows = f"SELECT user_id, other_id, {', '.join(columns)} FROM {files} WHERE user_id <> other_id"
        rows = f"SELECT * FROM ({rows}) WHERE time IS NULL OR time < {moment}"
        if has & {"removed", "until"}:
            # What was last said of a pair counts; of two things said at one time, that it is gone.
            rows = (
                f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY least(user_id, other_id), "
                "greatest(user_id, other_id) ORDER BY time DESC NULLS LAST, removed DESC NULLS LAST, until NULLS LAST) = 1"
            )
            rows = f"SELECT * FROM ({rows}) WHERE removed IS NOT TRUE AND (until IS NULL OR until >= {moment})"
        readings.append(f"SELECT *, {text_of(entry.source)} AS source FROM ({rows})")
    empty = "SELECT '' AS user_id, '' AS other_id, '' AS kind, NULL::TIMESTAMP AS time, '' AS source WHERE false"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE identity_rows AS SELECT user_id, other_id, kind, time, source "
        f"FROM ({' UNION ALL BY NAME '.join(readings) or empty})"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE identity_pairs AS SELECT DISTINCT least(user_id, other_id) AS a, "
        "greatest(user_id, other_id) AS b FROM identity_rows"
    )
    # A case a source: as cheap as counting, where a sorted list of names for each id is not.
    names = [text_of(name) for name, source in workspace.config.sources.items() if source.type == "identities"]
    named = ", ".join(f"CASE WHEN bool_or(source = {name}) THEN {name} END" for name in names)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE identity_sides AS SELECT id, min(kind) AS kind, "
        f"coalesce(bool_or(lower(trim(kind)) = '{ACCOUNT}'), false) AS account, bool_or(leads) AS leads, min(time) AS since, "
        f"concat_ws(', ', {named}) AS source FROM "
        "(SELECT user_id AS id, NULL AS kind, true AS leads, time, source FROM identity_rows UNION ALL "
        "SELECT other_id, kind, false, time, source FROM identity_rows) GROUP BY id"
    )
    connection.execute("DROP TABLE identity_rows")


def _refuse_hubs(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Take the pairs of ids that may not join others out of `identity_pairs`, and note them in `identity_refused`."""
    exceptions = sorted(read_exceptions(workspace))
    connection.execute("CREATE OR REPLACE TEMP TABLE identity_refused (id VARCHAR, reason VARCHAR, ids BIGINT)")
    words = ", ".join(text_of(word) for word in sorted(PLACEHOLDERS))
    by_hand = ", ".join(text_of(id_) for id_ in exceptions) or "NULL"
    most = workspace.settings.max_identities - 1
    for reason, condition in (
        ("unmerged", f"id IN ({by_hand})"),
        ("placeholder", f"lower(trim(id)) IN ({words}) OR regexp_full_match(id, {text_of(_ZEROS)})"),
        ("shared-id", f"ids > {most}"),
    ):
        connection.execute(
            f"INSERT INTO identity_refused SELECT id, '{reason}', ids FROM (SELECT id, count(*) AS ids FROM "
            f"(SELECT a AS id FROM identity_pairs UNION ALL SELECT b FROM identity_pairs) GROUP BY id) WHERE {condition} ORDER BY id"
        )
        connection.execute(
            "DELETE FROM identity_pairs WHERE a IN (SELECT id FROM identity_refused) OR b IN (SELECT id FROM identity_refused)"
        )


def _find_groups(connection: duckdb.DuckDBPyConnection, most: int) -> None:
    """Fill `identity_groups` with the ids that hang together, by the number of their group; groups that are too large are refused."""
    import numpy as np

    connection.execute(
        "CREATE OR REPLACE TEMP TABLE identity_numbers AS SELECT id, row_number() OVER () - 1 AS n FROM "
        "(SELECT a AS id FROM identity_pairs UNION SELECT b FROM identity_pairs)"
    )
    size = int(connection.execute("SELECT count(*) FROM identity_numbers").fetchall()[0][0])
    labels = np.zeros(0, dtype=np.int64)
    if size:
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        edges: dict[str, Any] = connection.execute(
            "SELECT x.n AS x, y.n AS y FROM identity_pairs JOIN identity_numbers AS x ON x.id = a JOIN identity_numbers AS y ON y.id = b"
        ).fetchnumpy()
        ends = (np.asarray(edges["x"]), np.asarray(edges["y"]))
        graph: Any = coo_matrix((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(size, size))
        labels = connected_components(graph, directed=False)[1].astype(np.int64)
    connection.register("identity_labels", {"n": np.arange(size, dtype=np.int64), "part": labels})
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE identity_groups AS SELECT id, part, count(*) OVER (PARTITION BY part) AS ids "
        "FROM identity_numbers JOIN identity_labels USING (n)"
    )
    connection.unregister("identity_labels")
    connection.execute("DROP TABLE identity_numbers")
    connection.execute(
        f"INSERT INTO identity_refused SELECT id, 'too-many-ids', ids FROM identity_groups WHERE ids > {most} ORDER BY part, id"
    )
    connection.execute(f"DELETE FROM identity_groups WHERE ids > {most}")


def paired_ids(workspace: Workspace, like: str) -> list[str]:
    """`like` where a pair names it, else the few paired ids that are written most like it."""
    files = _files(workspace, _parts(workspace, "identities"))
    if not files:
        return []
    with duckdb.connect() as connection:
        ids = f"(SELECT user_id AS id FROM {files} UNION SELECT other_id FROM {files})"
        query = f"SELECT id FROM {ids} ORDER BY levenshtein(id, ?), id LIMIT 5"
        found = [str(row[0]) for row in connection.execute(query, [like]).fetchall()]
    return [like] if like in found else found
