"""What `total`, `average` and `distinct` share: they look at one field of the events. Imports behaviour."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator

from limner_profile.errors import Issue
from limner_profile.predicates.base import unknown_field_issue
from limner_segments.conditions.base import Parameter, Vocabulary
from limner_segments.conditions.behaviour import Measured


def _check_field(name: str) -> str:
    if not name:
        raise ValueError("a field name may not be empty")
    return name


class OfField(Measured):
    """A number made of one field of the events."""

    field: Annotated[str, AfterValidator(_check_field)]
    # Types of field that it can be made of; all where this is empty.
    TYPES: ClassVar[frozenset[str]] = frozenset()
    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("field", "field", "the field of the events, such as amount", positional=True),
        *Measured.PARAMETERS,
    )

    def asked_fields(self) -> frozenset[str]:
        """The field, and those in its condition on the fields of the event."""
        return super().asked_fields() | {self.field}

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """Unknown fields, and one of a type that it cannot be made of."""
        issues = super().complaints(vocabulary, where)
        known = vocabulary.event_fields
        if known is None:
            return issues
        if self.field not in known:
            return [unknown_field_issue(self.field, known, where, "field"), *issues]
        if self.TYPES and known[self.field] not in self.TYPES:
            message = (
                f"{self.kind}() takes a {' or '.join(sorted(self.TYPES))}, and {self.field!r} is a {known[self.field]}"
            )
            fitting = ", ".join(name for name, kind in known.items() if kind in self.TYPES)
            return [Issue("wrong-type", where, message, f"fields that fit: {fitting}"), *issues]
        return issues
