"""limner tags: list, show, stats, lineage and sql."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.commands.options import Dir, Language, SnapshotId, Style, language_of, opened, style_of

if TYPE_CHECKING:
    from limner.project import Project
    from limner_profile.catalog import CatalogTag
    from limner_profile.sources import FieldType

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


@app.command("show")
def show_tag(
    name: Annotated[str, typer.Argument(help="A tag.")],
    directory: Dir = Path("."),
    snapshot: SnapshotId = None,
    language: Language = None,
    style: Style = "table",
) -> None:
    """Show a tag: its definition, distribution in a snapshot, where it comes from and who uses it."""
    from limner.output import Format, print_object
    from limner.project import stale_tags
    from limner_profile.statistics import read_statistics

    chosen = style_of(style)
    project = opened(directory)
    tag, wanted = _tag(project, name), language_of(project, language)
    definition = tag.definition
    content: dict[str, Any] = {
        "name": name, "kind": tag.kind, "type": tag.type, "title": tag.title.of(wanted),
        "description": definition.description if definition else "", "unit": tag.unit.of(wanted) if tag.unit else "",
        "owner": definition.owner if definition else "", "window": definition.window_text if definition else "",
        "sensitivity": definition.sensitivity if definition else "none", "where": tag.where,
        "definition": json.loads(tag.definition_json), "definition_hash": tag.definition_hash,
        "version": definition.version if definition else 1,
    }  # fmt: skip
    statistics: dict[str, Any] | None = None
    if snapshot or project.store.current_id():
        with project.store.open(snapshot) as current:
            found = read_statistics(current, [name])
            statistics = {**_plain(found[0]), "snapshot": current.id} if found else None
            content["stale"] = name in stale_tags(project.catalog, current)
    lineage = _lineage(project, name)
    content |= {"statistics": statistics, "sources": lineage["columns"], "events": lineage["events"]}
    content |= {"tags": lineage["tags"], "used_by": lineage["used_by"]}
    content["sql"] = f"limner tags sql {name}" if definition else None
    if chosen is Format.table:
        content["sources"] = ", ".join(f"{row['source']}.{row['column'] or row['field']}" for row in lineage["columns"])
        content["used_by"] = _user_words(lineage["used_by"])
        content = {key: value for key, value in content.items() if value not in (None, "", [], False)}
        content |= (
            {"statistics": {key: value for key, value in statistics.items() if value is not None}} if statistics else {}
        )
    print_object(content, chosen)


@app.command("stats")
def tag_statistics(
    name: Annotated[str | None, typer.Argument(help="A tag; all of them by default.", show_default=False)] = None,
    directory: Dir = Path("."),
    snapshot: SnapshotId = None,
    style: Style = "table",
) -> None:
    """Show how the values of tags are distributed, and how far they drifted (PSI) since the snapshot before."""
    from limner.output import Format, local_time, print_object, print_rows, show
    from limner_profile.drift import drift_words
    from limner_profile.errors import unknown_name
    from limner_profile.snapshots import SnapshotStore
    from limner_profile.statistics import read_statistics
    from limner_profile.workspace import open_workspace

    chosen = style_of(style)
    workspace = open_workspace(directory)
    with SnapshotStore(workspace.state).open(snapshot) as current:
        known = [row["name"] for row in current.rows("SELECT name FROM tags")]
        if name is not None and name not in known:
            raise unknown_name("tag", name, known)
        rows = [_plain(row) for row in read_statistics(current, None if name is None else [name])]
    rows = [{**row, "drift": drift_words(row["psi"])} for row in rows]
    if name is not None:
        print_object(rows[0], chosen)
    elif chosen is not Format.table:
        print_rows(rows, chosen)
    else:
        lines = []
        for row in rows:
            if row["top_values"]:
                spread = ", ".join(f"{show(value)} {users:,}" for value, users in row["top_values"][:4])
            elif row["type"] in ("date", "time"):
                ends = (row["earliest"], row["latest"])
                ends = tuple(local_time(end, workspace.timezone) for end in ends) if row["type"] == "time" else ends
                spread = " – ".join(map(str, ends))
            else:
                points = (row[key] for key in ("min", "quartile_1", "median", "quartile_3", "max"))
                spread = " · ".join(show(point) for point in points)
            drift = "" if row["psi"] is None else f"{row['psi']:.3f} {row['drift']}"
            lines.append(
                {
                    "tag": row["tag"], "coverage": row["coverage"], "unknown": row["unknown"], "distinct": row["distinct_values"],
                    "spread": spread, "psi": drift, "age": _age_words(row["age_hours"]), "breach": row["breach"] or "",
                }
            )  # fmt: skip
        print_rows(lines, chosen)


@app.command("lineage")
def lineage(
    name: Annotated[str, typer.Argument(help="A tag.")], directory: Dir = Path("."), style: Style = "table"
) -> None:
    """Show where a tag comes from, column by column, and which segments and scenarios use it."""
    from limner.output import Format, console, print_object, print_rows

    chosen = style_of(style)
    project = opened(directory)
    _tag(project, name)
    content = _lineage(project, name)
    rows = [
        {"from": f"{row['source']} ({row['file']})", "column": row["column"], "as": row["field"], "to": name}
        for row in content["columns"]
    ]
    rows += [{"from": "tag", "column": tag, "as": "", "to": name} for tag in content["tags"]]
    rows += [
        {"from": name, "column": "", "as": user["role"], "to": f"{user['thing']} {user['name']}"}
        for user in content["used_by"]
    ]
    if chosen is Format.json:
        print_object(content, chosen)
    elif chosen is Format.csv:
        print_rows(rows, chosen, ["from", "column", "as", "to"])
    else:
        print_rows(rows, chosen, ["from", "column", "as", "to"])
        if content["events"]:
            console().print(f"events: {', '.join(content['events'])}", markup=False)


def _tag(project: Project, name: str) -> CatalogTag:
    from limner_profile.errors import unknown_name

    if name not in project.catalog:
        raise unknown_name("tag", name, project.catalog.tags)
    return project.catalog[name]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row of tag_statistics with its JSON read, without the bins: they are for the next build."""
    kept = {key: value for key, value in row.items() if key != "bins"}
    return {**kept, "top_values": json.loads(row["top_values"]) if row["top_values"] else None}


