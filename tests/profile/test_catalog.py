"""The catalog: every complaint about tags/*.yaml with its place, and what a sound tag becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from limner_profile.catalog import CatalogTag, load_catalog, read_catalog
from limner_profile.definitions import Title
from limner_profile.errors import DefinitionError, Issue
from limner_profile.workspace import Workspace, open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

FILES = {
    "limner.yaml": "name: t\ntimezone: UTC\nsources:\n"
    "  people: {type: users, path: p.csv, user: u, attributes: {city: c, born: b}}\n"
    "  acts: {type: events, path: a.csv, user: u, time: t, event: e, properties: {genre: g, pages: n}}\n",
    "p.csv": "u,c,b\na,x,1990\n",
    "a.csv": "u,t,e,g,n\na,2025-01-01,read,x,3\n",
}


def workspace_with(lay: Lay, tags: str | bytes) -> Workspace:
    return open_workspace(lay({**FILES, "tags/t.yaml": tags}))


def issues_of(lay: Lay, tags: str | bytes) -> list[Issue]:
    workspace = workspace_with(lay, tags)
    catalog, issues = read_catalog(workspace, workspace.schema)
    if issues:
        with pytest.raises(DefinitionError):
            load_catalog(workspace)
    assert not catalog.tags
    return issues


@pytest.mark.parametrize(
    ("text", "code", "where", "message", "hint"),
    [
        ("n:\n  kind: cuont\n  event: read\n", "unknown-tag-kind", "tags/t.yaml:2:3", "unknown kind 'cuont'",
         "did you mean 'count'?"),
        ("n:\n  kind: [count]\n", "unknown-tag-kind", "tags/t.yaml:2:3", "unknown kind ['count']", None),
        ("n:\n  event: read\n", "unknown-tag-kind", "tags/t.yaml:1:1", "the tag 'n' has no kind", None),
        ("n: 3\n", "unknown-tag-kind", "tags/t.yaml:1:1", "the tag 'n' has no kind", None),
        ("n:\n  kind: count\n", "missing-field", "tags/t.yaml:1:1", "the field 'event' is missing",
         "add a line 'event: …'"),
        ("n:\n  kind: count\n  evnet: read\n  event: read\n", "unknown-field", "tags/t.yaml:3:3",
         "unknown field 'evnet'", "did you mean 'event'?"),
        ("n: {kind: count, event: read, window: 30}\n", "bad-value", "tags/t.yaml:1:31",
         "'window': input should be a valid string (got 30)", ""),
        ("n: {kind: count, event: read, window: 4w}\n", "bad-value", "tags/t.yaml:1:31",
         "'window': '4w' is not a window", "write days as 30d, hours as 24h, or all"),
        ("n: {kind: count, event: []}\n", "bad-value", "tags/t.yaml:1:18",
         "'event': tuple should have at least 1 item after validation, not 0", ""),
        ("n:\n  kind: count\n  event: read\n  where: gerne = 'x'\n", "unknown-field", "tags/t.yaml:4:3",
         "unknown field 'gerne'", "did you mean 'genre'?"),
        ("n:\n  kind: count\n  event: read\n  where: genre = 3\n", "wrong-type", "tags/t.yaml:4:3",
         "'genre' is a category, but 3 is a number", "write text in single quotes, like 'abc'"),
        ("n:\n  kind: sum\n  event: read\n  of: genre\n", "wrong-type", "tags/t.yaml:4:3",
         "'genre' is a category, not a number",
         "name another property, or map it as 'genre: {column: …, type: number}' in limner.yaml: what is no number is then rejected, "
         "and numbers such as 1,5 need 'decimal_comma: true'"),
        ("n:\n  kind: sum\n  event: read\n  of: page\n", "unknown-property", "tags/t.yaml:4:3",
         "no event has a property 'page'", "did you mean 'pages'?"),
        ("n: {kind: preference, event: read, by: gnre}\n", "unknown-property", "tags/t.yaml:1:36",
         "no event has a property 'gnre'", "did you mean 'genre'?"),
        ("n: {kind: share, event: read, part: pgs > 1}\n", "unknown-field", "tags/t.yaml:1:31",
         "unknown field 'pgs'", None),
        ("n: {kind: attribute, attribute: citty}\n", "unknown-attribute", "tags/t.yaml:1:22",
         "no source of users has an attribute 'citty'", "did you mean 'city'?"),
        ("n: {kind: attribute, attribute: city, as: age}\n", "wrong-type", "tags/t.yaml:1:39",
         "an age cannot be computed from 'city', a category", "name a year or date of birth"),
        ("n: {kind: attribute, attribute: city, minimum: 1}\n", "wrong-type", "tags/t.yaml:1:22",
         "limits apply to numbers, and 'city' is a category", "remove minimum and maximum"),
        ("n: {kind: attribute, attribute: born, minimum: .inf}\n", "bad-value", "tags/t.yaml:1:39",
         "'minimum': input should be a finite number (got inf)", ""),
        ("n: {kind: count, event: read, sensitivity: secret}\n", "bad-value", "tags/t.yaml:1:31",
         "'sensitivity' cannot be 'secret'", None),
        ("a b: {kind: count, event: read}\n", "bad-name", "tags/t.yaml:1:1", "'a b' cannot be the name of a tag",
         "letters, digits and underscores, such as order_count_90d"),
        ("7d: {kind: count, event: read}\n", "bad-name", "tags/t.yaml:1:1", "'7d' cannot be the name of a tag", None),
        ("User_ID: {kind: count, event: read}\n", "bad-name", "tags/t.yaml:1:1",
         "'User_ID' cannot be the name of a tag", None),
        ("- a\n", "not-a-mapping", "tags/t.yaml:1:1", "expected 'name: definition' entries", None),
    ],
)  # fmt: skip
def test_complaints(lay: Lay, text: str, code: str, where: str, message: str, hint: str | None) -> None:
    found = issues_of(lay, text)
    assert (code, where, message) in {(issue.code, issue.where, issue.message) for issue in found}
    assert hint is None or hint in {issue.hint for issue in found}


@pytest.mark.parametrize("text", ["where: 'genre ='", "where: |\n    genre = 'x'\n    and genre ="])
def test_a_condition_that_cannot_be_read(lay: Lay, text: str) -> None:
    (issue,) = issues_of(lay, f"n:\n  kind: count\n  event: read\n  {text}\n")
    assert (issue.code, issue.where) == ("bad-value", "tags/t.yaml:4:3")
    assert issue.message.startswith("'where': expected a value, found the end")
    assert issue.hint.endswith("genre =\n" + issue.hint.splitlines()[-1])  # the line, and a caret under its end
    assert issue.hint.splitlines()[-1].strip() == "^"


def test_names_are_unique_across_files_and_without_regard_to_case(lay: Lay) -> None:
    tag = "{kind: count, event: read}\n"
    root = lay({**FILES, "tags/a.yaml": f"n: {tag}m: {tag}", "tags/b.yml": f"o: {tag}n: {tag}M: {tag}"})
    workspace = open_workspace(root)
    catalog, issues = read_catalog(workspace, workspace.schema)
    assert list(catalog.tags) == ["n", "m", "o"]
    assert issues == [
        Issue("duplicate-name", "tags/b.yml:2:1", "the tag 'n' is defined twice", "it stands at tags/a.yaml:1:1 already"),
        Issue("duplicate-name", "tags/b.yml:3:1", "the tags 'M' and 'm' differ in upper and lower case only",
              "it stands at tags/a.yaml:2:1 already"),
    ]  # fmt: skip


def test_one_bad_file_does_not_hide_the_others(lay: Lay) -> None:
    bad: dict[str, str | bytes] = {
        "tags/a.yaml": "n: [\n",
        "tags/b.yaml": b"n: \xff\n",
        "tags/c.yaml": "",
        "tags/d.yaml": "n: {kind: x}\n",
    }
    workspace = open_workspace(lay({**FILES, **bad, "tags/e.yaml": "m: {kind: count, event: read}\n"}))
    catalog, issues = read_catalog(workspace, workspace.schema)
    assert list(catalog.tags) == ["m"]
    assert [issue.code for issue in issues] == ["bad-yaml", "unreadable-file", "unknown-tag-kind"]


def test_a_tag_on_events_needs_a_source_of_events(lay: Lay) -> None:
    config = FILES["limner.yaml"].split("  acts:")[0]
    workspace = open_workspace(lay({**FILES, "limner.yaml": config, "tags/t.yaml": "n: {kind: count, event: x}\n"}))
    _, issues = read_catalog(workspace, workspace.schema)
    assert [(issue.code, issue.where) for issue in issues] == [("no-events", "tags/t.yaml:1:18")]


def test_titles_made_for_tags_that_state_none(lay: Lay) -> None:
    """A query is called by the tag's name, since its column is mostly a letter; a window of one day is the last day."""
    query = "{kind: sql, query: 'SELECT user_id, count(*) AS s FROM events GROUP BY user_id'}"
    texts = f"active_span: {query}\n" + "".join(
        f"n_{window}: {{kind: count, event: read, window: {window}}}\n" for window in ("1d", "1h", "2d")
    )
    titles = {name: tag.title for name, tag in load_catalog(workspace_with(lay, texts)).tags.items()}
    assert (titles["active_span"].en, titles["active_span"].of("zh")) == ("active span", "active span")
    assert [titles[name].en.rpartition(", ")[2] for name in ("n_1d", "n_1h", "n_2d")] == [
        "last day", "last hour", "last 2 days"
    ]  # fmt: skip


