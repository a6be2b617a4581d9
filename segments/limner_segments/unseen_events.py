"""Names of events that a condition asks for and a snapshot never saw: mostly misspelt. Imports floor 1, audience and the conditions."""

from __future__ import annotations

from limner_profile.errors import Issue, UserError, did_you_mean
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_segments.audience import prepare
from limner_segments.conditions.base import user_sets
from limner_segments.conditions.windowed import Windowed


def events_of(condition: Predicate) -> list[str]:
    """The names of the events that a condition asks for, those of segments that it asks for left out."""
    return list(
        dict.fromkeys(
            name for call in user_sets(condition) if isinstance(call, Windowed) for name in call.asked_events()
        )
    )


def unseen_events(snapshot: Snapshot, condition: Predicate) -> list[Issue]:
    """An issue for each event that a condition asks for and the snapshot never saw; none where its events cannot be read."""
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
    return [
        Issue("unknown-event", "", f"no event is called {name!r}", did_you_mean(name, known, listed))
        for name in asked
        if name not in seen
    ]
