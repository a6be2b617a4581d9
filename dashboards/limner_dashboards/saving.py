"""Saving a typed condition as a segment: its file and its audience, in a new snapshot derived from the current one.

Imports floors 1 and 2. (An insight is saved by `limner_explain.cards.save_insight`.)
"""

from __future__ import annotations

from limner_dashboards.view import View
from limner_segments.audience_tables import write_audiences
from limner_segments.segment import NamedSegment, save_segment


def save_condition(view: View, named: NamedSegment) -> int:
    """The size of the new segment's audience; either the file and the audience stand, or neither does.

    Raises RefusedError for a name that is taken or unfit, BusyError while somebody else writes.
    """
    workspace, store = view.workspace, view.store
    with store.lock():
        with store.open() as snapshot:
            as_of = snapshot.as_of
        path = save_segment(workspace, named)
        try:
            with store.create(as_of, workspace.timezone, workspace.settings.keep_snapshots, derive=True) as writer:
                sizes = write_audiences(writer, [named], view.catalog, None)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return sizes[named.name]
