"""Which columns of a file are pairs of ids of one user: a device and its account, a phone and a member. Pure; imports roles and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from limner_profile.mapping.columns import ColumnFacts
from limner_profile.mapping.roles import RoleProposal, propose_role
from limner_profile.mapping.words import folded, has_word, says_role, word_lists, words_of

# A log of acts names its devices again and again; a table of pairs lists each about once.
_ONCE = 0.5


@dataclass(frozen=True)
class Pair:
    """The columns of a table of pairs by their roles (user, other, kind, time, until, removed), and why it is taken for one."""

    roles: Mapping[str, RoleProposal]
    why: str


def find_pair(facts: Mapping[str, ColumnFacts], label: str) -> Pair | None:
    """The roles of a file whose rows are pairs of ids and tell nothing else, or None for any other file."""
    files = word_lists()["files"]
    if has_word(label, (*files["orders"], *files["events"], *words_of("acts"))):
        return None
    ids = [name for name, known in facts.items() if _is_id(name, known)]
    if len(ids) != 2 or max(facts[name].difference for name in ids) < _ONCE:
        return None
    roles = pair_roles(facts, {})
    mapped = {chosen.column for chosen in roles.values()}
    if any(name not in mapped and not _says_nothing(name, known) for name, known in facts.items()):
        return None
    once = any(facts[name].once for name in ids)
    if has_word(label, files["users"]) and not has_word(label, words_of("other_ids")) and once:
        return None  # a table of users with their phones or devices
    return Pair(roles, f"{ids[0]} and {ids[1]} are ids, and nothing else is told of them")


def pair_roles(facts: Mapping[str, ColumnFacts], said: Mapping[str, str | None]) -> dict[str, RoleProposal]:
    """The roles of a table of pairs; `said` are those that somebody has decided already."""
    taken = {said[role] for role in ("user", "other", "kind", "time", "until", "removed") if said.get(role)}
    kind = _by_name(
        "kind", {name: known for name, known in facts.items() if name not in taken and known.distinct <= 20}
    )
    ids = [name for name, known in facts.items() if name not in taken and _is_id(name, known)]
    # The id that lasts is the user; devices, phones and cookies come and go.
    ids.sort(key=lambda name: (has_word(name, words_of("other_ids")), -says_role(name, "user")))
    if kind and len(ids) == 2 and has_word(ids[0], [folded(value) for value in facts[kind].top]):
        ids.reverse()  # the kind says what the other id is
    both = len(ids) >= 2 and has_word(ids[0], words_of("other_ids")) == has_word(ids[1], words_of("other_ids"))
    roles: dict[str, RoleProposal] = {}
    for role in ("user", "other"):
        if role in said:
            roles[role] = RoleProposal(said[role], why="as you said")
        elif ids:
            why = (
                "an id; where nothing else tells, it stands for the user"
                if role == "user"
                else "another id of the user"
            )
            rivals = tuple(name for name in ids[1:] if both and role == "user")
            roles[role] = RoleProposal(ids.pop(0), "?" if rivals else "likely", why, rivals)
        else:
            roles[role] = RoleProposal(None, "?", "no other column looks like the id of a user")
    taken |= {chosen.column for chosen in roles.values() if chosen.column}
    left = {name: known for name, known in facts.items() if name not in taken}
    for role in ("kind", "until", "removed"):
        column = said[role] if role in said else kind if role == "kind" else _by_name(role, left)
        roles[role] = RoleProposal(column, "likely", "as you said" if role in said else "called so")
        left.pop(column or "", None)
    roles["time"] = _time(left, said)
    if roles["removed"].column and not roles["time"].column:
        roles["removed"] = RoleProposal(
            None, "?", "without a time it does not say since when", (roles["removed"].column,)
        )
    order = ("user", "other", "kind", "time", "until", "removed")
    return {role: roles[role] for role in order}


def _time(left: Mapping[str, ColumnFacts], said: Mapping[str, str | None]) -> RoleProposal:
    if "time" in said:
        return RoleProposal(said["time"], why="as you said")
    for role in ("time", "since", "updated_at", "received"):
        if any(known.times and says_role(name, role) for name, known in left.items()):
            found = propose_role(role, left, set())
            if found.column:
                return RoleProposal(found.column, found.sure, "since when the pair is known", found.rivals)
    return RoleProposal(None)


def _by_name(role: str, left: Mapping[str, ColumnFacts]) -> str | None:
    names = words_of(f"pair_{role}")
    fitting = (
        name
        for name, known in left.items()
        if folded(name) in names
        and known.known
        and (role != "until" or known.times)
        and (role != "removed" or known.flags or known.type == "boolean")
    )
    return next(fitting, None)


def _is_id(name: str, known: ColumnFacts) -> bool:
    """Whether the column holds ids of users, by its name and by its values."""
    named = says_role(name, "user") or has_word(name, words_of("other_ids"))
    last = folded(name).split("_")[-1]
    return bool(
        named
        and last not in words_of("about_users")
        and not has_word(name, words_of("things"))
        and known.like_id
        and known.times is None
        and known.type in ("number", "category")
        and not (known.decimals or known.negative or known.flags)
        and known.difference > 0.05
    )


def _says_nothing(name: str, known: ColumnFacts) -> bool:
    """Whether a column beside a pair is empty, a number of the row, or another time."""
    return not known.known or known.times is not None or (folded(name) in ("id", "row_id", "编号") and known.unique)
