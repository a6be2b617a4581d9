"""Conditions that are written as calls, such as `did('purchase', at_least => 2)`: what each can do, and how they are read.

A kind is one class in one file of this folder. It states its parameters once; reading and writing its text, and the reference
page, follow from them. Imports floor 1 and the scope beside it; never a kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast

from sqlglot import exp

from limner_profile.errors import InternalError, Issue, did_you_mean
from limner_profile.predicates.base import PREDICATES, Column, Predicate, field_text
from limner_profile.predicates.parser import CallKind, Parser
from limner_profile.predicates.tokens import Token
from limner_profile.predicates.values import value_text
from limner_profile.predicates.words import FieldType
from limner_profile.registry import Registry
from limner_segments.conditions.scope import Scope

CALLS: Registry[CallKind] = Registry("condition")
K = TypeVar("K")


def condition(word: str) -> Callable[[type[K]], type[K]]:
    """A decorator that registers a kind under the word by which text calls it and dictionaries name it."""

    def add(cls: type[K]) -> type[K]:
        return CALLS.kind(word)(PREDICATES.kind(word)(cls))

    return add


@dataclass(frozen=True)
class Vocabulary:
    """What conditions may speak of: tags and fields of events with their types, segments, and the folder of the workspace.

    `event_fields` and `root` are None where they are not known: then nothing that depends on them is called wrong.
    """

    tags: Mapping[str, FieldType]
    event_fields: Mapping[str, FieldType] | None = None
    segments: Collection[str] = ()
    root: Path | None = None


Reads = Literal["text", "number", "boolean", "date", "window", "field", "tag", "where", "part"]


@dataclass(frozen=True)
class Parameter:
    """An argument of a call: its name (the field of the class), how it is written, and what it means.

    `positional` ones come first and without their name; the last of these may be `many`. A `part` is a call inside the call.
    """

    name: str
    reads: Reads
    description: str
    positional: bool = False
    many: bool = False
    part: type[Call] | None = None


# What people write between an argument and its value instead of =>.
_OTHER_MARKS = ("=", "<", "<=", ">", ">=")


class Call(Predicate, ABC):
    """Something written as a call: `word(positional, …, name => value, …)`."""

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = ()
    # What a message shows to somebody who left out an argument.
    SHOWN: ClassVar[str] = ""

    @classmethod
    def read_call(cls, parser: Parser) -> Predicate:
        """The call whose arguments stand at the cursor; raises ConditionError at the argument that is wrong."""
        word, opened = parser.before_call
        given: dict[str, Any] = {}
        if not parser.accept(")"):
            cls._read_arguments(parser, given)
            parser.close(opened, "expected ',' or ')'")
        for parameter in cls.PARAMETERS:
            needed = cls.model_fields[parameter.name].is_required()
            if needed and parameter.name not in given:
                raise parser.fail(word, f"{word.text}() needs {parameter.description}", f"for example: {cls.SHOWN}")
        return parser.build(word, cls, **given)

    @classmethod
    def _read_arguments(cls, parser: Parser, given: dict[str, Any]) -> None:
        positional = [parameter for parameter in cls.PARAMETERS if parameter.positional]
        named = {parameter.name: parameter for parameter in cls.PARAMETERS if not parameter.positional}
        at, by_name = 0, False
        while True:
            token = parser.token
            if token.kind == "name" and parser.following.is_mark("=>"):
                by_name = True
                name = token.text.lower()
                if name not in named:
                    hint = did_you_mean(name, named, f"known: {', '.join(named)}" if named else "")
                    raise parser.fail(
                        token, f"unknown argument {token.text!r} of {cls.model_fields['kind'].default}()", hint
                    )
                if name in given:
                    raise parser.fail(token, f"{name!r} is given twice", "give it once")
                parser.take()
                parser.take()
                given[name] = cls._read_value(parser, named[name])
            elif token.kind == "name" and token.text.lower() in named and parser.following.is_mark(*_OTHER_MARKS):
                name = parser.take().text.lower()
                mark = parser.take()
                value = parser.token.text if parser.token.kind in ("text", "number", "name") else "…"
                message = f"expected '=>' after {name!r}, found {mark.text!r}"
                raise parser.fail(mark, message, f"write {name} => {value}")
            elif by_name or at >= len(positional):
                hint = f"named arguments: {', '.join(f'{name} => …' for name in named)}" if named else ""
                raise parser.fail(token, f"did not expect {parser.shown(token)} here", hint)
            else:
                parameter = positional[at]
                value = cls._read_value(parser, parameter)
                if parameter.many:
                    given[parameter.name] = (*given.get(parameter.name, ()), value)
                else:
                    given[parameter.name] = value
                    at += 1
            if not parser.accept(","):
                return

    @classmethod
    def _read_value(cls, parser: Parser, parameter: Parameter) -> Any:
        token = parser.token
        if parameter.reads in ("field", "tag"):
            return parser.field_name()
        if parameter.reads == "where":
            return parser.inner("field", None)
        if parameter.reads == "part":
            assert parameter.part is not None
            word = str(parameter.part.model_fields["kind"].default)
            if token.is_word(word) and parser.following.is_mark("("):
                parser.take()
                parser.take()
                return parameter.part.read_call(parser)
            # A step that is only the name of an event needs no brackets.
            first = next(inner for inner in parameter.part.PARAMETERS if inner.positional)
            return parser.build(token, parameter.part, **{first.name: (_literal(parser, token, "text", first),)})
        return _literal(parser, token, parameter.reads, parameter)

    def to_text(self) -> str:
        """`word(…)` with the arguments that are not as they would be anyway."""
        parts = []
        for parameter in self.PARAMETERS:
            value = getattr(self, parameter.name)
            if value == self.__class__.model_fields[parameter.name].default:
                continue
            if parameter.positional:
                parts += [_written(one, parameter) for one in (value if parameter.many else (value,))]
            else:
                parts.append(f"{parameter.name} => {_written(value, parameter)}")
        return f"{self.kind}({', '.join(parts)})"


@dataclass(frozen=True)
class SetExample:
    """A text, profiles and acts to try it on as of 2025-03-01 in Asia/Shanghai, and the users who match.

    `profiles` is user to tag values; an act is a user, a local time such as `2025-02-28 23:59`, the event and its fields.
    """

    text: str
    matches: frozenset[str]
    profiles: Mapping[str, Mapping[str, Any]]
    acts: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = ()


class UserSet(Call):
    """A condition about a user as a whole: the user belongs to a set or does not, so it is never unknown."""

    SET_EXAMPLES: ClassVar[tuple[SetExample, ...]] = ()
    # Whether who matches depends on files that are no part of the snapshot.
    READS_FILES: ClassVar[bool] = False

    def to_sql(self, column: Column) -> exp.Expression:
        """A boolean SQL tree over a row of `profiles`; `column` must be a Scope."""
        if not isinstance(column, Scope):
            raise InternalError(f"{self.kind}() is compiled for an audience only")
        return cast("exp.Expression", self.in_scope(column))

    @abstractmethod
    def in_scope(self, scope: Scope) -> exp.Expr:
        """A boolean SQL tree over a row of `profiles`, never NULL."""

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """The issues of the arguments: names of events, fields, tags, segments or lists that do not exist, wrong types."""
        return []

    def prepare(self, scope: Scope, connection: Any) -> None:
        """Nothing; a kind that reads a file of its own makes it here, before its SQL runs on the snapshot's connection."""


