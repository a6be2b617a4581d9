"""limner profile show and why: one user."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from limner.commands.options import Dir, Language, SnapshotId, Style, language_of, opened, style_of

if TYPE_CHECKING:
    from limner_profile.lookup import ProfileValue

app = typer.Typer(help="One user: tag values, acts, and the reasons of a score.", no_args_is_help=True)


@app.command("show")
def show_profile(
    user: Annotated[str, typer.Argument(help="A user_id, or any id that was merged into one.")],
    directory: Dir = Path("."),
    snapshot: SnapshotId = None,
    acts: Annotated[int, typer.Option("--acts", help="How many of the latest acts to show.", min=0)] = 10,
    since: Annotated[
        str | None, typer.Option("--since", help="Show what changed since this snapshot; the one before by default.")
    ] = None,
    language: Language = None,
    style: Style = "table",
) -> None:
    """Show every tag value of a user: where it comes from, its place among all users, what changed, the latest acts.

    Of attributes whose source maps updated_at also since when they hold, and their earlier values.
    """
    from limner.heads import said
    from limner.output import Format, console, local_time, print_object, print_rows, show
    from limner_profile.lookup import ValueOrigin, find_user, read_changes, read_origins, read_profile, read_timeline
    from limner_profile.versions import read_history

    chosen = style_of(style)
    project = opened(directory)
    wanted = language_of(project, language)
    with project.store.open(snapshot) as current:
        found = find_user(current, user)
        given, user = user, found.user_id
        values = read_profile(current, user)
        timeline = read_timeline(project.workspace, found.ids, current.as_of, acts) if acts else []
        as_of = current.as_of_text
        versions = read_history(project.workspace, user, current.as_of, found.ids)
        origins = read_origins(project.workspace, project.catalog, found.ids, current.as_of, versions)
        earlier = since or project.store.previous_id(current.id)
        changes = []
        if earlier is not None and earlier != current.id:
            with project.store.open(earlier) as before:
                changes = [asdict(change) for change in read_changes(before, current, user)]
    nothing = ValueOrigin(None, ())  # such as a score, which its model computes
    zone = project.workspace.timezone
    history = [
        {"source": it.source, "attribute": it.attribute, "value": it.value,
         "valid_from": _local(it.valid_from, zone), "valid_to": _local(it.valid_to, zone)}
        for it in versions
    ]  # fmt: skip
    if chosen is Format.json:
        profile = [
            {"tag": value.tag, "title": value.title_zh if wanted == "zh" else value.title_en, "kind": value.kind,
             "window": value.window, "unit": value.unit, "value": value.value, "percentile": value.percentile,
             "sources": list(origins.get(value.tag, nothing).sources), "events": origins.get(value.tag, nothing).events,
             "valid_from": _local(origins.get(value.tag, nothing).valid_from, zone)}
            for value in values
        ]  # fmt: skip
        content = {"user_id": user, "ids": list(found.ids), "as_of": as_of, "profile": profile, "acts": timeline}
        print_object({**content, "since": earlier, "changes": changes, "history": history}, chosen)
        return
    told = "zh" if wanted == "zh" and chosen is Format.table else "en"

    def valued(value: ProfileValue) -> str | None:
        if value.value is None:
            return None
        tag = project.catalog.tags.get(value.tag)
        unit = tag.unit.of(told) if told == "zh" and tag is not None and tag.unit else value.unit
        return f"{show(local_time(value.value, zone), told)} {unit}".strip()

    dated = bool(project.workspace.schema.sources_with_history)
    rows = [
        {
            "tag": value.tag, "title": value.title_zh if wanted == "zh" else value.title_en,
            "value": valued(value),
            "percentile": None if value.percentile is None else f"{100 * value.percentile:.0f} %",
            "window": value.window, "events": origins.get(value.tag, nothing).events,
            "sources": ", ".join(origins.get(value.tag, nothing).sources),
            **({"valid_from": _local(origins.get(value.tag, nothing).valid_from, zone)} if dated else {}),
        }
        for value in values
    ]  # fmt: skip
    ids = ", ".join(found.ids)
    if wanted == "zh":
        merged = f"，由 {ids} 合并" if len(found.ids) > 1 else ""
        title = f"{f'{user}（按 {given} 查询）' if given != user else user}，截至 {as_of}{merged}"
    else:
        merged = f", merged from {ids}" if len(found.ids) > 1 else ""
        title = f"{f'{user} (asked for as {given})' if given != user else user} as of {as_of}{merged}"
    print_rows(rows, chosen, title=title, language=wanted)
    if changes and chosen is Format.table:
        console().print()
        changed = [{name: local_time(value, zone) for name, value in change.items()} for change in changes]
        print_rows(
            changed,
            chosen,
            ["tag", "before", "after", "redefined"],
            said(f"changed since {earlier}", f"自 {earlier} 以来的变化", wanted),
            wanted,
        )
    # An attribute that has had one value only is told by its tag.
    several = Counter(version.attribute for version in versions)
    shown = [row for row in history if several[str(row["attribute"])] > 1]
    if shown and chosen is Format.table:
        console().print()
        columns = ["attribute", "value", "valid_from", "valid_to", "source"]
        print_rows(shown, chosen, columns, said("history of attributes", "属性历史", wanted), wanted)
    if timeline and chosen is Format.table:
        console().print()
        acts_rows = [{"time": act["time"], "event": act["event"], "properties": act["properties"]} for act in timeline]
        print_rows(acts_rows, chosen, title=said("latest acts", "最近行为", wanted), language=wanted)


def _local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") if moment else None


@app.command("why")
def why(
    user: Annotated[str, typer.Argument(help="A user_id, or any id that was merged into one.")],
    scenario: Annotated[str, typer.Argument(help="A trained scenario.")],
    directory: Dir = Path("."),
    language: Language = None,
    style: Style = "table",
) -> None:
    """Explain a user's score: every tag's contribution, computed on demand with SHAP."""
    from limner.heads import said
    from limner.output import Format, print_object, print_rows, show
    from limner_explain.reasons import explain_user
    from limner_profile.errors import Issue, RefusedError
    from limner_profile.lookup import find_user, read_profile
    from limner_segments.scoring.rating import population_frame
    from limner_segments.scoring.shelf import staleness, take_model

    chosen = style_of(style)
    project = opened(directory)
    wanted = language_of(project, language)
    named = project.scenario(scenario)
    trained = take_model(project.workspace, scenario)
    if trained is None or staleness(trained, named, project.catalog):
        reason = (
            "is not trained yet"
            if trained is None
            else f"has a model that no longer fits: {staleness(trained, named, project.catalog)}"
        )
        raise RefusedError(
            Issue("not-trained", "", f"the scenario {scenario!r} {reason}", f"run 'limner scenarios train {scenario}'")
        )
    with project.store.open() as current:
        user = find_user(current, user).user_id
        values = {value.tag: value for value in read_profile(current, user)}
        population = population_frame(current.connection, named, trained.model.tags, project.catalog.types)
    row = population[population["user_id"] == user]
    if row.empty:
        raise RefusedError(
            Issue(
                "not-in-population",
                "",
                f"{user} is not in the population of {scenario!r}",
                f"population: {named.scenario.population.to_text()}",
            )
        )
    reasons = explain_user(trained.model, row)
    rows = [
        {
            "tag": tag, "title": project.catalog[tag].title.of(wanted), "value": values[tag].value,
            "contribution": round(contribution, 4),
        }
        for tag, contribution in reasons.contributions
    ]  # fmt: skip
    if chosen is Format.json:
        content = {
            "user_id": user,
            "scenario": scenario,
            "score": reasons.score,
            "base_value": reasons.base_value,
            "log_odds": reasons.log_odds,
        }
        print_object({**content, "unit": "log-odds", "contributions": rows}, chosen)
        return
    score, base, odds = show(reasons.score), f"{reasons.base_value:.3f}", f"{reasons.log_odds:.3f}"
    english = f"{user}: score {score} (base value {base} + contributions = {odds} log-odds)"
    title = said(english, f"{user}：得分 {score}（基准值 {base} + 贡献 = 对数几率 {odds}）", wanted)
    print_rows(rows, chosen, title=title, language=wanted)
