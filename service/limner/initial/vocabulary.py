"""Finding the counterparts of a template's events, properties and attributes in data that call them otherwise.

The words stand in vocabulary.yaml. Pure, except for reading that file; imports the words and fields of mappings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import yaml

from limner_profile.mapping.fields import FieldProposal
from limner_profile.mapping.roles import Sureness
from limner_profile.mapping.words import folded, has_word, is_chinese

# What may stand before a word without changing what it says: user_city, item_category.
_FRONTS = frozenset(
    {"user", "customer", "member", "client", "player", "item", "product", "order", "event", "account", "current", "role",
     "用户", "会员", "客户", "玩家", "商品", "角色", "常用"}
)  # fmt: skip
_FITTING: Mapping[str, tuple[str, ...]] = {
    "number": ("number",),
    "boolean": ("boolean",),
    "born": ("number", "date", "time"),
    "any": ("number", "category", "boolean", "date"),
}


@dataclass(frozen=True)
class Match:
    """What the data call a thing of the template (None where they do not have it), how sure that is, and what else it might be."""

    name: str | None
    sure: Sureness = "sure"
    others: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def vocabulary() -> Mapping[str, Any]:
    """The content of vocabulary.yaml."""
    text = (resources.files("limner") / "initial" / "vocabulary.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Any] = yaml.safe_load(text)
    return content


def match_events(wanted: Sequence[str], names: Mapping[str, int]) -> dict[str, Match]:
    """For each wanted event the name that the data have for it; `names` are the data's, with how often they occur.

    A name is given to one event only: to the one whose words it fits best.

    >>> match_events(["login", "order"], {"sign_in": 9, "pay_success": 2, "order_cancelled": 1})["order"].name
    'pay_success'
    """
    ranks = {
        (event, name): rank
        for event in wanted
        for name in names
        if (rank := _event_rank(vocabulary()["events"].get(event, [event]), name)) is not None
    }
    found: dict[str, Match] = {}
    taken: set[str] = set()
    for (event, name), rank in sorted(ranks.items(), key=lambda item: (item[1], -names[item[0][1]], item[0])):
        if event in found or name in taken:
            continue
        taken.add(name)
        others = tuple(other for other in names if (event, other) in ranks and other != name)
        exact = rank[0] == 0
        clear = exact and (rank[1] == 0 or not any(ranks[event, other][0] == 0 for other in others))
        found[event] = Match(name, "sure" if clear else "likely" if not others else "?", others)
    rest = {
        event: Match(match.name, match.sure, tuple(other for other in match.others if other not in taken))
        for event, match in found.items()
    }
    return {event: rest.get(event, Match(None)) for event in wanted}


def match_fields(
    kind: Literal["properties", "attributes"], wanted: Collection[str], fields: Sequence[FieldProposal]
) -> dict[str, FieldProposal]:
    """For each wanted property or attribute the field of the data that is the same, where there is one of a fitting type."""
    ranks = []
    for concept in wanted:
        entry = vocabulary()[kind].get(concept, {"type": "any", "names": [concept]})
        for field in fields:
            rank = _field_rank(entry["names"], field.column)
            if rank is not None and field.type in _FITTING[entry["type"]]:
                ranks.append((rank, concept, field))
    found: dict[str, FieldProposal] = {}
    taken: set[str] = set()
    for _, concept, field in sorted(ranks, key=lambda item: (item[0], item[1])):
        if concept not in found and field.column not in taken:
            found[concept] = field
            taken.add(field.column)
    return found


def sensitivity_of(name: str) -> str:
    """`sensitive`, `proxy` or `none`, by the words of an attribute's name."""
    for level in ("sensitive", "proxy"):
        if has_word(name, vocabulary()[level]):
            return level
    return "none"


def _event_rank(words: Sequence[str], name: str) -> tuple[int, int] | None:
    """(0, place) for a name that is one of the words, (1, place) for one that holds a word, None for another."""
    own = folded(name)
    if own in words:
        return 0, words.index(own)
    for place, word in enumerate(words):
        if word in vocabulary()["alone"]:
            continue
        parts = word.split("_")
        held = word in own if is_chinese(word) else f"_{word}_" in f"_{own}_"
        if held:
            rest = (
                own.replace(word, "")
                if is_chinese(word)
                else "_".join(part for part in own.split("_") if part not in parts)
            )
            if not has_word(rest, vocabulary()["against"]):
                return 1, place
    return None


def _field_rank(words: Sequence[str], column: str) -> tuple[int, int] | None:
    for depth, own in enumerate(dict.fromkeys((folded(column), folded(column.rsplit(".", 1)[-1])))):
        if own in words:
            return depth, words.index(own)
        for place, word in enumerate(words):
            front = own.removesuffix(word).strip("_")
            if own.endswith(word) and front in _FRONTS:
                return depth + 2, place
    return None
