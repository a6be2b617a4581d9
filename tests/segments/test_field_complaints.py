"""What people complain about most in segment builders: each complaint a test, on a real store, through the command line and Python."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.project import Project, build, open_project
from limner.steps import Silent
from limner_profile.errors import UserError
from limner_segments.audience import measure_audience
from limner_segments.segment import resolve

Run = Callable[..., Any]

CONFIG = """name: shop
timezone: Asia/Shanghai
sources:
  people: {type: users, path: people.csv, user: u, attributes: [city]}
  acts: {type: events, path: acts.csv, user: u, time: t, event: e, amount: price, properties: [product]}
settings: {min_export: 1}
"""
PEOPLE = "u,city\nann,Oslo\nben,Lima\nchen,\ndee,上海\neve,Oslo\n"
# As of 2025-03-01 in Shanghai: 30 days begin with 2025-01-30. ben's night is still the 29th there, and the 29th in UTC, too.
ACTS = """u,t,e,price,product
ann,2025-01-30 00:00:00,buy,10,a
ben,2025-01-29 23:59:59,buy,20,b
chen,2025-02-28 23:59:59,buy,30,a
dee,2025-03-01 00:00:00,buy,40,b
eve,2025-02-10 12:00:00,view,,a
"""
TAGS = """city: {kind: attribute, attribute: city}
spent: {kind: sum, of: amount, event: buy, window: all}
"""
SEGMENTS = """nordic: {where: city = 'Oslo'}
abroad: {where: city != 'Oslo'}
buyers: {where: "did('buy', within => '30d')"}
nordic_buyers: {where: in_segment('nordic') and in_segment('buyers')}
"""


@pytest.fixture
def run(run_main: Run) -> Run:
    """Code, output and errors of `limner …`."""
    return run_main


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that was built as of the first of March."""
    root = tmp_path_factory.mktemp("shop")
    for name, text in {
        "limner.yaml": CONFIG, "people.csv": PEOPLE, "acts.csv": ACTS, "tags/t.yaml": TAGS, "segments/s.yaml": SEGMENTS,
    }.items():  # fmt: skip
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    build(open_project(root), "2025-03-01", Silent())
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")


def printed(run: Run, root: Path, *words: str) -> Any:
    """What a command prints as JSON."""
    code, out, err = run(*words, "--dir", root, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def users(run: Run, root: Path, text: str) -> str:
    """The users of a condition, by the SQL that is printed for it."""
    code, sql, err = run("segments", "sql", "--where", text, "--dir", root)
    assert code == 0, err
    found = [row["user_id"] for row in printed(run, root, "sql", sql)]
    assert printed(run, root, "segments", "size", "--where", text)["size"] == len(found)
    return " ".join(found)


def test_sizes_agree_between_all_screens(root: Path, run: Run) -> None:
    project = open_project(root)
    sizes = {"nordic": 2, "abroad": 2, "buyers": 2, "nordic_buyers": 1}
    names = list(sizes)
    listed = {row["name"]: row["size"] for row in printed(run, root, "segments", "list")}
    stored = {row["name"]: row["size"] for row in printed(run, root, "sql", "SELECT name, size FROM segments")}
    rows = "SELECT segment, count(*) AS n FROM audiences GROUP BY segment"
    counted = {row["segment"]: row["n"] for row in printed(run, root, "sql", rows)}
    assert listed == stored == counted == sizes
    for name in names:
        shown = printed(run, root, "segments", "show", name)
        assert shown["size"] == printed(run, root, "segments", "size", name)["size"] == sizes[name]
        assert printed(run, root, "segments", "size", "--where", shown["condition"])["size"] == sizes[name]
        assert len(printed(run, root, "sql", shown["sql"])) == sizes[name]
        out = root / f"{name}.csv"
        assert printed(run, root, "segments", "export", name, "--out", str(out))["rows"] == sizes[name]
        with project.store.open() as snapshot:
            assert measure_audience(snapshot, project.segments[name].condition).size == sizes[name]
        assert printed(run, root, "segments", "history", name)["history"][-1]["size"] == sizes[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("city not in ('Oslo', 'Lima')", "dee"),
        ("city not in ('Oslo', 'Lima') include_unknown", "chen dee"),
        ("did_not('buy', within => '30d')", "ben dee eve"),
        ("not (did('buy'))", "dee eve"),
        ("not (in_segment('nordic'))", "ben chen dee"),
        ("not (in_segment('nordic')) and not (in_segment('buyers'))", "ben dee"),
        ("not (not (city = 'Oslo'))", "ann eve"),
    ],
)
def test_not_in_and_conditions_of_negations_only_are_right(root: Path, run: Run, text: str, expected: str) -> None:
    assert users(run, root, text) == expected


