"""Work in steps, and who is told how it goes on: a terminal, a web page, or nobody. Imports nothing of Limner."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol


class Step(Protocol):
    """One step of work in progress."""

    def advance(self, amount: float = 1) -> None:
        """Move the bar on."""

    def describe(self, text: str) -> None:
        """Say what is being done now."""


class Progress(Protocol):
    """Who is told how the work goes on: a terminal, a web page, or nobody."""

    def step(self, name: str, total: float | None = None) -> AbstractContextManager[Step]:
        """Begin a step; `total` is how often `advance` will be called, None where nobody knows."""
        ...

    def warn(self, text: str) -> None:
        """Tell something that the user should know."""


class _SilentStep:
    def advance(self, amount: float = 1) -> None:
        """Nothing."""

    def describe(self, text: str) -> None:
        """Nothing."""


class Silent:
    """Progress that nobody watches; warnings are kept in `warnings`."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Any:
        """A step without a bar."""
        yield _SilentStep()

    def warn(self, text: str) -> None:
        """Keep the warning."""
        self.warnings.append(text)