def test_what_a_sound_tag_becomes(lay: Lay) -> None:
    workspace = workspace_with(
        lay,
        """
reads_30d: {kind: count, event: read, window: 30d, title: {en: reads, zh: 阅读次数}, unit: times}
genre: {kind: preference, event: read, by: genre, values: {x: {en: X, zh: 甲}}}
age: {kind: attribute, attribute: born, as: age}
quiet: {kind: recency, event: read}
""",
    )
    catalog = load_catalog(workspace)
    assert catalog.types == {"reads_30d": "number", "genre": "category", "age": "number", "quiet": "number"}
    assert "genre" in catalog
    assert "x" not in catalog
    assert catalog["reads_30d"].provable
    assert not catalog["age"].provable
    assert catalog["reads_30d"].where == "tags/t.yaml:2:1"
    assert catalog.words("reads_30d", "zh").title == "阅读次数"
    assert catalog.words("genre", "zh").value_titles == {"x": "甲"}
    assert catalog.words("quiet", "en").unit == ""  # the title says "days" already
    assert catalog.words("quiet", "zh").unit == "天"
    assert catalog.words("nobody", "en").title == "nobody"
    hashes = {tag.definition_hash for tag in catalog.tags.values()}
    assert len(hashes) == 4
    score = CatalogTag("score", "score", "number", Title(en="score"))
    more = catalog.with_tags([score])
    assert list(more.tags)[-1] == "score"
    assert "score" not in more.computed
    assert (score.definition_json, score.definition_hash, score.provable) == ("{}", "", False)
