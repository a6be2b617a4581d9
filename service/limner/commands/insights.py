"""limner insights list and save."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, Language, Style, language_of, opened, style_of

app = typer.Typer(help="Rules that held up; each one can become a segment.", no_args_is_help=True)


@app.command("list")
def list_insights(
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario; all of them by default.", show_default=False)
    ] = None,
    directory: Dir = Path("."),
    every: Annotated[bool, typer.Option("--all", help="All rules that held up, not only those on a card.")] = False,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="The rules that did not hold up, with the reason.")
    ] = False,
    language: Language = None,
    style: Style = "table",
) -> None:
    """List the insight cards of the current snapshot."""
    from limner.cards import print_cards
    from limner.output import Format, print_rows
    from limner_explain.cards import read_cards

    chosen = style_of(style)
    project = opened(directory)
    language = language_of(project, language)
    if scenario is not None:
        project.scenario(scenario)
    if chosen is Format.table and not dropped and not every:
        print_cards(project, scenario, language)
        return
    with project.store.open() as snapshot:
        cards = read_cards(snapshot, scenario, ("dropped",) if dropped else ("shown", "kept") if every else ("shown",))
    columns = [
        "id",
        "scenario",
        "rule",
        "size",
        "support",
        "outcome_rate",
        "base_rate",
        "lift",
        "lift_low",
        "lift_high",
        "q_value",
    ]
    columns += ["dropped_because"] if dropped else []
    if chosen is Format.json:
        columns = list(cards[0]) if cards else columns
    print_rows(cards, chosen, columns)


@app.command("save")
def save(
    insight: Annotated[str, typer.Argument(help="The id on the card.")],
    directory: Dir = Path("."),
    name: Annotated[str | None, typer.Option("--name", help="The name of the segment.")] = None,
    style: Style = "table",
) -> None:
    """Save a card as a segment: its file, and its audience in a new snapshot."""
    from limner.output import print_object
    from limner.progress import TerminalProgress
    from limner_explain.cards import save_insight

    chosen = style_of(style)
    project = opened(directory)
    progress = TerminalProgress()
    with progress.step(f"save {insight}") as step:
        saved = save_insight(
            project.workspace, project.store, insight, project.catalog, project.scenarios, name, step.describe
        )
    content = {
        "segment": saved.segment.name, "file": str(saved.path.relative_to(project.workspace.root)), "snapshot": saved.snapshot,
        "size": saved.size, "promised_size": saved.promised,
    }  # fmt: skip
    print_object(content, chosen)