def test_brackets_decide(root: Path, run: Run) -> None:
    assert users(run, root, "city = 'Lima' or city = 'Oslo' and did('view')") == "ben eve"
    assert users(run, root, "(city = 'Lima' or city = 'Oslo') and did('view')") == "eve"
    assert users(run, root, "not (city = 'Lima' or (did('view') and not (city = '上海')))") == "ann chen dee"
    assert users(run, root, "((did('buy') and (city is unknown or (city = 'Oslo'))))") == "ann chen"


def test_unknown_under_unequal_is_as_stated_and_shown(root: Path, run: Run) -> None:
    assert users(run, root, "city != 'Oslo'") == "ben dee"
    assert users(run, root, "city != 'Oslo' include_unknown") == "ben chen dee"
    assert users(run, root, "not (city = 'Oslo')") == "ben chen dee"
    assert users(run, root, "city = 'Oslo' or not (city = 'Oslo')") == "ann ben chen dee eve"
    size = printed(run, root, "segments", "size", "--where", "city != 'Oslo'")
    assert (size["unknown"], size["unknown_share"]) == (1, 0.2)
    assert size["steps"][0]["unknown_lost"] == 1


def test_days_begin_at_midnight_of_the_workspace(root: Path, run: Run) -> None:
    assert users(run, root, "did('buy', within => '30d')") == "ann chen"
    assert users(run, root, "did('buy', within => '31d')") == "ann ben chen"
    assert users(run, root, "did('buy', since => date '2025-02-28')") == "chen"
    assert users(run, root, "did('buy', before => date '2025-01-30')") == "ben"
    assert users(run, root, "did('buy', within => '24h')") == "chen"
    # The same acts, told in UTC, are other days of a zone that lies behind.
    config = CONFIG.replace("Asia/Shanghai", "America/New_York")
    (root / "limner.yaml").write_text(config, encoding="utf-8")
    lines = ACTS.splitlines()
    utc = [line.replace(" ", "T").replace(",buy", "Z,buy").replace(",view", "Z,view") for line in lines[1:]]
    (root / "acts.csv").write_text("\n".join([lines[0], *utc]) + "\n", encoding="utf-8")
    assert run("build", "--dir", root, "--as-of", "2025-03-01")[0] == 0
    # chen bought at 18:59:59 of the 28th there, dee at 19:00:00; ann at 19:00 of the 29th of January.
    assert users(run, root, "did('buy', since => date '2025-02-28')") == "chen dee"
    assert users(run, root, "did('buy', within => '30d')") == "chen dee"
    assert users(run, root, "did('buy', within => '31d')") == "ann ben chen dee"


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same acts, each user's first as a tag of type time, and fay, who acted on two days and whose tag is unknown."""
    root = tmp_path_factory.mktemp("timed")
    first = "".join(f"{user},{at}\n" for user, at, *_ in (line.split(",") for line in ACTS.splitlines()[1:]))
    for name, text in {
        "limner.yaml": CONFIG.replace("[city]", "{signed_up: {column: at, type: time}}").replace(
            "min_export", "min_group: 1, min_export"
        ),
        "people.csv": f"u,at\n{first}fay,\n",
        "acts.csv": f"{ACTS}fay,2025-01-29 23:59:59,buy,,\nfay,2025-02-01 00:00:00,buy,,\n",
        "tags/t.yaml": "signed_up: {kind: attribute, attribute: signed_up}\n",
        "segments/s.yaml": "early: {where: signed_up < date '2025-01-30'}\n",
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    build(open_project(root), "2025-03-01", Silent())
    return root


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("did('buy', where => time <= date '2025-01-29')", "ben fay"),
        ("did('buy', where => time = date '2025-01-30')", "ann"),
        ("did('buy', where => time between date '2025-01-30' and date '2025-02-28')", "ann chen fay"),
        ("total(amount, at_least => 30, where => time < date '2025-03-01')", "chen"),
        ("distinct(product, at_least => 1, where => time in (date '2025-01-29', date '2025-02-28'))", "ben chen"),
        (
            "sequence(step('buy', where => time = date '2025-01-29'), step('buy', where => time >= date '2025-02-01'))",
            "fay",
        ),
        ("signed_up = date '2025-01-30'", "ann"),
        ("signed_up != date '2025-01-30'", "ben chen dee eve"),
        ("signed_up <= date '2025-01-29' or in_segment('early')", "ben"),
        ("not (signed_up between date '2025-01-29' and date '2025-02-28')", "dee fay"),
        ("in_segment('early')", "ben"),
    ],
)
def test_a_time_beside_a_date_is_its_day_in_the_workspace(timed: Path, run: Run, text: str, expected: str) -> None:
    assert users(run, timed, text) == expected


