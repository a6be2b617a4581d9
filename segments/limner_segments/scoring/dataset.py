"""Datasets: the population of a scenario at past cutoffs, with tag values as of then and the outcome after.

Features at a cutoff are recomputed from events before it, so nothing leaks from the future. Imports floor 1, and
scenario and outcomes beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
from sqlglot import exp

from limner_profile.attached import attach_files, attach_sources
from limner_profile.catalog import Catalog
from limner_profile.compiler import compile_profiles
from limner_profile.errors import Issue, RefusedError
from limner_profile.merged_views import merge_identities
from limner_profile.predicates.columns import Columns
from limner_profile.tags.expressions import as_number, count_rows, event_column, instant
from limner_profile.windows import add_days, days_of
from limner_profile.workspace import Workspace
from limner_segments.audience import condition_sql
from limner_segments.conditions.scope import tag_column
from limner_segments.scoring.scenario import NamedScenario, Schedule, allowed_tags, plan_cutoffs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


@dataclass(frozen=True)
class Dataset:
    """Rows of users at cutoffs: tag values, outcome (0 or 1), cutoff index (larger is later) and user.

    `frame` holds the allowed tags only; `rfm` the columns recency, frequency and monetary of the RFM baseline.
    """

    frame: pd.DataFrame
    outcome: npt.NDArray[np.int8]
    cutoff: npt.NDArray[np.int64]
    user_id: npt.NDArray[Any]
    rfm: pd.DataFrame

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def digest(self) -> str:
        """A hash of every value, for the fingerprint of a model."""
        import pandas as pd

        digest = hashlib.sha256()
        digest.update(pd.util.hash_pandas_object(self.frame, index=False).to_numpy().tobytes())
        digest.update(self.outcome.tobytes() + self.cutoff.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class ScenarioData:
    """What a scenario is trained on and judged by; the hold-out lies later in time than every training outcome.

    `end` is the instant at which the newest label window ends: as_of, or earlier where the data end earlier.
    """

    schedule: Schedule
    end: datetime
    tags: tuple[str, ...]
    training: Dataset
    holdout: Dataset


def data_span(connection: duckdb.DuckDBPyConnection, as_of: datetime, timezone: ZoneInfo) -> tuple[datetime, datetime]:
    """The UTC instants of the first event before `as_of` and of where the data end, which is never after `as_of`.

    They end at the local midnight after the last event before `as_of`: of a later day nobody knows what happened, and an
    outcome must not be looked for in it. Raises RefusedError where there is no event.
    """
    before = exp.LT(this=exp.column("time"), expression=instant(as_of)).sql(dialect="duckdb")
    first, last = connection.execute(f"SELECT min(time), max(time) FROM events WHERE {before}").fetchall()[0]
    if first is None:
        raise RefusedError(
            Issue("no-events", "", "there are no events to learn from", "add a source of events to limner.yaml")
        )
    return first.replace(tzinfo=UTC), min(as_of, add_days(last.replace(tzinfo=UTC), 1, timezone))


def build_dataset(
    workspace: Workspace,
    catalog: Catalog,
    named: NamedScenario,
    end: datetime,
    on_cutoff: Callable[[datetime], None] = lambda cutoff: None,
) -> ScenarioData:
    """The training and hold-out rows of a scenario, from the ingested events up to `end`, or to where they end before."""
    tags = allowed_tags(named.scenario, catalog)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        attach_sources(connection, workspace)
        attach_files(connection, workspace, catalog)
        first, end = data_span(connection, end, workspace.timezone)
        schedule = plan_cutoffs(named.scenario, first, end, workspace.timezone)
        frames: list[pd.DataFrame] = []
        for index, cutoff in enumerate(schedule.all):
            on_cutoff(cutoff)
            # Who is one user is known only as far as the cutoff, too.
            merge_identities(connection, workspace, cutoff)
            frame = connection.execute(_cutoff_query(workspace, catalog, named, tags, cutoff)).df()
            frame["_cutoff"] = index
            frames.append(frame)
    for cutoff, frame in zip(schedule.all, frames, strict=True):
        if frame.empty:
            day = cutoff.astimezone(workspace.timezone).date()
            raise RefusedError(
                Issue(
                    "empty-population",
                    named.place,
                    f"nobody belongs to the population of {named.name!r} on {day}",
                    "widen 'population', or use fewer cutoffs",
                )
            )
    return ScenarioData(schedule, end, tags, _dataset(frames[:-1], tags), _dataset(frames[-1:], tags))


def _dataset(frames: Sequence[pd.DataFrame], tags: Sequence[str]) -> Dataset:
    import numpy as np
    import pandas as pd

    rows = pd.concat(frames, ignore_index=True)
    return Dataset(
        rows[list(tags)],
        rows["_outcome"].to_numpy(dtype=np.int8),
        rows["_cutoff"].to_numpy(dtype=np.int64),
        rows["user_id"].to_numpy(dtype=object),
        rows[["_recency", "_frequency", "_monetary"]].set_axis(["recency", "frequency", "monetary"], axis=1),
    )


def _cutoff_query(
    workspace: Workspace, catalog: Catalog, named: NamedScenario, tags: Sequence[str], cutoff: datetime
) -> str:
    scenario = named.scenario
    needed = catalog.closure({*tags, *scenario.population.fields()})
    profiles = compile_profiles(needed, cutoff, workspace.timezone, workspace.schema)
    start = add_days(cutoff, days_of(scenario.gap), workspace.timezone)
    end = add_days(start, days_of(scenario.label_window), workspace.timezone)
    acts = exp.Coalesce(this=exp.column("acts", table="later"), expressions=[exp.Literal.number(0)])
    values = [exp.alias_(_feature(name, catalog), name, quoted=True) for name in tags]
    rfm = _rfm_query(cutoff, workspace.schema.has_received)
    events = Columns.of(event_column, workspace.schema.event_fields, workspace.timezone)
    population = condition_sql(scenario.population, Columns.of(tag_column, catalog.types, workspace.timezone))
    query = (
        exp.select(
            exp.column("user_id", table="p"),
            *values,
            exp.alias_(exp.Cast(this=scenario.outcome.happened(acts), to=exp.DataType.build("tinyint")), "_outcome"),
            exp.alias_(exp.column("recency", table="rfm"), "_recency"),
            exp.alias_(
                exp.Coalesce(this=exp.column("frequency", table="rfm"), expressions=[exp.Literal.number(0)]),
                "_frequency",
            ),
            exp.alias_(
                exp.Coalesce(this=exp.column("monetary", table="rfm"), expressions=[exp.Literal.number(0)]), "_monetary"
            ),
        )
        .from_(exp.select("*").from_(profiles.subquery("profiles")).where(population).subquery("p"))
        .join(
            scenario.outcome.acts_query(start, end, events).subquery("later"),
            on="later.user_id = p.user_id",
            join_type="left",
        )
        .join(rfm.subquery("rfm"), on="rfm.user_id = p.user_id", join_type="left")
        .order_by("p.user_id")
    )
    return query.sql(dialect="duckdb")


def _feature(name: str, catalog: Catalog) -> exp.Expr:
    """The tag's column in a type that LightGBM and pandas agree on: numbers as DOUBLE, the others as they are."""
    column = exp.column(name, table="p", quoted=True)
    if catalog[name].type == "number":
        return exp.Cast(this=column, to=exp.DataType.build("double"))
    return column


