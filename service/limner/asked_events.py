"""Names of events that tags and scenarios ask for and no source has: mostly misspelt. Imports the profile and segment floors."""

from __future__ import annotations

from collections.abc import Mapping

from limner_profile.attached import event_names
from limner_profile.catalog import Catalog
from limner_profile.errors import Issue, RefusedError, UserError, did_you_mean
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_profile.workspace import Workspace
from limner_segments.audience import prepare
from limner_segments.conditions.base import user_sets
from limner_segments.conditions.windowed import Windowed
from limner_segments.funnel_definition import NamedFunnel
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.segment import NamedSegment


def events_of(condition: Predicate) -> list[str]:
    """The names of the events that a condition asks for, those of segments that it asks for left out."""
    return list(
        dict.fromkeys(
            name for call in user_sets(condition) if isinstance(call, Windowed) for name in call.asked_events()
        )
    )


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


def unseen_events(snapshot: Snapshot, condition: Predicate) -> list[str]:
    """A line for each event that a condition asks for and the snapshot never saw; none where its events cannot be read."""
    asked = events_of(condition)
    if not asked:
        return []
    try:
        prepare(snapshot.connection, condition)
    except UserError:  # whoever counts the condition says why; a warning must not keep the others from being listed
        return []
    marks = ", ".join("?" for _ in asked)
    seen = {row["event"] for row in snapshot.rows(f"SELECT DISTINCT event FROM events WHERE event IN ({marks})", asked)}
    if seen.issuperset(asked):
        return []
    known = [row["event"] for row in snapshot.rows("SELECT DISTINCT event FROM events")]
    listed = f"known: {', '.join(sorted(known)[:8])}"
    return [f"no event is called {name!r}; {did_you_mean(name, known, listed)}" for name in asked if name not in seen]
