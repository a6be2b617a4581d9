"""Write the reference pages from the registries: `python docs/generate.py`, or `--check` to fail where one is stale."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py. Change the code, then run it again. -->\n"


def pages() -> dict[str, str]:
    """File name under docs/reference to its text."""
    return {
        "tags.md": tags_page(),
        "conditions.md": conditions_page(),
        "scenarios.md": scenarios_page(),
        "funnels.md": funnels_page(),
        "settings.md": settings_page(),
        "snapshot.md": snapshot_page(),
        "exports.md": exports_page(),
        "cli.md": cli_page(),
        "errors.md": errors_page(),
    }


def field_table(model: type[BaseModel], leave_out: frozenset[str] = frozenset({"kind"})) -> str:
    """A Markdown table of a model's fields."""
    lines = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if name in leave_out:
            continue
        default = "required" if field.is_required() else f"`{plain(field.get_default(call_default_factory=True))}`"
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{field.alias or name}` | {type_words(field.annotation)} | {default} | {meaning} |")
    return "\n".join(lines)


def type_words(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, UnionType):
        return " or ".join(type_words(argument) for argument in arguments if argument is not NoneType)
    if origin in (tuple, list):
        return f"list of {type_words(arguments[0])}"
    if origin is dict or annotation is dict:
        return "mapping"
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "nothing"}
    if annotation in words:
        return words[annotation]
    return {"Predicate": "condition (text)", "Title": "title: text, or `{en, zh}`"}.get(
        annotation.__name__, annotation.__name__
    )


def plain(value: Any) -> str:
    """A default as it would stand in YAML."""
    if isinstance(value, BaseModel):
        return json.dumps(value.model_dump(mode="json"), ensure_ascii=False)
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    return "null" if value is None else json.dumps(value, ensure_ascii=False)


def paragraphs(text: str | None) -> str:
    """A docstring as Markdown paragraphs."""
    lines = [line.strip() for line in (text or "").strip().splitlines()]
    return "\n".join(lines)


def tags_page() -> str:
    """The tag kinds: fields, examples, SQL."""
    from limner_profile.catalog import TAG_KINDS
    from limner_profile.compiler import compile_profiles
    from limner_profile.quality import Quality
    from limner_profile.tags.base import Tag
    from limner_profile.tags.query import FUNCTIONS as QUERY_FUNCTIONS
    from limner_profile.tags.query import LOCAL_DAY
    from limner_profile.workspace import Schema

    schema = Schema(
        {"event": "category", "time": "time", "amount": "number", "genre": "category"},
        {"city": "category", "birth_year": "number"},
        {"city": "people", "birth_year": "people"},
        ("people",),
        frozenset(),
        False,
        True,
    )
    parts = [
        "# Tag kinds\n",
        "A tag is defined in `tags/*.yaml` as `name: {kind: …}`. Every kind also takes these fields:\n",
        field_table(Tag),
        "\n`quality` sets limits: " + paragraphs(Quality.__doc__).replace("\n", " ") + "\n",
        field_table(Quality),
        "\nA window is `30d` (local days, ending at as_of), `24h` or `all`. `where` is a [condition](conditions.md) on the "
        "fields of events: `event`, `amount`, `source` and the properties that the source maps.\n",
        "`default` is the value of users whose value would be unknown. \n",
        "`freshness` is how old the newest data behind the tag may be at as_of: `2d` goes back to a local midnight, as a window "
        "does. The data of a tag over events is the newest event of one of its names that was known before as_of, whatever the "
        "tag's filter; that of an attribute the newest `updated_at` of its source, where it maps one; a tag of tags is as old as "
        "the one with the oldest data among those that it refers to. A build warns of older data, or stops where the tag's `quality` "
        "says `on_breach: stop`; where the age cannot be known (other attributes, imported files, scores) it says so, and never stops. "
        "`limner tags stats` shows the age. Without `--as-of` a build takes as_of from the newest of all events: that nothing "
        "arrives any more at all is seen only with a stated as_of.\n",
        "`limner check` refuses to change or delete a tag that a published segment, a scenario, a trained model or an export uses "
        "(`tag-in-use`), and names them. A change that is meant says so by a `version` higher than that in the current snapshot; "
        "titles, owners and limits are no change. `limner build` warns and goes on, and what it builds is what the next check "
        "compares with.\n",
        "Some kinds compute a tag from other tags (`of`, `recency`, the conditions of `lifecycle`, …). They may refer to each "
        "other in any order, but not in a circle. `limner check` names each reference to a tag that is not there. Such a tag can be "
        "shown to have been known at a past as_of if all that it refers to can, and is as sensitive as what it refers to. Means, "
        "quantiles and percentiles are over all users known at as_of.\n",
        "They may also refer to a score, `<scenario>_score`. Such a tag is computed after the scorers have run, in every build and "
        "training, and is unknown as long as the score is. Segments use it like any other; a scenario may not, since its training "
        "rows lie before any score.\n",
    ]
    common = frozenset({*Tag.model_fields, "kind"})
    for word, kind in TAG_KINDS:
        parts += [f"\n## `{word}`\n", paragraphs(kind.__doc__), "", field_table(kind, common), ""]
        if word == "sql":
            functions = sorted({*QUERY_FUNCTIONS.values(), LOCAL_DAY})
            parts += [f"Functions of a query: {', '.join(f'`{name}`' for name in functions)}.\n"]
        for number, example in enumerate(kind.EXAMPLES):
            definition = kind.model_validate(example.definition)
            as_of = datetime.fromisoformat(example.as_of).replace(tzinfo=UTC)
            others = {name: TAG_KINDS.get(tag["kind"]).model_validate(tag) for name, tag in example.tags.items()}
            sql = compile_profiles({**others, "example": definition}, as_of, ZoneInfo("UTC"), schema)
            definitions = {
                **{name: dict(tag) for name, tag in example.tags.items()},
                "example": dict(example.definition),
            }
            text = yaml.safe_dump(definitions, allow_unicode=True, sort_keys=False).strip()
            given = ", ".join(
                f"{user}: {json.dumps(value, ensure_ascii=False)}" for user, value in example.values.items()
            )
            parts += [
                "```yaml",
                text,
                "```",
                f"Users of the example (a test runs it, as of {example.as_of}) get {given}.\n",
            ]
            if number == 0:
                parts += ["```sql", sql.sql(dialect="duckdb", pretty=True), "```", ""]
    return NOTE + "\n".join(parts)


def conditions_page() -> str:
    """The condition kinds: text, sentences, SQL."""
    from sqlglot import exp

    from limner_profile.predicates import PREDICATES, FieldWords, parse
    from limner_segments.conditions import CALLS

    parts = [
        "# Conditions\n",
        "The same language says which users belong to a segment (fields are tags) and which events count for a tag (fields are "
        "columns of events). Brackets, `and`, `or` and `not` combine; `and` binds tighter than `or`. What a whole user did, belongs "
        "to or ranks at is written as a [call](#calls); those are for segments only.\n",
        "A comparison holds only for a known value: `city != 'x'` leaves out users without a city unless it ends in "
        "`include_unknown`. `not (…)` is always the exact complement, unknowns included.\n",
    ]
    for word, kind in PREDICATES:
        if word in CALLS.words():
            continue
        parts += [f"\n## `{word}`\n", paragraphs(kind.__doc__), ""]
        parts += ["| text | in English | in Chinese | SQL |", "| --- | --- | --- | --- |"]
        for example in kind.EXAMPLES:
            predicate = parse(example.text)
            cells = [
                f"`{example.text}`",
                predicate.to_sentence("en", lambda name: FieldWords(title=name)),
                predicate.to_sentence("zh", lambda name: FieldWords(title=name)),
                f"`{predicate.to_sql(lambda name: exp.column(name)).sql(dialect='duckdb')}`",
            ]
            parts.append(row(cells))
    return NOTE + "\n".join([*parts, *calls_part()]) + "\n"


def calls_part() -> Iterator[str]:
    """The kinds that are written as calls: arguments, examples with whom they find, the YAML tree, SQL."""
    from limner_profile.predicates import FieldWords, Known
    from limner_segments.conditions import CALLS, parse_condition
    from limner_segments.conditions.linking import asked_segments, link
    from limner_segments.conditions.scope import Scope

    scope = Scope(datetime(2025, 2, 28, 16, tzinfo=UTC), ZoneInfo("Asia/Shanghai"))
    yield "\n## Calls\n"
    yield (
        "Positional arguments come first, the others by name: `name => value`. A call is never unknown: a user is in the set or is not. "
        "The SQL is that of the first example in a snapshot as of 2025-03-01 in Asia/Shanghai.\n"
    )
    yield "| call | what it asks |\n| --- | --- |"
    for word, kind in CALLS:
        yield row([f"[`{word}`](#{word})", paragraphs(kind.__doc__).split("\n\n")[0].replace("\n", " ")])
    for word, kind in CALLS:
        yield f"\n### `{word}`\n"
        yield paragraphs(kind.__doc__) + "\n"
        yield from arguments_part(kind)
        examples = getattr(kind, "SET_EXAMPLES", ())
        texts = [example.text for example in examples] or [kind.SHOWN]
        yield "\n| text | in English | in Chinese |" + (" finds |" if examples else "")
        yield "| --- | --- | --- |" + (" --- |" if examples else "")
        for at, text in enumerate(texts):
            tree = parse_condition(text)
            cells = [f"`{text}`", *(tree.to_sentence(language, FieldWords) for language in ("en", "zh"))]
            yield row([*cells, *([", ".join(sorted(examples[at].matches)) or "nobody"] if examples else [])])
        if examples:
            yield "\nA test runs these on the users and acts that the kind's `SET_EXAMPLES` state.\n"
        first = parse_condition(texts[0])
        yield "\n```yaml"
        yield yaml.safe_dump(
            {"where": first.model_dump(mode="json", exclude_defaults=False, exclude_none=True)},
            allow_unicode=True,
            sort_keys=False,
        ).strip()
        yield "```\n"
        linked = link(first, {name: Known(field="age", known=True) for name in asked_segments(first)})
        yield "```sql"
        yield linked.to_sql(scope).sql(dialect="duckdb", pretty=True)
        yield "```\n"


def arguments_part(kind: Any) -> Iterator[str]:
    """A table of the arguments of a call, and of those of the calls inside it."""
    written = {
        "text": "text", "number": "number", "boolean": "true or false", "date": "date", "window": "window, such as `'30d'`",
        "field": "a field of events", "tag": "a tag", "where": "a condition on fields of events", "part": "an inner call",
    }  # fmt: skip
    yield "| argument | written | meaning |\n| --- | --- | --- |"
    for parameter in kind.PARAMETERS:
        name = f"`{parameter.name}`" if parameter.positional else f"`{parameter.name} =>`"
        how = written[parameter.reads] + (", several with commas" if parameter.many else "")
        if parameter.positional:
            how += ", by its place"
        if kind.model_fields[parameter.name].is_required():
            how += ", required"
        yield row([name, how, parameter.description])
    for parameter in kind.PARAMETERS:
        if parameter.part is not None:
            word = parameter.part.model_fields["kind"].default
            yield f"\n`{word}(…)` inside it: {paragraphs(parameter.part.__doc__)}\n"
            yield from arguments_part(parameter.part)


def row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def scenarios_page() -> str:
    """Scenarios and outcome kinds."""
    from limner_segments.scoring.outcomes.base import Outcome
    from limner_segments.scoring.scenario import OUTCOME_KINDS, AllowedTags, Cutoffs, Scenario

    parts = [
        "# Scenarios\n",
        "`scenarios/*.yaml`, as `name: {…}`.\n",
        paragraphs(Scenario.__doc__),
        "",
        field_table(Scenario),
    ]
    parts += ["\n## `cutoffs`\n", paragraphs(Cutoffs.__doc__), "", field_table(Cutoffs)]
    parts += ["\n## `tags`\n", paragraphs(AllowedTags.__doc__), "", field_table(AllowedTags)]
    parts += ["\n## `outcome`\n", paragraphs(Outcome.__doc__), "", field_table(Outcome)]
    for word, kind in OUTCOME_KINDS:
        parts += [f"\n### `kind: {word}`\n", paragraphs(kind.__doc__)]
        own = frozenset({*Outcome.model_fields, "kind"})
        if set(kind.model_fields) - own:
            parts += ["", field_table(kind, own)]
    return NOTE + "\n".join(parts) + "\n"


def funnels_page() -> str:
    """Funnels, and what counts in them and in retention."""
    from limner_segments import funnels, retention
    from limner_segments.funnel_definition import FirstStage, Funnel, Stage, Stages

    def rules(module: Any) -> str:
        """What a module says of what counts: its docstring without the first line."""
        return paragraphs(module.__doc__).partition("\n\n" if "\n\n" in module.__doc__ else "\n")[2]

    parts = [
        "# Funnels and retention\n",
        "## `limner segments funnel`\n",
        rules(funnels),
        "\nThe steps are events (`--steps 'visit,sign_up,purchase' --within 7d`), or the stages of a funnel in `funnels/*.yaml`, "
        "as `name: {…}`, that `--funnel` names.\n",
        field_table(Funnel),
        "\n### `stages`\n",
        paragraphs(Stages.__doc__),
        "",
        field_table(Stages),
        "\nA stage:\n",
        field_table(Stage),
        f"\n`acquisition` begins the funnel, so it has no window: {', '.join(f'`{name}`' for name in FirstStage.model_fields)} only.\n",
        "```yaml",
        "growth:",
        "  stages:",
        "    acquisition: {event: visit}",
        "    activation: {event: read, where: minutes >= 5, window: 7d}",
        "    retention: {event: visit, window: 30d}",
        "    revenue: {event: order, window: 30d}",
        "    referral: {event: share, window: 60d}",
        "```",
        "\nBeside each count stand the share of the users of the step before and of the first step, with Wilson's 95 % interval, and "
        "the median time since the step before. `open` counts those who have not finished and still could.\n",
        "## `limner segments retention`\n",
        rules(retention),
        "\nThe variant is always named: "
        + "; ".join(f"`{word}`: {meaning.partition(': ')[2]}" for word, meaning in retention.VARIANTS.items())
        + ". A period is complete when it is over at as_of for whoever started on the cohort's last day; others are marked, and in no "
        "average. Averages are weighted by the size of the cohorts.\n",
        "Counts below `settings.min_group` are not shown, nor are those whose difference to one that is shown would tell of so few.\n",
    ]
    return NOTE + "\n".join(parts)


def settings_page() -> str:
    """limner.yaml."""
    from limner_profile.sources import ColumnMapping, Source
    from limner_profile.workspace import Settings, WorkspaceConfig
    from limner_segments.expectation import Expectation
    from limner_segments.exports.settings import Cap, Destination, ExportSettings, HoldOut
    from limner_segments.segment import Segment

    parts = ["# Settings\n", "## `limner.yaml`\n", field_table(WorkspaceConfig), "\n## A source\n"]
    parts += [paragraphs(Source.__doc__), "", field_table(Source, frozenset()), "\n## A mapped column\n"]
    parts += [paragraphs(ColumnMapping.__doc__), "", field_table(ColumnMapping), "\n## `settings`\n"]
    parts += [
        paragraphs(Settings.__doc__),
        "",
        field_table(Settings),
        "\n## `exports`\n",
        paragraphs(ExportSettings.__doc__),
        "",
        field_table(ExportSettings),
        "\n### `cap`\n",
        paragraphs(Cap.__doc__),
        "",
        field_table(Cap),
        "\n### `holdout`\n",
        paragraphs(HoldOut.__doc__),
        "",
        field_table(HoldOut),
        "\n### A destination (`destinations`, as `name: {…}`)\n",
        paragraphs(Destination.__doc__),
        "",
        field_table(Destination),
        "\n## A segment (`segments/*.yaml`, as `name: {…}`)\n",
    ]
    parts += [paragraphs(Segment.__doc__), "", field_table(Segment), ""]
    parts += ["Fields of `expect`:", "", field_table(Expectation)]
    return NOTE + "\n".join(parts) + "\n"


def exports_page() -> str:
    """The kinds of export file with examples, the fields of platforms, the manifest."""
    from limner_segments.exports.fields import GoogleFields, MetaFields
    from limner_segments.exports.formats import FORMATS
    from limner_segments.exports.formats.platform import PlatformFile
    from limner_segments.exports.manifest import Manifest

    parts = [
        "# Export files\n",
        "What stands behind them is told in [export files](../exports.md). Kinds are the words of `limner segments export --as`.\n",
    ]
    for word, kind in FORMATS:
        parts += [f"## `{word}`\n", paragraphs(kind.__doc__), ""]
        if issubclass(kind, PlatformFile):
            parts += ["| field | columns | |", "| --- | --- | --- |"]
            for name, rule in kind.RULES.items():
                columns = ", ".join(f"`{column}`" for column in rule.outputs)
                parts.append(f"| `{name}` | {columns} | {'SHA-256' if rule.hashed else 'as it is'} |")
            parts.append("")
        for example in kind.EXAMPLES:
            if not isinstance(example.content, str):
                continue
            users = "; ".join(
                f"{user}: {', '.join(map(repr, values))}" for user, values in sorted(example.users.items())
            )
            options = {"region": example.options.region, "--safe-cells": example.options.safe_cells or None}
            chosen = ", ".join(
                f"{name} {'' if value is True else value}".strip() for name, value in options.items() if value
            )
            parts += [
                f"{', '.join(f'`{column}`' for column in example.columns)} of {users}{f' ({chosen})' if chosen else ''} become\n"
            ]
            parts += ["```text", example.content.rstrip(), "```", ""]
    for name, model in (("google", GoogleFields), ("meta", MetaFields)):
        parts += [f"## `exports: {name}:` in limner.yaml\n", paragraphs(model.__doc__), "", field_table(model), ""]
    parts += ["## The manifest\n", paragraphs(Manifest.__doc__), "", field_table(Manifest), ""]
    return NOTE + "\n".join(parts)


def snapshot_page() -> str:
    """The tables of a snapshot."""
    from limner_explain.cards import INSIGHT_SETS_TABLE, INSIGHTS_TABLE
    from limner_explain.reasons import IMPORTANCES_TABLE, REASONS_TABLE
    from limner_profile.behaviour import EVENTS_VIEW
    from limner_profile.builder import REJECTS_TABLE, SOURCES_TABLE, TAGS_TABLE
    from limner_profile.identity import IDENTITIES_TABLE, REFUSALS_TABLE
    from limner_profile.snapshots import EVENT_FILES_TABLE, RUNS_TABLE, SNAPSHOT_TABLE
    from limner_profile.statistics import PLACES_TABLE, STATISTICS_TABLE
    from limner_profile.versions import ATTRIBUTE_HISTORY_TABLE
    from limner_segments.audience_changes import CHANGES_TABLE
    from limner_segments.audience_tables import AUDIENCES_TABLE, SEGMENTS_TABLE
    from limner_segments.bitmaps import BITMAPS_TABLE
    from limner_segments.scoring.rating import EVALUATIONS_TABLE, SCORES_TABLE

    parts = [
        "# The snapshot's schema\n",
        "A snapshot is a DuckDB file, `.limner/snapshots/<id>.duckdb`; `CURRENT` beside it names the newest. A published file "
        "never changes, so any DuckDB client may open it read-only, or use `limner sql`. The same words stand in the file as "
        "comments on tables and columns. The view `events` reads files below `.limner`: another client says "
        "`SET file_search_path = '.limner'` first.\n",
        "## `profiles`\n",
        "A row for each user known at as_of: `user_id`, and a column for each tag of the catalog. Numbers are DOUBLE or BIGINT, "
        "categories VARCHAR; unknown is NULL. The score of a trained scenario is the column `<scenario>_score`.\n",
    ]
    for kind in (
        TAGS_TABLE, STATISTICS_TABLE, PLACES_TABLE, ATTRIBUTE_HISTORY_TABLE, SEGMENTS_TABLE,
        AUDIENCES_TABLE, CHANGES_TABLE, BITMAPS_TABLE, SCORES_TABLE, REASONS_TABLE, IMPORTANCES_TABLE, EVALUATIONS_TABLE,
        INSIGHTS_TABLE, INSIGHT_SETS_TABLE, RUNS_TABLE, SOURCES_TABLE, EVENTS_VIEW, EVENT_FILES_TABLE,
        REJECTS_TABLE, IDENTITIES_TABLE, REFUSALS_TABLE, SNAPSHOT_TABLE,
    ):  # fmt: skip
        parts += [f"## `{kind.name}`\n", f"{kind.comment}\n", "| column | type | meaning |", "| --- | --- | --- |"]
        parts += [f"| `{column.name}` | {column.type} | {column.comment} |" for column in kind.columns]
        parts.append("")
    return NOTE + "\n".join(parts)


def cli_page() -> str:
    """Every command with its arguments and options."""
    import typer

    from limner.cli import app

    parts = [
        "# Command line\n",
        "Results go to stdout, progress and notes to stderr. A user's mistake ends with exit code 1.\n",
    ]
    for path, command in commands(typer.main.get_command(app), "limner"):
        usage = [path]
        rows = []
        for parameter in command.params:
            if parameter.name == "help":
                continue
            is_option = parameter.param_type_name == "option"
            shown = parameter.opts[0] if is_option else f"{(parameter.name or '').upper()}"
            if not is_option:
                usage.append(shown if parameter.required else f"[{shown}]")
            default = parameter.default
            text = "" if default is None or default is False or callable(default) else f" Default: `{default}`."
            rows.append(f"| `{shown}` | {(getattr(parameter, 'help', '') or '').rstrip('.')}.{text} |")
        parts += [f"## `{' '.join(usage)}`\n", (command.help or "").strip(), ""]
        if rows:
            parts += ["| | |", "| --- | --- |", *rows, ""]
    return NOTE + "\n".join(parts)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of the command tree with their full names."""
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield path, command
    for name, child in inner.items():
        yield from commands(child, f"{path} {name}")


def errors_page() -> str:
    """The stable words of errors, found in the sources."""
    import re

    found: dict[str, set[str]] = {}
    for folder in ("profile", "segments", "explain", "dashboards", "service", "sample_data"):
        for path in sorted((HERE.parent / folder).rglob("*.py")):
            for code in re.findall(r'Issue\(\s*"([a-z]+(?:-[a-z]+)+)"', path.read_text(encoding="utf-8")):
                found.setdefault(code, set()).add(f"{path.parent.name}/{path.name}")
    parts = ["# Error codes\n", "Every complaint about a user's mistake carries one of these stable words.\n"]
    parts += ["| code | raised in |", "| --- | --- |"]
    parts += [f"| `{code}` | {', '.join(sorted(places))} |" for code, places in sorted(found.items())]
    return NOTE + "\n".join(parts) + "\n"


def main() -> int:
    """Write the pages, or with --check name those that are stale; the exit code."""
    folder = HERE / "reference"
    folder.mkdir(exist_ok=True)
    stale = []
    for name, text in pages().items():
        path = folder / name
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"stale: {', '.join(stale)}; run 'python docs/generate.py'")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