def members(query: exp.Query) -> exp.Expr:
    """The condition that the user of a row of `profiles` is among the `user_id` of a query."""
    return exp.In(this=exp.column("user_id", table="profiles"), query=query.subquery(copy=False))


def user_sets(tree: Predicate) -> list[UserSet]:
    """The user sets of a condition, outermost first."""
    return [node for node in tree.walk() if isinstance(node, UserSet)]


_KINDS: dict[str, tuple[str, str]] = {
    "text": ("text in single quotes", "'abc'"),
    "window": ("a window of time", "'30d'"),
    "number": ("a number", "3"),
    "boolean": ("true or false", "true"),
    "date": ("a date", "date '2025-01-31'"),
}


def _literal(parser: Parser, token: Token, reads: str, parameter: Parameter) -> Any:
    value = parser.value()
    fits = {
        "text": isinstance(value, str),
        "window": isinstance(value, str),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "date": isinstance(value, date),
    }[reads]
    if not fits:
        kind, example = _KINDS[reads]
        raise parser.fail(token, f"{parameter.name} is {kind}, not {parser.shown(token)}", f"for example {example}")
    return value


def _written(value: Any, parameter: Parameter) -> str:
    if isinstance(value, Predicate):
        return value.to_text()
    if parameter.reads in ("field", "tag"):
        return field_text(value)
    return value_text(value)
