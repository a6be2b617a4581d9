"""limner segments history: the size at each kept snapshot, who joined and left, and which condition moved them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import Dir, Language, Style, language_of, opened, style_of

if TYPE_CHECKING:
    from limner_segments.history import HistoryPoint


def history(
    name: Annotated[str, typer.Argument(help="The name of a segment, or of one that a kept snapshot holds.")],
    directory: Dir = Path("."),
    quick: Annotated[
        bool, typer.Option("--quick", help="Sizes only: do not look for the conditions that moved users.")
    ] = False,
    language: Language = None,
    style: Style = "table",
) -> None:
    """Show the size of a segment at each kept snapshot, who joined and left, which condition moved them, and edits of it."""
    from limner.heads import said
    from limner.output import Format, console, print_object, print_rows
    from limner.progress import TerminalProgress
    from limner_profile.errors import UserError, unknown_name
    from limner_segments.conditions import parse_condition
    from limner_segments.history import segment_history
    from limner_segments.segment import sentence_of

    chosen = style_of(style)
    project = opened(directory)
    wanted = language_of(project, language)
    named = project.segments.get(name)
    expected = named.segment.expect if named else None
    points = segment_history(project.store, name, expected, explain=not quick)
    if not points and named is None:
        raise unknown_name("segment", name, project.segments)
    if not points:
        TerminalProgress().warn(f"no kept snapshot holds {name!r}; run 'limner segments build {name}'")
    elif named is not None and points[-1].condition != named.segment.where.to_text():
        TerminalProgress().warn(
            f"{name!r} was edited after snapshot {points[-1].snapshot} was built; run 'limner segments build {name}'"
        )

    def words(text: str) -> str:
        try:
            return sentence_of(parse_condition(text), wanted, project.catalog)
        except UserError:
            return text

    if chosen is Format.json:
        content = {"segment": name, "expect": expected.model_dump() if expected else None}
        print_object({**content, "history": [_whole(point) for point in points]}, chosen)
        return
    # The table says it below, beside the definitions.
    columns = _COLUMNS if chosen is Format.table else [*_COLUMNS, "size_by_old_definition"]
    rows = [_row(point) for point in points]
    if chosen is not Format.table:
        print_rows(rows, chosen, columns)
        return
    print_rows(
        [{**row, "definition": _CHANGES[row["definition"]][wanted == "zh"]} for row in rows],
        chosen,
        columns,
        language=wanted,
    )
    for point in points:
        moves = point.moves
        if moves is None or not (moves.movers or moves.note or point.change == "redefined"):
            continue
        console().print()
        lines: dict[str, Any] = {}
        if point.change == "redefined":
            if point.condition_before != point.condition:
                lines["before"], lines["after"] = point.condition_before, point.condition
            if point.redefined_segments:
                lines["segments edited"] = ", ".join(point.redefined_segments)
            if moves.size_by_old_definition is not None:
                now, old = f"{point.size:,}", f"{moves.size_by_old_definition:,}"
                english = f"{now}; by the definition before it would be {old}"
                lines["size"] = said(english, f"{now}；按之前的定义为 {old}", wanted)
        if moves.redefined_tags:
            lines["tags edited"] = ", ".join(moves.redefined_tags)
        if moves.note and not quick:
            lines["note"] = moves.note
        title = f"{point.before} → {point.snapshot}"
        if lines:
            print_object({said("from", "快照", wanted): title, **lines}, chosen, wanted)
        if moves.movers:
            rows = [
                {"change": _CHANGES[mover.change][wanted == "zh"], "place": mover.place, "users": mover.count, "by it alone": mover.alone,
                 "condition": mover.test, "sentence": words(mover.test)}
                for mover in moves.movers
            ]  # fmt: skip
            named_rows = said(f"conditions that moved users, {title}", f"使用户变动的条件，{title}", wanted)
            print_rows(rows, chosen, title=named_rows, language=wanted)


_COLUMNS = [
    "snapshot", "as_of", "size", "share", "definition", "joined", "left", "joined_by_definition", "left_by_definition", "new", "gone",
    "alert",
]  # fmt: skip

# What a table says for a word of JSON, in English and Chinese.
_CHANGES = {
    "first": ("first", "首次"), "same": ("same", "未变"), "edited": ("edited", "已修改"),
    "joined": ("joined", "新进入"), "left": ("left", "已离开"),
}  # fmt: skip


def _row(point: HistoryPoint) -> dict[str, Any]:
    moves = point.moves
    return {
        "snapshot": point.snapshot, "as_of": point.as_of, "size": point.size, "share": round(point.share, 4),
        "definition": {"same": "same", "redefined": "edited", "first": "first"}[point.change],
        "size_by_old_definition": moves.size_by_old_definition if moves else None,
        "joined": moves.joined if moves else None, "left": moves.left if moves else None,
        "joined_by_definition": moves.joined_by_definition if moves else None,
        "left_by_definition": moves.left_by_definition if moves else None,
        "new": moves.new if moves else None, "gone": moves.gone if moves else None,
        "alert": "; ".join(f"{alert.words} [{alert.code}]" for alert in point.alerts) or None,
    }  # fmt: skip


def _whole(point: HistoryPoint) -> dict[str, Any]:
    moves = point.moves
    return {
        **_row(point), "share": point.share, "built_at": point.built_at, "condition": point.condition,
        "before": point.before, "condition_before": point.condition_before,
        "joined_by_users": moves.joined_by_users if moves else None, "left_by_users": moves.left_by_users if moves else None,
        "movers": [
            {"change": mover.change, "place": mover.place, "condition": mover.test, "count": mover.count, "alone": mover.alone}
            for mover in (moves.movers if moves else ())
        ],
        "redefined_segments": list(point.redefined_segments), "changed_lists": list(moves.changed_lists) if moves else [],
        "redefined_tags": list(moves.redefined_tags) if moves else [], "note": (moves.note or None) if moves else None,
        "alert": [{"code": alert.code, "words": alert.words} for alert in point.alerts],
    }  # fmt: skip
