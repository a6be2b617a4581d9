"""`sequence('view', step('purchase', within => '7d'), within => '30d')`: somebody did one thing after the other."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, field_validator
from sqlglot import exp

from limner_profile.errors import Issue
from limner_profile.predicates.base import Words, as_tuple
from limner_profile.predicates.words import Language
from limner_profile.tags.expressions import seconds
from limner_segments.conditions.base import Parameter, SetExample, Vocabulary, condition
from limner_segments.conditions.behaviour import rows_of
from limner_segments.conditions.example_acts import ACTS, USERS
from limner_segments.conditions.scope import Scope
from limner_segments.conditions.step import Step
from limner_segments.conditions.windowed import WINDOW, Windowed, duration


@condition("sequence")
class Sequence(Windowed):
    """The user did the steps in this order, each later than the one before, all of them in the window.

    Other events may lie between. Where a step is limited by `within`, some event of the step before must be as near as that; the steps
    may begin anew as often as it takes.
    """

    kind: Literal["sequence"] = "sequence"
    steps: Annotated[tuple[Step, ...], BeforeValidator(as_tuple)]

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "steps", "part", "the steps in order: names of events, or step(…)", positional=True, many=True, part=Step
        ),
        *WINDOW,
    )
    SHOWN: ClassVar[str] = "sequence('view', step('purchase', within => '7d'), within => '30d')"
    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = (
        SetExample("sequence('view', 'buy')", frozenset({"ann"}), USERS, ACTS),
        SetExample("sequence('view', step('buy', within => '24h'))", frozenset({"ann"}), USERS, ACTS),
        SetExample("sequence('view', step('buy', within => '14h'))", frozenset(), USERS, ACTS),
        SetExample("sequence('buy', 'buy', 'buy')", frozenset({"chen"}), USERS, ACTS),
        SetExample("sequence('buy', 'buy', within => '7d')", frozenset({"ann"}), USERS, ACTS),
        SetExample(
            "sequence(step('buy', where => amount < 50), step('buy', where => amount >= 300))",
            frozenset({"chen"}),
            USERS,
            ACTS,
        ),
    )

    @field_validator("steps")
    @classmethod
    def _check_steps(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if len(steps) < 2:
            raise ValueError("a sequence needs two steps or more | for one, write did('…')")
        if steps[0].within is not None:
            raise ValueError("the first step has none before it | put within on the steps that follow")
        return steps

    def users(self, scope: Scope) -> exp.Query:
        """Those who came to the last step. Of earlier steps the latest before each event is the one that is nearest to it."""
        reached: exp.Select | None = None
        for step in self.steps:
            wanted = rows_of(scope, step.events, step.where, *self.span(scope))
            rows = exp.select("user_id", "time").from_("events").where(wanted)
            reached = rows if reached is None else _after(rows, reached, step)
        assert reached is not None
        return exp.select("user_id").from_(reached.subquery("reached", copy=False))

    def asked_events(self) -> list[str]:
        """The names of the events of all steps."""
        return list(dict.fromkeys(name for step in self.steps for name in step.events))

    def asked_fields(self) -> frozenset[str]:
        """The fields in the conditions of all steps."""
        return frozenset[str]().union(*(step.where.fields() for step in self.steps if step.where is not None))

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """Unknown fields of events in the steps, and values of the wrong type."""
        known = vocabulary.event_fields
        if known is None:
            return []
        return [issue for step in self.steps if step.where for issue in step.where.check(known, where, thing="field")]

    def to_sentence(self, language: Language, words: Words) -> str:
        """`did view, then purchase within 7 days, in the last 30 days`."""
        steps, window = [step.to_sentence(language, words) for step in self.steps], self.window_words(language)
        if language == "en":
            return f"did {', then '.join(steps)}{',' if window else ''}{window}"
        return f"{window}依次 {'，然后 '.join(steps)}"


def _after(rows: exp.Select, reached: exp.Select, step: Step) -> exp.Select:
    """The rows of a step that come after an event of the step before, and no later than the step allows."""
    here, there = exp.column("time", table="step"), exp.column("time", table="earlier")
    same = exp.EQ(this=exp.column("user_id", table="step"), expression=exp.column("user_id", table="earlier"))
    query = (
        exp.select("step.user_id", "step.time")
        .from_(rows.subquery("step", copy=False))
        .join(
            reached.subquery("earlier", copy=False),
            on=exp.and_(same, exp.GT(this=here, expression=there)),
            join_type="asof",
        )
    )
    if step.within is None:
        return query
    limit = exp.Add(this=there.copy(), expression=seconds(duration(step.within)))
    return query.where(exp.LTE(this=here.copy(), expression=limit))
