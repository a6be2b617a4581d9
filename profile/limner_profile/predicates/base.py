"""What every predicate can do, the registry of kinds, and loading from dictionaries.

Imports the errors and the registry of this floor, and the value and wording modules beside it; never a kind.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, ValidationError
from sqlglot import exp

from limner_profile.errors import ConditionError, Issue, did_you_mean
from limner_profile.predicates.columns import Column as Column
from limner_profile.predicates.values import Value, ValueType, read_value, type_of, value_text
from limner_profile.predicates.words import FieldType as FieldType
from limner_profile.predicates.words import FieldWords as FieldWords
from limner_profile.predicates.words import Language as Language
from limner_profile.registry import Registry

Words = Callable[[str], FieldWords]

# Brackets and `not` inside each other. Python, sqlglot and DuckDB all recurse; 50 stays far from every limit.
MAX_DEPTH = 50

KEYWORDS = frozenset(
    {"and", "or", "not", "in", "between", "is", "unknown", "known", "true", "false", "include_unknown"}
)
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_LITERAL_OF: dict[FieldType, ValueType] = {
    "number": "number",
    "category": "text",
    "boolean": "boolean",
    "date": "date",
    "time": "date",
}
_HOW_TO_WRITE: dict[ValueType, str] = {
    "number": "write a number without quotes, like 12 or 0.5",
    "text": "write text in single quotes, like 'abc'",
    "boolean": "write true or false",
    "date": "write a date like date '2025-01-31'",
}


@dataclass(frozen=True)
class Example:
    """A text, rows to try it on (field -> value, None is unknown), and the indices of the rows that match."""

    text: str
    rows: tuple[Mapping[str, Any], ...]
    matches: frozenset[int]


class Predicate(BaseModel, ABC):
    """One node of a condition: true for some rows, false for the others, never in between.

    Nodes are frozen and compare by value. A kind adds its fields and the abstract methods, in a file of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    # How tightly the text binds: 1 or, 2 and, 3 anything that needs no brackets.
    BINDING: ClassVar[Literal[1, 2, 3]] = 3
    EXAMPLES: ClassVar[tuple[Example, ...]] = ()

    kind: str

    @abstractmethod
    def to_sql(self, column: Column) -> exp.Expression:
        """A boolean SQL tree for WHERE or FILTER (NULL counts as no match); `column` gives a field's expression."""

    @abstractmethod
    def to_text(self) -> str:
        """The canonical text: parsing it gives this predicate again."""

    @abstractmethod
    def to_sentence(self, language: Language, words: Words) -> str:
        """The sentence for a reader; `words` gives a field's title, unit and value titles in that language."""

    def children(self) -> tuple[Predicate, ...]:
        """The predicates directly inside this one, about the same fields."""
        return ()

    def walk(self) -> Iterator[Predicate]:
        """This predicate and everything inside it, outermost first."""
        yield self
        for child in self.children():
            yield from child.walk()

    def fields(self) -> frozenset[str]:
        """The names of the fields that decide whether a row matches."""
        return frozenset[str]().union(*(child.fields() for child in self.children()))

    def check(
        self,
        types: Mapping[str, FieldType],
        where: str,
        values: Mapping[str, Collection[str]] | None = None,
        thing: str = "field",
    ) -> list[Issue]:
        """Every complaint about field names (`unknown-{thing}`), value types (`wrong-type`) and values.

        `values` holds the known values of category fields, where the caller knows them: others are `unknown-value`.
        """
        return [issue for child in self.children() for issue in child.check(types, where, values, thing)]


def _check_name(name: str) -> str:
    if not name:
        raise ValueError("a field name may not be empty")
    return str(read_value(name))


class OnField(Predicate):
    """A predicate about the value of one field."""

    field: Annotated[str, AfterValidator(_check_name)]

    # Whether the values must stand in an order (below, between), which categories and booleans do not have.
    @property
    def needs_order(self) -> bool:
        """Whether the field's values must have an order."""
        return False

    @property
    def literals(self) -> tuple[Value, ...]:
        """The values that the field is compared with."""
        return ()

    def fields(self) -> frozenset[str]:
        """The one field."""
        return frozenset({self.field})

    def check(
        self,
        types: Mapping[str, FieldType],
        where: str,
        values: Mapping[str, Collection[str]] | None = None,
        thing: str = "field",
    ) -> list[Issue]:
        """The complaints about this field and its values; see Predicate.check."""
        if self.field not in types:
            return [unknown_field_issue(self.field, types, where, thing)]
        wanted = _LITERAL_OF[types[self.field]]
        issues = [
            Issue(
                "wrong-type",
                where,
                f"{self.field!r} is a {types[self.field]}, but {value_text(value)} is a {type_of(value)}",
                _HOW_TO_WRITE[wanted],
            )
            for value in self.literals
            if type_of(value) != wanted
        ]
        if not issues and self.needs_order and wanted in {"text", "boolean"}:
            message = f"{self.field!r} is a {types[self.field]}, which has no order: {self.to_text()}"
            issues.append(Issue("wrong-type", where, message, "use =, != or in (…)"))
        known = (values or {}).get(self.field)
        if not issues and known is not None:
            issues = [
                Issue("unknown-value", where, f"{self.field!r} never has the value {value_text(value)}",
                      did_you_mean(value, known, _some("values", known)))
                for value in self.literals
                if isinstance(value, str) and value not in known
            ]  # fmt: skip
        return issues


