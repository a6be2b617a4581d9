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
    return expressions.local_day(moment, scope.as_of, scope.timezone)


def days_between(earlier: exp.Expr, later: exp.Expr) -> exp.Expr:
    """How many days one local day lies after another."""
    return exp.DateDiff(this=later.copy(), expression=earlier.copy(), unit=exp.var("day"))
