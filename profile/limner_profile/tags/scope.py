"""The scope through which a tag kind asks for what its value needs: aggregates, choices, attributes, other tags.

A kind says what its value is as a SQL expression; on the way it registers with the scope what the expression refers to.
The compiler assembles that into one query. Imports acts, expressions, predicates and windows; pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlglot import exp

from limner_profile.errors import InternalError
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.columns import Columns
from limner_profile.sources import FieldType
from limner_profile.tags.acts import Acts, Give, Reduction, Tally
from limner_profile.tags.days import MOST_DAYS, Days
from limner_profile.tags.expressions import as_number, event_column, is_known, local_day, ordered, row_of
from limner_profile.windows import window_start
from limner_profile.workspace import Schema

# Of each stage, the relations that hold the window functions (a row a user) and the aggregates over all users (one row).
PLACED, OVERALL = "placed", "overall"


@dataclass
class Scope:
    """What the tags of one query need: filled by the kinds, read by the compiler.

    `types` holds the types of all tags of the query; `stage` names the relation whose columns are the tags that
    are there to refer to.
    """

    as_of: datetime
    timezone: ZoneInfo
    schema: Schema
    types: Mapping[str, FieldType] = field(default_factory=dict)
    stage: str = ""
    reductions: dict[tuple[str, ...], Reduction] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    days: dict[str, Days] = field(default_factory=dict)
    windows: dict[str, exp.Expr] = field(default_factory=dict)
    overalls: dict[str, exp.Expr] = field(default_factory=dict)
    sources_seen: set[str] = field(default_factory=set)
    imported_seen: set[str] = field(default_factory=set)
    queries: dict[str, exp.Select] = field(default_factory=dict)

    @property
    def events(self) -> Columns:
        """The fields of events, as filters find them."""
        return Columns.of(event_column, self.schema.event_fields, self.timezone)

    @property
    def tags(self) -> Columns:
        """The tags that are there to refer to, as conditions find them."""
        return Columns.of(self.tag, self.types, self.timezone)

    def acts(self, events: Sequence[str], where: Predicate | None, window: str, *, before: bool = False) -> Acts:
        """The events of these names, inside the window, that fulfil the filter.

        With `before`, inside the window before that one, which is as long and ends where it begins.
        """
        start = window_start(window, self.as_of, self.timezone, 2 if before else 1)
        end = window_start(window, self.as_of, self.timezone) if before else None
        return Acts(tuple(sorted(set(events))), where, start, end, self.events)

    def aggregate(self, function: exp.Expr, acts: Acts, also: exp.Expr | None = None) -> exp.Column:
        """The column that holds `function` over a user's acts (that fulfil `also`), NULL for a user without such events."""
        reduction = self.reductions.setdefault(acts.events, Reduction(acts.events))
        return exp.column(reduction.add(function, acts, also), table=f"acts{list(self.reductions).index(acts.events)}")

    def top_value(self, by: str, weight: exp.Expr, acts: Acts, give: Give = "value") -> exp.Column:
        """The column that holds the value of property `by` with the greatest weight among a user's events.

        Or, as `give` says, its share of the weight of all values, or the value that comes second. Ties go to the
        value acted on last, then to the last in alphabetical order, so that the same events always give the same.
        """
        return self._choice(event_column(by), acts, give, weight)

    def distinct_count(self, value: exp.Expr, acts: Acts) -> exp.Column:
        """The column that holds how many different known values a user's acts have; NULL or 0 without any."""
        return self._choice(value, acts, "distinct", exp.Null())

    def day_count(self, acts: Acts) -> exp.Column:
        """The column that holds on how many local days a user acted; NULL or 0 without any."""
        day = self.local_day(exp.column("time"))
        if acts.start is None or acts.end is not None or self._days_since(acts.start) > MOST_DAYS:
            return self.distinct_count(day, acts)
        ago = exp.DateDiff(this=self.as_of_day, expression=day, unit=exp.var("day"))
        whole = acts.whenever
        key = whole.condition().sql(dialect="duckdb")
        days = self.days.setdefault(key, Days(ago, whole))
        name = days.add(acts.start, self._days_since(acts.start))
        return exp.column(name, table=f"days{list(self.days).index(key)}")

    def _days_since(self, start: datetime) -> int:
        """How many local days there are from that of `start` to that of as_of, both counted."""
        first, last = (moment.astimezone(self.timezone).date() for moment in (start, self.as_of))
        return (last - first).days + 1

    def _choice(self, value: exp.Expr, acts: Acts, give: Give, weight: exp.Expr) -> exp.Column:
        if acts.end is not None:
            raise InternalError("values are chosen in windows that end at as_of")
        pairs = acts.whenever
        key = f"{value.sql(dialect='duckdb')} of {pairs.condition().sql(dialect='duckdb')}"
        tally = self.tallies.setdefault(key, Tally(value, pairs))
        return exp.column(tally.add(give, weight, acts.start), table=f"top{list(self.tallies).index(key)}")

    def edge_value(self, of: str, acts: Acts, *, last: bool) -> exp.Column:
        """The column that holds property `of` at the first (or last) of a user's acts that has it.

        Of several events at that instant, the smallest value counts for the first, the greatest for the last.
        """
        value = event_column(of)
        function = exp.ArgMax if last else exp.ArgMin
        key = row_of("time")
        key.append("expressions", exp.PropertyEQ(this=exp.to_identifier("value"), expression=value.copy()))
        return self.aggregate(function(this=value, expression=key), acts, is_known(value))

    def tag(self, name: str) -> exp.Column:
        """The column that holds another tag of the user, computed in an earlier stage."""
        if not self.stage:
            raise InternalError(f"the tag {name!r} is asked for in a stage that refers to nothing")
        return exp.column(name, table=self.stage, quoted=True)

    def place(self, window: exp.Expr) -> exp.Column:
        """The column that holds a window function over the users, computed once however often it is used."""
        return self._computed(self.windows, window, PLACED)

    def overall(self, function: exp.Expr, among: exp.Expr) -> exp.Column:
        """The column that holds an aggregate over all users who fulfil `among`: one value, the same for everyone."""
        filtered = exp.Filter(this=function, expression=exp.Where(this=among.copy()))
        return self._computed(self.overalls, filtered, OVERALL)

    def _computed(self, known: dict[str, exp.Expr], expression: exp.Expr, relation: str) -> exp.Column:
        key = expression.sql(dialect="duckdb")
        known.setdefault(key, expression)
        return exp.column(f"v{list(known).index(key)}", table=f"{relation}_{self.stage}")

    def share_below(self, value: exp.Expr, among: exp.Expr, *, descending: bool = False) -> exp.Expr:
        """The share, from 0 to below 1, of the users with a lower (or higher) value, of those fulfilling `among`."""
        order = exp.Order(expressions=[ordered(value, descending=descending)])
        rank = self.place(exp.Window(this=exp.Rank(), partition_by=[among.copy()], order=order))
        users = self.overall(exp.Count(this=value.copy()), among)
        lower = exp.Paren(this=exp.Sub(this=rank, expression=exp.Literal.number(1)))
        return exp.Div(this=as_number(lower), expression=users)

    def attribute(self, name: str) -> exp.Column:
        """The column that holds an attribute of the user."""
        source = self.schema.attribute_source[name]
        self.sources_seen.add(source)
        return exp.column(name, table=f"users_{source}", quoted=True)

    def imported(self, relation: str) -> exp.Column:
        """The column `value` of a relation with a row a user that a kind attaches itself."""
        self.imported_seen.add(relation)
        return exp.column("value", table=relation)

    def per_user(self, query: exp.Select) -> exp.Column:
        """The column `value` of a query that gives `user_id` and `value`, a row a user, over `events` and `users_<source>`.

        The compiler puts in their place what was known of them before as_of.
        """
        key = query.sql(dialect="duckdb")
        self.queries[key] = query
        return exp.column("value", table=f"query{list(self.queries).index(key)}")

    def local_day(self, moment: exp.Expr) -> exp.Expr:
        """The local calendar day of a UTC instant before as_of."""
        return local_day(moment, self.as_of, self.timezone)

    @property
    def as_of_day(self) -> exp.Expr:
        """The local calendar day of `as_of`."""
        return exp.Cast(
            this=exp.Literal.string(self.as_of.astimezone(self.timezone).date().isoformat()),
            to=exp.DataType.build("date"),
        )
