"""`last_did('login', before => date '2025-06-01')`: when somebody did something for the last time."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.words import Language
from limner_segments.conditions.base import SetExample, condition
from limner_segments.conditions.edge import Edge
from limner_segments.conditions.example_acts import ACTS, USERS


@condition("last_did")
class LastDid(Edge):
    """The last of the user's events before as_of lies in the window; somebody who never did it does not match."""

    kind: Literal["last_did"] = "last_did"

    END: ClassVar[type[exp.AggFunc]] = exp.Max
    WORDS: ClassVar[dict[Language, str]] = {"en": "for the last time", "zh": "最近一次"}

    SHOWN: ClassVar[str] = "last_did('login', before => date '2025-06-01')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("last_did('buy', before => date '2025-02-28')", frozenset({"ann", "ben"}), USERS, ACTS),
        SetExample("last_did('buy', within => '30d')", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample(
            "last_did('buy', since => date '2025-02-10', before => date '2025-02-11')", frozenset(), USERS, ACTS
        ),
    )
