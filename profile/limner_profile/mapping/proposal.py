"""The proposal for one file: what its rows are, and which of its columns mean user, time, event, amount and the rest.

Judged by the names of the columns and by what their values look like. Pure: columns, types and sample rows in, a
proposal out. What is not sure says so; between equals nothing is chosen unsaid. Imports columns and words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from limner_profile.mapping.columns import ColumnFacts, facts_of
from limner_profile.mapping.fields import FieldProposal, choose_fields, field_name
from limner_profile.mapping.times import TimeReading
from limner_profile.mapping.words import folded, has_word, is_chinese, says_role, word_lists, words_of
from limner_profile.sources import EPOCHS

SourceType = Literal["users", "events", "orders"]
Sureness = Literal["sure", "likely", "?"]
# The roles that a source of each type may have, those it cannot do without first.
ROLES: Mapping[SourceType, tuple[str, ...]] = {
    "users": ("user", "since"),
    "events": ("user", "time", "event", "received", "event_id", "amount"),
    "orders": ("user", "time", "amount", "received", "event_id"),
}
NEEDED: Mapping[SourceType, tuple[str, ...]] = {
    "users": ("user",),
    "events": ("user", "time"),
    "orders": ("user", "time", "amount"),
}
# What may be given beside the columns of roles.
_NO_ROLES = frozenset({"type", "event_name", "time_format"})
_NEAR = 0.08


@dataclass(frozen=True)
class RoleProposal:
    """Which column has a role (None for none), how sure that is and why; `rivals` might have it as well."""

    column: str | None
    sure: Sureness = "sure"
    why: str = ""
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class MappingProposal:
    """What the rows of a file are, and what its columns mean. `left_out` are columns that nothing maps, each with why.

    `event_name` is the one name for all rows where no column holds it, `time_format` how times are written where it is
    not ISO 8601, `offsets` the offsets beside them (empty text for none), `notes` what the user should know.
    """

    label: str
    type: SourceType
    type_sure: Sureness
    type_why: str
    roles: Mapping[str, RoleProposal]
    fields: tuple[FieldProposal, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    event_name: str | None = None
    event_name_sure: Sureness = "sure"
    time_format: str | None = None
    offsets: tuple[str, ...] = ()
    keep_duplicates: bool = False
    decimal_comma: bool = False
    notes: tuple[str, ...] = ()

    def column(self, role: str) -> str | None:
        """The column that has a role, or None."""
        return self.roles[role].column if role in self.roles else None

    @property
    def missing(self) -> tuple[str, ...]:
        """The roles that the source cannot do without and that no column has."""
        return tuple(role for role in NEEDED[self.type] if not self.column(role))

    @property
    def unsure(self) -> tuple[str, ...]:
        """A line for everything in the proposal that is marked '?'."""
        lines = [f"type {self.type}: {self.type_why}"] if self.type_sure == "?" else []
        for role, chosen in self.roles.items():
            if chosen.sure == "?" and (chosen.column or chosen.rivals):
                lines.append(f"{role}: {chosen.column or 'none'} ({chosen.why})")
        if self.event_name and self.event_name_sure == "?":
            lines.append(f"event_name: {self.event_name} (after the file: no column seems to name the event)")
        return tuple(lines)


def propose_mapping(
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, str | None]],
    label: str = "",
    given: Mapping[str, str | None] | None = None,
) -> MappingProposal:
    """The proposal for a file called `label` with these columns (name to DuckDB type) and sample rows, values as text.

    `given` is what somebody has decided already, and stands: `type`, `event_name`, `time_format`, or a role with its column or
    None.
    """
    return propose_from(facts_of(columns, rows), label, given)


def propose_from(
    facts: Mapping[str, ColumnFacts], label: str = "", given: Mapping[str, str | None] | None = None
) -> MappingProposal:
    """The proposal from the facts of a file's columns, for asking again with more `given` without reading again."""
    said = dict(given or {})
    user = _user(facts, said)
    kind, kind_sure, kind_why = _type_of(facts, user, label, said)
    roles: dict[str, RoleProposal] = {"user": user}
    taken = {column for role, column in said.items() if role not in _NO_ROLES and column}
    taken |= {user.column} if user.column else set()
    for role in ROLES[kind]:
        if role == "user":
            continue
        if role in said:
            roles[role] = RoleProposal(said[role], why="as you said")
        elif role == "event" and said.get("event_name"):
            roles[role] = RoleProposal(None, why="one name for all rows")
        else:
            roles[role] = _role(role, kind, facts, taken)
        if roles[role].column:
            taken.add(str(roles[role].column))
    notes: list[str] = []
    reading = None
    timed = "since" if kind == "users" else "time"
    column = roles[timed].column
    if column:
        reading = facts[column].times
        if reading and said.get("time_format"):
            reading = replace(reading, format=said["time_format"], rivals=())
        roles[timed] = _with_format(roles[timed], reading)
        if reading is None:
            notes.append(f"{column}: the values do not look like times")
    _drop_odd_times(roles, facts, reading.format if reading else None)
    event_name, name_sure = _event_name(kind, roles, label, said)
    event_id = roles["event_id"].column if "event_id" in roles else None
    keep = False
    if event_id and facts[event_id].difference < 0.98 and "event_id" not in said:
        # The lines of an order repeat its number: as an id of the event all but one of them would be dropped.
        notes.append(
            f"{event_id} repeats, so each row is taken for an act of its own"
            + (": what is called an order here is a line of one" if kind == "orders" else "")
        )
        roles["event_id"] = RoleProposal(None, "sure", f"{event_id} repeats")
        keep = kind == "orders"
    mapped = {chosen.column for chosen in roles.values() if chosen.column}
    left = {name: known for name, known in facts.items() if name not in mapped}
    # A number with a point beside numbers with a comma would be misread: then those with a comma stay text.
    comma = any(known.comma for known in facts.values()) and not any(
        known.decimals and known.type == "number" for known in facts.values()
    )
    fields, left_out = choose_fields(left, kind == "users", comma)
    amount = roles["amount"].column if "amount" in roles else None
    if amount and facts[amount].comma and not comma:
        roles["amount"] = RoleProposal(
            None, "?", f"{amount} has decimal commas, and other columns decimal points", (amount,)
        )
    offsets = reading.offsets if reading else ()
    notes += _doubts(kind, roles, facts, [field.column for field in fields])
    notes += [
        f"{name}: numbers are written like {facts[name].top[0]!r}, which is read as text; write {_plain(facts[name].top[0])!r}"
        for name in left
        if facts[name].written_number and not (comma and facts[name].comma) and says_role(name, "amount")
    ]
    return MappingProposal(
        label, kind, kind_sure, kind_why, roles, fields, left_out, event_name, name_sure,
        reading.format if reading else None, offsets, keep, comma, tuple(notes),
    )  # fmt: skip