def _lineage(project: Project, name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from limner_profile.lineage import tags_reading, trace_tag
    from limner_segments.scoring.scenario import allowed_tags
    from limner_segments.tag_users import users_of_tag

    scored = next((named.scenario for named in project.scenarios.values() if named.score_tag == name), None)
    found = trace_tag(name, project.catalog, project.workspace)
    users = [asdict(user) for user in users_of_tag(name, project.catalog, project.segments, project.scenarios)]
    readers = [
        {"thing": "tag", "name": other, "role": "definition", "where": project.catalog[other].where}
        for other in tags_reading(name, project.catalog)
    ]
    return {
        "tag": name, "columns": [asdict(column) for column in found.columns], "events": list(found.events),
        "tags": list(allowed_tags(scored, project.catalog) if scored else found.tags), "used_by": [*readers, *users],
    }  # fmt: skip


def _age_words(hours: float | None) -> str:
    """The age of the newest data behind a tag, nothing where nobody knows it."""
    return "" if hours is None else f"{hours / 24:.1f} d" if abs(hours) >= 48 else f"{hours:.1f} h"


def _user_words(users: list[dict[str, Any]]) -> str:
    return ", ".join(f"{user['thing']} {user['name']} ({user['role']})" for user in users)


@app.command("sql")
def tag_sql(
    name: Annotated[str | None, typer.Argument(help="A tag; all of them by default.", show_default=False)] = None,
    directory: Dir = Path("."),
    as_of: Annotated[str | None, typer.Option("--as-of", help="The instant of knowledge, exclusive.")] = None,
) -> None:
    """Print the SQL that computes a tag (with the tags that it refers to), or the whole profile."""
    from datetime import UTC, datetime

    from limner_profile.builder import default_as_of, profile_query
    from limner_profile.compiler import compile_late
    from limner_profile.dependencies import closure_of
    from limner_profile.errors import Issue, RefusedError, unknown_name
    from limner_profile.windows import parse_as_of

    project = opened(directory)
    computed = project.catalog.computed
    if name is not None and name not in project.catalog:
        raise unknown_name("tag", name, project.catalog.tags)
    if name is not None and name not in project.catalog.definitions:
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
    if name is not None and name in project.catalog.late:
        # Only what comes after the scorers, from the columns that profiles has by then.
        late = project.catalog.late
        needed = closure_of([name], {other: tag.references() for other, tag in late.items()})
        given: dict[str, FieldType] = {
            other: kind for other, kind in project.catalog.types.items() if other not in needed
        }
        chosen_late = {other: tag for other, tag in late.items() if other in needed}
        query = compile_late(chosen_late, given, moment, workspace.timezone, workspace.schema)
        typer.echo(query.sql(dialect="duckdb", pretty=True))
        return
    chosen = computed if name is None else project.catalog.closure([name])
    typer.echo(profile_query(chosen, moment, workspace))
