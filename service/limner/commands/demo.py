"""limner demo: the whole road on sample data, from files to an exported segment and a dashboard."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.progress import TerminalProgress
    from limner.project import Project
    from limner_segments.segment import NamedSegment


def demo(
    data: Annotated[
        str, typer.Option("--data", help="reading (generated, with known causes) or grocery (Complete Journey).")
    ] = "reading",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to make the workspace.", show_default="limner-demo-<data>")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The dashboard's port.")] = 8050,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="End after the export instead of serving the dashboard.")
    ] = False,
) -> None:
    """From raw behaviour to insight cards, a saved segment, an export and a dashboard."""
    from limner import project as work
    from limner.cards import print_cards, print_evaluation, summary_line
    from limner.exporting import export_segment
    from limner.output import console
    from limner.progress import TerminalProgress
    from limner_profile.errors import Issue, RefusedError, UserError, did_you_mean
    from limner_samples.workspaces import make_workspace

    if data not in ("reading", "grocery"):
        raise UserError(
            Issue(
                "bad-value",
                "--data",
                f"unknown data {data!r}",
                did_you_mean(data, ["reading", "grocery"], "reading or grocery"),
            )
        )
    target = directory or Path(f"limner-demo-{data}")
    if not no_serve:
        from limner.server import check_port

        check_port("127.0.0.1", port)
    output, progress = console(), TerminalProgress()
    with progress.step(f"make a workspace in {target}"):
        make_workspace("grocery" if data == "grocery" else "reading", target)
    project = work.open_project(target)
    built = work.build(project, None, progress)
    rejected, duplicates = (
        sum(entry.rejected for entry in built.ingested),
        sum(entry.duplicates for entry in built.ingested),
    )
    scenario = next(iter(project.scenarios))
    trained = work.train(project, scenario, progress)
    output.print()
    print_evaluation(trained, project)
    output.print()
    print_cards(project, scenario)
    for reversal in trained.insights.reversals:
        progress.warn(reversal.of(project.workspace.settings.language))
    best = next(iter(trained.insights.with_status("shown")), None)
    if best is None:
        raise RefusedError(
            Issue("no-insight", scenario, "no rule held up on the hold-out", "see 'limner insights list --dropped'")
        )
    segment, promised = _save(project, best.id, progress)
    project = work.open_project(target)
    delivered, _ = export_segment(project, project.segments[segment.name], None, [], overwrite=True)
    path, manifest = delivered.path, delivered.manifest
    output.print()
    output.print("[bold]Done.[/] What there is to look at:")
    lines = {
        "users": f"{built.users:,} with {len(project.catalog.definitions)} tags as of {manifest.as_of} (snapshot {manifest.snapshot})",
        "read": f"{sum(entry.rows for entry in built.ingested):,} rows; {duplicates:,} repeated, "
        f"{rejected:,} unreadable and kept in rejects",
        "audiences": ", ".join(f"{name} {size:,}" for name, size in built.audiences.items()),
        "segment": f"{segment.name}: {manifest.rows:,} users, as promised on the card ({promised:,})",
        "export": f"{path} and its manifest (SHA-256 {manifest.sha256[:12]}…)",
    }
    for label, value in lines.items():
        output.print(summary_line(label, value))
    with project.store.open() as snapshot:
        user = snapshot.value(
            "SELECT user_id FROM scores WHERE scenario = ? ORDER BY score DESC, user_id LIMIT 1", [scenario]
        )
    output.print("\n[bold]Type next:[/]")
    where = shlex.quote(str(target))
    for command in (
        f"limner profile show {user} --dir {where}",
        f"limner profile why {user} {scenario} --dir {where}",
        f"limner segments compare {segment.name} --dir {where}",
        f"limner insights list --dropped --dir {where}",
        f'limner sql "select count(*), avg({scenario}_score) from profiles" --dir {where}',
        f"limner serve --dir {where} --port {port}",
    ):
        output.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)
    if not no_serve:
        from limner.server import serve_dashboard

        serve_dashboard(project, "127.0.0.1", port)


def _save(project: Project, insight: str, progress: TerminalProgress) -> tuple[NamedSegment, int]:
    """The segment of an insight and the size that its card promised; one that an earlier demo saved is taken again."""
    from limner_explain.cards import read_cards, save_insight

    for named in project.segments.values():
        if named.segment.origin and named.segment.origin.insight == insight:
            with project.store.open() as snapshot:
                return named, next(card["size"] for card in read_cards(snapshot) if card["id"] == insight)
    with progress.step(f"save {insight} as a segment"):
        saved = save_insight(project.workspace, project.store, insight, project.catalog, project.scenarios)
    return saved.segment, saved.promised
