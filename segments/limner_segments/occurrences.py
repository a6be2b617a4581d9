"""What an audience did: the relations that retention and funnels are counted from. Imports floor 1 and the audience.

Everything is read from `profiles` and `events` and lies before the scope's as_of; days are local days of the workspace's zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_profile.tags import expressions
from limner_profile.tags.acts import Acts
from limner_segments.audience import condition_sql, prepare, require_tags
from limner_segments.conditions.scope import Scope, scope_of
from limner_segments.conditions.windowed import require_events

AUDIENCE = "audience"


def prepared(snapshot: Snapshot, condition: Predicate, tags: Sequence[str] = ()) -> Scope:
    """The scope of a snapshot in which the condition, these tags and `events` can be read.

    Raises RefusedError `not-built` for tags that the snapshot lacks, and `events-gone` where its behaviour cannot be read.
    """
    require_tags(snapshot, sorted({*condition.fields(), *tags}))
    prepare(snapshot.connection, condition)
    scope = scope_of(snapshot.connection)
    require_events(scope, snapshot.connection)
    return scope


def with_audience(query: exp.Select, condition: Predicate, scope: Scope) -> exp.Select:
    """The query with the relation `audience` before its others: `user_id`, and a `number` for each user, which joins faster than text."""
    number = exp.Window(this=exp.RowNumber())
    users = exp.select("user_id", exp.alias_(number, "number")).from_("profiles").where(condition_sql(condition, scope))
    # Made once: made again, the numbers could be others.
    return query.with_(AUDIENCE, users, materialized=True)


def known_acts(acts: Acts, scope: Scope) -> exp.Select:
    """The `number` of the user and the `time` of the audience's acts that were known at as_of; without names of events, of any act."""
    end = scope.as_of if acts.end is None else min(acts.end, scope.as_of)
    bounded = replace(acts, end=end, columns=scope.events)
    parts = [bounded.condition()] if acts.events else bounded.narrowed(None)
    rows = exp.select("user_id", "time").from_("events").where(*parts)
    return of_audience(rows, "time")


def of_audience(rows: exp.Select, column: str) -> exp.Select:
    """The `number` of the user and a column of the rows (which have `user_id`, too) that belong to the audience."""
    return (
        exp.select(f"{AUDIENCE}.number", f"acted.{column}")
        .from_(rows.subquery("acted", copy=False))
        .join(AUDIENCE, on=f"{AUDIENCE}.user_id = acted.user_id")
    )


def local_day(moment: exp.Expr, scope: Scope) -> exp.Expr:
    """The local calendar day of a UTC instant before as_of."""
    return expressions.local_day(moment, scope.as_of, scope.timezone)


def days_between(earlier: exp.Expr, later: exp.Expr) -> exp.Expr:
    """How many days one local day lies after another."""
    return exp.DateDiff(this=later.copy(), expression=earlier.copy(), unit=exp.var("day"))
