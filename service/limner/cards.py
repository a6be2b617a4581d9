"""Insight cards and evaluations in the terminal. Imports rich and the floors below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from limner.output import console, show
from limner.project import Project, Trained
from limner_explain.cards import read_cards
from limner_segments.scoring.shelf import staleness, take_model


def print_evaluation(trained: Trained, project: Project) -> None:
    """Print the measures of every scorer on the hold-out, side by side."""
    evaluations = trained.experiment.evaluations
    first = next(iter(evaluations.values()))
    cutoffs = [cutoff.astimezone(project.workspace.timezone).date().isoformat() for cutoff in trained.cutoffs]
    table = Table(box=None, header_style="bold", pad_edge=False)
    title = (
        f"hold-out {cutoffs[-1]}: {first.users:,} users, {first.outcomes:,} with the outcome ({first.base_rate:.1%}); "
        f"trained as of {', '.join(cutoffs[:-1])}"
    )
    for name in ("scorer", "AUC", "95 % interval", "lift at 10 %", "gain at 20 %", "Brier"):
        table.add_column(name, justify="left" if name == "scorer" else "right")
    for scorer, evaluation in evaluations.items():
        lift = next(top.lift.value for top in evaluation.top if top.share == 0.1)
        gain = next(top.gain.value for top in evaluation.top if top.share == 0.2)
        interval = f"{evaluation.auc.low:.3f}–{evaluation.auc.high:.3f}"
        table.add_row(
            scorer, f"{evaluation.auc.value:.3f}", interval, f"{lift:.2f}", f"{gain:.0%}", f"{evaluation.brier:.4f}"
        )
    console().print(Text(title, style="italic"))
    console().print(table)


def compact_evaluation(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each scorer with the measures that one compares first."""
    columns = {
        "AUC": ("auc", None),
        "lift at 10 %": ("lift", 0.1),
        "gain at 20 %": ("gain", 0.2),
        "Brier": ("brier", None),
        "PSI": ("psi", None),
    }
    table = []
    for scorer in dict.fromkeys(row["scorer"] for row in rows):
        own = {(row["metric"], row["k"]): row for row in rows if row["scorer"] == scorer}
        auc = own["auc", None]
        line = {
            "scorer": scorer,
            "users": int(own["users", None]["value"]),
            "outcomes": int(own["outcomes", None]["value"]),
        }
        line |= {name: round(float(own[key]["value"]), 4) if key in own else None for name, key in columns.items()}
        table.append({**line, "AUC, 95 % interval": f"{auc['low']:.3f}–{auc['high']:.3f}"})
    return table


def print_cards(project: Project, scenario: str | None, language: str | None = None) -> None:
    """Print the insight cards of the current snapshot."""
    chosen = language or project.workspace.settings.language
    with project.store.open() as snapshot:
        cards = read_cards(snapshot, scenario)
        sets = (
            {row["scenario"]: row for row in snapshot.rows("SELECT * FROM insight_sets")}
            if snapshot.columns("insight_sets")
            else {}
        )
    output = console()
    if not cards:
        for name in [scenario] if scenario else list(project.scenarios):
            trained = take_model(project.workspace, name)
            why = staleness(trained, project.scenarios[name], project.catalog) if trained else "it has not been trained"
            told = f"{why}; run 'limner scenarios train {name}'" if why else "no rule held up on the hold-out"
            output.print(Text(f"{name}: no insights, since {told}"))
        return
    for card in cards:
        output.print(_panel(card, chosen))
    for name, row in sets.items():
        if scenario in (None, name):
            output.print(
                f"{name}: {row['held_up']} of {row['judged']} judged rules held up; the {row['shown']} shown reach "
                f"{row['coverage']:.0%} of the outcomes among {row['reach']:.0%} of the users "
                f"(fidelity to the scorer: R² {row['r_squared']:.2f} on the log-odds)"
            )


def _panel(card: dict[str, Any], language: str) -> Panel:
    body: list[Any] = [Text(card["sentence_zh"] if language == "zh" else card["sentence_en"])]
    chinese = language == "zh"
    lift = f"{card['lift']:.2f} ({card['lift_low']:.2f}–{card['lift_high']:.2f})"
    size, outcomes, users, support = card["size"], card["holdout_outcomes"], card["holdout_users"], card["support"]
    numbers = (
        f"当前 {size:,} 人 · 留出集 {users:,} 人中 {outcomes:,} 人（占人群 {support:.1%}）· 提升度 {lift}"
        if chinese
        else f"now {size:,} users · hold-out {outcomes:,} of {users:,} ({support:.1%} of the population) · lift {lift}"
    )
    body.append(Text(numbers, style="cyan"))
    if card["reasons"]:
        reasons = " · ".join(
            f"{_title(reason['title'], language)} {reason['contribution']:+.2f}" for reason in card["reasons"]
        )
        body.append(
            Text(
                f"{'原因（高于平均的对数几率）' if chinese else 'reasons (log-odds above average)'}: {reasons}",
                style="dim",
            )
        )
    body += [Text(f"! {_title(warning, language)}", style="yellow") for warning in card["warnings"]]
    body.append(Text(f"where: {card['condition']}", style="dim"))
    # Orange and blue, with a sign: a reader who cannot tell the colours apart still sees which is which.
    style, sign = ("dark_orange", "▲") if card["direction"] == "raises" else ("blue", "▼")
    return Panel(Group(*body), title=f"{sign} {card['id']}", title_align="left", border_style=style)


def _title(title: dict[str, str], language: str) -> str:
    return title["zh"] or title["en"] if language == "zh" else title["en"]


def summary_line(label: str, value: Any) -> Text:
    """A line of a summary: a dim label, then the value."""
    return Text.assemble((f"{label:<12}", "dim"), show(value))
