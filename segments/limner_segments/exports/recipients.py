"""From an audience to its recipients: suppression lists, consent, frequency cap, hold-out, full or only changes, minimum size.

Each user of the audience counts once, under the first rule that stops them, so that the accounting adds up. The same snapshot,
rules, lists and ledger give the same recipients. Imports floor 1, audience, conditions and the other modules of exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from sqlglot import exp

from limner_profile.errors import Issue, RefusedError
from limner_profile.snapshots import Snapshot
from limner_profile.sql_text import quoted
from limner_profile.windows import add_days
from limner_segments.audience import audience_query, prepare, require_tags
from limner_segments.conditions.salted import share_of
from limner_segments.exports.ledger import ON_LIST, ExportRecord, Ledger
from limner_segments.exports.settings import Cap, Destination, ExportSettings, HoldOut
from limner_segments.segment import NamedSegment


@dataclass(frozen=True)
class Rules:
    """Whom an export leaves out. `consent` are boolean tags that must all be true; with `changes` only joined and left are sent."""

    suppression: tuple[str, ...] = ()
    consent: tuple[str, ...] = ()
    cap: Cap | None = None
    holdout: HoldOut | None = None
    changes: bool = False
    min_size: int = 1


@dataclass(frozen=True)
class Accounting:
    """How an audience came to its recipients: the parts add up to the audience.

    `recipients` are sent now: everyone who is left, or with changes who joined. With changes `unchanged` are on the destination's
    list already, and `withheld` are those whom too small a list keeps from joining. `left` are no part of the audience any more.
    """

    audience: int
    suppressed: int = 0
    no_consent: int = 0
    capped: int = 0
    held_out: int = 0
    withheld: int = 0
    unchanged: int = 0
    recipients: int = 0
    left: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether the parts come to the audience."""
        stopped = self.suppressed + self.no_consent + self.capped + self.held_out + self.withheld
        return self.audience == stopped + self.unchanged + self.recipients

    def as_dict(self) -> dict[str, int]:
        """The counts by name, in the order in which the rules apply."""
        return asdict(self)


@dataclass(frozen=True)
class Recipients:
    """Who is exported. `users` (Arrow: user_id, role; in user order) holds everyone whom the ledger must know.

    Roles: `sent` (full), `joined`, `left` and `kept` (changes), `held_out`. `since` is the export that changes are counted from.
    """

    users: Any
    accounting: Accounting
    rules: Rules
    since: str = ""
    warnings: tuple[str, ...] = ()

    def register(self, cursor: duckdb.DuckDBPyConnection, name: str = "recipients") -> str:
        """The name of a view with `user_id` and `change` of whoever is sent (`sent`, `joined` or `left`), seen by this cursor only."""
        cursor.register(f"{name}_users", self.users)
        cursor.execute(
            f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT user_id, role AS change FROM {quoted(f'{name}_users')} "
            "WHERE role IN ('sent', 'joined', 'left')"
        )
        return name


class TooFewError(RefusedError):
    """Fewer are left than may be exported. `recipients` says how the audience came to so few; it has no users."""

    def __init__(self, issue: Issue, recipients: Recipients) -> None:
        super().__init__(issue)
        self.recipients = recipients


def rules_of(
    settings: ExportSettings,
    destination: Destination | None,
    min_size: int,
    *,
    holdout: float | None = None,
    salt: str | None = None,
    changes: bool = False,
) -> Rules:
    """The rules of an export: those of every export, the destination's, and what was asked for (a share of 0 holds nobody out)."""
    own = destination or Destination.model_validate({"as": "csv"})
    held = own.holdout or settings.holdout
    if holdout is not None:
        held = (
            None if holdout == 0 else HoldOut.model_validate({**(held.model_dump() if held else {}), "share": holdout})
        )
    if held is not None and salt is not None:
        held = HoldOut(share=held.share, salt=salt)
    return Rules(
        suppression=tuple(dict.fromkeys([*settings.suppression, *own.suppression])),
        consent=tuple(dict.fromkeys(tag for tag in (settings.consent, own.consent) if tag)),
        cap=own.cap or settings.cap,
        holdout=held,
        changes=changes or own.changes,
        min_size=min_size,
    )


