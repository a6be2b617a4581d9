"""The compiler: tags and an as_of in, one SQL query out. Pure: no clock, no connection, no logging.

The query reads the relations `events`, `acted` (user_id, since), `users_<source>` and those of imported files, and gives a row a user:
`user_id`, then a column a tag. Aggregates over the same events share one pass over them; see acts.
Tags of tags follow in stages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlglot import exp

from limner_profile.dependencies import stages_of
from limner_profile.sources import FieldType
from limner_profile.tags.base import Tag
from limner_profile.tags.defaults import default_sql
from limner_profile.tags.expressions import instant
from limner_profile.tags.query import relation_columns
from limner_profile.tags.scope import OVERALL, PLACED, Scope
from limner_profile.workspace import Schema

# The relations that hold the tags of a stage: what comes later reads them and none that stands before them.
STAGE_NAME = re.compile(r"stage\d+")


def compile_profiles(tags: Mapping[str, Tag], as_of: datetime, timezone: ZoneInfo, schema: Schema) -> exp.Select:
    """The query for the profiles as of an instant (exclusive): `user_id` and a column a tag, a row a user.

    A user is whom a source of users lists (from their `since` on, where it is mapped) or who has acted before.
    Tags of tags come in stages: the relation `stage0` holds the tags computed from sources, `stage1` those that
    refer to them, and so on. `tags` must hold what its members refer to.
    """
    types: dict[str, FieldType] = {name: tag.value_type(schema) for name, tag in tags.items()}
    scope = Scope(as_of, timezone, schema, types)
    stages = stages_of({name: tag.references() for name, tag in tags.items()})
    relations, query = _from_sources(scope, {name: tags[name] for name in stages[0]})
    columns = list(stages[0])
    query = _stacked(query, columns, tags, stages[1:], scope, relations)
    if len(stages) > 1 and columns != list(tags):
        # The order of the columns is that of the tags, whatever stage each came from.
        relations["staged"] = query
        query = exp.select("user_id", *(exp.column(name, quoted=True) for name in tags)).from_("staged")
    for name, relation in relations.items():
        query = query.with_(name, as_=relation, copy=False)
    return query


def compile_late(
    tags: Mapping[str, Tag], given: Mapping[str, FieldType], as_of: datetime, timezone: ZoneInfo, schema: Schema
) -> exp.Select:
    """The query for tags that are computed from scores: `user_id` and a column a tag, a row for each row of `profiles`.

    That table holds the scores by then, and the other tags that they refer to, whose types are `given`.
    """
    types: dict[str, FieldType] = {**given, **{name: tag.value_type(schema) for name, tag in tags.items()}}
    scope = Scope(as_of, timezone, schema, types)
    references = {name: tag.references() for name, tag in tags.items()}
    stages = stages_of({name: [inner for inner in needed if inner in tags] for name, needed in references.items()})
    columns = [name for name in given if any(name in needed for needed in references.values())]
    query = exp.select("user_id", *(exp.column(name, quoted=True) for name in columns)).from_("profiles")
    relations: dict[str, exp.Query] = {}
    relations["staged"] = _stacked(query, columns, tags, stages, scope, relations)
    query = exp.select("user_id", *(exp.column(name, quoted=True) for name in tags)).from_("staged")
    for name, relation in relations.items():
        query = query.with_(name, as_=relation, copy=False)
    return query


def _stacked(
    query: exp.Select,
    columns: list[str],
    tags: Mapping[str, Tag],
    stages: Sequence[Sequence[str]],
    scope: Scope,
    relations: dict[str, exp.Query],
) -> exp.Select:
    """The query with the tags of further stages on top, each stage over the one before; `columns` grows by their names."""
    for number, names in enumerate(stages):
        scope.stage = f"stage{number}"
        scope.windows.clear()
        scope.overalls.clear()
        relations[scope.stage] = query
        values = [exp.alias_(_value(name, tags[name], scope), name, quoted=True) for name in names]
        earlier = [exp.column(name, table=scope.stage, quoted=True) for name in columns]
        query = exp.select(exp.column("user_id", table=scope.stage), *earlier, *values).from_(scope.stage)
        query = _with_computed(query, scope, relations)
        columns += names
    return query


def _from_sources(scope: Scope, tags: Mapping[str, Tag]) -> tuple[dict[str, exp.Query], exp.Select]:
    """The relations and the query of the tags that refer to no other tags."""
    values = {name: _value(name, tag, scope) for name, tag in tags.items()}
    query = exp.select(
        exp.column("user_id", table="known"), *(exp.alias_(value, name, quoted=True) for name, value in values.items())
    )
    query = query.from_("known")
    for source in sorted(scope.sources_seen):
        same = _same_user(f"users_{source}")
        if source in scope.schema.sources_with_history:
            same = exp.and_(same, _valid(f"users_{source}", scope.as_of))
        query = query.join(_users(source), on=same, join_type="left", copy=False)
    for relation in sorted(scope.imported_seen):
        query = query.join(relation, on=_same_user(relation), join_type="left", copy=False)
    relations: dict[str, exp.Query] = {"known": _known_users(scope.as_of, scope.schema)}
    known = _before(scope.as_of, scope.schema)
    for index, reduction in enumerate(scope.reductions.values()):
        relations[f"acts{index}"] = reduction.query(known.copy())
        query = query.join(f"acts{index}", on=_same_user(f"acts{index}"), join_type="left", copy=False)
    for index, tally in enumerate(scope.tallies.values()):
        relations[f"pairs{index}"] = tally.pairs(known.copy())
        relations[f"top{index}"] = tally.chosen(f"pairs{index}")
        query = query.join(f"top{index}", on=_same_user(f"top{index}"), join_type="left", copy=False)
    for index, days in enumerate(scope.days.values()):
        relations[f"days{index}"] = days.query(known.copy())
        query = query.join(f"days{index}", on=_same_user(f"days{index}"), join_type="left", copy=False)
    for index, written in enumerate(scope.queries.values()):
        relations[f"query{index}"] = _as_known(written, scope)
        query = query.join(f"query{index}", on=_same_user(f"query{index}"), join_type="left", copy=False)
    return relations, query


def _with_computed(query: exp.Select, scope: Scope, relations: dict[str, exp.Query]) -> exp.Select:
    """The query of a stage joined with what the kinds asked to be computed over all users of the stage before.

    Window functions stand in a relation of their own, with few columns: over rows of all tags they would sort them all.
    """
    if scope.windows:
        name = f"{PLACED}_{scope.stage}"
        columns = [exp.alias_(window, f"v{index}") for index, window in enumerate(scope.windows.values())]
        relations[name] = exp.select("user_id", *columns).from_(scope.stage)
        on = exp.EQ(this=exp.column("user_id", table=name), expression=exp.column("user_id", table=scope.stage))
        query = query.join(name, on=on, join_type="left", copy=False)
    if scope.overalls:
        name = f"{OVERALL}_{scope.stage}"
        columns = [exp.alias_(function, f"v{index}") for index, function in enumerate(scope.overalls.values())]
        relations[name] = exp.select(*columns).from_(scope.stage)
        query = query.join(name, join_type="cross", copy=False)
    return query


def _value(name: str, tag: Tag, scope: Scope) -> exp.Expr:
    value = tag.value(scope)
    if tag.default is None:
        return value
    return exp.Coalesce(this=value, expressions=[default_sql(tag.default, scope.types[name])])


def _users(source: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(f"users_{source}"))


def _valid(relation: str, as_of: datetime) -> exp.Expr:
    """The condition that an interval of attributes is the one known before as_of: a row of as_of itself is not seen."""
    begins, ends = exp.column("valid_from", table=relation), exp.column("valid_to", table=relation)
    open_end = exp.Is(this=ends, expression=exp.Null())
    return exp.and_(
        exp.LT(this=begins, expression=instant(as_of)),
        exp.Paren(this=exp.or_(open_end, exp.GTE(this=ends.copy(), expression=instant(as_of)))),
    )


def _same_user(relation: str) -> exp.Expr:
    return exp.EQ(this=exp.column("user_id", table=relation), expression=exp.column("user_id", table="known"))


def _before(as_of: datetime, schema: Schema) -> exp.Expr:
    """The condition that an event had happened, and where that is recorded had been received, before as_of."""
    happened = exp.LT(this=exp.column("time"), expression=instant(as_of))
    if not schema.has_received:
        return happened
    received = exp.column("received")
    late = exp.or_(
        exp.Is(this=received, expression=exp.Null()), exp.LT(this=received.copy(), expression=instant(as_of))
    )
    return exp.and_(happened, exp.Paren(this=late))


def _listed(as_of: datetime) -> exp.Expr:
    """The condition that a user was there before as_of, where the source says since when."""
    since = exp.column("since")
    return exp.or_(exp.Is(this=since, expression=exp.Null()), exp.LT(this=since.copy(), expression=instant(as_of)))


def _as_known(query: exp.Select, scope: Scope) -> exp.Select:
    """A query of a tag with each relation cut down to what was known of it before as_of, and to the columns that it names."""
    query = query.copy()
    named = {column.name.casefold() for column in query.find_all(exp.Column)}
    named |= {column.name.casefold() for join in query.find_all(exp.Join) for column in join.args.get("using") or ()}
    every = any(not isinstance(star.parent, exp.Count) for star in query.find_all(exp.Star))
    relations = {name.casefold(): name for name in relation_columns(scope.schema)}
    for table in list(query.find_all(exp.Table)):
        relation = relations.get(table.name.casefold())
        if relation is None:
            continue  # a part of WITH
        columns = relation_columns(scope.schema)[relation]
        # The time is read whether or not it is named, and tells lineage that this is not the list of who is known.
        read = [name for name in columns if every or name == "time" or name.casefold() in {*named, "user_id"}]
        known = exp.select(*(exp.column(name, table=relation, quoted=True) for name in read)).from_(relation)
        if relation == "events":
            known = known.where(_before(scope.as_of, scope.schema))
        else:
            source = relation.removeprefix("users_")
            if source in scope.schema.sources_with_since:
                known = known.where(_listed(scope.as_of))
            if source in scope.schema.sources_with_history:
                known = known.where(_valid(relation, scope.as_of))
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
        table.replace(exp.Subquery(this=known, alias=alias))
    return query


def _known_users(as_of: datetime, schema: Schema) -> exp.Query:
    """Each user once: those whom sources of users list, and those of other users who acted, which is quicker than a union of both."""
    parts: list[exp.Select] = []
    for source in schema.user_sources:
        listed = exp.select("user_id").from_(_users(source))
        if source in schema.sources_with_history:
            begin: exp.Expr = exp.column("valid_from")
            if source in schema.sources_with_since:
                begin = exp.Coalesce(this=exp.column("since"), expressions=[begin])
            listed = listed.distinct().where(exp.LT(this=begin, expression=instant(as_of)))
        elif source in schema.sources_with_since:
            listed = listed.where(_listed(as_of))
        parts.append(listed)
    if not schema.has_events:
        return exp.union(*parts, distinct=True) if len(parts) > 1 else parts[0]
    acted = exp.select("user_id").distinct().from_("acted")
    acted = acted.where(exp.LT(this=exp.column("since"), expression=instant(as_of)))
    for part in parts:
        acted = acted.where(exp.Not(this=exp.In(this=exp.column("user_id"), query=part.copy().subquery(copy=False))))
    if not parts:
        return acted
    listed_by_any = exp.union(*parts, distinct=True) if len(parts) > 1 else parts[0]
    return exp.union(listed_by_any, acted, distinct=False)
