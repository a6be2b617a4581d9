"""limner segments funnel: how an audience goes from step to step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from limner_segments.funnels import FunnelStep, Step


def funnel(
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    snapshot: SnapshotId = None,
    steps: Annotated[
        str | None, typer.Option("--steps", help="The events in order, with commas: 'visit,sign_up,purchase'.")
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            help="How long after the first step the others may follow: 7d (168 hours), 24h; any time by default.",
        ),
    ] = None,
    funnel_name: Annotated[
        str | None,
        typer.Option("--funnel", help="A funnel of funnels/*.yaml with the AARRR stages, instead of --steps."),
    ] = None,
    strict_order: Annotated[
        bool, typer.Option("--strict-order", help="An attempt ends where another step than the next is taken.")
    ] = False,
    window: Annotated[
        str, typer.Option("--window", help="When first steps may lie: 90d before as_of, or all.")
    ] = "all",
    style: Style = "table",
) -> None:
    """Show how many of an audience take step after step, with 95 % intervals and the median time between steps.

    Every act of the first step begins an attempt; each further step is its earliest act after the one before. The attempt that gets
    farthest counts. `share` is of the users of the step before (of the audience, for the first), `cumulative` of those of the first step.
    """
    from limner.output import print_object, print_rows
    from limner_profile.errors import Issue, UserError
    from limner_profile.windows import check_span, check_window, window_start
    from limner_segments.funnels import measure_funnel

    chosen = style_of(style)
    for text, option, check in ((within, "--within", check_span), (window, "--window", check_window)):
        try:
            check(text) if text is not None else None
        except ValueError as error:
            message, _, hint = str(error).partition(" | ")
            raise UserError(Issue("bad-value", option, message, hint)) from None
    project = opened(directory)
    named = segment_of(project, name, where)
    asked, strict = _steps(project, steps, within, funnel_name)
    strict = strict or strict_order
    with project.store.open(snapshot) as current:
        note_stale(project, current, named)
        table = measure_funnel(
            current, named.condition, asked, strict_order=strict,
            since=window_start(window, current.as_of, project.workspace.timezone), min_group=project.workspace.settings.min_group,
        )  # fmt: skip
        head = {
            "segment": named.name or None, "condition": named.condition.to_text(), "funnel": funnel_name, "strict_order": strict,
            "window": window, "users": table.users, "open": table.open, "snapshot": current.id, "as_of": current.as_of_text,
        }  # fmt: skip
    rows = [_row(step, one) for step, one in zip(asked, table.steps, strict=True)]
    if chosen.value == "json":
        print_object({**head, "steps": rows}, chosen)
        return
    if chosen.value == "csv":
        print_rows(rows, chosen)
        return
    open_text = "a small group" if table.open is None else f"{table.open:,}"
    order = "in strict order" if strict else "in order"
    title = f"{table.users:,} users, {order}; {open_text} of them may still finish: their windows are not over"
    print_rows([_shown(row) for row in rows], chosen, title=title)


def _steps(
    project: Project, text: str | None, within: str | None, funnel_name: str | None
) -> tuple[tuple[Step, ...], bool]:
    """The steps, and whether the definition asks for strict order."""
    from limner.commands.retention import known_events
    from limner_profile.errors import Issue, RefusedError, unknown_name
    from limner_segments.funnel_definition import steps_of

    if funnel_name is not None:
        if text is not None or within is not None:
            message = "--funnel states its stages and windows, and --steps or --within is given as well"
            raise RefusedError(Issue("steps-and-funnel", "", message, "give one of them"))
        if funnel_name not in project.funnels:
            raise unknown_name("funnel", funnel_name, project.funnels)
        funnel = project.funnels[funnel_name].funnel
        return funnel.steps(), funnel.strict_order
    if text is None:
        message = "neither steps nor a funnel are given"
        raise RefusedError(Issue("no-steps", "", message, "add --steps 'visit,purchase', or --funnel with a name"))
    steps = steps_of(text, within)
    known_events(project, text, "--steps")
    return steps, False


def _row(step: Step, one: FunnelStep) -> dict[str, Any]:
    return {
        "step": one.name, "event": "/".join(step.acts.events), "where": step.acts.where.to_text() if step.acts.where else None,
        "within": step.within, "users": one.users, "share": one.share, "share_low": one.share_low, "share_high": one.share_high,
        "cumulative": one.cumulative, "cumulative_low": one.cumulative_low, "cumulative_high": one.cumulative_high,
        "median_hours": one.median_hours, "suppressed": one.suppressed,
    }  # fmt: skip


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """The row for a table: shares as percentages with their intervals."""

    def share(of: str) -> str | None:
        if row[of] is None:
            return None
        return f"{100 * row[of]:.1f}% ({100 * row[f'{of}_low']:.1f}–{100 * row[f'{of}_high']:.1f})"

    hours = row["median_hours"]
    return {
        "step": row["step"], "event": row["event"], "within": row["within"], "users": row["users"], "share": share("share"),
        "cumulative": share("cumulative"), "median_hours": None if hours is None else round(hours, 2),
    }  # fmt: skip
