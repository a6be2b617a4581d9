"""limner scenarios list, train and evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, Style, opened, style_of

app = typer.Typer(help="What to predict: train, evaluate.", no_args_is_help=True)


@app.command("list")
def list_scenarios(directory: Dir = Path("."), style: Style = "table") -> None:
    """List the scenarios, with the AUC of the model in use."""
    from limner.output import print_rows
    from limner_segments.scoring.shelf import staleness, take_model

    chosen = style_of(style)
    project = opened(directory)
    rows = []
    for name, named in project.scenarios.items():
        trained = take_model(project.workspace, name)
        auc = (
            next(
                (
                    row["value"]
                    for row in trained.evaluation_rows
                    if row["scorer"] == "lightgbm" and row["metric"] == "auc"
                ),
                None,
            )
            if trained
            else None
        )
        state = "not trained" if trained is None else staleness(trained, named, project.catalog) or "trained"
        rows.append(
            {
                "name": name, "title": named.scenario.title.en, "population": named.scenario.population.to_text(),
                "label_window": named.scenario.label_window, "state": state, "auc": None if auc is None else round(float(auc), 3),
            }
        )  # fmt: skip
    print_rows(rows, chosen, ["name", "title", "population", "label_window", "state", "auc"])


@app.command("train")
def train(
    name: Annotated[str, typer.Argument(help="A scenario.")],
    directory: Dir = Path("."),
    style: Style = "table",
) -> None:
    """Train a scenario, judge it on a later hold-out, mine its insights, and publish all in a new snapshot."""
    from limner import project as work
    from limner.cards import print_cards, print_evaluation
    from limner.output import Format, print_object
    from limner.progress import TerminalProgress

    chosen = style_of(style)
    project = opened(directory)
    trained = work.train(project, name, TerminalProgress())
    evaluation = trained.experiment.evaluations["lightgbm"]
    if chosen is Format.table:
        print_evaluation(trained, project)
        print_cards(project, name)
        return
    content = {
        "scenario": name, "snapshot": trained.snapshot, "fingerprint": trained.experiment.model.fingerprint,
        "cutoffs": [cutoff.astimezone(project.workspace.timezone).date().isoformat() for cutoff in trained.cutoffs],
        "auc": evaluation.auc.value, "auc_low": evaluation.auc.low, "auc_high": evaluation.auc.high, "base_rate": evaluation.base_rate,
        "insights": [insight.id for insight in trained.insights.with_status("shown")], "left_out": list(trained.experiment.excluded),
    }  # fmt: skip
    print_object(content, chosen)


@app.command("evaluate")
def evaluate(
    name: Annotated[str, typer.Argument(help="A trained scenario.")],
    directory: Dir = Path("."),
    style: Style = "table",
) -> None:
    """Show the evaluation of the model in use beside its baselines, all on the later hold-out."""
    from limner.cards import compact_evaluation
    from limner.output import Format, print_rows
    from limner_profile.errors import Issue, RefusedError
    from limner_segments.scoring.shelf import take_model

    chosen = style_of(style)
    project = opened(directory)
    project.scenario(name)
    trained = take_model(project.workspace, name)
    if trained is None:
        raise RefusedError(
            Issue(
                "not-trained", "", f"the scenario {name!r} is not trained yet", f"run 'limner scenarios train {name}'"
            )
        )
    if chosen is Format.table:
        print_rows(compact_evaluation(trained.evaluation_rows), chosen)
        return
    print_rows(list(trained.evaluation_rows), chosen, ["scenario", "scorer", "metric", "k", "value", "low", "high"])
