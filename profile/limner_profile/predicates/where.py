"""The type of a `where:` field in YAML: text in the file, a predicate in the definition."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from limner_profile.errors import ConditionError
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.parser import parse


def _parse(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse(value.rstrip())  # a block of YAML ends with a line break
    except ConditionError as error:
        issue = error.issues[0]
        # Pydantic carries a ValueError to the loader, which places it in the file and parts cause from remedy.
        raise ValueError(f"{issue.message} | {issue.hint}") from None


Where = Annotated[Predicate, BeforeValidator(_parse), PlainSerializer(lambda predicate: predicate.to_text())]