def draw_recipients(
    snapshot: Snapshot,
    named: NamedSegment,
    rules: Rules,
    suppressed: Mapping[str, frozenset[str]],
    ledger: Ledger,
    destination: str,
    now: datetime,
    timezone: ZoneInfo,
) -> Recipients:
    """Who of an audience is exported to a destination now, and the accounting.

    `suppressed` are the ids of each list of the rules. A user is meant by any id that is merged with theirs, in lists and in the
    ledger. A frequency cap hinders a contact, so with changes it does not take anybody off a list. Raises RefusedError
    `audience-too-small` where fewer than the rules' minimum are left; with changes those who left are sent even then, and nobody joins.
    """
    require_tags(snapshot, [*sorted(named.condition.fields()), *rules.consent])
    last = ledger.last((destination, named.name or f"where {named.definition_hash}")) if rules.changes else None
    with snapshot.connection.cursor() as cursor:
        _register(cursor, snapshot, rules, suppressed, ledger, last, now, timezone)
        cursor.execute(f"CREATE TEMP TABLE judged AS {_judged(snapshot, named, rules)}")
        counted = cursor.execute("SELECT role, count(*) FROM judged GROUP BY role").fetchall()
        counts = {str(role): int(count) for role, count in counted}
        unknown = _unknown_lists(cursor, suppressed)
        audience = sum(counts.values())
        left = 0
        if rules.changes:
            gone = "SELECT user_id, 'left' AS role FROM before WHERE user_id NOT IN (SELECT user_id FROM judged WHERE role = 'kept')"
            left = int(cursor.execute(f"SELECT count(*) FROM ({gone})").fetchall()[0][0])
            stays = "SELECT user_id, role FROM judged WHERE role IN ('joined', 'kept', 'held_out')"
            query = f"{stays} UNION ALL {gone}"
        else:
            query = "SELECT user_id, role FROM judged WHERE role IN ('sent', 'held_out')"
        accounting = Accounting(
            audience=audience,
            suppressed=counts.get("suppressed", 0),
            no_consent=counts.get("no_consent", 0),
            capped=counts.get("capped", 0),
            held_out=counts.get("held_out", 0),
            unchanged=counts.get("kept", 0),
            recipients=counts.get("joined" if rules.changes else "sent", 0),
            left=left,
        )
        warnings = list(unknown)
        if accounting.recipients + accounting.unchanged < rules.min_size:
            if not left:
                refused = Recipients(None, accounting, rules, last.id if last else "", tuple(warnings))
                raise TooFewError(_too_small(named, accounting, rules.min_size), refused)
            warnings.append(
                f"the list would have {accounting.recipients + accounting.unchanged} users, fewer than {rules.min_size}: "
                "nobody joins, and those who left are sent"
            )
            accounting = Accounting(
                **{**accounting.as_dict(), "withheld": accounting.recipients, "recipients": 0},
            )
            query = f"SELECT * FROM ({query}) WHERE role <> 'joined'"
        users = cursor.sql(f"SELECT user_id, role FROM ({query}) ORDER BY user_id").to_arrow_table()
    return Recipients(users, accounting, rules, last.id if last else "", tuple(warnings))


def listed_users(snapshot: Snapshot, suppressed: Mapping[str, frozenset[str]]) -> set[str]:
    """The ids on the lists, with the users that own one of them by a merge."""
    ids = {id_ for named in suppressed.values() for id_ in named}
    if ids and snapshot.columns("identities"):
        rows = snapshot.rows("SELECT id, user_id FROM identities WHERE id <> user_id")
        ids |= {row["user_id"] for row in rows if row["id"] in ids}
    return ids


