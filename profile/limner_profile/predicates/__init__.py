"""The predicate language: `where:` text, its typed tree, SQL and sentences.

Event filters (floor 1) and segment conditions (floor 2) are the same language over different fields, so its
kernel lives here, on the lower floor; segments add their own condition kinds through the same registry.
"""

from __future__ import annotations

import sys

from limner_profile.predicates.all_of import AllOf, all_of
from limner_profile.predicates.any_of import AnyOf, any_of
from limner_profile.predicates.base import PREDICATES, Example, OnField, Predicate, load
from limner_profile.predicates.between import Between
from limner_profile.predicates.compare import Compare
from limner_profile.predicates.known import Known
from limner_profile.predicates.like import Like
from limner_profile.predicates.negation import Not
from limner_profile.predicates.one_of import OneOf
from limner_profile.predicates.parser import CallKind, Parser, parse
from limner_profile.predicates.values import Value
from limner_profile.predicates.words import FieldType, FieldWords, Language

PREDICATES.discover(sys.modules[__name__])

__all__ = [
    "PREDICATES",
    "AllOf",
    "AnyOf",
    "Between",
    "CallKind",
    "Compare",
    "Example",
    "FieldType",
    "FieldWords",
    "Known",
    "Language",
    "Like",
    "Not",
    "OnField",
    "OneOf",
    "Parser",
    "Predicate",
    "Value",
    "all_of",
    "any_of",
    "load",
    "parse",
]
