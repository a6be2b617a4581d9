"""limner init: a workspace from a template, fitted to the user's own files."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import Style, style_of

if TYPE_CHECKING:
    from limner.output import Format


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write the workspace to.")],
    template: Annotated[
        str | None,
        typer.Option("--template", help="app, retail, game, finance or membership.", show_default="asked for"),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", help="A data file, or a folder of them; may be given again. Without it, example data are written."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take every proposal without asking.")] = False,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="Where days begin, as Asia/Shanghai.", show_default="seen in the data"),
    ] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="The currency of amounts, as EUR.")] = None,
    language: Annotated[str, typer.Option("--lang", help="en or zh: the language of cards and sentences.")] = "en",
    style: Style = "table",
) -> None:
    """Begin a workspace: ready tags, segments and scenarios for a business, fitted to the columns and events of your own files."""
    from limner.initial.beginning import Wishes, begin
    from limner.initial.dialogue import choose
    from limner.initial.template import TEMPLATES, read_template
    from limner.initial.writing import check_free
    from limner.progress import TerminalProgress
    from limner_profile.errors import Issue, UserError

    chosen = style_of(style)
    if language not in ("en", "zh"):
        raise UserError(Issue("bad-value", "--lang", f"unknown language {language!r}", "en or zh"))
    if timezone is not None:
        _check_timezone(timezone)
    if currency is not None and not re.fullmatch(r"[^\W\d_]{1,12}", currency):
        raise UserError(Issue("bad-value", "--currency", f"{currency!r} is no currency", "a code such as EUR"))
    check_free(directory)
    progress = TerminalProgress()
    asking = not yes and at_terminal()
    if template is None:
        if not asking:
            raise UserError(Issue("no-template", "--template", "which template?", f"one of {', '.join(TEMPLATES)}"))
        for name, words in TEMPLATES.items():
            progress.console.print(f"  {name}: {words}", highlight=False)
        template = choose("Which template", list(TEMPLATES), "app", progress.console)
    ready = read_template(template)
    if data and not asking and not yes:
        progress.warn("there is no terminal to ask at: every proposal is taken")
    wishes = Wishes(data or (), asking, timezone, currency or "", language)
    summary = begin(directory, ready, wishes, progress)
    _say(summary, chosen, directory)


def at_terminal() -> bool:
    """Whether somebody sits there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _check_timezone(name: str) -> None:
    from limner_profile.errors import Issue, UserError
    from limner_profile.windows import parse_timezone

    try:
        parse_timezone(name)
    except ValueError as error:
        message, _, hint = str(error).partition(" | ")
        raise UserError(Issue("bad-value", "--timezone", message, hint)) from None


def _say(summary: Mapping[str, Any], style: Format, directory: Path) -> None:
    import shlex

    from limner.output import console, print_object, print_rows, show

    if style.value != "table":
        print_object(summary, style)
        return
    output = console()
    output.print(
        f"{summary['workspace']}: {summary['tags']} tags, {summary['segments']} segments, {summary['scenarios']} scenarios",
        markup=False,
    )
    rows = [
        {
            "source": row["source"],
            "type": row.get("type", ""),
            "columns": ", ".join(
                f"{key}: {show(value)}"
                for key, value in row.items()
                if key not in ("source", "type", "path", "timezone", "unsure", "notes")
            ),
        }
        for row in summary["sources"]
    ]
    if not summary["events"]:
        for note in summary["notes"]:
            output.print(note, markup=False)
    else:
        print_rows(rows, style)
        output.print()
        print_rows(
            [{"template's event": event, "in the data": name} for event, name in summary["events"].items()], style
        )
    if summary["off"]:
        output.print(f"\n{len(summary['off'])} definitions are off, in comments:")
        print_rows([{"name": row["name"], "why": row["why"]} for row in summary["off"]], style)
    output.print("\nType next:")
    where = shlex.quote(str(directory))
    for command in ("check", "build", "tags list", "serve"):
        output.print(f"  limner {command} --dir {where}", markup=False, soft_wrap=True)
