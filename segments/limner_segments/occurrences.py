"""What an audience did: the relations that retention and funnels are counted from. Pure; imports floor 1 and scope.

Everything is read from `profiles` and `events` and lies before the scope's as_of; days are local days of the workspace's zone.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from limner_profile.predicates.base import Predicate
from limner_profile.tags.acts import Acts
from limner_profile.tags.scope import Scope as TagScope
from limner_profile.workspace import Schema
from limner_segments.conditions.scope import Scope

AUDIENCE = "audience"
_NO_SOURCES = Schema({}, {}, {}, (), frozenset(), has_received=False, has_events=True)


def members_of(condition: Predicate, scope: Scope) -> exp.Select:
    """The query for the `user_id` of the users of an audience."""
    return exp.select("user_id").from_("profiles").where(condition.to_sql(scope))


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
