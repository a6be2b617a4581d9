"""Floor 5: the front door. `import limner` for notebooks, `limner` for the shell.

>>> import limner
>>> project = limner.open_project("my_workspace")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.project import Project, build, open_project, sync, sync_frame, train

__all__ = ["Project", "build", "open_project", "sync", "sync_frame", "train"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded on first use: 'limner --help' must not wait for DuckDB and pydantic.
    if name in __all__:
        import limner.project

        return getattr(limner.project, name)
    raise AttributeError(name)
