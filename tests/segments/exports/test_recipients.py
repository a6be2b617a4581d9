from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile.errors import RefusedError
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.exports.ledger import ExportRecord, Ledger
from limner_segments.exports.recipients import Recipients, Rules, draw_recipients, rules_of
from limner_segments.exports.settings import Cap, Destination, ExportSettings, HoldOut
from segments.small import make_snapshot, named

TYPES: dict[str, FieldType] = {"n": "number", "agrees": "boolean", "reads": "boolean"}
ROWS: list[list[Any]] = [[index, [True, True, False, None][index % 4], [True, None][index % 2]] for index in range(200)]
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2025, 3, 10, 9, tzinfo=UTC)
USERS = [f"u{index:05d}" for index in range(200)]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with make_snapshot(tmp_path_factory.mktemp("state"), TYPES, ROWS) as opened:
        yield opened


def drawn(salt: str, share: float, user: str) -> bool:
    """Whether a user is held out, by a formula of its own: the hash compared as a whole number."""
    return int(hashlib.sha256(f"{salt}:{user}".encode()).hexdigest()[:13], 16) < share * 16**13


def record(ledger: Ledger, roles: dict[str, str], at: datetime = NOW, to: str = "crm", segment: str = "them") -> str:
    """Write an export down that happened."""
    id_ = ledger.next_id(at, BERLIN)
    made = ExportRecord(
        id=id_, at=at.isoformat(), who="ann", destination=to, format="csv", target="x.csv", segment=segment,
        definition_hash="0" * 12, snapshot="s", as_of="2025-03-01",
    )  # fmt: skip
    users = pa.table(
        {"user_id": list(roles), "role": list(roles.values()), "batch": pa.array([None] * len(roles), pa.int64())}
    )
    ledger.begin(made, users)
    ledger.commit(id_)
    return id_


def draw(snapshot: Snapshot, ledger: Ledger, rules: Rules, lists: Any = None, **options: Any) -> Recipients:
    where, to = options.get("where", "n >= 0"), options.get("to", "crm")
    lists = lists or {}
    return draw_recipients(
        snapshot, named(where), rules, {name: frozenset(ids) for name, ids in lists.items()}, ledger, to,
        options.get("now", NOW), BERLIN,
    )  # fmt: skip


def roles_of(found: Recipients) -> dict[str, str]:
    return dict(zip(found.users["user_id"].to_pylist(), found.users["role"].to_pylist(), strict=True))


