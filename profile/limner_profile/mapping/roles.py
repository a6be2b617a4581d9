"""Which column of a file has which role: user, time, event, amount. Judged by the names and by what the values look like.

Pure. What is not sure says so; between equals nothing is chosen unsaid. Imports columns and words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from limner_profile.mapping.columns import ColumnFacts
from limner_profile.mapping.words import folded, has_word, is_chinese, says_role, words_of

Sureness = Literal["sure", "likely", "?"]
_NEAR = 0.08


@dataclass(frozen=True)
class RoleProposal:
    """Which column has a role (None for none), how sure that is and why; `rivals` might have it as well."""

    column: str | None
    sure: Sureness = "sure"
    why: str = ""
    rivals: tuple[str, ...] = ()


def propose_user(facts: Mapping[str, ColumnFacts], said: Mapping[str, str | None]) -> RoleProposal:
    """The column that says which user; `said` may name it already."""
    if "user" in said:
        return RoleProposal(said["user"], why="as you said")
    scored = {
        name: says_role(name, "user")
        + (0.05 if known.like_id else 0)
        - (0.3 if has_word(name, words_of("things")) else 0)
        for name, known in facts.items()
        if says_role(name, "user") and _could_be_user(known)
    }
    scored = {name: score for name, score in scored.items() if score >= 0.4 and not _tells_of_a_user(name)}
    if scored:
        return _best(scored, "called like a user")
    # 'id' alone says whose only in a table of users, and there it comes once in each row.
    alone = [name for name, known in facts.items() if folded(name) in ("id", "编号", "key") and _could_be_user(known)]
    named_id = [name for name in facts if says_role(name, "event_id") > 0.8 and folded(name) != "id"]
    if len(alone) == 1 and (not facts[alone[0]].once or (not named_id and not _acts_columns(facts))):
        return RoleProposal(alone[0], "likely", "the only id of the file")
    candidates = [
        name
        for name, known in facts.items()
        if _could_be_user(known)
        and known.like_id
        and known.times is None
        and not has_word(name, words_of("things"))
        and says_role(name, "event_id") < 0.8
        and says_role(name, "amount") < 0.5
        and 0.001 < known.difference < 0.9
        and known.distinct > 2
        and not (known.numeric and known.distinct <= 20)
    ]
    if len(candidates) == 1:
        return RoleProposal(
            candidates[0], "?", "nothing is called like a user; its values look like ids that come again"
        )
    if candidates:
        why = f"nothing is called like a user; {' and '.join(candidates)} both look like ids that come again"
        return RoleProposal(None, "?", why, tuple(candidates))
    return RoleProposal(None, "?", "nothing is called like a user, and no values look like the ids of users")


def propose_role(role: str, facts: Mapping[str, ColumnFacts], taken: set[str]) -> RoleProposal:
    """The best column for a role, by name among those whose values fit; by values alone where the role allows it."""
    left = {name: known for name, known in facts.items() if name not in taken and known.known}
    scored = {name: says_role(name, role) for name, known in left.items() if _fits(role, known, left)}
    scored = {name: score for name, score in scored.items() if score > 0}
    if role == "event_id":
        # Rows without an id could not be told apart by it.
        scored = {name: score for name, score in scored.items() if left[name].coverage >= 0.95}
    if role in ("received", "event_id", "updated_at"):
        scored = {name: score for name, score in scored.items() if score >= 0.8}
    if role == "event":
        scored = {name: score + _acts_share(left[name]) / 2 for name, score in scored.items()}
    if scored:
        found = _best(scored, f"called like {_article(role)}")
        if role == "amount" and found.rivals and found.column:
            return replace(found, why=f"{found.why}; also numbers with such names: {', '.join(found.rivals)}")
        return found
    if role in ("time", "event"):
        return _by_values(role, left)
    return RoleProposal(None)


def _tells_of_a_user(name: str) -> bool:
    """Whether the name goes on about the user instead of saying which: user_level, customer_age, 用户等级."""
    own = folded(name)
    return any(
        own.split("_")[-1] == word or (is_chinese(word) and own.endswith(word)) for word in words_of("about_users")
    )


def _could_be_user(known: ColumnFacts) -> bool:
    return (
        known.type in ("number", "category")
        and not known.decimals
        and not known.negative
        and not known.flags
        and known.coverage >= 0.5
    )


def _acts_columns(facts: Mapping[str, ColumnFacts]) -> bool:
    """Whether there is a column for what happened: a name of events or an amount beside a time."""
    times = any(known.times and says_role(name, "time") > 0.5 for name, known in facts.items())
    events = any(says_role(name, "event") >= 0.8 for name in facts)
    return times and (events or any(says_role(name, "amount") >= 0.8 and facts[name].numeric for name in facts))


def _fits(role: str, known: ColumnFacts, left: Mapping[str, ColumnFacts]) -> bool:
    if role in ("time", "received", "since", "updated_at"):
        return known.times is not None and known.type != "boolean"
    if role == "event":
        few = known.distinct <= 200 and (known.difference <= 0.5 or known.rows < 20)
        # Codes of acts (1, 2, 3) are event names only where the column says so outright.
        codes = not known.decimals and known.distinct <= 50 and says_role(known.name, "event") >= 0.8
        return few and known.times is None and (codes if known.numeric else known.type == "category")
    if role == "amount":
        number = known.numeric and known.type == "number" and (known.times is None or known.decimals)
        return (number or known.comma) and not known.flags
    return known.like_id or (known.type in ("number", "category") and not known.decimals and known.times is None)


def _by_values(role: str, left: Mapping[str, ColumnFacts]) -> RoleProposal:
    if role == "time":
        found = [
            name for name, known in left.items() if known.times and not (known.numeric and known.difference < 0.05)
        ]
        clocks = [name for name in found if (times := left[name].times) and times.with_clock]
        for names in (found, clocks):
            if len(names) == 1:
                return RoleProposal(names[0], "likely", "the only column whose values read as times")
        if found:
            return RoleProposal(None, "?", f"{' and '.join(found)} both read as times", tuple(found))
        return RoleProposal(None, "?", "no column reads as times")
    fitting = {name: known for name, known in left.items() if _fits(role, known, left) and known.distinct > 1}
    acting = {name: _acts_share(known) for name, known in fitting.items() if _acts_share(known) >= 0.4}
    if acting:
        return replace(_best(acting, "its values are words for acts"), sure="likely" if len(acting) == 1 else "?")
    return RoleProposal(None, "sure" if not fitting else "likely", "no column names the event")


def _acts_share(known: ColumnFacts) -> float:
    """The share of the frequent values that are words for acts."""
    return sum(has_word(value, words_of("acts")) for value in known.top) / len(known.top) if known.top else 0.0


def _best(scored: Mapping[str, float], why: str) -> RoleProposal:
    order = sorted(scored, key=lambda name: -scored[name])
    best = order[0]
    rivals = tuple(name for name in order[1:] if scored[best] - scored[name] < _NEAR)
    others = tuple(name for name in order[1:] if name not in rivals and scored[name] >= 0.8)
    if rivals:
        return RoleProposal(
            best, "?", f"{why}, but so {'is' if len(rivals) == 1 else 'are'} {', '.join(rivals)}", rivals
        )
    weak = scored[best] < 0.75
    reason = f"{why}, more so than {', '.join(others)}" if others else why
    return RoleProposal(best, "likely" if weak or others else "sure", reason, others)


def _article(role: str) -> str:
    words = {
        "time": "the time of an act",
        "since": "a sign-up",
        "updated_at": "the time of a change",
        "received": "a time of arrival",
        "event": "an event",
        "event_id": "an id of events",
        "amount": "an amount",
    }
    return words[role]
