"""limner segments export --to, limner export list and abandon: whom exports reach, and webhooks that are killed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from segments.exports.receiver import SECRET, Receiver, receiving

Run = Callable[..., tuple[int, str, str]]

CONFIG = """name: t
timezone: Europe/Berlin
sources:
  people: {type: users, path: people.csv, user: id, attributes: [city, agrees]}
  acts: {type: events, path: acts.csv, user: u, time: t, event: e}
settings: {min_export: 5}
exports:
  suppression: [out.txt]
  consent: agrees
  destinations:
    drop: {as: csv, columns: [city]}
    hook: {as: webhook, url: "URL", secret_env: LIMNER_TEST_SECRET, batch: 4, timeout: 60, attempts: 1, columns: [city]}
"""
TAGS = """
acts: {kind: count, event: act, window: all}
city: {kind: attribute, attribute: city}
agrees: {kind: attribute, attribute: agrees}
"""
USERS = [f"user-{number:04d}" for number in range(30)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of thirty users, built: each tenth does not agree, of two nothing is known; user-0001 is on the list."""
    from limner.project import build, open_project
    from limner.steps import Silent

    root = tmp_path_factory.mktemp("made") / "shop"
    agrees = ["false" if number % 10 == 0 else "" if number in (7, 8) else "true" for number in range(30)]
    people = [f"{user},{'Bonn' if number < 15 else '上海'},{agrees[number]}" for number, user in enumerate(USERS)]
    acts = [f"{user},2025-01-02 10:{minute:02d},act" for number, user in enumerate(USERS) for minute in range(number)]
    for name, text in {
        "limner.yaml": CONFIG.replace("URL", "http://127.0.0.1:9/"),
        "tags/t.yaml": TAGS,
        "segments/s.yaml": "all: {where: acts >= 0 or acts is unknown}\nactive: {where: acts >= 10}\n",
        "people.csv": "\n".join(["id,city,agrees", *people]) + "\n",
        "acts.csv": "\n".join(["u,t,e", *acts]) + "\n",
        "lists/out.txt": "user-0001\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    build(open_project(root), None, Silent())
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMNER_TEST_SECRET", SECRET.decode())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return shutil.copytree(made, tmp_path / "shop")


def asked(run_main: Run, *arguments: object) -> Any:
    code, out, err = run_main(*arguments, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def point(root: Path, receiver: Receiver) -> None:
    config = (root / "limner.yaml").read_text(encoding="utf-8")
    (root / "limner.yaml").write_text(config.replace("http://127.0.0.1:9/", receiver.url), encoding="utf-8")


def rows_of(path: str) -> list[str]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return [row["user_id"] for row in csv.DictReader(file)]


ACCOUNT = {
    "audience": 30, "suppressed": 1, "no_consent": 5, "capped": 0, "held_out": 0, "withheld": 0, "unchanged": 0,
    "recipients": 24, "left": 0,
}  # fmt: skip
SENT = [user for number, user in enumerate(USERS) if number % 10 and number not in (1, 7, 8)]


def test_a_dry_run_prints_the_accounting_and_writes_nothing(root: Path, run_main: Run) -> None:
    before = sorted(path for path in root.rglob("*"))
    found = asked(run_main, "segments", "export", "all", "--to", "drop", "--dry-run", "--dir", root)
    assert {name: found[name] for name in ACCOUNT} == ACCOUNT
    assert sorted(path for path in root.rglob("*")) == before
    held = asked(run_main, "segments", "export", "all", "--holdout", "0.3", "--salt", "s", "--dry-run", "--dir", root)
    assert held["held_out"] + held["recipients"] == 24
    assert (held["holdout_share"], held["holdout_salt"]) == (0.3, "s")


def test_an_export_without_a_destination_obeys_the_rules_and_is_in_the_ledger(root: Path, run_main: Run) -> None:
    found = asked(run_main, "segments", "export", "all", "--out", root / "a.csv", "--holdout", "0.4", "--dir", root)
    assert set(rows_of(found["path"])) < set(SENT)
    assert found["rows"] == found["accounting"]["recipients"] == 24 - found["accounting"]["held_out"]
    assert found["excluded"] == {"suppressed": 1, "no_consent": 5, "held_out": found["accounting"]["held_out"]}
    assert (found["holdout_share"], found["holdout_salt"]) == (0.4, "limner")
    (row,) = asked(run_main, "export", "list", "--dir", root)
    assert row["export"] == found["export"]
    assert (row["state"], row["target"], row["sha256"]) == ("done", "a.csv", found["sha256"])
    code, out, _ = run_main("export", "list", "--dir", root)
    assert code == 0
    assert found["export"] in out
    with duckdb.connect() as connection:
        file = root / ".limner" / "exports" / f"{row['export']}.parquet"
        held = connection.execute(f"SELECT user_id FROM '{file}' WHERE role = 'held_out'").fetchall()
    assert {user for (user,) in held} == set(SENT) - set(rows_of(found["path"]))


def test_changes_are_two_files_and_the_cap_keeps_from_contacts(root: Path, run_main: Run) -> None:
    export = ("segments", "export", "all", "--to", "drop", "--changes", "--dir", root)
    first = asked(run_main, *export)
    assert rows_of(first["path"]) == SENT
    assert Path(first["path"]).read_text(encoding="utf-8").startswith("user_id,city\n")
    assert rows_of(first["left"]) == []
    (root / "lists" / "out.txt").write_text("user-0001\nuser-0002\nuser-0029\n")
    second = asked(run_main, *export)
    assert (rows_of(second["path"]), rows_of(second["left"])) == ([], ["user-0002", "user-0029"])
    assert Path(second["left"]).read_text(encoding="utf-8").startswith("user_id\n")  # nothing more of who left
    assert second["path"] != first["path"]
    (root / "lists" / "out.txt").write_text("user-0001\n")
    third = asked(run_main, *export)
    assert (rows_of(third["path"]), rows_of(third["left"])) == (["user-0002", "user-0029"], [])
    assert third["accounting"]["unchanged"] == 22
    config = (root / "limner.yaml").read_text(encoding="utf-8")
    (root / "limner.yaml").write_text(config.replace("  consent:", "  cap: {days: 7, contacts: 2}\n  consent:"))
    capped = asked(run_main, "segments", "export", "all", "--dry-run", "--dir", root)
    assert (capped["capped"], capped["recipients"]) == (2, 22)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--to", "dropp"], "unknown-destination", "did you mean 'drop'?"),
        (["--changes"], "bad-value", "add --to"),
        (["--holdout", "10"], "bad-value", "ten per cent as 0.1"),
        (["--salt", "x"], "bad-value", "add --holdout 0.1"),
        (["--to", "drop", "--as", "jsonl"], "bad-value", "takes csv"),
        (["--to", "hook", "--out", "x.csv"], "bad-value", "is no file"),
        (["--where", "acts >= 28"], "audience-too-small", "fewer than 5"),
        (["--where", "acts <= 5"], "audience-too-small", "(1 suppressed"),
    ],
)
def test_mistakes_say_what_to_do(root: Path, run_main: Run, arguments: list[str], code: str, words: str) -> None:
    name = [] if "--where" in arguments else ["all"]
    ended, _, err = run_main("segments", "export", *name, *arguments, "--dir", root)
    assert ended == 1
    assert f"[{code}]" in err
    assert words in err
    assert not list((root / ".limner").glob("exports/*.json"))


