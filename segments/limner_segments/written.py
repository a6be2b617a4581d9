"""The type of a segment's `where:` in YAML: text, or the same tree as a mapping; a typed condition in the definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from limner_profile.errors import UserError
from limner_profile.predicates.base import Predicate, load
from limner_segments.conditions import parse_condition


def _read(value: Any) -> Any:
    try:
        if isinstance(value, str):
            return parse_condition(value.rstrip())  # a block of YAML ends with a line break
        if isinstance(value, Mapping):
            return load(value)
    except UserError as error:
        issue = error.issues[0]
        # Pydantic carries a ValueError to the loader, which places it in the file and parts cause from remedy.
        raise ValueError(f"{issue.message} | {issue.hint}") from None
    if isinstance(value, Predicate):
        return value
    raise ValueError("a condition is text, or a mapping with a 'kind' | for example where: city = 'Oslo'")


WrittenCondition = Annotated[Predicate, BeforeValidator(_read), PlainSerializer(lambda condition: condition.to_text())]
