"""The catalog: every tag of a workspace, from tags/*.yaml, checked against what the sources offer.

Imports tag kinds, definitions and workspace. Score tags join the catalog from the floor above, as entries of a
kind that is not compiled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import limner_profile.tags as tag_modules
from limner_profile.definitions import Document, Title, validate
from limner_profile.dependencies import circles_of, closure_of, stages_of
from limner_profile.errors import DefinitionError, Issue, did_you_mean
from limner_profile.predicates.base import FieldWords
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Tag
from limner_profile.workspace import Schema, Workspace

TAG_KINDS.discover(tag_modules)


@dataclass(frozen=True)
class CatalogTag:
    """A tag of the catalog: its name, type and words, and its definition where it is computed from sources."""

    name: str
    kind: str
    type: FieldType
    title: Title
    unit: Title | None = None
    definition: Tag | None = None
    where: str = ""
    values: Mapping[str, Title] = field(default_factory=dict)
    parents: tuple[CatalogTag, ...] = ()
    proven: bool = False

    @cached_property
    def provable(self) -> bool:
        """Whether the value at a past as_of is computed from events and dated attributes before it, so cannot know the future.

        A tag of tags is provable where all that it refers to is; `proven` says it of the tag by itself.
        """
        return self.proven and all(parent.provable for parent in self.parents)

    @cached_property
    def late(self) -> bool:
        """Whether the value is computed from a score, so after the scorers have run."""
        return any(parent.definition is None or parent.late for parent in self.parents)

    @cached_property
    def sensitivity(self) -> Literal["none", "sensitive", "proxy"]:
        """The strongest sensitivity of the tag and of what it refers to: an age band tells as much as an age."""
        own = self.definition.sensitivity if self.definition else "none"
        found = {own, *(parent.sensitivity for parent in self.parents)}
        return "sensitive" if "sensitive" in found else "proxy" if "proxy" in found else "none"

    @property
    def definition_json(self) -> str:
        """The definition as canonical JSON, `{}` for a tag without one."""
        content = (
            self.definition.model_dump(mode="json", exclude_defaults=True, by_alias=True) if self.definition else {}
        )
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    @cached_property
    def definition_hash(self) -> str:
        """Twelve hex digits that change with what the definition computes; titles and the like do not count.

        Those of a tag of tags change with the definitions that it refers to, too.
        """
        own = self.definition.digest(wording=False) if self.definition else ""
        if not self.parents:
            return own
        text = " ".join([own, *(f"{parent.name}:{parent.definition_hash}" for parent in self.parents)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Catalog:
    """The tags of a workspace by name, in the order of their files."""

    tags: Mapping[str, CatalogTag]

    def __contains__(self, name: str) -> bool:
        return name in self.tags

    def __getitem__(self, name: str) -> CatalogTag:
        return self.tags[name]

    @property
    def types(self) -> dict[str, FieldType]:
        """Tag name to type, for checking conditions."""
        return {name: tag.type for name, tag in self.tags.items()}

    @property
    def definitions(self) -> dict[str, Tag]:
        """The tags that have a definition: all but scores."""
        return {name: tag.definition for name, tag in self.tags.items() if tag.definition is not None}

    @property
    def computed(self) -> dict[str, Tag]:
        """The tags that are compiled from sources, and from each other."""
        return {name: tag for name, tag in self.definitions.items() if not self.tags[name].late}

    @property
    def late(self) -> dict[str, Tag]:
        """The tags that are computed from scores, once those are there."""
        return {name: tag for name, tag in self.definitions.items() if self.tags[name].late}

    @property
    def references(self) -> dict[str, tuple[str, ...]]:
        """What each computed tag refers to."""
        return {name: tag.references() for name, tag in self.computed.items()}

    def closure(self, names: Iterable[str]) -> dict[str, Tag]:
        """The definitions that computing `names` takes: these tags and all that they refer to, in catalog order.

        Names of tags that are not computed (scores) are passed over.
        """
        needed = closure_of(names, self.references)
        return {name: tag for name, tag in self.computed.items() if name in needed}

    def with_tags(self, added: Iterable[CatalogTag]) -> Catalog:
        """This catalog with more tags, such as scores."""
        return replace(self, tags={**self.tags, **{tag.name: tag for tag in added}})

    def words(self, name: str, language: str) -> FieldWords:
        """The title, unit and value titles of a tag in a language, for sentences."""
        tag = self.tags.get(name)
        if tag is None:
            return FieldWords(title=name)
        unit = tag.unit.of(language) if tag.unit else ""
        if language == "en" and unit and unit.casefold() in tag.title.en.casefold():
            unit = ""  # "days since the last login is at least 18", without the days twice
        values = {value: title.of(language) for value, title in tag.values.items()}
        return FieldWords(title=tag.title.of(language), unit=unit, value_titles=values)


def load_catalog(workspace: Workspace) -> Catalog:
    """The catalog of a workspace; raises DefinitionError with every issue found."""
    catalog, issues = read_catalog(workspace, workspace.schema)
    if issues:
        raise DefinitionError(issues)
    return catalog


def read_catalog(
    workspace: Workspace, schema: Schema, scores: Iterable[CatalogTag] = ()
) -> tuple[Catalog, list[Issue]]:
    """The tags that are sound, and the issues of those that are not; they may refer to `scores`, which are not among them."""
    found, issues = workspace.entries("tags", "tag")
    sound: dict[str, _Read] = {}
    for entry in found:
        definition, complaints = _read_tag(entry.name, entry.data, entry.document, schema)
        if definition is not None and not complaints:
            complaints = [
                replace(issue, where=entry.document.where((entry.name, field_name)))
                for field_name, issue in definition.check_files(workspace.root)
            ]
        issues += complaints
        if definition is not None and not complaints:
            kind = definition.value_type(schema)
            sound[entry.name] = _Read(definition, entry.document, kind, definition.provable(schema))
    known = {tag.name: tag for tag in scores if tag.name not in sound}
    tags, complaints = _linked(sound, {entry.name for entry in found} - set(sound), known)
    return Catalog(tags), issues + complaints


@dataclass(frozen=True)
class _Read:
    """A definition that is sound by itself, with the document that places it, the type of its values and whether they are proven."""

    definition: Tag
    document: Document
    type: FieldType
    proven: bool


def _linked(
    sound: Mapping[str, _Read], broken: Collection[str], scores: Mapping[str, CatalogTag]
) -> tuple[dict[str, CatalogTag], list[Issue]]:
    """The tags whose references are sound, too, in the same order; and the issues of the references.

    A tag that refers to a broken one is left out without an issue of its own: the broken one has its issue already.
    """
    types: dict[str, FieldType] = {name: tag.type for name, tag in scores.items()}
    types |= {name: read.type for name, read in sound.items()}
    references = {name: read.definition.references() for name, read in sound.items()}
    issues: list[Issue] = []
    bad = set(broken)
    for circle in circles_of(references):
        message = f"tags refer to each other: {' → '.join(circle)}"
        hint = "a tag is computed from tags that do not need it: remove one of these references"
        issues.append(Issue("tag-circle", sound[circle[0]].document.where((circle[0],)), message, hint))
        bad.update(circle)
    unsure = set(bad)
    for name, read in sound.items():
        found = read.definition.check_default(read.type)
        if unsure.isdisjoint(references[name]):
            found += read.definition.check_tags(types)
        issues += [replace(issue, where=read.document.where((name, *place))) for place, issue in found]
        if found:
            bad.add(name)
    while True:
        dependants = {name for name, needed in references.items() if name not in bad and not bad.isdisjoint(needed)}
        if not dependants:
            break
        bad |= dependants
    tags: dict[str, CatalogTag] = dict(scores)
    whole = {name: needed for name, needed in references.items() if name not in bad}
    among = {name: [inner for inner in needed if inner not in scores] for name, needed in whole.items()}
    for stage in stages_of(among):
        for name in stage:
            tags[name] = _catalog_tag(name, sound[name], tuple(tags[inner] for inner in whole[name]))
    return {name: tags[name] for name in sound if name in tags}, issues


def _read_tag(name: str, data: Any, document: Document, schema: Schema) -> tuple[Tag | None, list[Issue]]:
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in TAG_KINDS.words():
        words = TAG_KINDS.words()
        message = f"unknown kind {kind!r}" if kind is not None else f"the tag {name!r} has no kind"
        location = (name, "kind") if kind is not None else (name,)
        return None, [
            Issue(
                "unknown-tag-kind",
                document.where(location),
                message,
                did_you_mean(str(kind), words, f"one of {', '.join(words)}"),
            )
        ]
    definition, issues = validate(TAG_KINDS.get(kind), data, document, (name,))
    if definition is None:
        return None, issues
    for field_name, issue in definition.check(schema):
        issues.append(replace(issue, where=document.where((name, field_name))))
    return definition, issues


def _catalog_tag(name: str, read: _Read, parents: tuple[CatalogTag, ...]) -> CatalogTag:
    definition = read.definition
    made = definition.default_title()
    return CatalogTag(
        name,
        definition.kind,
        read.type,
        definition.title or (made if made.en else Title(en=name.replace("_", " "))),
        definition.unit or definition.default_unit(),
        definition,
        read.document.where((name,)),
        {**definition.default_values(), **definition.values},
        parents,
        read.proven,
    )