def test_a_missing_list_stops_every_export(root: Path, run_main: Run) -> None:
    (root / "lists" / "out.txt").rename(root / "lists" / "outs.txt")
    ended, _, err = run_main("segments", "export", "all", "--dir", root)
    assert ended == 1
    assert "limner.yaml:8:17" in err
    assert "did you mean 'outs.txt'?" in err
    assert run_main("check", "--dir", root)[0] == 1


def test_a_webhook_gets_everybody_once_signed_and_in_batches(root: Path, run_main: Run) -> None:
    with receiving() as receiver:
        point(root, receiver)
        found = asked(run_main, "segments", "export", "all", "--to", "hook", "--dir", root)
    assert receiver.users == dict.fromkeys(SENT, "sent")
    assert [request.batch for request in receiver.requests] == [f"{found['export']}-{n}" for n in range(1, 7)]
    content = receiver.requests[0].content
    assert content["users"][0] == {"user_id": "user-0002", "change": "sent", "tags": {"city": "Bonn"}}
    assert (content["number"], content["batches"], content["mode"], content["segment"]) == (1, 6, "full", "all")
    assert content["snapshot"] == found["snapshot"]
    assert SECRET.decode() not in "".join(
        path.read_text(encoding="utf-8") for path in (root / ".limner" / "exports").glob("*.json")
    )
    assert found["accounting"] == ACCOUNT
    with receiving() as receiver:
        config = (root / "limner.yaml").read_text(encoding="utf-8")
        (root / "limner.yaml").write_text(config.replace(config.split('url: "')[1].split('"')[0], receiver.url))
        (root / "lists" / "out.txt").write_text("user-0001\nuser-0002\n")
        asked(run_main, "segments", "export", "all", "--to", "hook", "--changes", "--dir", root)
    (request,) = receiver.requests
    assert request.content["users"] == [{"user_id": "user-0002", "change": "left"}]
    assert request.content["mode"] == "changes"


