"""What a page is, and the registry that finds the pages. Imports the view and the registry of floor 1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from limner_dashboards.view import Reader, Visit
from limner_profile.registry import Registry


class Page(ABC):
    """A page of the dashboard: `/<PATH>` and `/<PATH>/<name>`."""

    PATH: ClassVar[str]

    @abstractmethod
    def title(self, visit: Visit, name: str) -> str:
        """The title for the browser's tab."""

    @abstractmethod
    def draw(self, visit: Visit, name: str) -> Any:
        """The page's content; `name` is what stands behind the page's path, empty for the page itself."""

    def register(self, app: Any, reader: Reader) -> None:  # noqa: B027 - most pages have no callbacks
        """Register the page's callbacks on a Dash application."""


PAGES: Registry[Page] = Registry("page")