def test_a_time_is_shown_by_the_clock_that_decides_its_day(timed: Path, run: Run) -> None:
    # It is stored as 2025-01-29 15:59:59 in UTC, as JSON says.
    for words in (("segments", "why", "early", "ben"), ("profile", "show", "ben")):
        code, out, err = run(*words, "--dir", timed)
        assert code == 0, err
        assert "2025-01-29 23:59:59+08:00" in out
    code, out, _ = run("segments", "why", "early", "ann", "--dir", timed, "--format", "json")
    told = json.loads(out)
    assert told["tests"][0]["values"] == {"signed_up": "2025-01-29T16:00:00"}
    assert told["changes"][0][0]["to"] == "2025-01-29"
    assert told["changes"][0][0]["words"].endswith("1 day earlier (2025-01-29 instead of 2025-01-30)")
    code, out, _ = run("tags", "stats", "--dir", timed)
    assert "2025-01-29 23:59:59+08:00 – 2025-03-01 00:00:00+08:00" in " ".join(out.split())


def test_stored_members_and_shown_traits_have_the_same_days(timed: Path, run: Run) -> None:
    query = "SELECT user_id FROM audiences WHERE segment = 'early'"
    assert [row["user_id"] for row in printed(run, timed, "sql", query)] == ["ben"]
    code, out, err = run("segments", "compare", "early", "--dir", timed, "--format", "json")
    assert code == 0, err
    traits = [row for row in json.loads(out) if row.get("condition")]
    assert len(traits) > 2
    for trait in traits:
        assert len(users(run, timed, trait["condition"]).split()) == round(trait["base_share"] * 6), trait["condition"]


def test_the_night_of_the_clock_change_is_one_day(tmp_path: Path, run: Run) -> None:
    # In Berlin the 30th of March 2025 has 23 hours: seven days before the 31st begin at midnight of the 24th, not an hour beside it.
    acts = "u,t,e,price,product\nin,2025-03-24T00:00:00+01:00,buy,1,a\nout,2025-03-23T23:59:59+01:00,buy,1,a\n"
    acts += "late,2025-03-30T23:59:59+02:00,buy,1,a\nnext,2025-03-31T00:00:00+02:00,buy,1,a\n"
    files = {"limner.yaml": CONFIG.replace("Asia/Shanghai", "Europe/Berlin"), "acts.csv": acts, "tags/t.yaml": TAGS}
    files["people.csv"] = "u,city\nin,\nout,\nlate,\nnext,\n"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert run("build", "--dir", tmp_path, "--as-of", "2025-03-31")[0] == 0
    assert users(run, tmp_path, "did('buy', within => '7d')") == "in late"
    assert users(run, tmp_path, "did('buy', within => '1d')") == "late"
    assert users(run, tmp_path, "did('buy', within => '7d', ending => '1d')") == "in out"


