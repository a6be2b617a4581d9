"""Notices: what pops up when something was saved or could not be. Pure; imports theme only."""

from __future__ import annotations

from typing import Any


def notice(title: str, message: Any, *, good: bool) -> dict[str, Any]:
    """A notification for the container in the frame; a sign says the same as its colour."""
    return {
        "action": "show",
        "title": f"{'✓' if good else '⚠'} {title}",
        "message": message,
        "color": "accent" if good else "orange",
        "autoClose": 12000 if good else 5000,
    }