def _doubts(
    kind: SourceType, roles: Mapping[str, RoleProposal], facts: Mapping[str, ColumnFacts], fields: Sequence[str]
) -> list[str]:
    """What will not go as one may think: rows without a user, and orders that were taken back."""
    notes = []
    for role in ("user", "time"):
        column = roles[role].column if role in roles else None
        if column and facts[column].coverage < 0.995:
            notes.append(
                f"{column} is empty in {1 - facts[column].coverage:.0%} of the rows, which will be kept in rejects"
            )
    for column in fields if kind == "orders" else ():
        undone = [value for value in facts[column].top if has_word(value, words_of("undone"))]
        if undone and facts[column].type == "category":
            name = field_name(column)
            notes.append(
                f"{column} says {undone[0]!r} in some rows; they count as orders, unless a tag says where: {name} != …"
            )
    return notes


def _user(facts: Mapping[str, ColumnFacts], said: Mapping[str, str | None]) -> RoleProposal:
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
    if len(alone) == 1 and (not facts[alone[0]].unique or (not named_id and not _acts_columns(facts))):
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


def _type_of(
    facts: Mapping[str, ColumnFacts], user: RoleProposal, label: str, said: Mapping[str, str | None]
) -> tuple[SourceType, Sureness, str]:
    stated = said.get("type")
    kinds: tuple[SourceType, ...] = ("users", "events", "orders")
    for kind in kinds:
        if stated == kind:
            return kind, "sure", "as you said"
    named = next((kind for kind, words in word_lists()["files"].items() if has_word(label, words)), None)
    key = facts.get(user.column or "")
    once = key is not None and key.unique
    event = _role("event", "events", facts, {user.column} if user.column else set())
    amount = _role("amount", "orders", facts, {user.column} if user.column else set())
    time = _role("time", "events", facts, {user.column} if user.column else set())
    order_id = any(says_role(name, "event_id") > 0.8 and has_word(name, ("order", "订单")) for name in facts)
    by_name = bool(event.column) and says_role(event.column or "", "event") >= 0.5
    # An amount in every row speaks for orders, however much the ways of paying sound like acts.
    ordered = bool(amount.column) and amount.sure != "?" and facts[amount.column or ""].coverage >= 0.95
    if event.column and time.column and event.sure != "?" and (by_name or not ordered):
        return "events", "sure", f"{event.column} names the event, {time.column} its time"
    if once and not event.column and not (order_id and amount.column) and named != "orders":
        sure: Sureness = "sure" if named == "users" or len(facts) > 2 else "likely"
        if key is not None and key.rows < 20 and named != "users":
            sure = "?"
        return "users", sure, f"every {user.column} comes once"
    if amount.column and time.column and amount.sure != "?" and (named == "orders" or order_id or not by_name):
        why = f"{amount.column} is an amount, {time.column} its time, and no column names an event"
        return "orders", "sure" if named == "orders" or order_id else "likely", why
    if event.column and time.column:
        return "events", "likely", f"{event.column} may name the event, {time.column} is its time"
    if time.column and user.column:
        return "events", "likely", f"a user, a time ({time.column}), and no amount"
    if named == "users" or (user.column and not time.column):
        return (
            "users",
            "?",
            f"there is no time; but {user.column} comes more than once" if user.column else "so the file is called",
        )
    return ("orders" if named == "orders" else "events"), "?", "neither a user nor a time is plain to see"


