from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import limner_segments.exports.files as files
from limner_profile.errors import RefusedError, UnknownNameError
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.exports.delivery import Delivered, begin_run, deliver_file, draft_record
from limner_segments.exports.ledger import Ledger
from limner_segments.exports.manifest import Manifest
from limner_segments.exports.recipients import Rules, draw_recipients
from limner_segments.exports.sending import cut_batches, send_run
from limner_segments.exports.settings import HoldOut
from limner_segments.exports.webhook import Clock, Endpoint
from segments.small import make_catalog, make_snapshot, named

TYPES: dict[str, FieldType] = {"n": "number", "city": "category", "seen": "time", "member": "boolean"}
ROWS: list[list[Any]] = [
    [index / 4, ["上海", 'say "hi"', None][index % 3], "2025-01-01 08:00:00", [True, None][index % 2]]
    for index in range(60)
]
CATALOG = make_catalog(TYPES)
NOW = datetime(2025, 3, 2, 12, tzinfo=UTC)
ZONE = ZoneInfo("UTC")


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    with make_snapshot(tmp_path / ".limner", TYPES, ROWS) as opened:
        yield opened


def deliver(snapshot: Snapshot, root: Path, where: str = "n >= 0", **options: Any) -> Delivered:
    ledger, segment = Ledger(root / ".limner"), named(where)
    rules = options.pop("rules", Rules(holdout=HoldOut(share=0.2, salt="s"), min_size=5))
    recipients = draw_recipients(snapshot, segment, rules, {}, ledger, "drop", NOW, ZONE)
    path = root / options.pop("file", "a.csv")
    draft = draft_record(
        snapshot,
        segment,
        ledger,
        recipients,
        ZONE,
        destination="drop",
        format="csv",
        target=path.name,
        who="ann",
        when=NOW,
    )
    return deliver_file(snapshot, segment, CATALOG, ledger, recipients, draft, path, {"city": "city"}, **options)


def test_file_manifest_and_ledger_say_the_same(snapshot: Snapshot, tmp_path: Path) -> None:
    first = deliver(snapshot, tmp_path)
    second = deliver(snapshot, tmp_path, file="b.csv")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.manifest.sha256 == second.manifest.sha256 == first.record.sha256
    held = first.record.accounting["held_out"]
    assert 0 < held < 60
    assert first.manifest.rows == 60 - held == first.record.accounting["recipients"]
    assert first.manifest.excluded == {"held_out": held}
    assert (first.manifest.holdout_share, first.manifest.holdout_salt) == (0.2, "s")
    ledger = Ledger(tmp_path / ".limner")
    assert ledger.exports() == [first.record, second.record]
    sent = ledger.users(first.record.id, ["sent"])["user_id"].to_pylist()
    lines = first.path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "user_id,city"
    assert [line.split(",")[0] for line in lines[1:]] == sent


