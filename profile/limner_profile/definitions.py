"""YAML files as located data, and located data as frozen pydantic models.

Every complaint names file, line and column and, for a misspelt field, the nearest valid name. Imports only
errors; knows nothing of what the definitions mean.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from limner_profile.errors import DefinitionError, Issue, did_you_mean

M = TypeVar("M", bound=BaseModel)
Location = tuple[str | int, ...]
# The type of a PydanticCustomError whose value is not shown.
SECRET = "secret"


class Definition(BaseModel):
    """The base of everything that a user writes in YAML: frozen, and closed to unknown fields."""

    # A string under a field is its description, and stands in the reference pages.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    # Fields that say what a thing is called, or what is expected of it, and decide nothing.
    WORDING: ClassVar[frozenset[str]] = frozenset({"title", "description", "owner", "unit", "values", "quality"})

    def content(self) -> str:
        """The definition as canonical JSON without its wording: what it computes, and not what that is called."""
        return json.dumps(_without(self.model_dump(mode="json"), self.WORDING), sort_keys=True, ensure_ascii=False)

    def digest(self, *, wording: bool = True) -> str:
        """Twelve hex digits that change whenever the definition does; without `wording`, when what it computes does."""
        text = (
            json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False) if wording else self.content()
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _without(content: Any, names: frozenset[str]) -> Any:
    """The content without these fields, at the top and in the definitions inside it."""
    if isinstance(content, dict):
        return {name: _without(value, names) for name, value in content.items() if name not in names}
    return content


class Title(Definition):
    """A title in English and Chinese; a plain string in YAML is the English one, and stands for both."""

    en: str
    zh: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"en": value} if isinstance(value, str) else value

    def of(self, language: str) -> str:
        """The title in `language` ('en' or 'zh'), English where there is no Chinese."""
        return self.zh or self.en if language == "zh" else self.en


@dataclass
class Document:
    """What a YAML file holds, with the line and column of every key and value."""

    path: Path
    data: Any
    marks: dict[Location, tuple[int, int]] = field(default_factory=dict)
    shown: str = ""

    def where(self, location: Location = ()) -> str:
        """`file:line:column` of the deepest known part of `location`."""
        name = self.shown or self.path.name
        # A part that the file does not have (a missing field, the branch of a union) is passed over.
        known: Location = ()
        for part in location:
            known = (*known, part) if (*known, part) in self.marks else known
        if known in self.marks:
            line, column = self.marks[known]
            return f"{name}:{line}:{column}"
        return name


class _Loader(yaml.SafeLoader):
    """YAML in which only `true` and `false` are booleans, and a date is text: `no` and `on` stay the words written."""


_OWN_WORDS = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OWN_WORDS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _first, _words in (("tT", r"true|True|TRUE"), ("fF", r"false|False|FALSE")):
    _Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(rf"^(?:{_words})$"), list(_first))


def read_document(path: Path, root: Path | None = None) -> Document:
    """The located content of a YAML file; raises DefinitionError for text that is not YAML, or duplicate keys.

    `root` is the folder that paths in messages are shown relative to.
    """
    shown = str(path.relative_to(root)) if root and path.is_relative_to(root) else path.name
    document = Document(path, None, shown=shown)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DefinitionError(
            Issue("missing-file", shown, "the file does not exist", "create it, or name another folder with --dir")
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise DefinitionError(
            Issue("unreadable-file", shown, f"the file cannot be read: {error}", "save it as UTF-8 text")
        ) from None
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return document
        issues: list[Issue] = []
        _mark(node, (), document, issues)
        if issues:
            raise DefinitionError(issues)
        document.data = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else shown
        if isinstance(error, yaml.reader.ReaderError):  # knows the place in the text only
            before = text[: error.position]
            place = f"{shown}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise DefinitionError(
            Issue("bad-yaml", place, f"this is not YAML: {problem}", "check the indentation, colons and quotes")
        ) from None
    except (ValueError, RecursionError) as error:
        problem = "an alias holds itself" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise DefinitionError(
            Issue("bad-yaml", shown, f"a value cannot be read: {problem}", "write it as text in quotes")
        ) from None
    finally:
        if loader is not None:
            loader.dispose()
    return document


def _mark(node: yaml.Node, location: Location, document: Document, issues: list[Issue]) -> None:
    document.marks.setdefault(location, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            inner = (*location, str(key_node.value))
            if inner in document.marks:
                first = document.marks[inner][0]
                place = f"{document.shown}:{key_node.start_mark.line + 1}:{key_node.start_mark.column + 1}"
                issues.append(
                    Issue(
                        "duplicate-key",
                        place,
                        f"{key_node.value!r} is defined twice",
                        f"it stands on line {first} already: rename or remove one",
                    )
                )
                continue
            document.marks[inner] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            _mark(value_node, inner, document, issues)
    elif isinstance(node, yaml.SequenceNode):
        for index, value_node in enumerate(node.value):
            _mark(value_node, (*location, index), document, issues)


def entries(document: Document) -> dict[str, Any]:
    """The top-level mapping of a definition file, name to definition; raises DefinitionError for anything else."""
    if document.data is None:
        return {}
    if not isinstance(document.data, dict):
        raise DefinitionError(
            Issue(
                "not-a-mapping",
                document.where(),
                "expected 'name: definition' entries",
                "begin a line with a name and a colon",
            )
        )
    return {str(name): definition for name, definition in document.data.items()}


def validate(model: type[M], data: Any, document: Document, location: Location = ()) -> tuple[M | None, list[Issue]]:
    """The definition as a `model`, or None, with the issues found in it."""
    if not isinstance(data, dict):
        return None, [
            Issue(
                "not-a-mapping",
                document.where(location),
                "expected 'field: value' lines",
                f"known fields: {_names(model)}",
            )
        ]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        cut = _cut_condition(data, document, location)
        if cut is not None:
            return None, [cut]
        issues = [_issue(problem, model, document, location) for problem in error.errors(include_url=False)]
        return None, list({(issue.where, issue.code, issue.message): issue for issue in issues}.values())


def _cut_condition(data: dict[Any, Any], document: Document, location: Location) -> Issue | None:
    """The issue of a condition that a comma cut into pieces, as in `{where: in_split('s', 1, of => 3)}`; None without one.

    YAML reads what follows such a comma as keys without a value, such as `of => 3)`.
    """
    whole: list[str] = []
    field_name = ""
    for key, value in data.items():
        if isinstance(value, dict):
            inner = _cut_condition(value, document, (*location, str(key)))
            if inner is not None:
                return inner
        if value is None and field_name and not _closed(", ".join(whole)):
            whole.append(str(key))
        elif isinstance(value, str) and not _closed(value) and not any(map(_rest_of_call, whole)):
            field_name, whole = str(key), [value]
    if not any(map(_rest_of_call, whole[1:])):
        return None
    text = ", ".join(whole)
    quoted = f'{field_name}: "{text}"' if '"' not in text else f'{field_name}: "…"'
    message = f"the condition ends at its first comma, since it stands unquoted inside {{…}} (got {whole[0]!r})"
    return Issue(
        "bad-value", document.where((*location, field_name)), message, f"put the condition in double quotes: {quoted}"
    )


def _rest_of_call(key: str) -> bool:
    return "=>" in key or not _closed(key)


def _closed(text: str) -> bool:
    """Whether each bracket of a text has its partner."""
    depth = 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return False
    return depth == 0


def _issue(problem: Mapping[str, Any], model: type[BaseModel], document: Document, location: Location) -> Issue:
    # Pydantic names the branch of a union or validator inside the location: only parts that exist in the file count.
    inner = tuple(part for part in problem["loc"] if isinstance(part, int | str))
    place = document.where((*location, *inner))
    last = str(inner[-1]) if inner else ""
    if problem["type"] not in ("missing", "extra_forbidden"):
        written = [part for index, part in enumerate(inner) if (*location, *inner[: index + 1]) in document.marks]
        last = str(written[-1]) if written else last
    if problem["type"] == "extra_forbidden":
        owner = _model_at(model, inner[:-1])
        return Issue(
            "unknown-field",
            place,
            f"unknown field {last!r}",
            did_you_mean(last, _written(owner), f"known fields: {_names(owner)}"),
        )
    if problem["type"] == "missing":
        return Issue("missing-field", place, f"the field {last!r} is missing", f"add a line '{last}: …'")
    message = str(problem["msg"]).removeprefix("Value error, ")
    context = problem.get("ctx") or {}
    message, _, hint = message.partition(" | ")
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        field_name = str(context.get("discriminator", "'kind'")).strip("'")
        words = [word.strip(" '") for word in str(context.get("expected_tags", "")).split(",") if word.strip()]
        tag = context.get("tag")
        message = f"{field_name!r} cannot be {tag!r}" if tag else f"the field {field_name!r} is missing"
        known = f"one of {', '.join(words)}" if words else f"add a line '{field_name}: …'"
        return Issue(
            "unknown-kind",
            document.where((*location, *inner, field_name)),
            message,
            did_you_mean(str(tag), words, known),
        )
    if problem["type"] == "literal_error":
        expected = str(context.get("expected", ""))
        words = [word.strip().strip("'") for word in expected.replace(" or ", ",").split(",")]
        return Issue(
            "bad-value",
            place,
            f"{last!r} cannot be {problem['input']!r}",
            did_you_mean(str(problem["input"]), words, f"one of {expected}"),
        )
    shown = f"{last!r}: {message[:1].lower()}{message[1:]}" if last else message
    given = problem["input"]
    # What may be a secret that stands where its name should is not repeated.
    if not isinstance(given, dict | list) and repr(given) not in shown and problem["type"] != SECRET:
        shown += f" (got {given!r})"
    return Issue("bad-value", place, shown, hint)


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model that holds the field at the end of `location`, as far as annotations tell."""
    current = model
    for part in location:
        found = current.model_fields.get(str(part)) if isinstance(part, str) else None
        annotation = found.annotation if found else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        inner = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if inner is None:
            continue
        current = inner
    return current


def _written(model: type[BaseModel]) -> list[str]:
    """The fields of a model as they are written in YAML."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _names(model: type[BaseModel]) -> str:
    return ", ".join(_written(model))
