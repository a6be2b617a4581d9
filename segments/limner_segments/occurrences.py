"""What an audience did: the relations that retention and funnels are counted from. Imports floor 1 and the audience.

Everything is read from `profiles` and `events` and lies before the scope's as_of; days are local days of the workspace's zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import duckdb
from sqlglot import exp

from limner_profile.errors import Issue, RefusedError
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_profile.tags.acts import Acts
from limner_profile.tags.scope import Scope as TagScope
from limner_profile.workspace import Schema
from limner_segments.audience import condition_sql, prepare, require_tags
from limner_segments.conditions.scope import Scope, scope_of

AUDIENCE = "audience"
_NO_SOURCES = Schema({}, {}, {}, (), frozenset(), has_received=False, has_events=True)


def prepared(snapshot: Snapshot, condition: Predicate, tags: Sequence[str] = ()) -> Scope:
    """The scope of a snapshot in which the condition, these tags and `events` can be read.

    Raises RefusedError `not-built` for tags, or events, that the snapshot lacks, and `events-gone` where files that it read are gone.
    """
    require_tags(snapshot, sorted({*condition.fields(), *tags}))
    if not snapshot.columns("events"):
        raise RefusedError(Issue("not-built", "", f"snapshot {snapshot.id} has no events", "run 'limner build' first"))
    prepare(snapshot.connection, condition)
    try:
        snapshot.value("SELECT 1 FROM events LIMIT 1")
    except duckdb.IOException:
        message = f"ingested files that snapshot {snapshot.id} reads are no longer there"
        raise RefusedError(Issue("events-gone", "", message, "run 'limner build', or ask a newer snapshot")) from None
    return scope_of(snapshot.connection)


def members_of(condition: Predicate, scope: Scope) -> exp.Select:
    """The query for the `user_id` of the users of an audience."""
    return exp.select("user_id").from_("profiles").where(condition_sql(condition, scope))


def of_audience(query: exp.Select) -> exp.Select:
    """A query over `events`, for the users of the relation `audience` only."""
    chosen = exp.select("user_id").from_(AUDIENCE).subquery(copy=False)
    return query.where(exp.In(this=exp.column("user_id"), query=chosen))


def before(acts: Acts, scope: Scope) -> Acts:
    """The same acts, before the scope's as_of."""
    end = scope.as_of if acts.end is None else min(acts.end, scope.as_of)
    return replace(acts, end=end)


def known_acts(acts: Acts, scope: Scope, *columns: str) -> exp.Select:
    """These columns of the audience's acts that were known at as_of; without names of events, of any act."""
    bounded = before(acts, scope)
    parts = bounded.narrowed(None) if not acts.events else [bounded.condition()]
    return of_audience(exp.select(*(exp.column(name) for name in columns)).from_("events").where(*parts))


def local_day(moment: exp.Expr, scope: Scope) -> exp.Expr:
    """The local calendar day of a UTC instant before as_of."""
    return TagScope(scope.as_of, scope.timezone, _NO_SOURCES).local_day(moment)


def day_literal(scope: Scope) -> exp.Expr:
    """The local calendar day of as_of."""
    return TagScope(scope.as_of, scope.timezone, _NO_SOURCES).as_of_day


def days_between(earlier: exp.Expr, later: exp.Expr) -> exp.Expr:
    """How many days one local day lies after another."""
    return exp.DateDiff(this=later.copy(), expression=earlier.copy(), unit=exp.var("day"))