def unknown_field_issue(name: str, known: Collection[str], where: str, thing: str, caret: str = "") -> Issue:
    """The issue for a field that does not exist, with the nearest name, or the first few, as its hint."""
    hint = did_you_mean(name, known, _some(f"known {thing} names", known))
    return Issue(f"unknown-{thing}", where, f"unknown {thing} {name!r}", hint + caret)


def _some(what: str, names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:8]) + (", …" if len(names) > 8 else "")
    return f"{what}: {shown}" if names else f"there are no {what}"


def field_text(name: str) -> str:
    """The field name as the language writes it: plain where it can be, in double quotes otherwise.

    >>> field_text("城市"), field_text("in"), field_text('a b')
    ('城市', '"in"', '"a b"')
    """
    if _PLAIN_NAME.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def operand(expression: exp.Expression) -> exp.Expression:
    """A copy of a column's expression, in brackets where an operator beside it would take it apart."""
    loose = isinstance(expression, exp.Binary | exp.Unary | exp.Between | exp.In)
    tight = isinstance(expression, exp.Paren | exp.Dot | exp.Func) and not isinstance(expression, exp.Connector)
    copied = expression.copy()
    return exp.Paren(this=copied) if loose and not tight else copied


def or_unknown(test: exp.Expression, include_unknown: bool) -> exp.Expression:
    """`test`, or, with `include_unknown`, the same holding for NULL as well (a literal is never NULL)."""
    return exp.Coalesce(this=test, expressions=[exp.Boolean(this=True)]) if include_unknown else test


PREDICATES: Registry[Predicate] = Registry("condition")


def load(tree: Mapping[str, Any], where: str = "where") -> Predicate:
    """The predicate of a dictionary such as `model_dump()` gives; its `kind` picks the class.

    Raises ConditionError `bad-condition`, or UnknownNameError `unknown-condition-kind`.
    """
    level: list[Any] = [tree]
    for _ in range(4 * MAX_DEPTH):
        level = [
            inner
            for node in level
            if isinstance(node, Mapping | list | tuple)
            for inner in (node.values() if isinstance(node, Mapping) else node)
        ]
        if not level:
            return _load(tree, where)
    raise ConditionError(Issue("bad-condition", where, f"the condition is nested deeper than {MAX_DEPTH} levels"))


def _load(tree: object, where: str) -> Predicate:
    if not isinstance(tree, Mapping) or not isinstance(tree.get("kind"), str):
        message = f"a condition is a mapping with a 'kind', not {tree!r:.80}"
        raise ConditionError(Issue("bad-condition", where, message, f"kinds: {', '.join(PREDICATES.words())}"))
    cls = PREDICATES.get(tree["kind"], where)
    try:
        return cls.model_validate(dict(tree))
    except ValidationError as error:
        raise ConditionError(
            [
                Issue(
                    "bad-condition",
                    ".".join([where, *map(str, e["loc"])]),
                    message,
                    did_you_mean(str(e["loc"][-1]), cls.model_fields) if e["type"] == "extra_forbidden" else hint,
                )
                for e in error.errors()
                for message, _, hint in [plain_message(e).partition(" | ")]
            ]
        ) from None


def plain_message(error: Mapping[str, Any]) -> str:
    """The message of one pydantic error, without pydantic's prefix; a kind may write its remedy behind ` | `."""
    return str(error["msg"]).removeprefix("Value error, ")


def _read_part(raw: object) -> object:
    return _load(raw, "where") if isinstance(raw, Mapping) else raw


def as_tuple(raw: object) -> object:
    """A list as a tuple (JSON and YAML have lists only); anything else unchanged."""
    return tuple(raw) if isinstance(raw, list) else raw


Part = Annotated[SerializeAsAny[Predicate], BeforeValidator(_read_part)]
