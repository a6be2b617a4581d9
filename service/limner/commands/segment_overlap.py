"""limner segments overlap: how many users segments share, pair by pair and as exclusive intersections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import Dir, SnapshotId, Style, note_stale, opened, segment_of, style_of

if TYPE_CHECKING:
    from limner_segments.segment import NamedSegment

_SHARES = ("jaccard", "share_of_first", "share_of_second")
_MATRIX = 8  # of so many segments each has a column of its own


def overlap(
    names: Annotated[list[str] | None, typer.Argument(help="Two segments or more.", show_default=False)] = None,
    directory: Dir = Path("."),
    where: Annotated[
        list[str] | None, typer.Option("--where", help="A condition beside the named segments; may be repeated.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All segments of the workspace.")] = False,
    top: Annotated[
        int, typer.Option("--top", help="How many exclusive intersections, and pairs in a table, to show.", min=1)
    ] = 20,
    snapshot: SnapshotId = None,
    style: Style = "table",
) -> None:
    """Count the overlap of segments: Jaccard and containment both ways of each pair, and who is in exactly which of them."""
    from limner.output import Format, console, percent, print_object, print_rows
    from limner.progress import TerminalProgress
    from limner_profile.errors import Issue, RefusedError, UserError
    from limner_segments.bitmaps import read_bitmaps
    from limner_segments.overlap import exclusive_intersections, note_small, overlap_pairs

    chosen = style_of(style)
    project = opened(directory)
    if every and names:
        raise RefusedError(Issue("name-and-all", "", "both names and --all are given", "give one of them"))
    wanted: dict[str, NamedSegment] = {}
    for name in project.segments if every else names or []:
        wanted[name] = segment_of(project, name, None)
    for text in where or []:
        wanted[text] = segment_of(project, None, text)
    if len(wanted) < 2:
        message = (
            f"an overlap takes two segments, and {len(wanted) or 'none'} {'is' if len(wanted) < 2 else 'are'} given"
        )
        raise RefusedError(Issue("too-few-segments", "", message, "name two or more, or use --all"))
    small = project.workspace.settings.min_group
    with project.store.open(snapshot) as current:
        for named in wanted.values():
            note_stale(project, current, named)
        conditions = {name: named.condition for name, named in wanted.items()}
        try:
            bitmaps = read_bitmaps(current, conditions)
        except UserError:  # one of them cannot be counted: of all, the others can
            if not every:
                raise
            bitmaps = {}
            for name, condition in conditions.items():
                try:
                    bitmaps |= read_bitmaps(current, {name: condition})
                except UserError as error:
                    TerminalProgress().warn(f"{wanted[name].place} {name!r} is left out: {error.issues[0].message}")
        users = int(current.value("SELECT count(*) FROM profiles"))
        content: dict[str, Any] = {"snapshot": current.id, "as_of": current.as_of_text, "users": users}
    pairs = overlap_pairs(bitmaps, small, users)
    found = exclusive_intersections(bitmaps, top, users, small)
    sizes = [
        {"name": name, "size": len(bitmap), "share": len(bitmap) / users if users else 0.0}
        for name, bitmap in bitmaps.items()
    ]
    rows: list[dict[str, Any]] = [
        {
            "first": pair.first, "second": pair.second, "both": pair.both, "either": pair.either, "jaccard": pair.jaccard,
            "share_of_first": pair.share_of_first, "share_of_second": pair.share_of_second, "small": pair.small,
        }
        for pair in pairs
    ]  # fmt: skip
    note = note_small([*pairs, *found.shown], small)
    if note:
        TerminalProgress().warn(note)
    if chosen is Format.json:
        inside = [
            {"segments": list(one.segments), "count": one.count, "share": one.share, "small": one.small}
            for one in found.shown
        ]
        told = {"segments": sizes, "pairs": rows, "intersections": inside, "union": found.union, "rest": found.rest}
        print_object({**content, **told}, chosen)
        return
    if chosen is Format.csv:
        print_rows(rows, chosen)
        return
    shares: list[dict[str, Any]] = [
        {**row, "share": percent(len(bitmaps[str(row["name"])]) / users if users else 0.0)} for row in sizes
    ]
    print_rows(shares, chosen, title=f"segments as of {content['as_of']}, {users:,} users")
    console().print()
    most = sorted(rows, key=lambda row: -(row["jaccard"] or 0.0))[:top]
    left = f", the {len(most)} closest of {len(rows)}" if len(most) < len(rows) else ""
    print_rows(
        [{key: percent(value) if key in _SHARES else value for key, value in row.items()} for row in most],
        chosen,
        title=f"pairs{left}",
    )
    console().print()
    shown = []
    for one in found.shown:
        marks = {name: "●" if name in one.segments else "·" for name in bitmaps}
        place = marks if len(bitmaps) <= _MATRIX else {"in exactly": ", ".join(one.segments)}
        shown.append({**place, "users": one.count, "share": percent(one.share)})
    print_rows(shown, chosen, title=f"in exactly these, of {found.union:,} users in any")
    if found.rest:
        console().print(f"{found.rest:,} more are in other combinations (--top)")
