"""Materialising audiences without a new build: the segments as they are defined now, over the tags that the current snapshot has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.project import Project, not_made, stale_tags, tell_sizes
from limner.steps import Progress, Silent
from limner_profile.errors import Issue, RefusedError, unknown_name
from limner_segments.audience_tables import forget_audiences, write_audiences


@dataclass(frozen=True)
class Materialised:
    """The snapshot that now holds the audiences, and their sizes by name."""

    snapshot: str
    sizes: dict[str, int]


def materialise(project: Project, names: Sequence[str] = (), progress: Progress | None = None) -> Materialised:
    """The audiences of the named segments (all by default) in a snapshot derived from the current one, which it replaces as current.

    With all, those of segments that are no longer defined go, and one that cannot be made (its seed is too small) is told to
    `progress` and left out, as in a build; a named one raises. Raises UnknownNameError, RefusedError `stale-snapshot` where a
    segment uses a tag that was edited after the snapshot was built, BusyError while somebody else writes.
    """
    workspace, store = project.workspace, project.store
    for name in names:
        if name not in project.segments:
            raise unknown_name("segment", name, project.segments)
    chosen, told = [project.segments[name] for name in names or project.segments], progress or Silent()
    with store.lock():
        with store.open() as snapshot:
            as_of, previous = snapshot.as_of, Path(snapshot.path)
            stale = set(stale_tags(project.catalog, snapshot))
        issues = [
            Issue(
                "stale-snapshot",
                named.place,
                f"the segment {named.name!r} uses tags that were edited after the snapshot was built: {', '.join(sorted(used))}",
                "run 'limner build'",
            )
            for named in chosen
            if (used := stale.intersection(named.condition.fields()))
        ]
        if issues:
            raise RefusedError(issues)
        with store.create(as_of, workspace.timezone, workspace.settings.keep_snapshots, derive=True) as writer:
            if not names:
                forget_audiences(writer.connection, keep=list(project.segments))
            failed = None if names else not_made(told)
            sizes = write_audiences(writer, chosen, project.catalog, previous, failed)
            tell_sizes(writer, chosen, previous, told)
        return Materialised(writer.id, dict(sizes))