@pytest.mark.parametrize("moment", ["writing", "before the name", "after the name"])
def test_an_export_that_is_stopped_is_there_and_counted_or_neither(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    publish = files._publish

    def stopped(*arguments: Any) -> None:
        if moment == "after the name":
            publish(*arguments)
        raise KeyboardInterrupt

    if moment == "writing":
        monkeypatch.setattr(files, "fsync", stopped)
    else:
        monkeypatch.setattr(files, "_publish", stopped)
    with pytest.raises(KeyboardInterrupt):
        deliver(snapshot, tmp_path)
    there = (tmp_path / "a.csv").exists()
    assert there is (moment == "after the name")
    ledger = Ledger(tmp_path / ".limner")
    assert len(ledger.exports()) == int(there)
    assert ledger.begun() == []
    assert len(list(ledger.folder.glob("*"))) == (2 if there else 0)


def test_a_killed_export_of_changes_leaves_nothing_of_who_left(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(snapshot, tmp_path, rules=Rules(changes=True), file="1.csv")
    state, ledger = tmp_path / ".limner", Ledger(tmp_path / ".limner")
    saved: list[Path] = []
    publish = files._publish

    def killed(temporary: Path, target: Path, manifest: Manifest) -> None:
        if target.name == "2.csv":
            saved.append(shutil.copytree(state / "exports", tmp_path / "killed"))
            raise KeyboardInterrupt
        publish(temporary, target, manifest)

    monkeypatch.setattr(files, "_publish", killed)
    with pytest.raises(KeyboardInterrupt):
        deliver(snapshot, tmp_path, "n >= 3", rules=Rules(changes=True), file="2.csv")
    assert not (tmp_path / "2.left.csv").exists()
    monkeypatch.setattr(files, "_publish", publish)
    # A process that is killed cannot settle: what it left is put back.
    done = deliver(snapshot, tmp_path, "n >= 3", rules=Rules(changes=True), file="2.csv")
    Path(done.path).unlink()
    shutil.rmtree(state / "exports")
    shutil.copytree(saved[0], state / "exports")
    assert (tmp_path / "2.left.csv").exists()
    ledger.settle()
    assert sorted(path.name for path in tmp_path.glob("2.left*")) == []
    assert (tmp_path / "1.left.csv").exists()
    again = deliver(snapshot, tmp_path, "n >= 3", rules=Rules(changes=True), file="2.csv")
    assert (again.record.id, again.left) == ("20250302-0002", tmp_path / "2.left.csv")


def test_the_first_export_of_changes_needs_enough_who_can_be_matched(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger, segment = Ledger(tmp_path / ".limner"), named("n >= 0")
    catalog = make_catalog({**TYPES})
    recipients = draw_recipients(snapshot, segment, Rules(changes=True, min_size=30), {}, ledger, "ads", NOW, ZONE)
    draft = draft_record(
        snapshot, segment, ledger, recipients, ZONE, destination="ads", format="google", target="a.csv", who="ann", when=NOW
    )  # fmt: skip
    with pytest.raises(RefusedError, match="only 0 of 60 users can be matched"):
        deliver_file(snapshot, segment, catalog, ledger, recipients, draft, tmp_path / "a.csv", {"email": "city"})
    assert (list(tmp_path.glob("*.csv")), ledger.exports(), ledger.begun()) == ([], [], [])


def test_a_name_that_no_file_can_have_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be written: file name too long"):
        deliver(snapshot, tmp_path, file="长" * 90 + ".csv")


def test_a_run_that_another_process_finished_is_not_sent_again(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger, segment = Ledger(tmp_path / ".limner"), named("n < 5")
    recipients = draw_recipients(snapshot, segment, Rules(), {}, ledger, "hook", NOW, ZONE)
    draft = draft_record(
        snapshot, segment, ledger, recipients, ZONE, destination="hook", format="webhook", target="http://a/", who="ann", when=NOW
    )  # fmt: skip
    record = begin_run(snapshot, CATALOG, ledger, recipients, draft, [], 5)
    finished = ledger.commit(record.id)
    assert send_run(ledger, record, Endpoint("http://127.0.0.1:9/", b"s", 1, 1), Clock()) == finished


def test_a_refused_export_is_not_counted(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(RefusedError) as caught:
        deliver(snapshot, tmp_path)
    assert caught.value.code == "file-exists"
    assert Ledger(tmp_path / ".limner").exports() == []
    with pytest.raises(RefusedError, match="exists already"):
        deliver(snapshot, tmp_path, rules=Rules(changes=True))
    assert not (tmp_path / "a.left.csv").exists()
    assert Ledger(tmp_path / ".limner").exports() == []
    assert (tmp_path / "a.csv").read_text() == "mine"


def test_who_left_and_is_no_user_any_more_is_still_told(snapshot: Snapshot, tmp_path: Path) -> None:
    deliver(snapshot, tmp_path)
    rules = Rules(changes=True, min_size=5)
    with make_snapshot(tmp_path / "later", TYPES, ROWS[:50]) as later:
        second = deliver(later, tmp_path, rules=rules, file="b.csv")
    assert second.left == tmp_path / "b.left.csv"
    before = set(Ledger(tmp_path / ".limner").users("20250302-0001", ["sent"])["user_id"].to_pylist())
    everyone = {f"u{index:05d}" for index in range(60)}
    gone = sorted(user for user in before if user >= "u00050")
    assert second.left.read_text(encoding="utf-8").splitlines() == ["user_id", *gone]
    joined = [line.split(",")[0] for line in second.path.read_text(encoding="utf-8").splitlines()[1:]]
    assert joined == sorted(user for user in everyone - before if user < "u00050")
    assert second.record.since == "20250302-0001"


def test_batches_hold_everybody_once_in_order_with_values_as_json(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger, segment = Ledger(tmp_path / ".limner"), named("n >= 0")
    recipients = draw_recipients(
        snapshot, segment, Rules(holdout=HoldOut(share=0.2, salt="s")), {}, ledger, "hook", NOW, ZONE
    )
    users, rows, batches = cut_batches(snapshot, CATALOG, recipients, ["city", "n", "seen", "member", "n"], 7)
    sent = recipients.accounting.recipients
    assert batches == -(-sent // 7)
    content = [json.loads(row) for row in rows["row"].to_pylist()]
    assert [row["user_id"] for row in content] == sorted(rows["user_id"].to_pylist())
    assert rows["batch"].to_pylist() == [index // 7 for index in range(sent)]
    for row in content:
        n, city, _, member = ROWS[int(row["user_id"][1:])]
        assert row["tags"] == {"city": city, "n": n, "seen": "2025-01-01T08:00:00", "member": member}
    roles = {row["user_id"]: (row["role"], row["batch"]) for row in users.to_pylist()}
    assert {user for user, (role, batch) in roles.items() if batch is None} == {
        user for user, (role, batch) in roles.items() if role == "held_out"
    }
    draft = draft_record(
        snapshot,
        segment,
        ledger,
        recipients,
        ZONE,
        destination="hook",
        format="webhook",
        target="http://a/",
        who="ann",
        when=NOW,
    )
    record = begin_run(snapshot, CATALOG, ledger, recipients, draft, ["city"], 7)
    assert record.batches == batches
    assert [json.loads(row)["user_id"] for number in range(batches) for row in ledger.rows(record.id, number)] == [
        row["user_id"] for row in content
    ]
    with pytest.raises(UnknownNameError, match="did you mean 'city'"):
        cut_batches(snapshot, CATALOG, recipients, ["citi"], 7)


def test_whoever_a_list_names_later_is_taken_out_of_what_is_not_accepted(snapshot: Snapshot, tmp_path: Path) -> None:
    ledger, segment = Ledger(tmp_path / ".limner"), named("n < 5")
    recipients = draw_recipients(snapshot, segment, Rules(), {}, ledger, "hook", NOW, ZONE)
    draft = draft_record(
        snapshot,
        segment,
        ledger,
        recipients,
        ZONE,
        destination="hook",
        format="webhook",
        target="http://a/",
        who="ann",
        when=NOW,
    )
    record = begin_run(snapshot, CATALOG, ledger, recipients, draft, [], 5)
    ledger.advance(record.id, 1)
    assert ledger.withdraw(record.id, {"u00001", "u00006", "nobody"}) == 1
    assert ledger.withdraw(record.id, {"u00001", "u00006", "nobody"}) == 0
    left = [json.loads(row)["user_id"] for number in range(4) for row in ledger.rows(record.id, number)]
    assert left == [f"u{index:05d}" for index in range(20) if index != 6]
    accounting = ledger.commit(record.id).accounting
    assert (accounting["suppressed"], accounting["recipients"], accounting["audience"]) == (1, 19, 20)
    assert len(ledger.users(record.id)) == 19
