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
    "title", "trait", "effect_size", "audience", "base", "tgi", "low", "high", "ceiling", "q_value", "note",
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
        str | None, typer.Option("--against-where", help="A condition on tags and behaviour to compare with, instead of --against.")
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
            language_of(project, language),
            project.workspace.settings.min_group,
            against=base.condition if base is not None else words,
        )
    rows = [_row(difference) for difference in found.differences[:top]]
    if chosen.value != "table":
        print_rows(rows, chosen, _COLUMNS)
        return
    title = against or against_where or "everyone"
    print_rows([_table_row(row) for row in rows], chosen, _TABLE, _heading(found, title))


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


def _heading(found: Comparison, against: str) -> str:
    both = f", {found.both:,} in both" if 0 < found.both < found.base_size and found.base_size < found.users else ""
    return f"{found.size:,} of {found.users:,} users, against {against}: {found.base_size:,}{both}"


def _row(difference: Trait | MeanTrait) -> dict[str, Any]:
    """A row of JSON: a share or a mean, with None for what the other has."""
    share = hasattr(difference, "trait")
    row: dict[str, Any] = {column: getattr(difference, column, None) for column in _COLUMNS}
    return {**row, "trait": row["trait"] if share else None, "measure": "share" if share else "mean"}


def _table_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: shares in per cent and TGI as whole numbers, or means and their difference."""

    def rounded(key: str, digits: int) -> float | None:
        return None if row[key] is None else round(row[key], digits)

    mean = row["measure"] == "mean"
    notes = {"condition": "own tag", "derived": "derived from own tag", "data": "fixed by the condition"}
    note = "suppressed" if row["suppressed"] else notes.get(row["fixed_by"], "")
    low, high = ("mean_low", "mean_high") if mean else ("tgi_low", "tgi_high")
    return {
        "title": row["title"],
        "trait": "mean" if mean else row["trait"],
        "effect_size": rounded("effect_size", 2),
        "audience": row["audience_mean"] if mean else _percent(row["audience_share"]),
        "base": row["base_mean"] if mean else _percent(row["base_share"]),
        "tgi": _signed(row["mean_difference"]) if mean else rounded("tgi", 0),
        "low": _signed(row[low]) if mean else rounded(low, 0),
        "high": _signed(row[high]) if mean else rounded(high, 0),
        "ceiling": rounded("ceiling", 0),
        "q_value": row["q_value"],
        "note": note,
    }


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+,.3g}"
