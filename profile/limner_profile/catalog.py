"""The catalog: every tag of a workspace, from tags/*.yaml, checked against what the sources offer.

Imports tag kinds, definitions and workspace. Score tags join the catalog from the floor above, as entries of a
kind that is not compiled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import limner_profile.tags as tag_modules
from limner_profile.definitions import Document, Title, validate
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

    @property
    def provable(self) -> bool:
        """Whether the value at a past as_of is computed from events before it, so cannot know the future."""
        return self.definition is not None and self.definition.PROVABLE

    @property
    def definition_json(self) -> str:
        """The definition as canonical JSON, `{}` for a tag without one."""
        content = (
            self.definition.model_dump(mode="json", exclude_defaults=True, by_alias=True) if self.definition else {}
        )
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    @property
    def definition_hash(self) -> str:
        """Twelve hex digits that change with what the definition computes; titles and the like do not count."""
        return self.definition.digest(wording=False) if self.definition else ""


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
    def computed(self) -> dict[str, Tag]:
        """The tags that are compiled from sources."""
        return {name: tag.definition for name, tag in self.tags.items() if tag.definition is not None}

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
        return FieldWords(title=tag.title.of(language), unit=unit, value_titles=values, type=tag.type)


def load_catalog(workspace: Workspace) -> Catalog:
    """The catalog of a workspace; raises DefinitionError with every issue found."""
    catalog, issues = read_catalog(workspace, workspace.schema)
    if issues:
        raise DefinitionError(issues)
    return catalog


def read_catalog(workspace: Workspace, schema: Schema) -> tuple[Catalog, list[Issue]]:
    """The tags that are sound, and the issues of those that are not."""
    tags: dict[str, CatalogTag] = {}
    found, issues = workspace.entries("tags", "tag")
    for entry in found:
        tag, complaints = _read_tag(entry.name, entry.data, entry.document, schema)
        issues += complaints
        if tag is not None:
            tags[entry.name] = tag
    return Catalog(tags), issues


def _read_tag(name: str, data: Any, document: Document, schema: Schema) -> tuple[CatalogTag | None, list[Issue]]:
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
    if issues:
        return None, issues
    entry = CatalogTag(
        name,
        kind,
        definition.value_type(schema),
        definition.title or definition.default_title(),
        definition.unit or definition.default_unit(),
        definition,
        document.where((name,)),
        definition.values,
    )
    return entry, []