def _register(
    cursor: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    rules: Rules,
    suppressed: Mapping[str, frozenset[str]],
    ledger: Ledger,
    last: ExportRecord | None,
    now: datetime,
    timezone: ZoneInfo,
) -> None:
    """Give the cursor the tables `listed`, `contacted` and `before`, and `owners`: each id that is merged, with its user."""
    import pyarrow as pa

    names = [(name, id_) for name in sorted(suppressed) for id_ in sorted(suppressed[name])]
    text = pa.string()
    cursor.register(
        "listed",
        pa.table(
            {"list": pa.array([name for name, _ in names], text), "user_id": pa.array([id_ for _, id_ in names], text)}
        ),
    )
    if snapshot.columns("identities"):
        cursor.execute("CREATE TEMP VIEW owners AS SELECT id, user_id FROM identities WHERE id <> user_id")
    else:
        cursor.execute("CREATE TEMP VIEW owners AS SELECT '' AS id, '' AS user_id WHERE false")
    # The day of the export is one of the days: with 7 days a contact on a Monday allows the next one on the Monday after.
    start = add_days(now, 1 - rules.cap.days, timezone) if rules.cap else None
    none = pa.table({"user_id": pa.array([], text), "contacts": pa.array([], pa.int64())})
    cursor.register("contacted", ledger.contacts(start) if start else none)
    cursor.register("before", ledger.users(last.id, ON_LIST) if last else none)


def _judged(snapshot: Snapshot, named: NamedSegment, rules: Rules) -> str:
    """The SQL for each user of the audience with the role that the first rule which applies gives."""
    cases: list[tuple[str, str]] = [
        (
            "user_id IN (SELECT user_id FROM listed) "
            "OR user_id IN (SELECT owners.user_id FROM owners JOIN listed ON listed.user_id = owners.id)",
            "suppressed",
        )
    ]
    if rules.consent:
        agreed = " AND ".join(f"coalesce({quoted(tag)}, false)" for tag in rules.consent)
        cases.append((f"user_id NOT IN (SELECT user_id FROM profiles WHERE {agreed})", "no_consent"))
    if rules.cap:
        often = (
            "user_id IN (SELECT coalesce(owners.user_id, contacted.user_id) FROM contacted "
            "LEFT JOIN owners ON owners.id = contacted.user_id "
            f"GROUP BY 1 HAVING sum(contacts) >= {rules.cap.contacts})"
        )
        cases.append((f"{often} AND user_id NOT IN (SELECT user_id FROM before)", "capped"))
    if rules.holdout:
        drawn = exp.LT(
            this=share_of(rules.holdout.salt), expression=exp.Literal.number(repr(float(rules.holdout.share)))
        )
        cases.append((drawn.sql(dialect="duckdb"), "held_out"))
    if rules.changes:
        cases.append(("user_id IN (SELECT user_id FROM before)", "kept"))
    words = " ".join(f"WHEN {condition} THEN '{role}'" for condition, role in cases)
    otherwise = "joined" if rules.changes else "sent"
    # The audience's own query, so that its size is that of every surface; the role is asked for beside the user.
    members = audience_query(named.condition, prepare(snapshot.connection, named.condition)).sql(dialect="duckdb")
    return f"SELECT user_id, CASE {words} ELSE '{otherwise}' END AS role FROM ({members})"


def _unknown_lists(cursor: duckdb.DuckDBPyConnection, suppressed: Mapping[str, frozenset[str]]) -> list[str]:
    """A warning for each list that names nobody: its ids may be of another kind, such as e-mail addresses."""
    query = (
        "SELECT DISTINCT list FROM listed WHERE user_id IN (SELECT user_id FROM profiles) "
        "OR user_id IN (SELECT id FROM owners)"
    )
    known = {str(row[0]) for row in cursor.execute(query).fetchall()}
    return [
        f"lists/{name}: none of its {len(ids):,} ids is that of a user in this snapshot; are they user_ids?"
        for name, ids in sorted(suppressed.items())
        if ids and name not in known
    ]


def _users(count: int) -> str:
    return f"{count} {'user' if count == 1 else 'users'}"


def _too_small(named: NamedSegment, accounting: Accounting, min_size: int) -> Issue:
    stopped = [
        f"{count} {words}"
        for count, words in (
            (accounting.suppressed, "suppressed"),
            (accounting.no_consent, "without consent"),
            (accounting.capped, "contacted too often"),
            (accounting.held_out, "held out"),
        )
        if count
    ]
    left = accounting.recipients + accounting.unchanged
    message = f"the audience has {_users(accounting.audience)}, fewer than {min_size}"
    if stopped:
        verb = "is" if left == 1 else "are"
        message = f"{left} of the audience of {_users(accounting.audience)} {verb} left, fewer than {min_size} ({', '.join(stopped)})"
    return Issue("audience-too-small", named.place, message, "widen the segment, or lower settings.min_export")
