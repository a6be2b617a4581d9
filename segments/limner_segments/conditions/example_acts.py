"""Users and acts that the examples of the conditions on behaviour are tried on, as of 2025-03-01 in Asia/Shanghai."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

USERS: Mapping[str, Mapping[str, Any]] = {"ann": {}, "ben": {}, "chen": {}, "dee": {}, "eve": {}}
ACTS: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("ann", "2025-02-20 10:00", "view", {"product": "a"}),
    ("ann", "2025-02-21 09:00", "view", {"product": "b"}),
    ("ann", "2025-02-22 00:00", "buy", {"amount": 10.0}),  # the first instant of seven days
    ("ann", "2025-02-27 12:00", "buy", {"amount": 20.0}),
    ("ben", "2025-01-15 12:00", "buy", {"amount": 100.0, "product": "a"}),
    ("chen", "2025-02-10 08:00", "buy", {"amount": 50.0, "product": "c"}),
    ("chen", "2025-02-10 09:00", "buy", {"amount": 40.0, "product": "c"}),
    ("chen", "2025-02-28 23:59", "buy", {"amount": 300.0, "product": "c"}),
    ("dee", "2025-02-25 10:00", "view", {"product": "a"}),
    ("dee", "2025-02-25 23:59", "view", {"product": "a"}),
    ("eve", "2025-03-01 00:00", "buy", {"amount": 500.0}),  # as_of is exclusive
)
