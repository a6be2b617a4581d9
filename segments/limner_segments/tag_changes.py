"""Tags in use that are no longer what the current snapshot holds: changed or deleted under segments, models and exports.

Imports floor 1, and segment, scenario, shelf and tag_users. Reads a snapshot, the records of trained models, and the manifests of exports.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from limner_profile.catalog import Catalog
from limner_profile.dependencies import closure_of
from limner_profile.errors import Issue
from limner_profile.snapshots import Snapshot
from limner_profile.tags.base import TAG_KINDS, Tag
from limner_profile.workspace import Workspace
from limner_segments.exports.manifest import read_manifests
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.scoring.shelf import trained_tags
from limner_segments.segment import NamedSegment
from limner_segments.tag_users import users_of_tag


@dataclass(frozen=True)
class TagChange:
    """A tag that `snapshot` holds by another definition than the catalog, or that is gone, and is in use.

    `differs` says in words what differs, `users` who uses it; the versions are those that the definitions state, None for a tag
    that is gone.
    """

    tag: str
    snapshot: str
    differs: str
    users: tuple[str, ...]
    before: int
    after: int | None
    where: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the definition says by a higher version that the change is meant."""
        return self.after is not None and self.after > self.before

    @property
    def words(self) -> str:
        """The change and the users in one sentence."""
        users = ", ".join(self.users)
        if self.after is None:
            return f"the tag {self.tag!r} of snapshot {self.snapshot} is gone, and used by {users}"
        if self.accepted:
            return f"the tag {self.tag!r} goes from version {self.before} to {self.after} ({self.differs}); it is used by {users}"
        return (
            f"the tag {self.tag!r} has changed since snapshot {self.snapshot} ({self.differs}), and is used by {users}"
        )

    @property
    def issue(self) -> Issue:
        """The change as an issue, with the way out."""
        if self.after is None:
            hint = "put it back; or run 'limner build' and train the scenario again"
        else:
            hint = f"put it back, or say that the change is meant: 'version: {self.before + 1}'"
        return Issue("tag-in-use", self.where, self.words, hint)


def changes_in_use(
    snapshot: Snapshot,
    workspace: Workspace,
    catalog: Catalog,
    segments: Mapping[str, NamedSegment],
    scenarios: Mapping[str, NamedScenario],
) -> list[TagChange]:
    """The tags in use that changed since the snapshot was built, in its order.

    In use is what a segment of the snapshot, the population or trust of a scenario, a trained model or an export uses, itself or
    through tags that are computed from it. Titles, owners, limits and the like are no change.
    """
    built = snapshot.rows("SELECT name, kind, definition, definition_hash FROM tags")
    published = None
    if snapshot.columns("segments"):
        published = {row["name"] for row in snapshot.rows("SELECT name FROM segments")}
    models = {name: trained_tags(workspace, name) for name in scenarios}
    exports = {
        manifest.file: {*manifest.columns, *manifest.tags} for manifest in read_manifests(workspace.root / "exports")
    }
    references = {name: tag.references() for name, tag in catalog.definitions.items()}
    changes = []
    for row in built:
        name, old = row["name"], _definition(row)
        tag = catalog.tags.get(name)
        if row["definition"] == "{}" or (tag is not None and tag.definition is None):
            continue  # a score, which its model writes
        if tag is None or tag.definition is None:
            gone = tuple(f"the model of {scenario}" for scenario, used in models.items() if name in used)
            if gone:
                changes.append(TagChange(name, snapshot.id, "gone", gone, old.version if old else 1, None))
            continue
        if old is None:
            if row["definition_hash"] == tag.definition_hash:
                continue
            differs, version = "its definition of before can no longer be read", 1
        elif old.digest(wording=False) == tag.definition.digest(wording=False):
            continue
        else:
            differs, version = _difference(old, tag.definition), old.version
        dependants = [other for other in references if name in closure_of([other], references)]
        users: dict[str, None] = {}
        for other in dependants:
            through = "" if other == name else f" (through {other})"
            found = _users(other, catalog, segments, scenarios, published)
            found += [f"the model of {scenario}" for scenario, used in models.items() if other in used]
            found += [f"the export {file}" for file, columns in exports.items() if other in columns]
            users |= {f"{user}{through}": None for user in found}
        if users:
            changes.append(
                TagChange(name, snapshot.id, differs, tuple(users), version, tag.definition.version, tag.where)
            )
    return changes


def _users(
    tag: str,
    catalog: Catalog,
    segments: Mapping[str, NamedSegment],
    scenarios: Mapping[str, NamedScenario],
    published: set[str] | None,
) -> list[str]:
    """The segments and scenarios that name a tag; one that may only be seen by a scorer counts once a model is trained."""
    return [
        f"the {user.thing} {user.name}"
        for user in users_of_tag(tag, catalog, segments, scenarios)
        if user.role != "scorer"
        and not (user.thing == "segment" and published is not None and user.name not in published)
    ]


def _definition(row: Mapping[str, Any]) -> Tag | None:
    """The definition that a snapshot holds, None where this version of Limner cannot read it."""
    try:
        if row["kind"] not in TAG_KINDS.words():
            return None
        return TAG_KINDS.get(row["kind"]).model_validate(json.loads(row["definition"]))
    except (ValidationError, ValueError):
        return None


def _difference(old: Tag, new: Tag) -> str:
    """What differs between two definitions, field by field, wording left aside.

    >>> first = TAG_KINDS.get("count").model_validate({"kind": "count", "event": "read", "window": "30d"})
    >>> _difference(first, first.model_copy(update={"window": "7d"}))
    'window 30d → 7d'
    """
    before, after = json.loads(old.content()), json.loads(new.content())
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return _shortened(f"{name} {_shown(before.get(name))} → {_shown(after.get(name))}" for name in names)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}…"


def _shortened(parts: Iterable[str]) -> str:
    shown = list(parts)
    return ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "")
