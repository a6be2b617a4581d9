"""Registering callbacks with their types kept: Dash's own decorator gives back something untyped. Imports nothing of Limner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def answer(app: Any, *parts: Any, **options: Any) -> Callable[[F], F]:
    """A decorator that registers a function as a callback of a Dash application."""
    return cast("Callable[[F], F]", app.callback(*parts, **options))
