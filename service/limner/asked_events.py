"""Names of events that tags and scenarios ask for and no source has: mostly misspelt. Imports the profile and segment floors."""

from __future__ import annotations

from collections.abc import Mapping

from limner_profile.attached import event_names
from limner_profile.catalog import Catalog
from limner_profile.errors import Issue, RefusedError, did_you_mean
from limner_profile.workspace import Workspace
from limner_segments.funnel_definition import NamedFunnel
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.segment import NamedSegment
from limner_segments.unseen_events import events_of


def unknown_events(
    workspace: Workspace,
    catalog: Catalog,
    scenarios: Mapping[str, NamedScenario],
    segments: Mapping[str, NamedSegment],
    funnels: Mapping[str, NamedFunnel],
) -> list[Issue]:
    """A warning for each name that the last ingestion found no event of, at its place; none before the first ingestion.

    Of a query, the texts that its column `event` is compared with.
    """
    try:
        known = event_names(workspace)
    except RefusedError:
        return []
    documents = {
        (folder, entry.name): entry.document
        for folder, thing in (
            ("tags", "tag"),
            ("scenarios", "scenario"),
            ("segments", "segment"),
            ("funnels", "funnel"),
        )
        for entry in workspace.entries(folder, thing)[0]
    }
    asked = [("tags", "tag", name, tag.asked_events()) for name, tag in catalog.computed.items()]
    asked += [("scenarios", "scenario", name, one.scenario.outcome.asked_events()) for name, one in scenarios.items()]
    asked += [
        ("segments", "segment", name, [(("where",), event) for event in events_of(named.segment.where)])
        for name, named in segments.items()
    ]
    asked += [("funnels", "funnel", name, one.funnel.asked_events()) for name, one in funnels.items()]
    listed = f"known: {', '.join(sorted(known)[:8])}"
    return [
        Issue(
            "unknown-event",
            documents[folder, name].where((name, *place)),
            f"the {thing} {name!r} asks for events called {event!r}, and there are none",
            did_you_mean(event, known, listed),
        )
        for folder, thing, name, places in asked
        for place, event in places
        if event not in known
    ]
