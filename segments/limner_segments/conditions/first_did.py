"""`first_did('purchase', within => '30d')`: when somebody did something for the first time."""

from __future__ import annotations

from typing import ClassVar, Literal

from sqlglot import exp

from limner_profile.predicates.words import Language
from limner_segments.conditions.base import SetExample, condition
from limner_segments.conditions.edge import Edge
from limner_segments.conditions.example_acts import ACTS, USERS


@condition("first_did")
class FirstDid(Edge):
    """The first of the user's events before as_of lies in the window; somebody who never did it does not match."""

    kind: Literal["first_did"] = "first_did"

    END: ClassVar[type[exp.AggFunc]] = exp.Min
    WORDS: ClassVar[dict[Language, str]] = {"en": "for the first time", "zh": "首次"}

    SHOWN: ClassVar[str] = "first_did('purchase', within => '30d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("first_did('buy', within => '30d')", frozenset({"ann", "chen"}), USERS, ACTS),
        SetExample("first_did('buy', before => date '2025-02-01')", frozenset({"ben"}), USERS, ACTS),
        SetExample("first_did('buy', within => '7d', where => amount >= 20)", frozenset({"ann"}), USERS, ACTS),
    )
