"""limner segments retention: which share of an audience's cohorts came back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from limner.commands.options import (
    Dir,
    SegmentName,
    SnapshotId,
    Style,
    WhereText,
    note_stale,
    opened,
    segment_of,
    style_of,
)

if TYPE_CHECKING:
    from limner.project import Project
    from limner_profile.predicates.base import Predicate
    from limner_segments.retention import Period, Retention, RetentionCell, RetentionTable, Variant

EventWhere = Annotated[
    str | None, typer.Option("--event-where", help="Which of these events count: a condition on their fields.")
]


def retention(
    event: Annotated[
        str, typer.Option("--event", help="What counts as coming back: an event, or several with commas.")
    ],
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    snapshot: SnapshotId = None,
    event_where: EventWhere = None,
    start_event: Annotated[
        str | None, typer.Option("--start-event", help="A user starts with the first act of this event.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start", help="first: with the first act of any kind (the default); or a tag that holds a date or a time."
        ),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="The length of periods and cohorts: day, week or month.")] = "week",
    periods: Annotated[
        int, typer.Option("--periods", help="How many periods after the one of the start.", min=1, max=400)
    ] = 8,
    cohorts: Annotated[int, typer.Option("--cohorts", help="How many cohorts, the newest.", min=1)] = 12,
    variant: Annotated[
        str, typer.Option("--variant", help="on: acted in that period; after: in that period or later.")
    ] = "on",
    style: Style = "table",
) -> None:
    """Show which share of those who started together came back, period by period, with 95 % intervals.

    Users who started on the same local day, in the same week or month are a cohort. Periods are counted from each user's own first day,
    which begins period 0. An asterisk marks periods that are not over for the whole cohort; no average has them.
    """
    from limner.output import print_object, print_rows
    from limner_segments.retention import PERIODS, VARIANTS, Retention, check_choice, measure_retention

    chosen = style_of(style)
    check_choice(by, PERIODS, "--by")
    check_choice(variant, list(VARIANTS), "--variant")
    project = opened(directory)
    named = segment_of(project, name, where)
    events = known_events(project, event, "--event")
    begin, begin_text = _start(project, start, start_event)
    acts = acts_of(events, _event_condition(project, event_where))
    asked = Retention(acts, begin, cast("Period", by), periods, cast("Variant", variant))
    with project.store.open(snapshot) as current:
        note_stale(project, current, named)
        table = measure_retention(
            current, named.condition, asked, min_group=project.workspace.settings.min_group, cohorts=cohorts
        )
        head = {
            "segment": named.name or None, "condition": named.condition.to_text(), "event": list(events),
            "event_where": acts.where.to_text() if acts.where else None, "start": begin_text, "by": by,
            "variant": VARIANTS[asked.variant], "users": table.users, "started": table.started,
            "snapshot": current.id, "as_of": current.as_of_text,
        }  # fmt: skip
    if chosen.value == "json":
        print_object({**head, **_tree(table)}, chosen)
    elif chosen.value == "csv":
        print_rows(_flat(table, asked), chosen)
    else:
        title = (
            f"retention {head['variant']}; {begin_text}, by {by}; {table.started:,} of {table.users:,} users started"
        )
        print_rows(_triangle(table, by), chosen, title=title)
        typer.echo("* not over yet for the whole cohort, and in no average; a dash hides a small group", err=True)


def known_events(project: Project, text: str, option: str) -> tuple[str, ...]:
    """The events that a text names, with commas between them; raises UserError for one that was never ingested."""
    from limner_profile.attached import event_names
    from limner_segments.funnel_definition import check_events

    names = tuple(name.strip() for name in text.split(","))
    check_events(names, sorted(event_names(project.workspace)), option)
    return names


def acts_of(events: tuple[str, ...], where: Predicate | None) -> Any:
    """The acts of these names that fulfil a condition."""
    from limner_profile.tags.acts import Acts

    return Acts(events, where)


def _event_condition(project: Project, text: str | None) -> Predicate | None:
    from limner_profile.errors import DefinitionError
    from limner_profile.predicates.parser import parse

    if text is None:
        return None
    condition = parse(text, "--event-where")
    issues = condition.check(project.workspace.schema.event_fields, "--event-where")
    if issues:
        raise DefinitionError(issues)
    return condition


def _start(project: Project, start: str | None, start_event: str | None) -> tuple[Any, str]:
    """What begins, and the same in words."""
    from limner_profile.errors import Issue, RefusedError, unknown_name
    from limner_profile.tags.acts import Acts
    from limner_segments.retention import StartTag

    if start_event is not None:
        if start is not None:
            raise RefusedError(Issue("two-starts", "", "both --start and --start-event are given", "give one of them"))
        return Acts(known_events(project, start_event, "--start-event")), f"from the first {start_event}"
    if start is None or start == "first":
        return Acts(()), "from the first event of any kind"
    if start not in project.catalog:
        raise unknown_name("tag", start, ["first", *project.catalog.tags])
    kind = project.catalog[start].type
    if kind not in ("date", "time"):
        dated = [tag for tag, entry in project.catalog.tags.items() if entry.type in ("date", "time")]
        hint = f"tags of dates and times: {', '.join(dated[:8])}" if dated else "use --start-event"
        raise RefusedError(Issue("wrong-type", "--start", f"the tag {start!r} is a {kind}, not a date or a time", hint))
    return StartTag(start, kind), f"from {start}"


def _cell(cell: RetentionCell) -> dict[str, Any]:
    return {
        "period": cell.period, "returned": cell.returned, "share": cell.share, "share_low": cell.low, "share_high": cell.high,
        "complete": cell.complete, "suppressed": cell.suppressed,
    }  # fmt: skip


def _tree(table: RetentionTable) -> dict[str, Any]:
    cohorts = [
        {"cohort": cohort.start, "size": cohort.size, "periods": [_cell(cell) for cell in cohort.cells]}
        for cohort in table.cohorts
    ]
    return {"cohorts": cohorts, "average": [_cell(cell) for cell in table.average]}


def _flat(table: RetentionTable, asked: Retention) -> list[dict[str, Any]]:
    """A row a cohort and period; the averages have no cohort."""
    rows: list[dict[str, Any]] = []
    for cohort in table.cohorts:
        head = {"variant": asked.variant, "by": asked.by, "cohort": cohort.start, "size": cohort.size}
        rows += [{**head, **_cell(cell)} for cell in cohort.cells]
    head = {"variant": asked.variant, "by": asked.by, "cohort": None, "size": None}
    return [*rows, *({**head, **_cell(cell)} for cell in table.average)]


def _triangle(table: RetentionTable, by: str) -> list[dict[str, Any]]:
    """A row a cohort, a column a period, and a last row of averages with their intervals."""

    def shown(cell: RetentionCell, interval: bool) -> str:
        if cell.share is None:
            if not (cell.complete or cell.suppressed):
                return ""
            return "–" if cell.complete else "–*"
        text = f"{100 * cell.share:.1f}%" + ("" if cell.complete else "*")
        return f"{text} ({100 * (cell.low or 0):.1f}–{100 * (cell.high or 0):.1f})" if interval else text

    rows = [
        {
            "cohort": cohort.start.isoformat(),
            "size": cohort.size,
            **{f"{by} {cell.period}": shown(cell, False) for cell in cohort.cells},
        }
        for cohort in table.cohorts
    ]
    average = {f"{by} {cell.period}": shown(cell, True) for cell in table.average}
    return [*rows, {"cohort": "average", "size": None, **average}]
