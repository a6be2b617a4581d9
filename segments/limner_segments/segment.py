"""Segment definitions: segments/*.yaml as typed conditions on tags, checked against the catalog.

Imports floor 1 only. Saving writes text; making the audience of a segment is the matter of `audience`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from limner_profile.catalog import Catalog
from limner_profile.definitions import Definition, Title, validate
from limner_profile.errors import DefinitionError, Issue, RefusedError, unknown_name
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.words import Language
from limner_profile.workspace import Workspace, bad_name, is_name
from limner_segments.conditions import parse_condition
from limner_segments.conditions.base import Vocabulary, user_sets
from limner_segments.conditions.everyone import Everyone
from limner_segments.conditions.linking import (
    circle_issues,
    extent_issues,
    extent_of,
    full_text,
    link,
    too_large_issue,
)
from limner_segments.expectation import Expectation
from limner_segments.written import WrittenCondition

# What names all users where no segment is so called.
EVERYONE = "everyone"


class Origin(Definition):
    """Where a segment that was saved from an insight comes from, and what the card promised."""

    insight: str
    scenario: str
    snapshot: str
    size: int


class Segment(Definition):
    """The rules of an audience: a condition on tags and behaviour, and who wants it for what."""

    where: WrittenCondition
    """Who belongs to it: a condition on tags and behaviour, as text or as a tree."""
    title: Title | None = None
    """A title for people."""
    purpose: str = ""
    """What the audience is wanted for."""
    owner: str = ""
    """Who answers for it."""
    expect: Expectation | None = None
    """The sizes that it should keep to, such as `{min: 100, change: 0.3}`; a build warns when it does not."""
    origin: Origin | None = None
    """Where a segment that was saved from a card comes from; written by Limner."""


@dataclass(frozen=True)
class NamedSegment:
    """A segment with its name and the place where it is defined.

    `linked` is the condition with those of the segments that it asks for, where it asks for any.
    """

    name: str
    segment: Segment
    place: str = ""
    linked: Predicate | None = None

    @property
    def condition(self) -> Predicate:
        """The typed condition, linked."""
        return self.linked or self.segment.where

    @property
    def definition_hash(self) -> str:
        """Twelve hex digits that change with the definition and with those of the segments that it asks for."""
        own = self.segment.digest()
        if self.linked is None:
            return own
        return hashlib.sha256(f"{own} {full_text(self.linked)}".encode()).hexdigest()[:12]

    def title(self, language: str) -> str:
        """The title in `language`, the name where there is none."""
        return self.segment.title.of(language) if self.segment.title else self.name

    def sentence(self, language: str, catalog: Catalog) -> str:
        """The condition as a sentence in 'en' or 'zh'."""
        return sentence_of(self.condition, language, catalog)


def sentence_of(condition: Predicate, language: str, catalog: Catalog) -> str:
    """A condition as a sentence in 'en' or 'zh', with the titles and units of the catalog."""
    chosen: Language = "zh" if language == "zh" else "en"
    return condition.to_sentence(chosen, lambda name: catalog.words(name, chosen))


def read_segments(workspace: Workspace, catalog: Catalog) -> tuple[dict[str, NamedSegment], list[Issue]]:
    """The sound segments by name, and the issues of those that are not."""
    segments: dict[str, NamedSegment] = {}
    found, issues = workspace.entries("segments", "segment")
    places: dict[str, str] = {}
    vocabulary = vocabulary_of(workspace, catalog, [entry.name for entry in found])
    for entry in found:
        segment, complaints = validate(Segment, entry.data, entry.document, (entry.name,))
        if segment is not None:
            where = entry.document.where((entry.name, "where"))
            places[entry.name] = where
            complaints = [
                replace(used_by(issue, "segment", entry.name), where=where)
                for issue in check_condition(segment.where, catalog, vocabulary=vocabulary)
            ]
        issues += complaints
        if segment is not None and not complaints:
            segments[entry.name] = NamedSegment(entry.name, segment, entry.place)
    conditions = {name: named.segment.where for name, named in segments.items()}
    circles, caught = circle_issues(conditions, places)
    conditions = {name: condition for name, condition in conditions.items() if name not in caught}
    excesses, _, too_large = extent_issues(conditions, places)
    linked = {
        name: replace(segments[name], linked=_linked(condition, conditions))
        for name, condition in conditions.items()
        if name not in too_large
    }
    return linked, issues + circles + excesses


def _linked(condition: Predicate, conditions: Mapping[str, Predicate]) -> Predicate | None:
    linked = link(condition, conditions)
    return linked if linked != condition else None


def vocabulary_of(workspace: Workspace, catalog: Catalog, segments: Iterable[str]) -> Vocabulary:
    """What the conditions of a workspace may speak of."""
    return Vocabulary(catalog.types, workspace.schema.event_fields, tuple(segments), workspace.root)


def used_by(issue: Issue, thing: str, name: str) -> Issue:
    """The issue with the user of the tag in its message, where it is about a tag that does not exist (any more)."""
    if issue.code != "unknown-tag":
        return issue
    return replace(issue, message=f"{issue.message}, used by the {thing} {name!r}")


def load_segments(workspace: Workspace, catalog: Catalog) -> dict[str, NamedSegment]:
    """The segments of a workspace by name; raises DefinitionError with every issue found."""
    segments, issues = read_segments(workspace, catalog)
    if issues:
        raise DefinitionError(issues)
    return segments


def check_condition(
    condition: Predicate, catalog: Catalog, where: str = "where", vocabulary: Vocabulary | None = None
) -> list[Issue]:
    """The issues of a condition: unknown tags, values of the wrong type and, with a vocabulary, what its calls name."""
    issues = condition.check(catalog.types, where, thing="tag")
    if vocabulary is not None:
        issues += [issue for node in user_sets(condition) for issue in node.complaints(vocabulary, where)]
    return issues


def resolve(
    name_or_text: str | None,
    where_text: str | None,
    segments: Mapping[str, NamedSegment],
    catalog: Catalog,
    workspace: Workspace | None = None,
) -> NamedSegment:
    """The segment of a name, or an unnamed one made of `where_text`; raises UserError where it is not one of both.

    The name `everyone` is all users, unless a segment is so called.
    The calls in a condition are checked against the workspace, where it is given.
    """
    if where_text is not None and name_or_text is not None:
        raise RefusedError(
            Issue(
                "name-and-where", "", f"both the segment {name_or_text!r} and a condition are given", "give one of them"
            )
        )
    if where_text is not None:
        condition = parse_condition(where_text)
        vocabulary = (
            vocabulary_of(workspace, catalog, segments)
            if workspace
            else Vocabulary(catalog.types, segments=tuple(segments))
        )
        issues = check_condition(condition, catalog, vocabulary=vocabulary)
        if issues:
            raise DefinitionError(issues)
        conditions = {name: named.segment.where for name, named in segments.items()}
        extent = extent_of(condition, extent_issues(conditions, {})[1])
        if not extent.fits:
            raise DefinitionError(too_large_issue(extent, "where", "the condition"))
        return NamedSegment("", Segment(where=condition), linked=_linked(condition, conditions))
    if name_or_text is None:
        raise RefusedError(
            Issue(
                "no-segment",
                "",
                "neither a segment nor a condition is given",
                'name a segment, add --where "…", or write everyone for all users',
            )
        )
    if name_or_text == EVERYONE and name_or_text not in segments:
        return NamedSegment(EVERYONE, Segment(where=Everyone()))
    if name_or_text not in segments:
        raise unknown_name("segment", name_or_text, segments)
    return segments[name_or_text]


def save_segment(workspace: Workspace, named: NamedSegment) -> Path:
    """The file that a new segment was written to; raises RefusedError where the name is taken or unfit."""
    if not is_name(named.name):
        raise RefusedError(bad_name("segment", named.name))
    path = workspace.root / "segments" / f"{named.name}.yaml"
    taken = str(path.relative_to(workspace.root)) if path.exists() else ""
    if not taken:
        standing, _ = workspace.entries("segments", "segment")
        taken = next((entry.place for entry in standing if entry.name.casefold() == named.name.casefold()), "")
    if taken:
        raise RefusedError(
            Issue("name-taken", taken, f"the segment {named.name!r} exists already", "choose another name with --name")
        )
    path.parent.mkdir(exist_ok=True)
    content = named.segment.model_dump(mode="json", exclude_defaults=True)
    order = [key for key in ("title", "purpose", "owner", "where", "expect", "origin") if key in content]
    text = yaml.safe_dump(
        {named.name: {key: content[key] for key in order}}, allow_unicode=True, sort_keys=False, width=110
    )
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path