CHOICES = st.fixed_dictionaries(
    {
        "below": st.integers(1, 200),
        "listed": st.sets(st.sampled_from([*USERS, "nobody"]), max_size=60),
        "consent": st.sampled_from([(), ("agrees",), ("agrees", "reads")]),
        "often": st.sets(st.sampled_from(USERS), max_size=80),
        "once": st.sets(st.sampled_from(USERS), max_size=80),
        "contacts": st.integers(1, 2),
        "capped": st.booleans(),
        "share": st.sampled_from([None, 0.05, 0.5, 0.95]),
        "changes": st.booleans(),
        "before": st.sets(st.sampled_from([*USERS, "gone"]), max_size=120),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=CHOICES)
def test_the_accounting_is_that_of_sets_and_adds_up(
    snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory, choice: dict[str, Any]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    record(ledger, dict.fromkeys(choice["often"], "sent"), NOW - timedelta(days=2), to="mail")
    record(ledger, dict.fromkeys(choice["once"], "joined"), NOW - timedelta(days=1), to="push")
    record(ledger, dict.fromkeys(choice["often"], "kept"), NOW - timedelta(hours=1), to="mail")
    record(ledger, dict.fromkeys(choice["before"], "kept"), NOW - timedelta(days=30))
    share = choice["share"]
    rules = Rules(
        consent=choice["consent"],
        cap=Cap(days=7, contacts=choice["contacts"]) if choice["capped"] else None,
        holdout=HoldOut(share=share, salt="spring") if share else None,
        changes=choice["changes"],
        min_size=0,
    )
    found = draw(snapshot, ledger, rules, {"out.txt": choice["listed"]}, where=f"n < {choice['below']}")

    # The oracle: one user at a time, in plain Python.
    before = choice["before"] if choice["changes"] else set()
    counts: dict[str, int] = dict.fromkeys(found.accounting.as_dict(), 0)
    expected: dict[str, str] = {}
    for index, user in enumerate(USERS[: choice["below"]]):
        agreed = {"agrees": index % 4 < 2, "reads": index % 2 == 0}
        counts["audience"] += 1
        times = (user in choice["often"]) + (user in choice["once"])
        if user in choice["listed"]:
            counts["suppressed"] += 1
        elif not all(agreed[tag] for tag in choice["consent"]):
            counts["no_consent"] += 1
        elif choice["capped"] and times >= choice["contacts"] and user not in before:
            counts["capped"] += 1
        elif share and drawn("spring", share, user):
            counts["held_out"] += 1
            expected[user] = "held_out"
        elif user in before:
            counts["unchanged"] += 1
            expected[user] = "kept"
        else:
            counts["recipients"] += 1
            expected[user] = "joined" if choice["changes"] else "sent"
    left = {user for user in before if expected.get(user) != "kept"}
    counts["left"] = len(left)
    assert found.accounting.as_dict() == counts
    assert found.accounting.adds_up
    rows = list(zip(found.users["user_id"].to_pylist(), found.users["role"].to_pylist(), strict=True))
    assert sorted(rows) == sorted([*expected.items(), *((user, "left") for user in left)])
    assert [user for user, _ in rows] == sorted(user for user, _ in rows)


def test_the_same_inputs_give_the_same_recipients(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    record(ledger, dict.fromkeys(USERS[::3], "sent"), NOW - timedelta(days=1))
    rules = Rules(consent=("agrees",), cap=Cap(days=2), holdout=HoldOut(share=0.2, salt="a"))
    first, second = (draw(snapshot, ledger, rules, {"out.txt": {"u00001"}}) for _ in range(2))
    assert first.users.equals(second.users)
    assert first.accounting == second.accounting


def test_a_hold_out_that_grows_keeps_whom_it_held_out_and_another_salt_draws_others(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    def held(share: float, salt: str = "spring") -> set[str]:
        found = draw(snapshot, Ledger(tmp_path), Rules(holdout=HoldOut(share=share, salt=salt)))
        return {user for user, role in roles_of(found).items() if role == "held_out"}

    small, middle, large = held(0.05), held(0.2), held(0.6)
    assert 0 < len(small) < len(middle) < len(large) < 200
    assert small < middle < large
    assert held(0.2, "summer") != middle
    # Whom a hold-out holds out does not hang on who else is in the audience.
    half = draw(snapshot, Ledger(tmp_path), Rules(holdout=HoldOut(share=0.2, salt="spring")), where="n < 100")
    assert {user for user, role in roles_of(half).items() if role == "held_out"} == middle & set(USERS[:100])


@pytest.mark.parametrize(
    ("contacted", "capped"),
    [
        ("2025-03-10T00:30+01:00", True),  # today
        ("2025-03-04T00:00+01:00", True),  # the first moment of seven local days
        ("2025-03-03T23:59+01:00", False),  # the Monday before, though less than seven times 24 hours ago
        ("2025-03-11T08:00+01:00", True),  # by a clock that was ahead
    ],
)
def test_the_days_of_a_cap_are_local_days_with_today_among_them(
    snapshot: Snapshot, tmp_path: Path, contacted: str, capped: bool
) -> None:
    ledger = Ledger(tmp_path)
    record(ledger, {"u00007": "sent"}, datetime.fromisoformat(contacted).astimezone(UTC), to="mail")
    found = draw(snapshot, ledger, Rules(cap=Cap(days=7)))
    assert found.accounting.capped == int(capped)
    assert ("u00007" in roles_of(found)) is not capped


def test_held_out_kept_and_left_users_are_no_contacts(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    roles = {"u00001": "held_out", "u00002": "kept", "u00003": "left", "u00004": "joined", "u00005": "sent"}
    record(ledger, roles, NOW - timedelta(days=1))
    found = draw(snapshot, ledger, Rules(cap=Cap(days=7)))
    assert set(USERS) - set(roles_of(found)) == {"u00004", "u00005"}


def test_changes_follow_each_other_and_come_to_what_a_full_export_gives(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    on_list: set[str] = set()
    steps = ["n < 80", "n < 120", "n >= 40", "n >= 40", "n < 80 or n >= 150"]
    for number, where in enumerate(steps):
        rules = Rules(changes=True, holdout=HoldOut(share=0.1 * (1 + number // 3), salt="s"))
        found = draw(snapshot, ledger, rules, {"out.txt": {"u00050"}} if number > 1 else None, where=where)
        roles = roles_of(found)
        assert found.since == (ledger.exports()[-1].id if number else "")
        on_list |= {user for user, role in roles.items() if role == "joined"}
        on_list -= {user for user, role in roles.items() if role == "left"}
        full = draw(
            snapshot, ledger, Rules(holdout=rules.holdout), {"out.txt": {"u00050"}} if number > 1 else None, where=where
        )
        assert on_list == {user for user, role in roles_of(full).items() if role == "sent"}
        if number == 3:  # nothing but the share has changed
            assert found.accounting.recipients == 0
            assert found.accounting.left > 0
        record(ledger, roles, NOW + timedelta(minutes=number))


def test_changes_are_counted_within_a_destination_and_segment(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    record(ledger, dict.fromkeys(USERS[:100], "sent"), to="other")
    record(ledger, dict.fromkeys(USERS[:100], "sent"), segment="others")
    assert draw(snapshot, ledger, Rules(changes=True)).accounting.recipients == 200
    record(ledger, dict.fromkeys(USERS[:100], "sent"))
    assert draw(snapshot, ledger, Rules(changes=True)).accounting.recipients == 100


def test_a_list_names_users_by_any_id_that_is_merged_with_theirs(tmp_path: Path) -> None:
    from limner_profile.snapshots import SnapshotStore

    store = SnapshotStore(tmp_path)
    with store.create(datetime(2025, 3, 1, tzinfo=UTC), ZoneInfo("UTC"), 10) as writer:
        writer.connection.execute("CREATE TABLE profiles (user_id VARCHAR, n DOUBLE)")
        writer.connection.execute("INSERT INTO profiles VALUES ('anna', 1), ('bert', 2), ('cora', 3)")
        writer.connection.execute("CREATE TABLE identities (id VARCHAR, user_id VARCHAR)")
        writer.connection.execute(
            "INSERT INTO identities VALUES ('anna', 'anna'), ('phone-1', 'anna'), ('cora', 'cora'), ('phone-3', 'cora')"
        )
    ledger = Ledger(tmp_path)
    record(ledger, {"phone-3": "sent"}, NOW - timedelta(days=1))
    with store.open() as opened:
        found = draw(opened, ledger, Rules(cap=Cap(days=7)), {"out.txt": {"phone-1"}})
    assert found.accounting.as_dict() | {"suppressed": 1, "capped": 1, "recipients": 1} == found.accounting.as_dict()
    assert roles_of(found) == {"bert": "sent"}
    assert found.warnings == ()


def test_a_list_of_other_ids_than_users_is_warned_of(snapshot: Snapshot, tmp_path: Path) -> None:
    lists = {"mail.txt": {"a@b.de", "c@d.de"}, "empty.txt": set[str](), "some.txt": {"u00001", "gone"}}
    found = draw(snapshot, Ledger(tmp_path), Rules(), lists)
    assert found.warnings == (
        "lists/mail.txt: none of its 2 ids is that of a user in this snapshot; are they user_ids?",
    )


def test_too_few_recipients_are_refused_after_all_rules(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    rules = Rules(consent=("agrees",), min_size=50)
    with pytest.raises(
        RefusedError, match=r"46 of the audience of 91 users are left, fewer than 50 \(45 without"
    ) as caught:
        draw(snapshot, ledger, rules, where="n <= 90")
    assert caught.value.code == "audience-too-small"
    with pytest.raises(RefusedError, match="the audience has 49 users, fewer than 50"):
        draw(snapshot, ledger, Rules(min_size=50), where="n < 49")
    assert draw(snapshot, ledger, Rules(min_size=50), where="n < 50").accounting.recipients == 50


def test_with_changes_too_small_a_list_still_lets_users_leave(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    record(ledger, dict.fromkeys(USERS[:100], "sent"))
    found = draw(snapshot, ledger, Rules(changes=True, min_size=50), where="n >= 70 and n < 110")
    assert found.accounting.as_dict() == {
        "audience": 40, "suppressed": 0, "no_consent": 0, "capped": 0, "held_out": 0, "withheld": 10, "unchanged": 30,
        "recipients": 0, "left": 70,
    }  # fmt: skip
    assert found.accounting.adds_up
    assert "nobody joins" in found.warnings[0]
    assert set(roles_of(found).values()) == {"kept", "left"}
    # A list that is large enough takes even one user.
    assert draw(snapshot, ledger, Rules(changes=True, min_size=50), where="n < 101").accounting.recipients == 1


def test_a_consent_tag_that_the_snapshot_lacks_stops_the_export(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="has no tag later"):
        draw(snapshot, Ledger(tmp_path), Rules(consent=("later",)))


def test_rules_come_from_all_exports_the_destination_and_the_command(tmp_path: Path) -> None:
    common = ExportSettings.model_validate(
        {"suppression": ["a.txt"], "consent": "agrees", "cap": {"days": 7}, "holdout": {"share": 0.1}}
    )
    own = Destination.model_validate(
        {
            "as": "csv",
            "suppression": ["b.txt", "a.txt"],
            "consent": "reads",
            "cap": {"days": 1, "contacts": 3},
            "changes": True,
        }
    )
    assert rules_of(common, None, 50) == Rules(
        ("a.txt",), ("agrees",), Cap(days=7), HoldOut(share=0.1, salt="limner"), changes=False, min_size=50
    )
    assert rules_of(common, own, 5, holdout=0.2, salt="s") == Rules(
        ("a.txt", "b.txt"),
        ("agrees", "reads"),
        Cap(days=1, contacts=3),
        HoldOut(share=0.2, salt="s"),
        changes=True,
        min_size=5,
    )
    assert rules_of(common, None, 1, holdout=0).holdout is None
    assert rules_of(common, None, 1, salt="s").holdout == HoldOut(share=0.1, salt="s")
    for mode, share in itertools.product((True, False), (None, 0.3)):
        assert rules_of(ExportSettings(), None, 1, changes=mode, holdout=share).changes is mode


def test_only_whoever_is_sent_is_in_the_view(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    record(ledger, dict.fromkeys(USERS[:100], "sent"))
    found = draw(snapshot, ledger, Rules(changes=True, holdout=HoldOut(share=0.1)), where="n >= 50")
    with snapshot.connection.cursor() as cursor:
        view = found.register(cursor)
        rows = cursor.execute(f"SELECT user_id, change FROM {view} ORDER BY 1").fetchall()
    assert dict(rows) == {user: role for user, role in roles_of(found).items() if role in ("joined", "left")}
