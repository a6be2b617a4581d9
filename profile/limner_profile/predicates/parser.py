"""From the text of a condition to its tree: a recursive-descent parser with errors that say where and what instead.

    either    = both { "or" both }
    both      = single { "and" single }
    single    = "not" single | "(" either ")" | call | predicate
    predicate = field ( op value | ["not"] "in" "(" value { "," value } ")" | "between" value "and" value
                      | ["not"] ( "like" | "ilike" ) text | "is" ( "known" | "unknown" ) ) [ "include_unknown" ]
    call      = name "(" …      read by the call kind registered under that name (segments add theirs)

Imports the kinds beside it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol, TypeVar, cast

from pydantic import ValidationError

from limner_profile.errors import ConditionError, Issue, did_you_mean
from limner_profile.predicates.all_of import all_of
from limner_profile.predicates.any_of import any_of
from limner_profile.predicates.base import KEYWORDS, MAX_DEPTH, Predicate, plain_message, unknown_field_issue
from limner_profile.predicates.between import Between
from limner_profile.predicates.compare import Compare
from limner_profile.predicates.known import Known
from limner_profile.predicates.like import Like
from limner_profile.predicates.negation import Not
from limner_profile.predicates.one_of import OneOf
from limner_profile.predicates.tokens import Source, Token, tokenize
from limner_profile.predicates.values import Value, read_date, read_value
from limner_profile.predicates.words import Operator
from limner_profile.registry import Registry

P = TypeVar("P", bound=Predicate)

_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
_WORD_OPERATORS = ("in", "not", "between", "like", "ilike", "is")
_EXAMPLE = "for example: age >= 18 and city in ('Oslo', 'Bergen')"
# Words that other languages have here, and what this one says.
_INSTEAD = {
    "contains": "use like '%…%'",
    "startswith": "use like '…%'",
    "endswith": "use like '%…'",
    "matches": "use like, where % stands for any text and _ for one character",
    "rlike": "use like, where % stands for any text and _ for one character",
    "equals": "use =",
    "eq": "use =",
    "ne": "use !=",
    "gt": "use >",
    "gte": "use >=",
    "lt": "use <",
    "lte": "use <=",
}


class CallKind(Protocol):
    """A kind that is written as a function call, such as `did('purchase')`."""

    @classmethod
    def read_call(cls, parser: Parser) -> Predicate:
        """The predicate; the parser stands behind `name(`, and must be left behind the closing bracket."""
        ...


class Parser:
    """A cursor over the tokens of one text. Call kinds read their arguments with its public methods."""

    def __init__(
        self,
        source: Source,
        thing: str = "field",
        fields: Collection[str] | None = None,
        calls: Registry[CallKind] | None = None,
    ) -> None:
        self.source, self.thing, self.fields, self.calls = source, thing, fields, calls
        self._tokens = tokenize(source)
        self._at = 0
        self._depth = 0
        self._call_end = 0  # where the last call ended

    @property
    def token(self) -> Token:
        """The token to be read next."""
        return self._tokens[self._at]

    @property
    def before_call(self) -> tuple[Token, Token]:
        """The word and the bracket of a call whose arguments stand at the cursor."""
        return self._tokens[max(self._at - 2, 0)], self._tokens[max(self._at - 1, 0)]

    @property
    def following(self) -> Token:
        """The token behind the one to be read next."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The next token, which is then behind the cursor."""
        token = self.token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def accept(self, *texts: str) -> bool:
        """Whether the next token is one of these words or marks; it is then taken."""
        found = self.token.is_word(*texts) or self.token.is_mark(*texts)
        if found:
            self.take()
        return found

    def expect(self, text: str, hint: str = "") -> Token:
        """The next token, which must be this word or mark; raises ConditionError otherwise."""
        token = self.token
        if not self.accept(text):
            raise self.fail(token, f"expected {text!r}, found {self.shown(token)}", hint)
        return token

    def fail(self, token: Token, message: str, hint: str = "") -> ConditionError:
        """The error at a token, to be raised."""
        return self.source.error(token.start, message, hint, max(1, len(token.value or token.text)))

    def shown(self, token: Token) -> str:
        """The token as a message quotes it."""
        if token.kind == "end":
            return "the end"
        return token.text if token.kind in {"text", "quoted-name"} else repr(token.value)

    def build(self, token: Token, cls: type[P], **values: Any) -> P:
        """A node of the class; what the class itself refuses becomes an error at `token`."""
        try:
            return cls(**values)
        except ValidationError as error:
            message, _, hint = plain_message(cast("dict[str, Any]", error.errors()[0])).partition(" | ")
            raise self.fail(token, message, hint) from None

    def inner(self, thing: str, fields: Collection[str] | None) -> Predicate:
        """An expression over other fields (a `where` inside a call), with brackets and plain predicates only."""
        outer = self.thing, self.fields, self.calls
        self.thing, self.fields, self.calls = thing, fields, None
        try:
            return self.either()
        finally:
            self.thing, self.fields, self.calls = outer

    def either(self) -> Predicate:
        """Terms joined by `or`."""
        parts = [self._both()]
        while self.accept("or"):
            parts.append(self._both())
        return any_of(parts)

    def _both(self) -> Predicate:
        parts = [self._single()]
        while self.accept("and"):
            parts.append(self._single())
        return all_of(parts)

    def _single(self) -> Predicate:
        token = self.token
        if not (token.is_word("not") or token.is_mark("(")):
            return self._call() if self._at_call() else self._predicate()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.fail(
                token, f"brackets and 'not' are nested deeper than {MAX_DEPTH} levels", "split the condition"
            )
        self.take()
        if token.is_mark("("):
            node = self.either()
            self.close(token)
        else:
            node = Not(part=self._single())
        self._depth -= 1
        return node

    def close(self, opened: Token, wanted: str = "expected 'and', 'or' or ')'") -> None:
        """Nothing; takes the bracket that closes `opened`, or says which one was left open."""
        if self.accept(")"):
            return
        if self.token.kind == "end":
            raise self.fail(opened, "the bracket '(' is never closed", "add ')'")
        raise self._unexpected(self.token, wanted)

    def _at_call(self) -> bool:
        return self.token.kind == "name" and not self.token.is_word(*KEYWORDS) and self.following.is_mark("(")

    def _call(self) -> Predicate:
        name = self.take()
        words = self.calls.words() if self.calls else []
        if not self.calls or name.text.lower() not in words:
            fallback = f"known: {', '.join(words)}" if words else f"write a {self.thing}, an operator and a value"
            hint = did_you_mean(name.text.lower(), words, fallback) + self.source.caret(name.start, len(name.text))
            place = self.source.place(name.start)
            raise ConditionError(Issue("unknown-condition", place, f"unknown condition {name.text + '()'!r}", hint))
        self.take()
        node = self.calls.get(name.text.lower()).read_call(self)
        self._call_end = self._at
        return node

    def field_name(self) -> str:
        """The name of a field at the cursor; raises ConditionError for anything else."""
        token = self.token
        before = self._tokens[self._at - 1] if self._at else token
        if token.kind == "end" and before.is_word("and", "or", "not"):
            hint = f"add a condition behind {before.text.lower()!r}, or leave it out"
            raise self.fail(token, f"expected a {self.thing} name, found the end", hint)
        if token.kind in {"text", "number"} or token.is_word("true", "false"):
            hint = f"the {self.thing} comes first, then the operator and the value"
            raise self.fail(token, f"expected a {self.thing} name, found {self.shown(token)}", hint)
        if token.kind not in {"name", "quoted-name"} or token.is_word(*KEYWORDS):
            hint = (
                f'put a {self.thing} of that name in double quotes: "{token.text}"'
                if token.kind == "name"
                else _EXAMPLE
            )
            raise self.fail(token, f"expected a {self.thing} name, found {self.shown(token)}", hint)
        if self.fields is not None and token.value not in self.fields:
            caret = self.source.caret(token.start, len(token.text))
            place = self.source.place(token.start)
            raise ConditionError(unknown_field_issue(token.value, self.fields, place, self.thing, caret))
        return self.take().value

    def _predicate(self) -> Predicate:
        start = self.token
        name = self.field_name()
        token = self.take()
        if token.is_mark(*_OPERATORS):
            value = self.value()
            operator = cast("Operator", token.text)
            return self.build(
                start, Compare, field=name, operator=operator, value=value, include_unknown=self._unknown_too()
            )
        if token.is_word("in"):
            return self._one_of(start, name, negated=False)
        if token.is_word("not"):
            if self.token.is_word("between"):
                raise self.fail(self.token, "there is no 'not between'", f"write not ({start.text} between … and …)")
            if self.token.is_word("like", "ilike"):
                return self._like(start, name, self.take(), negated=True)
            self.expect("in", f"write {start.text} not in (…), or not ({start.text} …)")
            return self._one_of(start, name, negated=True)
        if token.is_word("like", "ilike"):
            return self._like(start, name, token, negated=False)
        if token.is_word("between"):
            low = self.value()
            self.expect("and", f"write {start.text} between 1 and 5")
            high = self.value()
            return self.build(start, Between, field=name, low=low, high=high, include_unknown=self._unknown_too())
        if token.is_word("is"):
            return self._known(start, name)
        raise self._no_operator(start, token)

    def _no_operator(self, start: Token, token: Token) -> ConditionError:
        word = token.text.lower()
        fallback = f"write {start.text} = …, or {start.text} = true where it is a yes or no"
        near = (
            did_you_mean(word, _WORD_OPERATORS, fallback) if token.kind == "name" and word not in KEYWORDS else fallback
        )
        return self.fail(
            token,
            f"expected an operator after {self.shown(start)}, found {self.shown(token)}",
            _INSTEAD.get(word, near),
        )

    def _known(self, start: Token, name: str) -> Predicate:
        token = self.take()
        if token.is_word("known", "unknown"):
            node = self.build(start, Known, field=name, known=token.is_word("known"))
            if self.token.is_word("include_unknown"):
                raise self.fail(
                    self.token, "'include_unknown' says nothing after 'is known' or 'is unknown'", "leave it out"
                )
            return node
        negated = token.is_word("not")
        word = self.token if negated else token
        hint = f"write {start.text} is known, or {start.text} is unknown"
        if word.is_word("null", "unknown", "none", "empty"):
            hint = f"write {start.text} is {'known' if negated else 'unknown'}"
        elif word.kind in {"text", "number"} or word.is_word("true", "false"):
            hint = f"write {start.text} {'!=' if negated else '='} {word.text}"
        elif token.kind == "name":
            hint = did_you_mean(token.text.lower(), ("known", "unknown"), hint)
        raise self.fail(token, f"expected 'known' or 'unknown' after 'is', found {self.shown(token)}", hint)

    def _like(self, start: Token, name: str, word: Token, negated: bool) -> Predicate:
        token = self.token
        pattern = self.value()
        if not isinstance(pattern, str):
            hint = f"write {start.text} {word.text} 'Be%', or use = for other values than text"
            raise self.fail(token, f"a pattern is text in single quotes, not {self.shown(token)}", hint)
        if self.token.is_word("escape"):
            raise self.fail(self.token, "there is no 'escape'", r"write \% and \_ for the characters themselves")
        # What is wrong with a pattern stands in the pattern, not at the field.
        return self.build(
            token,
            Like,
            field=name,
            pattern=pattern,
            negated=negated,
            ignore_case=word.is_word("ilike"),
            include_unknown=self._unknown_too(),
        )

    def _one_of(self, start: Token, name: str, negated: bool) -> Predicate:
        opened = self.expect("(", f"put the values in brackets: {start.text} in ('a', 'b')")
        values = [self.value()]
        while self.accept(","):
            values.append(self.value())
        self.close(opened, "expected ',' or ')'")
        return self.build(
            start, OneOf, field=name, values=tuple(values), negated=negated, include_unknown=self._unknown_too()
        )

    def _unknown_too(self) -> bool:
        return self.accept("include_unknown")

    def value(self) -> Value:
        """The literal at the cursor; raises ConditionError for anything else."""
        token = self.take()
        try:
            if token.kind == "text":
                return read_value(token.value)
            if token.kind == "number":
                return _read_number(token.text)
            if token.is_word("true", "false"):
                return token.is_word("true")
            if token.is_word("date") and self.token.kind == "text":
                return read_date(self.take().value)
        except ValueError as error:
            raise self.fail(token, str(error)) from None
        raise self._not_a_value(token)

    def _not_a_value(self, token: Token) -> ConditionError:
        if token.kind == "quoted-name":
            written = "'" + token.value.replace("'", "''") + "'"
            return self.fail(token, f"expected a value, found the name {token.text}", f"use single quotes: {written}")
        if token.is_word("null", "unknown"):
            return self.fail(token, f"{token.text!r} is not a value", "write … is unknown")
        if token.kind == "name" and not token.is_word(*KEYWORDS):
            hint = f"put text in single quotes: '{token.text}'"
            if self.fields is not None and token.text in self.fields:
                hint += f" (a {self.thing} can be compared with a value, not with another {self.thing})"
            return self.fail(token, f"expected a value, found the word {token.text!r}", hint)
        hint = "a value is 'text', a number, true, false, or date '2025-01-31'"
        return self.fail(token, f"expected a value, found {self.shown(token)}", hint)

    def _unexpected(self, token: Token, wanted: str) -> ConditionError:
        hint = "join two conditions with and, or" if "'or'" in wanted else "put commas between the values"
        if token.is_mark(")"):
            hint = "there is no open bracket before it"
        elif self._at == self._call_end and token.is_mark(*_OPERATORS):
            limit = "at_most" if token.text in ("<", "<=") else "at_least"
            hint = f"a call takes its limits inside, as in {limit} => 4"
        elif token.is_word("and", "or"):
            hint = f"close the bracket with ')' before {token.text.lower()!r}, or put commas between the values"
        elif token.kind == "name":
            hint = did_you_mean(token.text.lower(), ("and", "or", "include_unknown"), hint)
        return self.fail(token, f"{wanted}, found {self.shown(token)}", hint)

    def whole(self) -> Predicate:
        """The predicate that the whole text says; raises ConditionError where something is left over."""
        if self.token.kind == "end":
            raise self.fail(self.token, "the condition is empty", _EXAMPLE)
        node = self.either()
        rest = self.token
        if rest.kind != "end":
            raise self._unexpected(rest, "expected 'and', 'or' or the end")
        return node


def _read_number(text: str) -> Value:
    # int() of thousands of digits is slow, and refused by Python itself; no such number fits into 64 bits.
    if len(text) > 400:
        raise ValueError("the number is too large for 64 bits")
    return read_value(int(text) if text.lstrip("-").isdigit() else float(text))


def parse(
    text: str,
    where: str = "where",
    thing: str = "field",
    fields: Collection[str] | None = None,
    position: tuple[int, int] | None = None,
    calls: Registry[CallKind] | None = None,
) -> Predicate:
    """The predicate that `text` says.

    `where` and `position` (line and column of the text in a file, from 1) say where the text stands; `fields` are
    the names that exist, and `thing` what to call one (`field`, `tag`); `calls` are the kinds written as function
    calls that are allowed here. Raises ConditionError `bad-condition`, `unknown-{thing}` or `unknown-condition`.

    >>> parse("Age>=18 AND city in ('Oslo','Bergen')").to_text()
    "Age >= 18 and city in ('Oslo', 'Bergen')"
    """
    return Parser(Source(text, where, position), thing, fields, calls).whole()
