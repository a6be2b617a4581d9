"""Registries of kinds: one class in one file, found by looking through a package. Imports only errors."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Generic, TypeVar, cast

from limner_profile.errors import InternalError, unknown_name

T = TypeVar("T")
K = TypeVar("K")


class Registry(Generic[T]):
    """The classes of one family of kinds, by the word that YAML uses for them.

    A kind is registered by a decorator; `discover` imports every module of a package, so that a new kind is
    one new file and nothing else. A plugin registers with the same decorator.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._kinds: dict[str, type[T]] = {}

    def kind(self, word: str) -> Callable[[type[K]], type[K]]:
        """A decorator that registers a class under `word` and gives it back unchanged."""

        def add(cls: type[K]) -> type[K]:
            if word in self._kinds and self._kinds[word].__qualname__ != cls.__qualname__:
                raise InternalError(f"two {self.family} kinds are called {word!r}")
            self._kinds[word] = cast("type[T]", cls)
            return cls

        return add

    def discover(self, package: ModuleType) -> None:
        """Import every module of `package`, so that the kinds in it register themselves."""
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")

    def get(self, word: str, where: str = "") -> type[T]:
        """The class for `word`; raises UnknownNameError with the nearest word."""
        try:
            return self._kinds[word]
        except KeyError:
            raise unknown_name(f"{self.family}-kind", word, self._kinds, where) from None

    def words(self) -> list[str]:
        """The registered words, sorted."""
        return sorted(self._kinds)

    def __iter__(self) -> Iterator[tuple[str, type[T]]]:
        return iter(sorted(self._kinds.items()))
