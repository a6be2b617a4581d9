"""Which scenarios the data are too short for, as far as the last sync knows. Imports floors 1 and 2, and the project."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb

from limner.project import Project
from limner_profile.attached import attach_events, in_use
from limner_profile.builder import default_as_of
from limner_profile.errors import RefusedError
from limner_profile.sources import is_acts
from limner_segments.scoring.dataset import data_span
from limner_segments.scoring.scenario import plan_cutoffs


def too_early(project: Project) -> list[str]:
    """A line for each scenario that cannot be trained on the data of the last sync; none before the first."""
    workspace = project.workspace
    if not project.scenarios or not workspace.schema.has_events:
        return []
    with duckdb.connect() as connection:
        try:
            if not any(is_acts(entry.type) for entry in in_use(workspace)):
                return []
            attach_events(connection, workspace)
            as_of = default_as_of(workspace, datetime.now(UTC))
            first, end = data_span(connection, as_of, workspace.timezone)
        except RefusedError:
            return []  # the sources have changed since, or hold no events: a build says so
    lines = []
    for named in project.scenarios.values():
        try:
            plan_cutoffs(named.scenario, first, end, workspace.timezone)
        except RefusedError as error:
            issue = error.issues[0]
            lines.append(f"{named.place}  {named.name} cannot be trained: {issue.message}; {issue.hint}")
    return lines
