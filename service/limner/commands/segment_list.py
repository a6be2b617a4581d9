"""limner segments list: every segment with its size, what it is for, how it changed, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from limner.commands.options import Dir, Language, Style, language_of, note_stale, opened, style_of

# A table shows so much of a condition, and less where it is narrower than _WIDE.
_LONGEST, _SHORTER, _WIDE = 60, 40, 140


def list_segments(directory: Dir = Path("."), language: Language = None, style: Style = "table") -> None:
    """List the segments: owner, purpose, size in the current snapshot, change since the one before, and alerts."""
    from rich.text import Text

    from limner.heads import said
    from limner.output import Format, console, percent, print_rows
    from limner.project import stale_tags
    from limner_segments.listing import list_sizes

    chosen = style_of(style)
    project = opened(directory)
    wanted = language_of(project, language)
    earlier = project.store.previous_id()
    with project.store.open() as snapshot:
        stale = stale_tags(project.catalog, snapshot)
        previous = project.store.open(earlier) if earlier is not None else None
        try:
            listed = list_sizes(snapshot, previous, project.segments, stale)
        finally:
            if previous is not None:
                previous.close()
        for one in listed:
            note_stale(project, snapshot, one.named)
    table = chosen is Format.table
    longest = _LONGEST if console().width >= _WIDE else _SHORTER
    told: dict[str, list[str]] = {}
    rows = []
    for one in listed:
        segment = one.named.segment
        alerts = "; ".join(f"{alert.words} [{alert.code}]" for alert in one.alerts)
        row = {
            "name": one.named.name, "title": one.named.title(wanted), "owner": segment.owner or None, "purpose": segment.purpose or None,
            "size": one.size, "share": None if one.share is None else round(one.share, 4), "change": one.change,
            "redefined": one.redefined, "alert": alerts or None, "condition": segment.where.to_text(), "where": one.named.place,
        }  # fmt: skip
        for alert in one.alerts:
            told.setdefault(f"{alert.words} [{alert.code}]", []).append(one.named.name)
        if table:
            row["share"] = percent(one.share)
            row["condition"] = _cut(str(row["condition"]), longest)
            row["alert"] = (
                ", ".join(dict.fromkeys(alert.code.removeprefix("audience-") for alert in one.alerts)) or None
            )
        if table and one.change is not None:
            row["change"] = f"{one.change:+,}{said(' (edited)', '（已修改）', wanted) if one.redefined else ''}"
        rows.append(row)
    columns = [
        "name",
        "title",
        "owner",
        "purpose",
        "size",
        "share",
        "change",
        "redefined",
        "alert",
        "condition",
        "where",
    ]
    if table:
        # A column that nobody has filled takes the room of those that matter.
        spare = [key for key in ("owner", "change", "alert") if not any(row[key] for row in rows)]
        columns = [key for key in columns if key not in (*spare, "purpose", "redefined", "where")]
    print_rows(rows, chosen, columns, language=wanted)
    if table and told:
        console().print()
        for words, names in told.items():
            console().print(Text(f"{', '.join(names)}: {words}"))


def _cut(text: str, longest: int) -> str:
    """A text of at most so many characters, with an ellipsis where some are missing."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
