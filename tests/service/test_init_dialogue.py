"""The questions of limner init, answered by a script: proposals accepted, corrected, left out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

import limner.commands.init as init_command
from limner.initial.dialogue import choose, show_proposal
from limner_profile.mapping.columns import facts_of
from limner_profile.mapping.proposal import propose_mapping
from limner_profile.mapping.sample import read_samples

Run = Callable[..., tuple[int, str, str]]

LOG = "a,b,c,d\n" + "".join(
    f"x{n % 50},y{n % 40},2025-01-{1 + n // 20:02},{'login' if n % 2 else 'view'}\n" for n in range(500)
)
SALES = "customer_id,user_id,date,total\n" + "".join(
    f"{n % 9},{n % 7},{1 + n % 3:02}/{1 + n % 12:02}/2025,{n}.5\n" for n in range(300)
)
THINGS = "product_id,price\n" + "".join(f"p{n},{n}.5\n" for n in range(30))


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, run_main: Run) -> Callable[..., tuple[int, str, str]]:
    """Run `limner …` as at a terminal at which these lines are typed."""

    def run(answers: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(init_command, "at_terminal", lambda: True)
        monkeypatch.setattr("sys.stdin", io.StringIO(answers))
        return run_main(*arguments)

    return run


def config_of(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((root / "limner.yaml").read_text(encoding="utf-8"))
    return content


def test_everything_is_accepted_with_the_enter_key(
    tmp_path: Path, answering: Callable[..., Any], run_main: Run
) -> None:
    rows = "".join(f"u{n % 9},2025-01-{1 + n // 20:02},{'login' if n % 2 else 'pay'}\n" for n in range(300))
    (tmp_path / "events.csv").write_text(f"user_id,time,event\n{rows}", encoding="utf-8")
    code, out, err = answering(
        "\n\n\n", "init", tmp_path / "ws", "--template", "app", "--data", tmp_path / "events.csv", "--format", "json"
    )
    assert code == 0, err
    assert json.loads(out)["events"]["order"] == "pay"
    assert "events.csv: 300 rows looked at" in err
    assert config_of(tmp_path / "ws")["timezone"] == "UTC"
    assert run_main("build", "--dir", tmp_path / "ws")[0] == 0


def test_a_proposal_is_corrected(tmp_path: Path, answering: Callable[..., Any], run_main: Run) -> None:
    for name, text in (("log.csv", LOG), ("sales.csv", SALES), ("things.csv", THINGS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    script = [
        "retial", "retail",  # the template, misspelt first
        "", "", "zz", "B",  # log.csv: change, the user, no such column, then b in the other case
        "yes",
        "ch", "user", "customer_id",  # sales.csv: another user
        "change", "time_format", "%m/%d/%Y",  # and the month first
        "change", "event_name", "sale",
        "y",
        "",  # things.csv has no user: skipping is proposed
        "Europe/Berln", "Europe/Berlin",
        "change", "view", "login",  # what the template calls view is called login here
        "y",
    ]  # fmt: skip
    code, out, err = answering(
        "\n".join(script) + "\n", "init", tmp_path / "ws", "--data", tmp_path, "--format", "json"
    )
    assert code == 0, err
    for words in (
        "did you mean 'retail'?",
        "did you mean 'Europe/Berlin'?",
        "'zz' is none of the choices",
        "Still to be said: user",
    ):
        assert words in err
    config = config_of(tmp_path / "ws")
    assert config["timezone"] == "Europe/Berlin"
    assert config["sources"]["log"]["user"] == "b"
    sales = config["sources"]["sales"]
    assert {name: sales[name] for name in ("user", "time", "time_format", "amount", "event_name")} == {
        "user": "customer_id", "time": "date", "time_format": "%m/%d/%Y", "amount": "total", "event_name": "sale",
    }  # fmt: skip
    assert set(config["sources"]) == {"log", "sales"}
    events = json.loads(out)["events"]
    assert (events["view"], events["order"]) == ("login", "sale")
    assert run_main("build", "--dir", tmp_path / "ws")[0] == 0
    text = (tmp_path / "ws" / "tags" / "behaviour.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["view_count_30d"]["event"] == "login"


def test_pairs_of_ids_are_shown_corrected_and_said(
    tmp_path: Path, answering: Callable[..., Any], run_main: Run
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "log.csv").write_text(LOG, encoding="utf-8")
    pairs = "".join(f"x{n},k{n % 40}\n" for n in range(50))
    (tmp_path / "data" / "device_ids.csv").write_text(f"device,account\n{pairs}", encoding="utf-8")
    (tmp_path / "data" / "other.csv").write_text(f"one,two\n{pairs.replace('k', 'y')}", encoding="utf-8")
    script = [
        "change", "user", "device", "yes",  # device_ids.csv: the device is to be the user
        "change", "user", "a", "yes",  # log.csv
        "change", "type", "identities", "change", "user", "one", "change", "other", "two", "yes",  # other.csv
        "", "",
    ]  # fmt: skip
    code, _, err = answering(
        "\n".join(script) + "\n", "init", tmp_path / "ws", "--template", "app", "--data", tmp_path / "data"
    )
    assert code == 0, err
    assert "identities" in err
    assert "Still to be said: user, other" in err
    sources = config_of(tmp_path / "ws")["sources"]
    found = {name: [source["type"], source["user"], source.get("other")] for name, source in sources.items()}
    assert found == {
        "log": ["events", "a", None],
        "device_ids": ["identities", "device", "account"],
        "other": ["identities", "one", "two"],
    }
    for command in ("check", "sync", "build"):
        done, _, complaint = run_main(command, "--dir", tmp_path / "ws")
        assert done == 0, complaint


def test_the_type_is_changed_and_a_role_taken_away(tmp_path: Path, answering: Callable[..., Any]) -> None:
    (tmp_path / "sales.csv").write_text(SALES, encoding="utf-8")
    # As events the amount is optional; without it the rows are visits.
    script = ["change", "type", "events", "change", "amount", "-", "change", "event_name", "visit", "yes", "", "yes"]
    code, _, err = answering(
        "\n".join(script) + "\n", "init", tmp_path / "ws", "--template", "membership", "--data", tmp_path / "sales.csv"
    )
    assert code == 0, err
    source = config_of(tmp_path / "ws")["sources"]["sales"]
    assert (source["type"], source["event_name"], "amount" in source) == ("events", "visit", False)
    tags = yaml.safe_load((tmp_path / "ws" / "tags" / "use.yaml").read_text(encoding="utf-8"))
    assert tags["visit_count_30d"]["event"] == "visit"


def test_no_file_left_is_an_error(tmp_path: Path, answering: Callable[..., Any]) -> None:
    (tmp_path / "sales.csv").write_text(SALES, encoding="utf-8")
    code, _, err = answering("skip\n", "init", tmp_path / "ws", "--template", "app", "--data", tmp_path / "sales.csv")
    assert (code, "[no-source]" in err) == (1, True)
    assert not (tmp_path / "ws").exists()


def test_the_end_of_the_answers_stops_it(tmp_path: Path, answering: Callable[..., Any]) -> None:
    (tmp_path / "sales.csv").write_text(SALES, encoding="utf-8")
    code, _, _ = answering("", "init", tmp_path / "ws", "--template", "app", "--data", tmp_path / "sales.csv")
    assert code == 1
    assert not (tmp_path / "ws").exists()


def test_choices_are_taken_by_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO("us\nUSER\nti\ntime\nsk\n"))
    console = Console(file=told, width=200)
    assert choose("What", ["user", "users", "time", "time_format"], "time", console) == "user"
    assert "'us' is none of the choices; did you mean 'user" in told.getvalue()
    assert choose("What", ["user", "users", "time", "time_format"], "user", console) == "time"
    assert choose("Take it", ["yes", "change", "skip"], "yes", console) == "skip"


def test_the_table_shows_columns_values_and_doubts(tmp_path: Path) -> None:
    people = "user_id,city,email\n" + "".join(
        f"u{n},{'[red]Köln' if n % 2 else 'Ulm'},a{n}@example.com\n" for n in range(40)
    )
    (tmp_path / "people.csv").write_text(people, encoding="utf-8")
    (tmp_path / "sales.csv").write_text(SALES, encoding="utf-8")
    told = io.StringIO()
    for sample in read_samples([tmp_path / "people.csv", tmp_path / "sales.csv"]):
        proposal = propose_mapping(sample.columns, sample.rows, sample.label)
        show_proposal(sample, proposal, facts_of(sample.columns, sample.rows), Console(file=told, width=200))
    text = told.getvalue()
    assert "Ulm, [red]Köln" in text  # a value is shown as it is, and is no markup
    assert "a1@example.com" not in text
    assert "%m/%d/%Y fit as well" in text
    assert "so is user_id" in text or "so is customer_id" in text


def test_the_table_tells_decimal_commas_types_and_values_apart(tmp_path: Path) -> None:
    rows = "".join(f"{n};k{n % 9};2025-01-{1 + n % 28:02};{n % 7},78;{'Ulm' if n % 2 else 'Bonn'}\n" for n in range(60))
    (tmp_path / "orders.csv").write_text(f"order_id;customer_id;date;amount;city\n{rows}", encoding="utf-8")
    told = io.StringIO()
    sample = read_samples([tmp_path / "orders.csv"])[0]
    proposal = propose_mapping(sample.columns, sample.rows, sample.label)
    show_proposal(sample, proposal, facts_of(sample.columns, sample.rows), Console(file=told, width=200))
    lines = told.getvalue().splitlines()
    assert any(line.split()[:2] == ["decimal_comma", "true"] for line in lines)
    amount = next(line for line in lines if line.startswith("amount"))
    assert "0,78; 1,78; 2,78" in amount
    heads = next(line for line in lines if line.startswith("field"))
    city = next(line for line in lines if line.startswith("property"))
    # What stands under "sure" says how sure it is, and nothing else.
    assert city[heads.index("sure") : heads.index("values")].strip() == ""
    assert "read as category" in city
