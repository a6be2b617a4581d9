"""What the pages read: the definitions of a workspace (a View) and the current snapshot, both read anew when they change.

Definitions are read again when a file of theirs changes; the snapshot is opened for each visit, so that a new one shows
on the next page. What was computed from a snapshot is kept under its path: a published file never changes. Imports floors 1 and 2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol, TypeVar

from limner_profile.catalog import Catalog
from limner_profile.errors import UnknownNameError, UserError
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_profile.workspace import Workspace
from limner_segments.audience import AudienceSize, measure_audience
from limner_segments.conditions.linking import full_text
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.segment import NamedSegment

T = TypeVar("T")
_KEPT = 256


class View(Protocol):
    """A workspace opened with its store, catalog (scores included), scenarios and segments."""

    @property
    def workspace(self) -> Workspace:
        """The workspace."""
        ...

    @property
    def store(self) -> SnapshotStore:
        """Its snapshots."""
        ...

    @property
    def catalog(self) -> Catalog:
        """Its tags."""
        ...

    @property
    def scenarios(self) -> Mapping[str, NamedScenario]:
        """Its scenarios by name."""
        ...

    @property
    def segments(self) -> Mapping[str, NamedSegment]:
        """Its segments by name."""
        ...


@dataclass(frozen=True)
class Visit:
    """One look at a workspace: its definitions, the current snapshot (None before the first build) and the language."""

    view: View
    snapshot: Snapshot | None
    language: str
    reader: Reader
    generation: int = 0

    @property
    def opened(self) -> Snapshot:
        """The snapshot; raises UnknownNameError before the first build."""
        return self.snapshot if self.snapshot is not None else self.view.store.open()

    @property
    def min_group(self) -> int:
        """The size below which a group's count is not shown."""
        return self.view.workspace.settings.min_group

    def memo(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` gives for this snapshot and these definitions, computed once; `key` names the question with all its arguments."""
        return self.reader.memo((self.opened.path, self.generation, key), compute)

    def size(self, condition: Predicate) -> AudienceSize:
        """The exact size of the audience of a condition in this snapshot."""
        return self.memo(("size", full_text(condition)), lambda: measure_audience(self.opened, condition))

    def has_rows(self, table: str) -> bool:
        """Whether the snapshot has the table, and a row in it."""
        if self.snapshot is None or not self.snapshot.columns(table):
            return False
        return bool(self.snapshot.value(f'SELECT count(*) > 0 FROM "{table}"'))

    def missing_tags(self, condition: Predicate) -> list[str]:
        """The tags of a condition that are defined, but not in this snapshot."""
        columns = self.memo("profile columns", lambda: self.opened.columns("profiles"))
        return sorted(name for name in condition.fields() if name not in columns)


class Reader:
    """Reads the workspace for the pages; one a running application, shared by its threads."""

    def __init__(self, load: Callable[[], View]) -> None:
        self._load = load
        self._view: View | None = None
        self._seen: Hashable = None
        self._generation = 0
        self._memory: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()

    def view(self) -> View:
        """The definitions as they are now; raises UserError with every issue of a broken file."""
        with self._lock:
            if self._view is None or _fingerprint(self._view.workspace) != self._seen:
                self._view = None
                view = self._load()
                self._seen = _fingerprint(view.workspace)
                self._view = view
                self._generation += 1
            return self._view

    def default_language(self) -> str:
        """The language of the workspace's settings; English where they cannot be read."""
        try:
            return self.view().workspace.settings.language
        except UserError:
            return "en"

    @contextmanager
    def visit(self, language: str | None = None) -> Iterator[Visit]:
        """A look at the workspace; the snapshot is closed afterwards."""
        view = self.view()
        chosen = language if language in ("en", "zh") else view.workspace.settings.language
        try:
            snapshot = view.store.open() if view.store.current_id() else None
        except UnknownNameError:
            snapshot = view.store.open()  # CURRENT moved on between the two looks, and the older one was pruned
        try:
            yield Visit(view, snapshot, chosen, self, self._generation)
        finally:
            if snapshot is not None:
                snapshot.close()

    def memo(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` gave when it was first asked under `key`; the oldest answers are forgotten."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                found: T = self._memory[key]
                return found
        value = compute()
        with self._lock:
            self._memory[key] = value
            while len(self._memory) > _KEPT:
                self._memory.popitem(last=False)
        return value


def _fingerprint(workspace: Workspace) -> Hashable:
    files = [workspace.root / "limner.yaml"]
    for folder in ("tags", "segments", "scenarios"):
        files += workspace.definition_files(folder)
    marks = []
    for path in files:
        try:
            state = path.stat()
        except OSError:
            continue
        marks.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(marks)