def _role(role: str, kind: SourceType, facts: Mapping[str, ColumnFacts], taken: set[str]) -> RoleProposal:
    """The best column for a role, by name among those whose values fit; by values alone where the role allows it."""
    left = {name: known for name, known in facts.items() if name not in taken and known.known}
    scored = {name: says_role(name, role) for name, known in left.items() if _fits(role, known, left)}
    scored = {name: score for name, score in scored.items() if score > 0}
    if role == "since":
        scored = {name: score for name, score in scored.items() if score >= 0.8 or "注册" in name or score >= 0.5}
    if role in ("received", "event_id"):
        scored = {name: score for name, score in scored.items() if score >= 0.8}
    if role == "received" and len([name for name, known in left.items() if known.times]) < 1:
        scored = {}
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


def _fits(role: str, known: ColumnFacts, left: Mapping[str, ColumnFacts]) -> bool:
    if role in ("time", "received", "since"):
        return known.times is not None and known.type != "boolean"
    if role == "event":
        few = known.distinct <= 200 and (known.difference <= 0.5 or known.rows < 20)
        codes = known.numeric and says_role(known.name, "event") < 0.9
        return known.type == "category" and few and known.times is None and not codes
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


def _with_format(chosen: RoleProposal, times: TimeReading | None) -> RoleProposal:
    """The role of a time with how it is written in its reason, unsure where it can be read in two ways."""
    if times is None or times.format is None:
        return chosen
    name = {"unix": "seconds", "unix_ms": "milliseconds"}.get(times.format)
    why = f"{chosen.why}; {name + ' since 1970' if name else 'written ' + times.format}"
    if times.rivals:
        return replace(chosen, sure="?", why=f"{why}, but {' and '.join(times.rivals)} fit as well")
    return replace(chosen, why=f"{why} ({times.why})" if times.why else why)


def _drop_odd_times(roles: dict[str, RoleProposal], facts: Mapping[str, ColumnFacts], written: str | None) -> None:
    """One format is stated for all times of a source: a `received` that is written otherwise cannot be mapped."""
    column = roles["received"].column if "received" in roles else None
    times = facts[column].times if column in facts and column else None
    if times and times.format != written:
        roles["received"] = RoleProposal(None, "sure", f"{column} is written otherwise than the time")


def _event_name(
    kind: SourceType, roles: Mapping[str, RoleProposal], label: str, said: Mapping[str, str | None]
) -> tuple[str | None, Sureness]:
    if said.get("event_name"):
        return said["event_name"], "sure"
    if kind == "events" and not (roles.get("event") and roles["event"].column):
        if has_word(label, word_lists()["files"]["orders"]):
            return "order", "?"
        return name_after(label, single=True) or "act", "?"
    return None, "sure"


def name_after(label: str, *, single: bool = False) -> str:
    """A name made of a file's: a word of letters, digits and underscores, without the numbers at its end.

    >>> name_after("Page-Views 2025-03.csv.gz", single=True), name_after("订单_2025.csv")
    ('page_view', '订单')
    """
    stem = label.split("/")[-1].split(".")[0]
    words = [word for word in folded(stem).split("_") if word]
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    name = "_".join(words).rstrip("0123456789") if is_chinese(stem) else "_".join(words)
    if single and name.endswith("s") and not name.endswith("ss") and len(name) > 3:
        name = name[:-1]
    if not name.isidentifier():
        name = f"file_{name}" if f"file_{name}".isidentifier() else ""
    return name


def _article(role: str) -> str:
    words = {
        "time": "the time of an act",
        "since": "a sign-up",
        "received": "a time of arrival",
        "event": "an event",
        "event_id": "an id of events",
        "amount": "an amount",
    }
    return words[role]


def _plain(text: str) -> str:
    digits = "".join(letter for letter in text if letter.isdigit() or letter in ".,-")
    if "," in digits and digits.rfind(",") > digits.rfind("."):
        digits = digits.replace(".", "").replace(",", ".")
    return digits.replace(",", "")


def is_epoch(written: str | None) -> bool:
    """Whether times are numbers since 1970, which have no time zone of their own to be told."""
    return written in EPOCHS
