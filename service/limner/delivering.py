"""Delivering from the front door: an audience to a file, a destination of limner.yaml or a webhook, by the rules of limner.yaml.

Reads the clock and the environment, where the secrets of webhooks are. Imports the floors below.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from limner.project import Project
from limner.steps import Progress
from limner_profile.errors import Issue, RefusedError, UnknownNameError, UserError, did_you_mean
from limner_profile.snapshots import Snapshot
from limner_segments.exports.delivery import Delivered, begin_run, deliver_file, draft_record
from limner_segments.exports.files import sweep_folder
from limner_segments.exports.formats import file_format
from limner_segments.exports.formats.base import Options
from limner_segments.exports.ledger import Begun, ExportRecord, Ledger
from limner_segments.exports.recipients import Recipients, Rules, draw_recipients, listed_users, rules_of
from limner_segments.exports.sending import send_run
from limner_segments.exports.settings import Destination, ExportSettings, check_share, export_settings, shown_url
from limner_segments.exports.suppression import read_suppressed
from limner_segments.segment import NamedSegment

if TYPE_CHECKING:
    from limner_segments.exports.webhook import Clock


@dataclass(frozen=True)
class Asked:
    """What was asked for beyond the segment: the destination, only changes, and a hold-out with its salt."""

    to: str | None = None
    changes: bool = False
    holdout: float | None = None
    salt: str | None = None


@dataclass(frozen=True)
class Terms:
    """What an export goes by: the destination, if any, the rules, and the lists with their ids."""

    destination: Destination | None
    rules: Rules
    suppressed: Mapping[str, frozenset[str]]


def terms_of(project: Project, asked: Asked) -> Terms:
    """The terms of an export; raises UserError for a destination, share or list that cannot be used."""
    settings = export_settings(project.workspace, project.catalog.types)
    destination = _destination(settings, asked)
    if asked.holdout is not None and asked.holdout != 0:
        try:
            check_share(asked.holdout)
        except ValueError as error:
            message, _, hint = str(error).partition(" | ")
            raise UserError(Issue("bad-value", "--holdout", message, hint)) from None
    if asked.salt == "":
        raise UserError(Issue("bad-value", "--salt", "the salt is empty", "any text, such as the campaign's name"))
    rules = rules_of(
        settings,
        destination,
        project.workspace.settings.min_export,
        holdout=asked.holdout,
        salt=asked.salt,
        changes=asked.changes,
    )
    if asked.salt is not None and rules.holdout is None:
        raise UserError(Issue("bad-value", "--salt", "nobody is held out", "add --holdout 0.1"))
    return Terms(destination, rules, read_suppressed(project.workspace.root, rules.suppression))


def reckon(project: Project, snapshot: Snapshot, named: NamedSegment, asked: Asked, now: datetime) -> Recipients:
    """Who would be exported now; nothing is written."""
    return _draw(project, snapshot, named, terms_of(project, asked), asked, Ledger(project.workspace.state), now)


def to_file(
    project: Project,
    named: NamedSegment,
    asked: Asked,
    kind: str,
    target: Path,
    columns: Mapping[str, str],
    options: Options,
    *,
    who: str,
    now: datetime,
    overwrite: bool = False,
) -> tuple[Delivered, Recipients]:
    """What was delivered to a file, and to whom. In `target` the word `{export}` stands for the export's id."""
    terms = terms_of(project, asked)
    ledger, root = Ledger(project.workspace.state), project.workspace.root
    with ledger.lock():
        ledger.settle()
        with project.store.open() as snapshot:
            recipients = _draw(project, snapshot, named, terms, asked, ledger, now)
            record = draft_record(
                snapshot,
                named,
                ledger,
                recipients,
                project.workspace.timezone,
                destination=asked.to or "",
                format=kind,
                target="",
                who=who,
                when=now,
            )
            path = _numbered(target, root, record.id)
            whole = path.resolve()
            if whole.is_relative_to(project.workspace.state.resolve()):
                message = "an export cannot be written into Limner's own folder"
                raise RefusedError(Issue("cannot-write", str(path), message, "choose another --out"))
            if whole.is_relative_to(root.resolve()):
                sweep_folder(whole.parent)  # the lock keeps other exports of the workspace away
            shown = whole.relative_to(root.resolve()) if whole.is_relative_to(root.resolve()) else whole
            record = record.model_copy(update={"target": shown.as_posix()})
            delivered = deliver_file(
                snapshot,
                named,
                project.catalog,
                ledger,
                recipients,
                record,
                path,
                columns,
                options=options,
                overwrite=overwrite,
            )
    return delivered, recipients


def _numbered(target: Path, root: Path, id_: str) -> Path:
    """The file with the id of the export for `{export}`; the workspace's own folder keeps its name."""
    start, rest = (root, target.relative_to(root)) if target.is_relative_to(root) else (Path(), target)
    return start / str(rest).replace("{export}", id_)


def target_of(project: Project, named: NamedSegment, asked: Asked) -> Path | None:
    """The file of the destination that was asked for; None without a destination."""
    if asked.to is None:
        return None
    destination = _destination(export_settings(project.workspace, project.catalog.types), asked)
    if destination is None or destination.as_ == "webhook":
        return None
    suffix = file_format(destination.as_).SUFFIX
    path = destination.path or f"exports/{asked.to}/{{segment}}-{{export}}{suffix}"
    return project.workspace.root / path.replace("{segment}", named.name or "audience")


def destination_of(project: Project, name: str) -> Destination:
    """The destination of limner.yaml called `name`; raises UnknownNameError."""
    return export_settings(project.workspace, project.catalog.types).destination(name)


