"""Which further columns become properties or attributes, under which name and type. Pure; imports columns and words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from limner_profile.mapping.columns import ColumnFacts
from limner_profile.mapping.words import folded, has_word, is_chinese, words_of
from limner_profile.sources import RESERVED, FieldType

_MANY_ROWS = 20
# What Limner calls columns of its own in one source or another.
_TAKEN = RESERVED | {"since", "updated_at", "valid_from", "valid_to", "_part", "_row", "_file", "_problem"}
# Last words of names that say who a person is, whatever stands before them: work_email.
_WHO = frozenset({"email", "mail", "phone", "mobile", "address", "passport", "password"})


@dataclass(frozen=True)
class FieldProposal:
    """A property or attribute: our name for a column, its type, and whether the type must be stated in the mapping."""

    name: str
    column: str
    type: FieldType
    stated: bool = False


def choose_fields(
    left: Mapping[str, ColumnFacts], of_users: bool, comma: bool = False
) -> tuple[tuple[FieldProposal, ...], dict[str, str]]:
    """The columns worth mapping among those that have no role, and the others, each with why it is left out.

    With `comma`, numbers with a decimal comma are read as such, which the mapping then states.
    """
    fields: list[FieldProposal] = []
    out: dict[str, str] = {}
    for column, known in left.items():
        why = _useless(known, of_users)
        if any(other.startswith(f"{column}.") for other in left) and known.top[:1] and known.top[0].startswith("{"):
            why = "its parts are mapped one by one"
        if why:
            out[column] = why
            continue
        name = field_name(column, {field.name for field in fields})
        kind = known.type
        if comma and known.comma:
            fields.append(FieldProposal(name, column, "number", stated=True))
        elif known.flags and kind != "boolean" and has_word(column, words_of("flags")):
            fields.append(FieldProposal(name, column, "boolean", stated=True))
        elif kind == "number" and _is_code(column, known):
            fields.append(FieldProposal(name, column, "category", stated=True))
        else:
            odd = known.no_numbers if kind == "number" else known.no_times if kind in ("date", "time") else ()
            fields.append(FieldProposal(name, column, kind, stated=bool(odd)))
    return tuple(fields), out


def field_name(column: str, taken: set[str] | frozenset[str] = frozenset()) -> str:
    """A name for a column that conditions can use: a word, in small letters, not one of Limner's own, not taken.

    >>> field_name("Order Total"), field_name("source"), field_name("品类"), field_name("props.genre")
    ('order_total', 'my_source', '品类', 'genre')
    """
    # Of a nested value of JSON the last part says most.
    parts = [folded(column.rsplit(".", 1)[-1]), folded(column)]
    written = parts[0] if parts[0] and parts[0] not in taken else parts[1]
    name = re.sub(r"\W+", "_", written).strip("_") or "field"
    if not name.isidentifier():
        name = f"n{name}"
    if name in _TAKEN or name.startswith("_raw_"):
        name = f"my_{name}"
    number, base = 2, name
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _useless(known: ColumnFacts, of_users: bool) -> str:
    if not known.known:
        return "it is empty"
    if folded(known.name) in words_of("personal") or folded(known.name).split("_")[-1] in _WHO:
        return "it says who a person is"
    if of_users and known.type == "category" and not known.numeric and known.times and known.times.format:
        return f"a date written {known.times.format}; as 2025-12-31 it could be read"
    many = known.rows >= _MANY_ROWS and known.difference > 0.9
    if known.type == "category" and many and known.times is None and not known.numeric:
        return "it is different in almost every row"
    if known.type == "category" and known.times is not None and not of_users and known.times.format is not None:
        return "a second time, written as text"
    if known.distinct == 1 and known.rows >= _MANY_ROWS and not of_users:
        return f"it always says {known.top[0]!r}"
    return ""


def _is_code(column: str, known: ColumnFacts) -> bool:
    """Whether the numbers are names of things: product_id, store_no, zip."""
    if known.decimals or known.times is not None:
        return False
    own = folded(column)
    return any(own.split("_")[-1] == word or (is_chinese(word) and own.endswith(word)) for word in words_of("codes"))
