"""limner segments compare: an audience beside everyone, its complement or another audience, over all tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import (
    Dir,
    Language,
    SegmentName,
    SnapshotId,
    Style,
    WhereText,
    language_of,
    note_stale,
    opened,
    segment_of,
    style_of,
)

if TYPE_CHECKING:
    from limner.project import Project
    from limner_segments.comparison import Against, Comparison, MeanTrait, Trait
    from limner_segments.segment import NamedSegment

_COLUMNS = (
    "tag", "title", "trait", "audience_share", "base_share", "tgi", "tgi_low", "tgi_high", "ceiling", "q_value", "tautological",
    "suppressed", "effect_size", "measure", "condition", "fixed_by", "audience_mean", "base_mean", "mean_difference", "mean_low",
    "mean_high",
)  # fmt: skip
_TABLE = (
    "title", "trait", "effect", "audience", "base", "tgi or difference", "ceiling", "q_value", "note",
)  # fmt: skip


def compare(
    name: SegmentName = None,
    directory: Dir = Path("."),
    where: WhereText = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="everyone, complement or a segment.", show_default="everyone"),
    ] = None,
    against_where: Annotated[
        str | None,
        typer.Option(
            "--against-where", help="A condition on tags and behaviour to compare with, instead of --against."
        ),
    ] = None,
    snapshot: SnapshotId = None,
    top: Annotated[int, typer.Option("--top", help="How many differences to show.", min=1)] = 20,
    language: Language = None,
    style: Style = "table",
) -> None:
    """Compare an audience with everyone, its complement or another one: what distinguishes it most, over all tags.

    Shares of traits with TGI and 95 % interval, means of numbers with the interval of their difference, and effect sizes (Cohen's h
    and d); tested against those outside the audience, or against the other one with the users in both counted as such.
    """
    from limner.output import print_rows
    from limner_segments.comparison import compare_audience

    chosen = style_of(style)
    project = opened(directory)
    wanted = language_of(project, language)
    named = segment_of(project, name, where)
    base, words = _base(project, against, against_where)
    with project.store.open(snapshot) as current:
        for each in (named, base):
            if each is not None:
                note_stale(project, current, each)
        found = compare_audience(
            current,
            named.condition,
            project.catalog,
            wanted,
            project.workspace.settings.min_group,
            against=base.condition if base is not None else words,
        )
    rows = [_row(difference) for difference in found.differences[:top]]
    if chosen.value != "table":
        print_rows(rows, chosen, _COLUMNS)
        return
    title = against or against_where or "everyone"
    shown = [_table_row(row, wanted) for row in rows]
    # A column that nobody fills takes the room of those that matter.
    columns = [column for column in _TABLE if column != "note" or any(row["note"] for row in shown)]
    print_rows(shown, chosen, columns, _heading(found, title, wanted), wanted)


def _base(project: Project, against: str | None, against_where: str | None) -> tuple[NamedSegment | None, Against]:
    """The other audience, if there is one, and otherwise the word for what an audience is compared with."""
    from limner_profile.errors import Issue, RefusedError, unknown_name

    if against_where is not None:
        if against is not None:
            message = f"both --against {against} and --against-where are given"
            raise RefusedError(Issue("name-and-where", "", message, "give one of them"))
        return segment_of(project, None, against_where), "everyone"
    if against is None or against == "everyone":
        return None, "everyone"
    if against == "complement":
        return None, "complement"
    if against not in project.segments:
        raise unknown_name("segment", against, ["everyone", "complement", *project.segments], "--against")
    return project.segments[against], "everyone"


def _heading(found: Comparison, against: str, language: str) -> str:
    overlapping = 0 < found.both < found.base_size and found.base_size < found.users
    if language == "zh":
        other = {"everyone": "全部用户", "complement": "其余用户"}.get(against, against)
        both = f"，两者共有 {found.both:,}" if overlapping else ""
        return f"{found.users:,} 名用户中的 {found.size:,} 名，对比 {other}：{found.base_size:,}{both}"
    both = f", {found.both:,} in both" if overlapping else ""
    return f"{found.size:,} of {found.users:,} users, against {against}: {found.base_size:,}{both}"


def _row(difference: Trait | MeanTrait) -> dict[str, Any]:
    """A row of JSON: a share or a mean, with None for what the other has."""
    share = hasattr(difference, "trait")
    row: dict[str, Any] = {column: getattr(difference, column, None) for column in _COLUMNS}
    return {**row, "trait": row["trait"] if share else None, "measure": "share" if share else "mean"}


_NOTES = {
    "condition": ("own tag", "条件中的标签"), "derived": ("derived from own tag", "由条件中的标签推出"),
    "data": ("fixed by the condition", "由条件决定"),
}  # fmt: skip


def _table_row(row: dict[str, Any], language: str) -> dict[str, Any]:
    """A row for people: shares in per cent and TGI as whole numbers, or means and their difference; each with its interval."""
    from limner.heads import said
    from limner.output import percent

    def rounded(key: str, digits: int) -> float | None:
        return None if row[key] is None else round(row[key], digits)

    mean = row["measure"] == "mean"
    note = (
        said("suppressed", "人数过少", language)
        if row["suppressed"]
        else said(*_NOTES.get(row["fixed_by"], ("", "")), language)
    )
    told = [
        (_signed(row[key]) if mean else _whole(row[key]))
        for key in (("mean_difference", "mean_low", "mean_high") if mean else ("tgi", "tgi_low", "tgi_high"))
    ]
    interval = (
        None
        if told[1] is None or told[2] is None
        else f" ({told[1]}{said(' to ', ' 至 ', language) if mean else '–'}{told[2]})"
    )
    return {
        "title": row["title"],
        "trait": said("mean", "均值", language) if mean else row["trait"],
        "effect": rounded("effect_size", 2),
        "audience": row["audience_mean"] if mean else percent(row["audience_share"]),
        "base": row["base_mean"] if mean else percent(row["base_share"]),
        "tgi or difference": None if told[0] is None else f"{told[0]}{interval or ''}",
        "ceiling": rounded("ceiling", 0),
        "q_value": None if row["q_value"] is None else f"{row['q_value']:.2g}",
        "note": note,
    }


def _whole(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+,.3g}"