def _rfm_query(cutoff: datetime, has_received: bool) -> exp.Select:
    """Recency (days since the last event with an amount, else since any), frequency and monetary before the cutoff."""
    paid = exp.Where(this=exp.Not(this=exp.Is(this=event_column("amount"), expression=exp.Null())))
    last = exp.Max(this=exp.column("time"))
    last_paid = exp.Coalesce(this=exp.Filter(this=last, expression=paid), expressions=[last.copy()])
    recency = exp.DateDiff(this=instant(cutoff), expression=last_paid, unit=exp.var("day"))
    total = exp.Sum(this=as_number(event_column("amount")))
    conditions: list[exp.Expression] = [exp.LT(this=exp.column("time"), expression=instant(cutoff))]
    if has_received:
        # An event that arrived after the cutoff was not known at it, as for every tag.
        received = exp.column("received")
        late = exp.GTE(this=received, expression=instant(cutoff))
        conditions.append(exp.Not(this=exp.Coalesce(this=late, expressions=[exp.false()])))
    return (
        exp.select(
            "user_id",
            exp.alias_(recency, "recency"),
            exp.alias_(exp.Filter(this=count_rows(), expression=paid.copy()), "frequency"),
            exp.alias_(exp.Coalesce(this=total, expressions=[exp.Literal.number(0)]), "monetary"),
        )
        .from_("events")
        .where(exp.and_(*conditions))
        .group_by("user_id")
    )
