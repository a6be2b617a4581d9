"""A project: a workspace opened with everything that its text files define, and the work that runs over all floors.

The one place where ingestion, building, training and explaining meet. Imports every floor below; prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from limner.asked_events import unknown_events
from limner.steps import Progress
from limner_explain.cards import create_insight_tables, write_insights
from limner_explain.insight import InsightSet
from limner_explain.reasons import create_reason_tables, write_reasons
from limner_profile.builder import check_quality, default_as_of, write_late, write_profiles
from limner_profile.catalog import Catalog, read_catalog
from limner_profile.erasure import read_journal
from limner_profile.erasure_list import read_erasures
from limner_profile.errors import Issue, RefusedError, UserError, unknown_name
from limner_profile.identity_exceptions import read_exceptions
from limner_profile.ingest import ingest, read_ingested
from limner_profile.manifest import Ingested
from limner_profile.merge_log import record_merges
from limner_profile.quality import Breach
from limner_profile.snapshots import Snapshot, SnapshotStore, SnapshotWriter
from limner_profile.sources import FRAME
from limner_profile.statistics import write_statistics
from limner_profile.sync_plan import SourcePlan, plan_sync
from limner_profile.windows import parse_as_of
from limner_profile.workspace import Workspace, open_workspace
from limner_segments.audience_tables import write_audiences
from limner_segments.exports.settings import read_export_settings
from limner_segments.funnel_definition import NamedFunnel, read_funnels
from limner_segments.history import build_alerts
from limner_segments.scoring.dataset import build_dataset
from limner_segments.scoring.experiment import Experiment, run_experiment
from limner_segments.scoring.rating import create_score_tables, population_frame, write_evaluations, write_scores
from limner_segments.scoring.scenario import NamedScenario, promised_scores, read_scenarios, score_tags
from limner_segments.scoring.shelf import shelve, staleness, take_model
from limner_segments.segment import NamedSegment, read_segments
from limner_segments.tag_changes import TagChange, changes_in_use


@dataclass(frozen=True)
class Project:
    """A workspace with its store, catalog (scores included), scenarios, segments and funnels."""

    workspace: Workspace
    store: SnapshotStore
    catalog: Catalog
    scenarios: Mapping[str, NamedScenario]
    segments: Mapping[str, NamedSegment]
    funnels: Mapping[str, NamedFunnel] = field(default_factory=dict)

    def scenario(self, name: str) -> NamedScenario:
        """The scenario called `name`; raises UnknownNameError."""
        if name not in self.scenarios:
            raise unknown_name("scenario", name, self.scenarios)
        return self.scenarios[name]


@dataclass(frozen=True)
class Built:
    """What a build gave: the snapshot, users, audience sizes, what each source held, and the scenarios rated."""

    snapshot: str
    as_of: datetime
    users: int
    audiences: Mapping[str, int]
    ingested: Sequence[Ingested]
    rated: Sequence[str]


@dataclass(frozen=True)
class Trained:
    """What training gave: the experiment, the insights, and the snapshot that now holds both."""

    experiment: Experiment
    insights: InsightSet
    snapshot: str
    cutoffs: tuple[datetime, ...]
    folder: Path


def read_project(root: Path) -> tuple[Project | None, list[Issue]]:
    """The project and the issues of all its definitions; no project where limner.yaml or a source is at fault."""
    try:
        workspace = open_workspace(root)
        schema = workspace.schema
    except UserError as error:
        return None, list(error.issues)
    catalog, issues = read_catalog(workspace, schema, promised_scores(workspace))
    scenarios, found = read_scenarios(workspace, catalog)
    issues += found
    catalog = catalog.with_tags(score_tags(scenarios))
    segments, found = read_segments(workspace, catalog)
    issues += found
    funnels, found = read_funnels(workspace, schema.event_fields)
    issues += found
    _, found = read_export_settings(workspace, catalog.types)
    issues += found
    try:
        read_exceptions(workspace)
        read_erasures(workspace.root)
    except UserError as error:
        issues += error.issues
    return Project(workspace, SnapshotStore(workspace.state), catalog, scenarios, segments, funnels), issues


def open_project(root: Path | str = ".") -> Project:
    """The project in a folder; raises UserError with every issue of its definitions."""
    project, issues = read_project(Path(root))
    if project is None or issues:
        raise UserError(issues)
    return project


def sync(project: Project, progress: Progress) -> list[Ingested]:
    """What each source gave; sources that have not changed are reused."""
    with project.store.lock(), progress.step("ingest", len(project.workspace.config.sources)) as step:

        def begin(name: str) -> None:
            step.describe(f"ingest {name}")
            step.advance()

        before = [entry.source for entry in read_ingested(project.workspace)]
        ingested = ingest(project.workspace, begin)
        merges = record_merges(project.workspace, datetime.now(UTC))
    if read_journal(project.workspace):
        progress.warn("an erasure was interrupted: run 'limner users erase' to finish it")
    if merges and merges.words:
        progress.warn(f"identities: {merges.words}; see 'limner users merges'")
    if merges and merges.now.refused:
        which = "1 id is" if merges.now.refused == 1 else f"{merges.now.refused:,} ids are"
        progress.warn(f"identities: {which} not merged; see 'limner users merges --refused'")
    for name in before:
        if name not in project.workspace.config.sources:
            progress.warn(f"{name}: no longer in limner.yaml; its rows go, too")
    for entry in ingested:
        for note in entry.notes:
            progress.warn(note)
    return ingested


def sync_frame(project: Project | Path | str, source: str, frame: Any) -> Ingested:
    """What a source of `path: frame` gave from the rows of a pandas, polars or Arrow frame, which replace those of before.

    Takes a folder, too: tags may need the frame's columns, and then the project opens only afterwards. Raises
    UnknownNameError, and what `sync` raises.
    """
    workspace = project.workspace if isinstance(project, Project) else open_workspace(Path(project))
    frames = [name for name, known in workspace.config.sources.items() if known.path == FRAME]
    if source not in frames:
        raise unknown_name("source", source, frames)
    with SnapshotStore(workspace.state).lock():
        entry = ingest(workspace, frames={source: frame}, only=[source])[0]
        record_merges(workspace, datetime.now(UTC))
        return entry


def plan(root: Path | str) -> list[SourcePlan]:
    """What `sync` would do with each source of a workspace, and what is wrong with them; nothing is written."""
    return plan_sync(open_workspace(Path(root)))


def build(project: Project, as_of: str | None, progress: Progress) -> Built:
    """A new snapshot of everything: tags, scores of trained scenarios with their reasons and insights, audiences."""
    workspace, store = project.workspace, project.store
    given = parse_as_of(as_of, workspace.timezone) if as_of is not None else None
    with store.lock():
        ingested = sync(project, progress)
        moment = given or default_as_of(workspace, datetime.now(UTC))
        for warning in misspelt_events(project):
            progress.warn(warning)
        for change in changed_tags(project):
            progress.warn(f"{change.where} {change.words}".strip())
        previous = _current_path(store)
        # What was known later is no measure of what was known earlier: such a snapshot gives no drift.
        compared = None if _current_as_of(store, moment) > moment else previous
        with store.create(moment, workspace.timezone, workspace.settings.keep_snapshots) as writer:
            with progress.step(f"build {len(project.catalog.definitions)} tags") as step:
                users = write_profiles(writer, workspace, project.catalog)
                step.describe("statistics and limits")
                breaches = check_quality(writer, project.catalog, compared, workspace)
            _tell(breaches, progress)
            rated = _rate(project, writer, list(project.scenarios), progress, compared)
            _tell(write_late(writer, workspace, project.catalog, compared), progress)
            with progress.step(f"materialise {len(project.segments)} audiences"):
                sizes = write_audiences(
                    writer, list(project.segments.values()), project.catalog, previous, not_made(progress)
                )
            tell_sizes(writer, list(project.segments.values()), previous, progress)
        if previous is not None and moment != default_as_of(workspace, datetime.now(UTC)):
            day = moment.astimezone(workspace.timezone).date()
            progress.warn(
                f"{writer.id}, as of {day}, is now current; back to {previous.stem}: 'limner snapshots rollback'"
            )
        return Built(writer.id, moment, users, sizes, ingested, rated)


def train(project: Project, scenario: str, progress: Progress) -> Trained:
    """A trained and evaluated scenario with its insights, rated in a snapshot derived from the current one."""
    from limner_explain.discovery import discover_insights

    workspace, store, named = project.workspace, project.store, project.scenario(scenario)
    with store.lock():
        with store.open() as snapshot:
            end = snapshot.as_of
            stale = stale_tags(project.catalog, snapshot)
        if stale:
            # The model would learn the tags as they are defined now, and rate the values of before.
            message = f"tags changed since the snapshot was built: {', '.join(stale)}"
            raise RefusedError(Issue("stale-snapshot", "", message, "run 'limner build' first"))
        with progress.step(f"{scenario}: training rows", named.scenario.cutoffs.training + 1) as step:

            def at_cutoff(cutoff: datetime) -> None:
                step.describe(f"{scenario}: rows as of {cutoff.astimezone(workspace.timezone).date()}")
                step.advance()

            data = build_dataset(workspace, project.catalog, named, end, at_cutoff)
        if data.end < end:
            asked, last = (
                moment.astimezone(workspace.timezone).date() for moment in (end, data.end - timedelta(seconds=1))
            )
            progress.warn(
                f"{scenario}: the last event is of {last}, and the snapshot's as_of is {asked}; "
                "outcomes are looked for up to the last event only"
            )
        with progress.step(f"{scenario}: train and evaluate") as step:
            experiment = run_experiment(named, project.catalog, data, lambda text: step.describe(f"{scenario}: {text}"))
        for text in _alarm_texts(experiment):
            progress.warn(text)
        with progress.step(f"{scenario}: mine and judge rules") as step:
            found = discover_insights(
                named, project.catalog, data, experiment, lambda text: step.describe(f"{scenario}: {text}")
            )
        folder = shelve(workspace, named, experiment, {"insights.json": found.model_dump_json(indent=1)})
        previous = _current_path(store)
        with store.create(end, workspace.timezone, workspace.settings.keep_snapshots, derive=True) as writer:
            _rate(project, writer, [scenario], progress, previous)
            _tell(write_late(writer, workspace, project.catalog, previous), progress)
            changed = {named.score_tag, *project.catalog.late}
            using = [
                segment for segment in project.segments.values() if changed.intersection(segment.condition.fields())
            ]
            write_audiences(writer, using, project.catalog, previous, not_made(progress))
            tell_sizes(writer, using, previous, progress)
        return Trained(experiment, found, writer.id, data.schedule.all, folder)


def not_made(progress: Progress) -> Callable[[NamedSegment, UserError], None]:
    """What tells of a segment whose audience cannot be made, so that the others are made all the same."""

    def tell(named: NamedSegment, error: UserError) -> None:
        issue = error.issues[0]
        progress.warn(f"{named.place} the segment {named.name!r} has no audience: {issue.message}; {issue.hint}")

    return tell


def _tell(breaches: Sequence[Breach], progress: Progress) -> None:
    for breach in breaches:
        progress.warn(f"{breach.where} the tag {breach.tag!r}: {breach.words}")


def tell_sizes(
    writer: SnapshotWriter, segments: Sequence[NamedSegment], previous: Path | None, progress: Progress
) -> None:
    """Warn of each audience of a snapshot being written whose size is not as its definition expects."""
    for name, alerts in build_alerts(writer.connection, segments, previous).items():
        place = next((named.place for named in segments if named.name == name), "")
        for alert in alerts:
            progress.warn(f"{place} the segment {name!r}: {alert.words} [{alert.code}]".strip())


def stale_tags(catalog: Catalog, snapshot: Snapshot) -> list[str]:
    """The computed tags of the catalog that the snapshot lacks or holds by another definition, in catalog order."""
    built = {row["name"]: row["definition_hash"] for row in snapshot.rows("SELECT name, definition_hash FROM tags")}
    return [name for name in catalog.definitions if built.get(name) != catalog[name].definition_hash]


def changed_tags(project: Project) -> list[TagChange]:
    """The tags in use that are not what the current snapshot holds; none before the first build."""
    current = project.store.current_id()
    if current is None or current not in project.store.ids():
        return []
    with project.store.open() as snapshot:
        return changes_in_use(snapshot, project.workspace, project.catalog, project.segments, project.scenarios)


def misspelt_events(project: Project) -> list[str]:
    """A line for each tag, outcome, segment and funnel that counts an event which no source has; none before the first ingestion."""
    asking = (project.scenarios, project.segments, project.funnels)
    issues = unknown_events(project.workspace, project.catalog, *asking)
    return [f"{issue.where} {issue.message}; {issue.hint}" for issue in issues]


def _alarm_texts(experiment: Experiment) -> list[str]:
    """A line for each tag that was left out, and one for all that were kept because they cannot know the future."""
    texts = [
        f"leakage alarm: {alarm.tag} alone tells the outcome (AUC {alarm.auc:.2f}, information value {alarm.information_value:.1f}), "
        "and nobody can prove that it was known at the cutoff: left out"
        for alarm in experiment.alarms
        if alarm.action == "excluded"
    ]
    kept = [f"{alarm.tag} ({alarm.information_value:.1f})" for alarm in experiment.alarms if alarm.action == "warned"]
    if kept:
        texts.append(
            f"strong on their own (information value), but computed from events before the cutoff, so kept: {', '.join(kept)}"
        )
    return texts


def _rate(
    project: Project, writer: SnapshotWriter, names: Sequence[str], progress: Progress, previous: Path | None
) -> list[str]:
    """The scenarios among `names` that were rated: scores, reasons, evaluation and insights written."""
    create_score_tables(writer)
    create_reason_tables(writer)
    create_insight_tables(writer)
    rated = []
    for name in names:
        named = project.scenarios[name]
        try:
            trained = take_model(project.workspace, name)
        except UserError as error:
            # A damaged model can be trained again; the rest of the build need not wait for that.
            progress.warn(f"{name} was not rated: {error.issues[0].message}; run 'limner scenarios train {name}'")
            continue
        if trained is None:
            continue
        stale = staleness(trained, named, project.catalog)
        if stale:
            progress.warn(f"{name} was not rated: {stale}; run 'limner scenarios train {name}'")
            continue
        with progress.step(f"{name}: scores and reasons") as step:
            population = population_frame(writer.connection, named, trained.model.tags, project.catalog.types)
            write_scores(writer, named, trained.model, population)
            step.describe(f"{name}: reasons")
            if len(population):
                write_reasons(writer, name, trained.model, population)
            else:
                progress.warn(f"{name}: nobody belongs to its population as of {writer.as_of:%Y-%m-%d %H:%M} UTC")
            write_evaluations(writer, name, trained.evaluation_rows)
            text = trained.file("insights.json")
            if text is not None:
                write_insights(writer, InsightSet.model_validate_json(text), named, project.catalog)
        write_statistics(writer.connection, [named.score_tag], previous)
        rated.append(name)
    return rated


def _current_path(store: SnapshotStore) -> Path | None:
    """The file of the current snapshot, None where there is none, or it was removed by hand."""
    current = store.current_id()
    return store.folder / f"{current}.duckdb" if current in store.ids() else None


def _current_as_of(store: SnapshotStore, otherwise: datetime) -> datetime:
    """The as_of of the current snapshot, `otherwise` where none is kept."""
    current = store.current_id()
    if current is None or current not in store.ids():
        return otherwise
    with store.open(current) as snapshot:
        return snapshot.as_of
