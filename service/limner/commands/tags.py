"""limner tags list and sql."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, Style, opened, style_of

app = typer.Typer(help="The catalog: what is known of each user.", no_args_is_help=True)


@app.command("list")
def list_tags(directory: Dir = Path("."), style: Style = "table") -> None:
    """List the tags, with coverage where a snapshot exists."""
    from limner.output import print_rows

    chosen = style_of(style)
    project = opened(directory)
    coverage: dict[str, float] = {}
    if project.store.current_id():
        with project.store.open() as snapshot:
            coverage = {row["name"]: row["coverage"] for row in snapshot.rows("SELECT name, coverage FROM tags")}
    rows = [
        {
            "name": name, "kind": tag.kind, "type": tag.type, "title": tag.title.en,
            "unit": tag.unit.en if tag.unit else None, "window": tag.definition.window_text if tag.definition else "",
            "coverage": coverage.get(name), "where": tag.where,
        }
        for name, tag in project.catalog.tags.items()
    ]  # fmt: skip
    columns = ["name", "kind", "type", "title", "unit", "window", "coverage", "where"]
    # A terminal has no room for the place in the files; scripts get it.
    print_rows(rows, chosen, columns[:-1] if chosen.value == "table" else columns)


@app.command("sql")
def tag_sql(
    name: Annotated[str | None, typer.Argument(help="A tag; all of them by default.", show_default=False)] = None,
    directory: Dir = Path("."),
    as_of: Annotated[str | None, typer.Option("--as-of", help="The instant of knowledge, exclusive.")] = None,
) -> None:
    """Print the SQL that computes a tag (with the tags that it refers to), or the whole profile."""
    from datetime import UTC, datetime

    from limner_profile.builder import default_as_of, profile_query
    from limner_profile.errors import Issue, RefusedError, unknown_name
    from limner_profile.windows import parse_as_of

    project = opened(directory)
    computed = project.catalog.computed
    if name is not None and name not in project.catalog:
        raise unknown_name("tag", name, project.catalog.tags)
    if name is not None and name not in computed:
        raise RefusedError(
            Issue(
                "not-computed",
                "",
                f"{name!r} is a score: it is written by its model, not by SQL",
                "see 'limner scenarios list'",
            )
        )
    workspace = project.workspace
    moment = parse_as_of(as_of, workspace.timezone) if as_of else default_as_of(workspace, datetime.now(UTC))
    chosen = computed if name is None else project.catalog.closure([name])
    typer.echo(profile_query(chosen, moment, workspace))
