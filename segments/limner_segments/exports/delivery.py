"""Delivering recipients as a file, or beginning a webhook's run: what happens and what the ledger says of it, together.

For a file the ledger hears of the export when its bytes are written, and counts it when it has its name: a run that is killed
between is settled by looking whether the file is there. Imports floor 1 and the modules beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from limner_profile.catalog import Catalog
from limner_profile.snapshots import Snapshot
from limner_segments.exports.files import About, check_free, write_rows
from limner_segments.exports.formats import file_format
from limner_segments.exports.formats.base import Options
from limner_segments.exports.ledger import ExportRecord, Ledger
from limner_segments.exports.manifest import Manifest, left_path
from limner_segments.exports.recipients import Recipients
from limner_segments.exports.sending import cut_batches
from limner_segments.segment import NamedSegment


@dataclass(frozen=True)
class Delivered:
    """An export to a file: the file, its manifest, the record in the ledger and, with changes, the file of those who left."""

    path: Path
    manifest: Manifest
    record: ExportRecord
    left: Path | None = None


def draft_record(
    snapshot: Snapshot,
    named: NamedSegment,
    ledger: Ledger,
    recipients: Recipients,
    timezone: ZoneInfo,
    *,
    destination: str,
    format: str,
    target: str,
    who: str,
    when: datetime,
) -> ExportRecord:
    """The record of an export that is about to be made. The caller holds the ledger's lock, so that the id stays free."""
    holdout = recipients.rules.holdout
    return ExportRecord(
        id=ledger.next_id(when, timezone),
        at=when.isoformat(timespec="seconds"),
        who=who,
        destination=destination,
        format=format,
        target=target,
        segment=named.name,
        definition_hash=named.definition_hash,
        snapshot=snapshot.id,
        as_of=snapshot.as_of_text,
        mode="changes" if recipients.rules.changes else "full",
        since=recipients.since,
        holdout_share=holdout.share if holdout else 0.0,
        holdout_salt=holdout.salt if holdout else None,
        accounting=recipients.accounting.as_dict(),
    )


def deliver_file(
    snapshot: Snapshot,
    named: NamedSegment,
    catalog: Catalog,
    ledger: Ledger,
    recipients: Recipients,
    draft: ExportRecord,
    path: Path,
    columns: Mapping[str, str],
    *,
    options: Options | None = None,
    overwrite: bool = False,
) -> Delivered:
    """The recipients as a file, and with changes those who left as another one beside it; counted in the ledger.

    The caller holds the ledger's lock. `columns` and `options` are those of `write_rows`, which says what it raises.
    """
    rules, when = recipients.rules, datetime.fromisoformat(draft.at)
    about = About(draft.who, when, draft.holdout_share, draft.holdout_salt, excluded_of(recipients))
    left = left_path(path) if rules.changes else None

    with snapshot.connection.cursor() as cursor:
        view = recipients.register(cursor)

        def write(target: Path, condition: str, shown: Mapping[str, str], min_size: int, on_ready: Any) -> Manifest:
            return write_rows(
                snapshot,
                f"SELECT user_id FROM {view} WHERE {condition}",
                shown,
                draft.format,
                target,
                named=named,
                catalog=catalog,
                about=about,
                min_size=min_size,
                options=options,
                overwrite=overwrite,
                connection=cursor,
                on_ready=on_ready,
            )

        def begin(manifest: Manifest) -> None:
            users = _without_batches(recipients.users)
            if left:
                # Before the other file, since that is the one that counts; and the ledger hears of it before, to take it back.
                ledger.begin(draft, users)
                # Only what a platform matches by goes out of whoever may have withdrawn a consent.
                matched = columns if file_format(draft.format).FIELDS else {}
                write(left, "change = 'left'", matched, 0, lambda manifest: None)
            ledger.begin(draft.model_copy(update={"sha256": manifest.sha256}), users)

        try:
            for target in (path, left) if left else ():
                check_free(target, overwrite=overwrite)
            # Where a list is there already, a few may join it.
            manifest = write(path, "change <> 'left'", columns, 0 if recipients.since else rules.min_size, begin)
        except BaseException:
            ledger.settle()  # it may have stopped just after the file got its name
            raise
    return Delivered(path, manifest, ledger.commit(draft.id), left)


def begin_run(
    snapshot: Snapshot,
    catalog: Catalog,
    ledger: Ledger,
    recipients: Recipients,
    draft: ExportRecord,
    columns: Sequence[str],
    size: int,
) -> ExportRecord:
    """The record of a webhook's run whose batches of `size` users are written down, ready for `sending.send_run`."""
    users, rows, batches = cut_batches(snapshot, catalog, recipients, columns, size)
    record = draft.model_copy(update={"batches": batches})
    ledger.begin(record, users, rows)
    return record


def excluded_of(recipients: Recipients) -> dict[str, int]:
    """How many users of the audience are not sent, by reason; reasons that stopped nobody are left out."""
    stopped = ("suppressed", "no_consent", "capped", "held_out", "withheld", "unchanged")
    return {name: count for name, count in recipients.accounting.as_dict().items() if name in stopped and count}


def _without_batches(users: Any) -> Any:
    import pyarrow as pa

    return users.append_column("batch", pa.nulls(len(users), pa.int64()))
