"""One step of `sequence(…)`: the event, a condition on its fields, and how long after the step before it may come."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, field_validator, model_validator
from sqlglot import exp

from limner_profile.errors import InternalError
from limner_profile.predicates.base import Column, Words
from limner_profile.predicates.words import Language, listed
from limner_profile.windows import Span
from limner_segments.conditions.base import Call, Parameter
from limner_segments.conditions.behaviour import WHERE, EventWhere, as_names, event_words
from limner_segments.conditions.windowed import span_words


class Step(Call):
    """An event of a sequence. `within` is the time since the step before, days of 24 hours."""

    kind: Literal["step"] = "step"
    events: Annotated[tuple[str, ...], BeforeValidator(as_names)]
    within: Span | None = None
    where: EventWhere | None = None

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("events", "text", "the names of the events that are this step", positional=True, many=True),
        Parameter("within", "window", "how long after the step before it may come at most, such as '7d' or '24h'"),
        WHERE,
    )
    SHOWN: ClassVar[str] = "step('purchase', within => '7d')"

    @model_validator(mode="before")
    @classmethod
    def _read_texts(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            return {"events": (raw,)}
        return raw

    @field_validator("events")
    @classmethod
    def _check_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        if not events or not all(events):
            raise ValueError("a step needs the name of an event")
        return events

    def to_sql(self, column: Column) -> exp.Expression:
        """Nothing: a step is no condition by itself."""
        raise InternalError("a step is compiled by its sequence")

    def to_sentence(self, language: Language, words: Words) -> str:
        """`purchase (amount is at least 300) within 7 days`."""
        text = listed(self.events, language)
        if self.where is not None:
            inner = self.where.to_sentence(language, event_words)
            text += f" ({inner})" if language == "en" else f"（{inner}）"
        if self.within is not None:
            length = span_words(self.within, language)
            text = f"{text} within {length}" if language == "en" else f"{length}内 {text}"
        return text
