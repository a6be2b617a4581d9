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
from limner_profile.mapping.pairs import find_pair, pair_roles
from limner_profile.mapping.roles import RoleProposal, Sureness, propose_role, propose_user
from limner_profile.mapping.times import TimeReading
from limner_profile.mapping.words import folded, has_word, is_chinese, says_role, word_lists, words_of

SourceType = Literal["users", "events", "orders", "identities"]
# The roles that a source of each type may have, those it cannot do without first.
ROLES: Mapping[SourceType, tuple[str, ...]] = {
    "users": ("user", "since", "updated_at"),
    "events": ("user", "time", "event", "received", "event_id", "amount"),
    "orders": ("user", "time", "amount", "received", "event_id"),
    "identities": ("user", "other", "kind", "time", "until", "removed"),
}
NEEDED: Mapping[SourceType, tuple[str, ...]] = {
    "users": ("user",),
    "events": ("user", "time"),
    "orders": ("user", "time", "amount"),
    "identities": ("user", "other"),
}
_TIMES = ("time", "received", "since", "updated_at", "until")
# What may be given beside the columns of roles.
_NO_ROLES = frozenset({"type", "event_name", "time_format"})


@dataclass(frozen=True)
class MappingProposal:
    """What the rows of a file are, and what its columns mean. `left_out` are columns that nothing maps, each with why.

    `event_name` is the one name for all rows where no column holds it, `time_format` how times are written where it is
    not ISO 8601, `offsets` the offsets beside them (empty text for none), `notes` what the user should know, `odd` which columns
    hold a few values that do not go with the others.
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
    odd: tuple[str, ...] = ()

    def column(self, role: str) -> str | None:
        """The column that has a role, or None."""
        return self.roles[role].column if role in self.roles else None

    @property
    def timed(self) -> str | None:
        """The column whose times decide how all times of the source are written."""
        return self.column(_timed(self.type, self.roles))

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
        return (*lines, *self.odd)


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
    pair = find_pair(facts, label) if "type" not in said else None
    if pair or said.get("type") == "identities":
        return _of_pairs(facts, label, said, pair.why if pair else "")
    user = propose_user(facts, said)
    kind, kind_sure, kind_why = _type_of(facts, user, label, said)
    roles: dict[str, RoleProposal] = {"user": user}
    taken = {column for role, column in said.items() if role not in _NO_ROLES and column}
    taken |= {user.column} if user.column else set()
    for role in ROLES[kind]:
        if role == "user":
            continue
        if role in said:
            roles[role] = RoleProposal(said[role], why="as you said")
        elif role == "updated_at" and user.column and facts[user.column].once:
            # A row a user is what the user is today: nobody knows what came before.
            roles[role] = RoleProposal(None)
        elif role == "event" and said.get("event_name"):
            roles[role] = RoleProposal(None, why="one name for all rows")
        else:
            roles[role] = propose_role(role, facts, taken)
        if roles[role].column:
            taken.add(str(roles[role].column))
    notes: list[str] = []
    reading = None
    timed = _timed(kind, roles)
    column = roles[timed].column
    if column:
        reading = facts[column].times
        if reading and said.get("time_format"):
            reading = replace(reading, format=said["time_format"], rivals=())
        roles[timed] = _with_format(roles[timed], reading)
        if reading is None:
            notes.append(f"{column}: the values do not look like times")
    if reading:
        _drop_odd_times(roles, facts, timed, reading.format)
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
    # A number with a point beside numbers with a comma would be misread: then those with a comma stay text.
    comma = any(known.comma for known in facts.values()) and not any(
        known.decimals and known.type == "number" for known in facts.values()
    )
    amount = roles["amount"].column if "amount" in roles else None
    if amount and facts[amount].comma and not comma:
        roles["amount"] = RoleProposal(
            None, "?", f"{amount} has decimal commas, and other columns decimal points", (amount,)
        )
    mapped = {chosen.column for chosen in roles.values() if chosen.column}
    left = {name: known for name, known in facts.items() if name not in mapped}
    fields, left_out = choose_fields(left, kind == "users", comma)
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
        _odd_values(kind, roles, fields, facts),
    )  # fmt: skip


def _of_pairs(
    facts: Mapping[str, ColumnFacts], label: str, said: Mapping[str, str | None], why: str
) -> MappingProposal:
    """The proposal for a file of pairs of ids; without a reason it was said to be one."""
    roles = pair_roles(facts, said)
    few = bool(why) and max(known.rows for known in facts.values()) < 20
    column = roles["time"].column or roles["until"].column
    timed = "time" if roles["time"].column else "until"
    reading = facts[column].times if column else None
    notes = []
    if reading:
        if said.get("time_format"):
            reading = replace(reading, format=said["time_format"], rivals=())
        roles[timed] = _with_format(roles[timed], reading)
        ending = roles["until"].column
        _drop_odd_times(roles, facts, timed, reading.format)
        if ending and not roles["until"].column:
            notes.append(
                f"{ending} is not read, so no pair ends: its times are written otherwise than those of {column}"
            )
    mapped = {chosen.column for chosen in roles.values()}
    left_out = {name: "pairs of ids have no further columns" for name in facts if name not in mapped}
    return MappingProposal(
        label, "identities", ("?" if few else "likely") if why else "sure", why or "as you said", roles, (), left_out,
        time_format=reading.format if reading else None, offsets=reading.offsets if reading else (), notes=tuple(notes),
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


def _odd_values(
    kind: SourceType,
    roles: Mapping[str, RoleProposal],
    fields: Sequence[FieldProposal],
    facts: Mapping[str, ColumnFacts],
) -> tuple[str, ...]:
    """A line for each mapped column that holds a few values unlike the others: no number, no time, an id that comes again."""
    lines = []
    columns = {chosen.column: role for role, chosen in roles.items() if chosen.column}
    user = roles["user"].column if "user" in roles else None
    if kind == "users" and user and facts[user].once and not facts[user].unique and not roles["updated_at"].column:
        known = facts[user]
        again = known.known - known.distinct
        rows = f"{again:,} {'row' if again == 1 else 'rows'} of {known.known:,}"
        verb = "repeats" if again == 1 else "repeat"
        lines.append(f"{user}: {rows} {verb} the id of another; the last row of a user counts")
    types = {field.column: field.type for field in fields}
    for column, known in facts.items():
        role = columns.get(column)
        if role == "amount" or types.get(column) == "number":
            lines += _odd_line(known, known.no_numbers, "no number")
        elif role in _TIMES or types.get(column) in ("date", "time"):
            lines += _odd_line(known, known.no_times, "no time")
        elif (role == "event" or types.get(column) == "category") and known.padded:
            lines.append(
                f"{column}: {known.padded:,} of {known.distinct + known.padded:,} values differ from another only in blanks at the ends, "
                "and count as values of their own; mend them in the file"
            )
    return tuple(lines)


def _odd_line(known: ColumnFacts, odd: Sequence[str], what: str) -> list[str]:
    if not odd:
        return []
    rows, verb = ("row", "is") if len(odd) == 1 else ("rows", "are")
    shown = ", ".join(repr(value) for value in list(dict.fromkeys(odd))[:3])
    return [f"{known.name}: {len(odd):,} {rows} of {known.rows:,} {verb} {what} ({shown}): kept aside at the build"]


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
    beside = {user.column} if user.column else set()
    event = propose_role("event", facts, beside)
    amount = propose_role("amount", facts, beside)
    time = propose_role("time", facts, beside)
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
    # A few ids that come again are slips, unless the rows are dated like acts.
    dated = bool(time.column and says_role(time.column, "time") and not says_role(time.column, "since"))
    if (
        key is not None
        and key.once
        and not key.unique
        and not event.column
        and not (order_id and amount.column)
        and (named == "users" or (named is None and not dated))
    ):
        return "users", "likely" if named == "users" else "?", f"nearly every {user.column} comes once"
    if amount.column and time.column and amount.sure != "?" and (named == "orders" or order_id or not by_name):
        why = f"{amount.column} is an amount, {time.column} its time, and no column names an event"
        return "orders", "sure" if named == "orders" or order_id else "likely", why
    if event.column and time.column:
        return "events", "likely", f"{event.column} may name the event, {time.column} is its time"
    changed = propose_role("updated_at", facts, beside).column
    if (
        user.column
        and changed
        and not event.column
        and not ordered
        and (named == "users" or time.column in (None, changed))
    ):
        return "users", "likely", f"many rows a user, and {changed} says from when on each holds"
    if time.column and user.column:
        return "events", "likely", f"a user, a time ({time.column}), and no amount"
    if named == "users":
        return (
            "users",
            "?",
            f"so the file is called, but {f'{user.column} comes more than once' if user.column else 'no column tells users apart'}",
        )
    return ("orders" if named == "orders" else "events"), "?", "neither a user nor a time is plain to see"


def _with_format(chosen: RoleProposal, times: TimeReading | None) -> RoleProposal:
    """The role of a time with how it is written in its reason, unsure where it can be read in two ways."""
    if times is None or times.format is None:
        return chosen
    name = {"unix": "seconds", "unix_ms": "milliseconds"}.get(times.format)
    why = f"{chosen.why}; {name + ' since 1970' if name else 'written ' + times.format}"
    if times.rivals:
        return replace(chosen, sure="?", why=f"{why}, but {' and '.join(times.rivals)} fit as well")
    return replace(chosen, why=f"{why} ({times.why})" if times.why else why)


def _timed(kind: SourceType, roles: Mapping[str, RoleProposal]) -> str:
    """The role whose times decide how all times of the source are written."""
    if kind == "identities" and not roles["time"].column:
        return "until"
    if kind != "users":
        return "time"
    return "updated_at" if roles["updated_at"].column else "since"


def _drop_odd_times(
    roles: dict[str, RoleProposal], facts: Mapping[str, ColumnFacts], timed: str, written: str | None
) -> None:
    """One format is stated for all times of a source: a second time that is written otherwise cannot be mapped."""
    for role in ("received", "since", "until"):
        column = roles[role].column if role in roles and role != timed else None
        times = facts[column].times if column in facts and column else None
        if times and times.format != written:
            roles[role] = RoleProposal(None, "sure", f"{column} is written otherwise than {roles[timed].column}")


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


def _plain(text: str) -> str:
    digits = "".join(letter for letter in text if letter.isdigit() or letter in ".,-")
    if "," in digits and digits.rfind(",") > digits.rfind("."):
        digits = digits.replace(".", "").replace(",", ".")
    return digits.replace(",", "")