def test_a_stale_number_is_never_shown_without_a_word(root: Path, run: Run) -> None:
    (root / "segments" / "s.yaml").write_text(SEGMENTS.replace("city = 'Oslo'", "city = 'Lima'"), encoding="utf-8")
    listed = {row["name"]: row for row in printed(run, root, "segments", "list")}
    # A definition that was edited is counted anew, also where another segment asks for it, and what is stored is called old.
    assert listed["nordic"]["size"] == 1
    assert listed["nordic_buyers"]["size"] == 0
    assert "edited after snapshot" in listed["nordic"]["alert"]
    assert "edited after snapshot" in listed["nordic_buyers"]["alert"]
    assert listed["buyers"]["alert"] is None
    (root / "tags" / "t.yaml").write_text(TAGS.replace("window: all", "window: 7d"), encoding="utf-8")
    code, out, err = run("segments", "size", "--where", "spent > 1", "--dir", root, "--format", "json")
    assert (code, json.loads(out)["size"]) == (0, 3)
    assert "edited after snapshot" in err
    assert "spent" in err
    code, _, err = run("segments", "build", "--dir", root)
    assert code == 0, err  # none of the segments asks for the tag
    listed = {row["name"]: row for row in printed(run, root, "segments", "list")}
    assert {row["alert"] for row in listed.values()} == {None}


