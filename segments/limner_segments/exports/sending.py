"""A run of a webhook: recipients cut into batches that are written down before the first is sent, and sent one after the other.

A batch keeps its id and its users whatever happens: a run that was killed goes on with the first that was not accepted. Imports
floor 1, audience and the modules beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from limner_profile.catalog import Catalog
from limner_profile.errors import unknown_name
from limner_profile.snapshots import Snapshot
from limner_profile.sql_text import quoted
from limner_segments.audience import require_tags
from limner_segments.exports.ledger import ExportRecord, Ledger
from limner_segments.exports.recipients import Recipients
from limner_segments.exports.webhook import Clock, Endpoint, body_of, send_batch

_FETCHED = 10_000
# So many seconds the end of a run waits for another export to write its record.
_PATIENCE = 60.0


def cut_batches(
    snapshot: Snapshot, catalog: Catalog, recipients: Recipients, columns: Sequence[str], size: int
) -> tuple[Any, Any, int]:
    """The users with their batches (Arrow: user_id, role, batch), the rows of the batches (user_id, batch, row), and how many batches.

    A row is the JSON text that is sent for a user: `user_id`, `change` (sent, joined or left) and `tags`, which those who left have
    not. Raises UnknownNameError for a column that is no tag, RefusedError for one that the snapshot lacks.
    """
    import pyarrow as pa

    columns = list(dict.fromkeys(columns))
    for column in columns:
        if column not in catalog:
            raise unknown_name("tag", column, catalog.tags)
    require_tags(snapshot, columns)
    ids: list[str] = []
    rows: list[str] = []
    with snapshot.connection.cursor() as cursor:
        view = recipients.register(cursor)
        selected = "".join(f", profiles.{quoted(column)}" for column in columns)
        cursor.execute(
            f"SELECT {view}.user_id, {view}.change{selected} FROM {view} LEFT JOIN profiles USING (user_id) ORDER BY 1"
        )
        while fetched := cursor.fetchmany(_FETCHED):
            for user_id, change, *values in fetched:
                row: dict[str, Any] = {"user_id": user_id, "change": change}
                if change != "left":
                    row["tags"] = {name: _plain(value) for name, value in zip(columns, values, strict=True)}
                ids.append(user_id)
                rows.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
        numbers = [index // size for index in range(len(ids))]
        table = pa.table(
            {
                "user_id": pa.array(ids, pa.string()),
                "batch": pa.array(numbers, pa.int64()),
                "row": pa.array(rows, pa.string()),
            }
        )
        cursor.register("sent_rows", table)
        users = cursor.sql(
            "SELECT user_id, role, batch FROM recipients_users LEFT JOIN sent_rows USING (user_id) ORDER BY user_id"
        ).to_arrow_table()
    return users, table, math.ceil(len(ids) / size)


def send_run(
    ledger: Ledger,
    record: ExportRecord,
    endpoint: Endpoint,
    clock: Clock,
    on_batch: Callable[[int], None] = lambda number: None,
    on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
) -> ExportRecord:
    """The record of a run that is begun and now delivered, counted in the ledger.

    Goes on after the last batch that was accepted. A batch may be sent twice, under the same id and with the same bytes: where the
    run was killed before it could write the answer down. Raises WebhookError where a batch is not accepted, BusyError where another
    process sends this run. The ledger's lock is not held while batches are sent: other exports and erasures go on meanwhile.
    """
    with ledger.run_lock(record.id):
        if record.id not in [begun.record.id for begun in ledger.begun()]:
            return ledger.find(record.id)  # another process finished it meanwhile
        _send_batches(ledger, record, endpoint, clock, on_batch, on_wait)
        ended = datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="seconds")
        with ledger.lock(wait=_PATIENCE):
            return ledger.commit(record.id, delivered=ended)


def _send_batches(
    ledger: Ledger,
    record: ExportRecord,
    endpoint: Endpoint,
    clock: Clock,
    on_batch: Callable[[int], None],
    on_wait: Callable[[str, float], None],
) -> None:
    for number in range(ledger.done(record.id), record.batches):
        on_batch(number)
        rows = ledger.rows(record.id, number)
        if rows:  # nobody is left of a batch whose users were all erased meanwhile
            batch_id = f"{record.id}-{number + 1}"
            head = {
                "export": record.id,
                "batch": batch_id,
                "number": number + 1,
                "batches": record.batches,
                "destination": record.destination,
                "segment": record.segment,
                "definition_hash": record.definition_hash,
                "snapshot": record.snapshot,
                "as_of": record.as_of,
                "mode": record.mode,
            }
            send_batch(endpoint, batch_id, body_of(head, rows), clock, on_wait)
        ledger.advance(record.id, number + 1)


def _plain(value: Any) -> Any:
    """A tag's value as JSON has it: times as ISO 8601 in UTC, and null for numbers that JSON has no word for."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
