"""Options that several commands share, and opening the project that they work in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.project import Project
    from limner_profile.snapshots import Snapshot
    from limner_segments.segment import NamedSegment

Dir = Annotated[
    Path, typer.Option("--dir", help="The workspace: a folder with limner.yaml.", show_default="the current folder")
]
Style = Annotated[str, typer.Option("--format", help="table, json or csv.")]
SnapshotId = Annotated[str | None, typer.Option("--snapshot", help="A snapshot id; the current one by default.")]
WhereText = Annotated[
    str | None, typer.Option("--where", help="A condition on tags and behaviour instead of a segment's name.")
]
SegmentName = Annotated[
    str | None,
    typer.Argument(help="The name of a segment, or everyone for all users; or give --where.", show_default=False),
]
Language = Annotated[str | None, typer.Option("--lang", help="en or zh; the workspace's language by default.")]


def opened(directory: Path) -> Project:
    """The project in the folder of --dir; raises UserError with every issue."""
    from limner.project import open_project

    return open_project(directory)


def style_of(text: str, also: str = ""):  # type: ignore[no-untyped-def]  # the enum's module is imported late
    """The Format called `text`; raises UserError for another word, and names the format that the command has `also`."""
    from limner.output import Format
    from limner_profile.errors import Issue, UserError, did_you_mean

    try:
        return Format(text)
    except ValueError:
        words = [*(style.value for style in Format), *([also] if also else [])]
        hint = did_you_mean(text, words, f"{', '.join(words[:-1])} or {words[-1]}")
        raise UserError(Issue("bad-value", "--format", f"unknown format {text!r}", hint)) from None


def segment_of(project: Project, name: str | None, where: str | None) -> NamedSegment:
    """The segment of a name, or of --where."""
    from limner_segments.segment import resolve

    return resolve(name, where, project.segments, project.catalog, project.workspace)


def language_of(project: Project, language: str | None) -> str:
    """The language of --lang, or the workspace's."""
    from limner_profile.errors import Issue, UserError

    chosen = language or project.workspace.settings.language
    if chosen not in ("en", "zh"):
        raise UserError(Issue("bad-value", "--lang", f"unknown language {chosen!r}", "en or zh"))
    return chosen


def note_stale(project: Project, snapshot: Snapshot, named: NamedSegment, also: Sequence[str] = ()) -> None:
    """Say on stderr which tags of a condition, and of `also`, were edited after the build, and which events it never saw."""
    from limner.progress import TerminalProgress
    from limner.project import stale_tags
    from limner_segments.unseen_events import unseen_events

    for issue in unseen_events(snapshot, named.condition):
        TerminalProgress().warn(f"{issue.message}; {issue.hint}")
    stale = [tag for tag in stale_tags(project.catalog, snapshot) if tag in named.condition.fields() or tag in also]
    if stale:
        edited = ", ".join(stale)
        TerminalProgress().warn(f"edited after snapshot {snapshot.id} was built: {edited}; run 'limner build'")