def test_without_its_secret_a_webhook_sends_nothing(root: Path, run_main: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMNER_TEST_SECRET")
    with receiving() as receiver:
        point(root, receiver)
        ended, _, err = run_main("segments", "export", "all", "--to", "hook", "--dir", root)
    assert ended == 1
    assert "[missing-secret]" in err
    assert "LIMNER_TEST_SECRET" in err
    assert receiver.requests == []
    assert asked(run_main, "export", "list", "--dir", root) == []


def test_a_run_that_stopped_goes_on_and_obeys_what_the_list_says_now(root: Path, run_main: Run) -> None:
    with receiving(lambda number, request: 200 if number < 3 else 500) as receiver:
        point(root, receiver)
        ended, _, err = run_main("segments", "export", "all", "--to", "hook", "--dir", root)
        assert ended == 1
        assert "[webhook-unreached]" in err
        (row,) = asked(run_main, "export", "list", "--dir", root)
        assert row["state"] == "2 of 6 batches"
        (root / "lists" / "out.txt").write_text("user-0001\nuser-0002\nuser-0029\n")
        receiver.answers = lambda number, request: 200
        code, out, err = run_main("segments", "export", "all", "--to", "hook", "--format", "json", "--dir", root)
        assert code == 0
        assert "2 of 6 batches were accepted" in err
        found = json.loads(out)
    # user-0002 was sent before the list named them; user-0029 is not sent any more, and counts as suppressed.
    assert receiver.users == dict.fromkeys([user for user in SENT if user != "user-0029"], "sent")
    assert found["export"] == row["export"]
    assert found["accounting"] == {**ACCOUNT, "suppressed": 2, "recipients": 23}
    assert [request.batch.split("-")[-1] for request in receiver.requests] == ["1", "2", "3", "3", "4", "5", "6"]


def test_a_run_can_be_given_up_and_what_was_accepted_counts(root: Path, run_main: Run) -> None:
    with receiving(lambda number, request: 200 if number < 3 else 410) as receiver:
        point(root, receiver)
        assert run_main("segments", "export", "all", "--to", "hook", "--dir", root)[0] == 1
    (row,) = asked(run_main, "export", "list", "--dir", root)
    ended, _, err = run_main("export", "abandon", "20200101-0001", "--dir", root)
    assert ended == 1
    assert row["export"] in err
    found = asked(run_main, "export", "abandon", row["export"], "--dir", root)
    assert found["finished"] is False
    assert asked(run_main, "export", "list", "--dir", root)[0]["state"] == "given up"
    config = (root / "limner.yaml").read_text(encoding="utf-8")
    (root / "limner.yaml").write_text(config.replace("  consent:", "  cap: {days: 1}\n  consent:"))
    assert asked(run_main, "segments", "export", "all", "--dry-run", "--dir", root)["capped"] == 8


def limner(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "limner.cli", *arguments, "--dir", str(root)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_run_that_is_killed_goes_on_with_the_same_batch(root: Path, run_main: Run) -> None:
    running: list[subprocess.Popen[bytes]] = []

    def kill_at_the_third(number: int, request: Any) -> int:
        if number == 3:
            running[0].send_signal(signal.SIGKILL)
            running[0].wait()
        return 200

    with receiving(kill_at_the_third) as receiver:
        point(root, receiver)
        running.append(limner(root, "segments", "export", "all", "--to", "hook"))
        running[0].communicate(timeout=120)
        assert running[0].returncode == -signal.SIGKILL
        assert len(receiver.requests) == 3
        assert not list((root / ".limner" / "exports").glob("*[0-9].json"))
        found = asked(run_main, "segments", "export", "all", "--to", "hook", "--dir", root)
    # The third arrived, but nobody could write that down: it comes again, under the same id and with the same bytes.
    assert [request.batch for request in receiver.requests] == [f"{found['export']}-{n}" for n in (1, 2, 3, 3, 4, 5, 6)]
    assert receiver.users == dict.fromkeys(SENT, "sent")
    assert [row["state"] for row in asked(run_main, "export", "list", "--dir", root)] == ["done"]


def test_whoever_is_erased_leaves_the_ledger_and_the_batches_not_sent_yet(root: Path, run_main: Run) -> None:
    asked(run_main, "segments", "export", "all", "--to", "drop", "--holdout", "0.3", "--dir", root)
    with receiving(lambda number, request: 200 if number < 2 else 500) as receiver:
        point(root, receiver)
        assert run_main("segments", "export", "all", "--to", "hook", "--dir", root)[0] == 1
        erased = asked(run_main, "users", "erase", "user-0029", "--yes", "--dir", root)
        places = {row["place"]: row for row in erased["places"]}
        ledger = [place for place in places if place.startswith("exports/")]
        assert len(ledger) == 3
        assert all(places[place]["rows"] == 1 and places[place]["left"] == 0 for place in ledger)
        for path in (root / ".limner" / "exports").iterdir():
            assert b"user-0029" not in path.read_bytes()
            if path.suffix == ".parquet":
                with duckdb.connect() as connection:
                    rows = connection.execute(f"SELECT * FROM '{path}'").fetchall()
                assert len(rows) in (23, 24)
                assert "user-0029" not in repr(rows)
        receiver.answers = lambda number, request: 200
        asked(run_main, "segments", "export", "all", "--to", "hook", "--dir", root)
    assert receiver.users == dict.fromkeys([user for user in SENT if user != "user-0029"], "sent")


def test_a_consent_that_was_edited_after_the_build_is_told(root: Path, run_main: Run) -> None:
    tags = (root / "tags" / "t.yaml").read_text(encoding="utf-8")
    (root / "tags" / "t.yaml").write_text(tags.replace("attribute: agrees}", "attribute: agrees, default: true}"))
    code, _, err = run_main("segments", "export", "active", "--dry-run", "--dir", root)
    assert code == 0
    assert "edited after snapshot" in err
    assert "agrees" in err


def test_sending_without_encryption_is_warned_of(root: Path, run_main: Run) -> None:
    config = (root / "limner.yaml").read_text(encoding="utf-8")
    url = "http://receiver.invalid/in?key=hidden"
    (root / "limner.yaml").write_text(config.replace("http://127.0.0.1:9/", url), encoding="utf-8")
    code, out, err = run_main("segments", "export", "all", "--to", "hook", "--dir", root)
    assert code == 1
    assert "http://receiver.invalid/in: what is sent by http is not encrypted" in err
    assert "[webhook-unreached]" in err
    assert "hidden" not in out + err
    assert all(b"hidden" not in path.read_bytes() for path in (root / ".limner" / "exports").iterdir())


def test_a_dry_run_below_the_minimum_prints_the_accounting_and_the_reason(root: Path, run_main: Run) -> None:
    arguments = ("segments", "export", "--where", "acts between 4 and 8", "--dry-run", "--dir", root)
    code, out, err = run_main(*arguments)
    assert (code, "[audience-too-small]" in err) == (1, True)
    assert out.splitlines()[0] == "3 of 5 users would be left, too few for an export; nothing was written"
    code, out, err = run_main(*arguments, "--format", "json")
    found = json.loads(out)
    assert (code, "[audience-too-small]" in err) == (1, True)
    parts = ("suppressed", "no_consent", "capped", "held_out", "withheld", "unchanged", "recipients")
    assert found["audience"] == sum(found[part] for part in parts) > found["recipients"]
    assert found["recipients"] < 5


def test_an_export_is_told_in_a_headline_and_a_table(root: Path, run_main: Run) -> None:
    code, out, err = run_main("segments", "export", "all", "--out", root / "a.csv", "--dir", root)
    assert code == 0, err
    assert out.startswith("24 rows in ")
    lines = [line.split() for line in out.splitlines()]
    assert ["audience", "30"] in lines
    assert ["−", "suppressed", "1"] in lines
    assert ["−", "without", "consent", "5"] in lines
    assert ["=", "recipients", "24"] in lines
    assert "held out" not in out
    assert "definition_hash" not in out


def test_the_list_of_exports_is_one_table(root: Path, run_main: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run_main("segments", "export", "all", "--out", root / "a.csv", "--dir", root)[0] == 0
    assert run_main("segments", "export", "active", "--to", "drop", "--changes", "--dir", root)[0] == 0
    code, out, _ = run_main("export", "list", "--dir", root)
    head, newest, oldest = out.splitlines()
    assert (code, head.split()) == (0, ["export", "at", "destination", "segment", "kind", "rows", "state"])
    assert newest.split()[3:6] == ["drop", "active", "csv,"]
    assert oldest.split()[3:] == ["–", "all", "csv", "24", "done"]


def test_the_id_of_an_export_may_stand_in_any_part_of_a_path(root: Path, run_main: Run) -> None:
    config = (root / "limner.yaml").read_text(encoding="utf-8")
    path = "out/{export}/{segment}.csv"
    (root / "limner.yaml").write_text(config.replace("drop: {as: csv,", f'drop: {{as: csv, path: "{path}",'), "utf-8")
    left = root / "out" / ".all.csv.999999999.tmp"
    found = asked(run_main, "segments", "export", "all", "--to", "drop", "--dir", root)
    assert Path(found["path"]) == root / "out" / found["export"] / "all.csv"
    left.write_text("user-0003")
    mine = root / "out" / ".notes.999999999.tmp"
    mine.write_text("mine")
    asked(run_main, "segments", "export", "all", "--out", root / "out" / "b.csv", "--dir", root)
    assert (left.exists(), mine.exists()) == (False, True)


@pytest.mark.parametrize("place", [".limner/a.csv", "out/../.limner/exports/20250101-0001.json"])
def test_no_export_goes_into_the_folder_of_the_ledger(root: Path, run_main: Run, place: str) -> None:
    code, _, err = run_main("segments", "export", "all", "--out", root / place, "--dir", root)
    assert (code, (root / place).exists()) == (1, False)
    assert "an export cannot be written into Limner's own folder" in err


def test_a_path_with_a_control_character_is_refused(root: Path, run_main: Run) -> None:
    config = (root / "limner.yaml").read_text(encoding="utf-8")
    (root / "limner.yaml").write_text(config.replace("drop: {as: csv,", r'drop: {as: csv, path: "a\0b",'), "utf-8")
    code, _, err = run_main("segments", "export", "all", "--to", "drop", "--dir", root)
    assert code == 1
    assert "the path holds a control character" in err


def test_erasing_names_exports_that_went_elsewhere(root: Path, run_main: Run) -> None:
    asked(run_main, "segments", "export", "all", "--out", root / "mail" / "a.csv", "--dir", root)
    found = asked(run_main, "users", "erase", "user-0002", "--yes", "--dir", root)
    assert found["exports"] == ["mail/a.csv"]