def consents(project: Project, asked: Asked) -> tuple[str, ...]:
    """The tags that say who agrees to an export."""
    settings = export_settings(project.workspace, project.catalog.types)
    return rules_of(settings, _destination(settings, asked), 1).consent


def to_webhook(
    project: Project,
    named: NamedSegment,
    asked: Asked,
    columns: Sequence[str],
    progress: Progress,
    clock: Clock,
    *,
    who: str,
    now: datetime,
) -> tuple[ExportRecord, Recipients | None]:
    """The record of a webhook's run that is delivered, and whom it reached; None where a run that was begun before was finished.

    A run of the same segment that was killed is gone on with, and no new one begun.
    """
    from limner_segments.exports.webhook import Endpoint

    terms = terms_of(project, asked)
    destination = terms.destination
    if destination is None or destination.as_ != "webhook":
        raise RefusedError(Issue("no-webhook", "--to", "this is not a webhook", "name a destination 'as: webhook'"))
    secret = os.environ.get(destination.secret_env, "")
    if not secret:
        message = f"the environment variable {destination.secret_env} is not set, and batches are signed with it"
        hint = f"export {destination.secret_env}=… in the shell that runs limner"
        raise RefusedError(Issue("missing-secret", "", message, hint))
    where = urlsplit(destination.url)
    if where.scheme == "http" and where.hostname not in ("localhost", "127.0.0.1", "::1"):
        progress.warn(f"{shown_url(destination.url)}: what is sent by http is not encrypted; use https")
    endpoint = Endpoint(destination.url, os.fsencode(secret), destination.timeout, destination.attempts)
    ledger = Ledger(project.workspace.state)
    recipients = None
    with ledger.lock(), project.store.open() as snapshot:
        ledger.settle()
        stream = (asked.to or "", named.name or f"where {named.definition_hash}")
        begun = next((begun for begun in ledger.begun() if begun.record.stream == stream), None)
        if begun is not None:
            record = begun.record
            ledger.withdraw(record.id, listed_users(snapshot, terms.suppressed))
            progress.warn(
                f"goes on with export {record.id} of {record.at[:16]}: {begun.done} of {record.batches} batches were accepted; "
                "run the command again for a new export"
            )
        else:
            recipients = _draw(project, snapshot, named, terms, asked, ledger, now)
            for warning in recipients.warnings:
                progress.warn(warning)
            draft = draft_record(
                snapshot,
                named,
                ledger,
                recipients,
                project.workspace.timezone,
                destination=asked.to or "",
                format="webhook",
                target=shown_url(destination.url),
                who=who,
                when=now,
            )
            used = [tag for tag in project.catalog.tags if tag in named.condition.fields()]
            chosen = columns or destination.columns or used
            record = begin_run(snapshot, project.catalog, ledger, recipients, draft, chosen, destination.batch)
    with progress.step(f"send {record.batches} batches to {asked.to}", record.batches) as step:

        def on_batch(number: int) -> None:
            step.describe(f"batch {number + 1} of {record.batches}")
            step.advance()

        def on_wait(reason: str, seconds: float) -> None:
            progress.warn(f"{reason}; tries again in {seconds:.0f} s")

        return send_run(ledger, record, endpoint, clock, on_batch, on_wait), recipients


def abandon(project: Project, id_: str) -> ExportRecord:
    """The record of a webhook's run that was given up: only the batches that were accepted count."""
    ledger = Ledger(project.workspace.state)
    with ledger.lock():
        begun: dict[str, Begun] = {begun.record.id: begun for begun in ledger.begun()}
        if id_ not in begun:
            hint = did_you_mean(id_, begun, f"unfinished: {', '.join(begun)}" if begun else "no run is unfinished")
            raise UnknownNameError(Issue("unknown-export", "", f"there is no unfinished export {id_!r}", hint))
        with ledger.run_lock(id_):
            return ledger.abandon(id_)


def listed(project: Project) -> list[dict[str, Any]]:
    """A row for each export, newest first; `state` is done, given up, or how far a run is that was begun."""
    ledger = Ledger(project.workspace.state)
    unfinished = ledger.begun()  # first: what is counted meanwhile is found below, and not missed
    rows = [(record, "done" if record.finished else "given up") for record in ledger.exports()]
    counted = {record.id for record, _ in rows}
    for begun in unfinished:
        if begun.record.id in counted:
            continue
        state = f"{begun.done} of {begun.record.batches} batches" if begun.record.format == "webhook" else "begun"
        rows.append((begun.record, state))
    rows.sort(key=lambda row: int(row[0].id.split("-")[1]), reverse=True)
    return [
        {
            **record.model_dump(exclude={"id"}),
            "export": record.id,
            "state": state,
            **{name: record.accounting.get(name, 0) for name in ("recipients", "left", "held_out")},
        }
        for record, state in rows
    ]


def _destination(settings: ExportSettings, asked: Asked) -> Destination | None:
    if asked.to is not None:
        return settings.destination(asked.to)
    if asked.changes:
        hint = "add --to and a destination of limner.yaml"
        raise UserError(
            Issue("bad-value", "--changes", "changes are counted from the last export to a destination", hint)
        )
    return None


def _draw(
    project: Project,
    snapshot: Snapshot,
    named: NamedSegment,
    terms: Terms,
    asked: Asked,
    ledger: Ledger,
    now: datetime,
) -> Recipients:
    return draw_recipients(
        snapshot, named, terms.rules, terms.suppressed, ledger, asked.to or "", now, project.workspace.timezone
    )