def test_a_calculation_that_cannot_start_or_end_says_so(root: Path, run: Run) -> None:
    import subprocess

    program = (
        "import sys, time\nfrom pathlib import Path\nfrom limner_profile.snapshots import SnapshotStore\n"
        "with SnapshotStore(Path(sys.argv[1])).lock():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{program}"
    words = [sys.executable, "-c", code, str(root / ".limner")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        status, _, err = run("segments", "build", "--dir", root)
        assert (status, "workspace-busy" in err, "Traceback" in err) == (1, True, False)
        assert printed(run, root, "segments", "size", "nordic")["size"] == 2  # readers do not wait
        other.kill()
    assert run("segments", "build", "--dir", root)[0] == 0  # a lock does not outlive its process


def test_a_segment_that_cannot_be_counted_hides_no_other(root: Path, run: Run) -> None:
    with (root / "segments" / "s.yaml").open("a", encoding="utf-8") as file:
        file.write("""alike: {where: "like_segment('nordic', top => 2)"}\n""")
    listed = {row["name"]: row for row in printed(run, root, "segments", "list")}
    assert {name: row["size"] for name, row in listed.items()} == {
        "nordic": 2, "abroad": 2, "buyers": 2, "nordic_buyers": 1, "alike": None,
    }  # fmt: skip
    assert "nothing can be learned" in listed["alike"]["alert"]
    code, out, err = run("segments", "overlap", "--all", "--dir", root, "--format", "json")
    assert (code, [row["name"] for row in json.loads(out)["segments"]]) == (
        0,
        [name for name in listed if name != "alike"],
    )
    assert "'alike' is left out" in err
    assert run("segments", "overlap", "nordic", "alike", "--dir", root)[0] == 1


def test_who_entered_and_who_left_is_told(root: Path, run: Run) -> None:
    (root / "people.csv").write_text(PEOPLE.replace("ann,Oslo", "ann,Lima").replace("chen,", "chen,Oslo"), "utf-8")
    assert run("build", "--dir", root, "--as-of", "2025-03-01")[0] == 0
    query = "SELECT change, user_id FROM audience_changes WHERE segment = 'nordic' ORDER BY user_id"
    assert printed(run, root, "sql", query) == [
        {"change": "left", "user_id": "ann"},
        {"change": "joined", "user_id": "chen"},
    ]
    newest = printed(run, root, "segments", "history", "nordic")["history"][-1]
    assert (newest["size"], newest["joined"], newest["left"]) == (2, 1, 1)


def test_edits_of_a_definition_stand_in_its_history(root: Path, run: Run) -> None:
    (root / "segments" / "s.yaml").write_text(SEGMENTS.replace("city = 'Oslo'", "city = 'Lima'"), encoding="utf-8")
    assert run("segments", "build", "--dir", root)[0] == 0
    past = printed(run, root, "segments", "history", "nordic")["history"]
    assert [row["size"] for row in past] == [2, 1]
    first, second = (row["snapshot"] for row in past)
    query = "SELECT condition FROM segments WHERE name = 'nordic'"
    assert printed(run, root, "sql", query, "--snapshot", first) == [{"condition": "city = 'Oslo'"}]
    assert printed(run, root, "sql", query, "--snapshot", second) == [{"condition": "city = 'Lima'"}]
    assert [row["definition"] for row in past] == ["first", "edited"]
    assert (past[-1]["condition_before"], past[-1]["condition"]) == ("city = 'Oslo'", "city = 'Lima'")
    # A segment that asks for the edited one was redefined with it, though its own text is the same.
    assert printed(run, root, "segments", "history", "nordic_buyers")["history"][-1]["definition"] == "edited"
    assert printed(run, root, "segments", "history", "buyers")["history"][-1]["definition"] == "same"


def test_segments_of_segments_are_quick_or_refused(root: Path, run: Run) -> None:
    chain = ["s0: {where: spent >= 1}"]
    chain += [f"s{n}: {{where: in_segment('s{n - 1}') and (spent < {100 + n} or city = 'Oslo')}}" for n in range(1, 30)]
    (root / "segments" / "chain.yaml").write_text("\n".join(chain), encoding="utf-8")
    begun = time.process_time()
    project = open_project(root)
    with project.store.open() as snapshot:
        assert measure_audience(snapshot, project.segments["s29"].condition).size == 3
    assert time.process_time() - begun < 5
    # Asked for twice at each level, the last of forty would be written out to 10¹² conditions.
    twice = ["s0: {where: spent >= 1}"]
    twice += [
        f"s{n}: {{where: in_segment('s{n - 1}') or not (in_segment('s{n - 1}') and spent < {n})}}" for n in range(1, 40)
    ]
    (root / "segments" / "chain.yaml").write_text("\n".join(twice), encoding="utf-8")
    begun = time.process_time()
    with pytest.raises(UserError) as refused:
        open_project(root)
    assert time.process_time() - begun < 5
    assert [issue.code for issue in refused.value.issues] == ["segment-too-large"]
    assert refused.value.issues[0].where.startswith("segments/chain.yaml:")
    deep = [f"s{n}: {{where: in_segment('s{n - 1}')}}" for n in range(1, 200)]
    (root / "segments" / "chain.yaml").write_text("\n".join([twice[0], *deep]), encoding="utf-8")
    with pytest.raises(UserError, match="levels deep"):
        open_project(root)
    # Text, too, counts with the segments in it: seventy levels of segments below twenty brackets.
    (root / "segments" / "chain.yaml").write_text("\n".join([twice[0], *deep[:70]]), encoding="utf-8")
    project = open_project(root)
    text = "in_segment('s70')"
    assert measure(project, text) == 3
    for number in range(20):
        text = f"spent > {number} or not ({text})"
    with pytest.raises(UserError, match="levels deep"):
        measure(project, text)


def measure(project: Project, text: str) -> int:
    """The size of a condition."""
    condition = resolve(None, text, project.segments, project.catalog, project.workspace).condition
    with project.store.open() as snapshot:
        return measure_audience(snapshot, condition).size
