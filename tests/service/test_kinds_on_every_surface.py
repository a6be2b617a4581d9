"""Patterns, rankings, splits, lists and lookalikes through the commands: one number in the CLI, in SQL, in the table, in the export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from limner.project import open_project
from limner_segments.conditions.base import user_sets
from limner_segments.conditions.like_segment import LikeSegment
from limner_segments.conditions.salted import share_of_user
from limner_segments.conditions.scope import scope_of

Run = Callable[..., tuple[int, str, str]]
USERS = 300

FILES = {
    "limner.yaml": """name: t
timezone: Asia/Shanghai
sources:
  people: {type: users, path: people.csv, user: u, attributes: [city, member, spend, religion]}
  links: {type: identities, path: links.csv, user: device, other: who, kind: kind}
settings: {min_export: 1}
""",
    "tags/t.yaml": """
city: {kind: attribute, attribute: city}
member: {kind: attribute, attribute: member}
spend: {kind: attribute, attribute: spend}
religion: {kind: attribute, attribute: religion, sensitivity: sensitive}
""",
    "segments/s.yaml": r"""
in_ber: {where: "city like 'Ber%'"}
big: {where: "in_top(spend, 20)"}
middle: {where: "in_percentile(spend, 40, 60)"}
first_half: {where: "in_split('spring', 1, of => 2)"}
second_half: {where: {kind: in_split, salt: spring, part: 2, of: 2}}
vip: {where: "in_list('vip')"}
members: {where: member = true}
alike: {where: "like_segment('members', top => 30)"}
""",
    "lists/vip.txt": "u001\nphone\nstranger\n\n",
    "links.csv": "device,who,kind\nphone,u002,account\n",
    "people.csv": "u,city,member,spend,religion\n"
    + "".join(
        f"u{at:03},{('Bergen', 'Berlin', 'Bonn')[at % 3]},{str((at * 7919) % 300 < at).lower()},{at},{'xy'[at % 2]}\n"
        for at in range(USERS)
    ),
}


def result(run_main: Run, root: Path, *words: str) -> Any:
    """What a command prints as JSON."""
    code, out, err = run_main(*words, "--dir", str(root), "--format", "json")
    assert code == 0, err
    return json.loads(out)


def test_one_number_on_every_surface(root: Path, run_main: Run) -> None:
    everyone = [f"u{at:03}" for at in range(USERS)]
    half = [user for user in everyone if share_of_user("spring", user) < 0.5]
    expected = {
        "in_ber": [user for at, user in enumerate(everyone) if at % 3 < 2],
        "big": everyone[-20:],
        "middle": everyone[120:180],
        "first_half": half,
        "second_half": sorted(set(everyone) - set(half)),
        "vip": ["u001", "u002"],
    }
    alike = result(run_main, root, "sql", "SELECT user_id FROM audiences WHERE segment = 'alike' ORDER BY user_id")
    expected["alike"] = [row["user_id"] for row in alike]
    assert len(expected["alike"]) == 30
    members = {user for at, user in enumerate(everyone) if (at * 7919) % 300 < at}
    assert not members.intersection(expected["alike"])
    # Members spend more: whoever is like them does, too.
    assert sum(int(user[1:]) for user in expected["alike"]) / 30 > 150
    (learned,) = result(run_main, root, "segments", "show", "alike")["lookalikes"]
    assert (learned["segment"], learned["top"], learned["seed"]) == ("members", 30, len(members))
    assert learned["candidates"] == USERS - len(members)
    assert 0.6 < learned["auc_low"] < learned["auc"] < learned["auc_high"] <= 1
    assert "spend" in learned["tags"]
    _, told, _ = run_main("segments", "show", "alike", "--dir", str(root))
    assert f"members: AUC {learned['auc']:.2f}" in told
    for name, users in expected.items():
        _, sql, _ = run_main("segments", "sql", name, "--dir", str(root))
        assert [row["user_id"] for row in result(run_main, root, "sql", sql)] == users
        assert result(run_main, root, "segments", "size", name)["size"] == len(users)
        table = f"SELECT user_id FROM audiences WHERE segment = '{name}' ORDER BY user_id"
        assert [row["user_id"] for row in result(run_main, root, "sql", table)] == users
        out = root / "out" / f"{name}.csv"
        assert result(run_main, root, "segments", "export", name, "--out", str(out))["rows"] == len(users)
        assert [line.split(",")[0] for line in out.read_text(encoding="utf-8").splitlines()[1:]] == users


def test_a_list_that_changes_or_goes(root: Path, run_main: Run) -> None:
    (root / "lists" / "vip.txt").write_text("u007\nu008\nu009\n", encoding="utf-8")
    assert result(run_main, root, "segments", "size", "vip")["size"] == 3
    assert result(run_main, root, "sql", "SELECT size FROM segments WHERE name = 'vip'") == [{"size": 2}]
    (root / "lists" / "vip.txt").rename(root / "lists" / "vips.txt")
    code, _, err = run_main("segments", "size", "vip", "--dir", str(root))
    assert code == 1
    assert "unknown list 'vip'" in err
    assert "did you mean 'vips'?" in err
    code, _, err = run_main("segments", "size", "--where", "in_list('vipz')", "--dir", str(root))
    assert (code, "did you mean 'vips'?" in err) == (1, True)


def test_mistakes_are_placed(root: Path, run_main: Run) -> None:
    lines = "x: {where: 'in_top(city, 5)'}\ny: {where: 'in_top(spnd, 5)'}\nz: {where: \"like_segment('member', top => 5)\"}\n"
    (root / "segments" / "more.yaml").write_text(lines, encoding="utf-8")
    code, _, err = run_main("segments", "check", "--dir", str(root))
    assert code == 1
    assert "segments/more.yaml:1:" in err
    assert "'city' is a category, which has no order" in err
    assert "unknown tag 'spnd'" in err
    assert "did you mean 'spend'?" in err
    assert "did you mean 'members'?" in err
    (root / "segments" / "more.yaml").write_text(
        "few: {where: spend < 3}\nx: {where: \"like_segment('few', top => 5)\"}\n"
    )
    code, _, err = run_main("segments", "size", "x", "--dir", str(root))
    assert (code, "the seed 'few' holds 3 users" in err) == (1, True)


def test_erasing_somebody_takes_them_out_of_lists_and_lookalikes(root: Path, run_main: Run) -> None:
    alike = result(run_main, root, "sql", "SELECT user_id FROM audiences WHERE segment = 'alike' ORDER BY user_id")
    gone = alike[0]["user_id"]
    (root / "lists" / "vip.txt").write_text(f"u001\n{gone}\n", encoding="utf-8")
    assert result(run_main, root, "segments", "size", "vip")["size"] == 2
    prepared = [*(root / ".limner" / "lists").iterdir(), *(root / ".limner" / "lookalikes").iterdir()]
    code, _, err = run_main("users", "erase", gone, "--yes", "--dir", str(root))
    assert code == 0, err
    for path in prepared:
        assert gone.encode() not in path.read_bytes()
        assert gone not in pq.read_table(path)["user_id"].to_pylist()
    assert result(run_main, root, "segments", "size", "vip")["size"] == 1
    # The ranking has lost one user, and the next one does not move up: nobody joins by an erasure.
    assert result(run_main, root, "segments", "size", "alike")["size"] == 29
    project = open_project(root)
    with project.store.open() as snapshot:
        [node] = user_sets(project.segments["alike"].condition)
        assert isinstance(node, LikeSegment)
        learned = node.describe(scope_of(snapshot.connection), snapshot.connection)
    assert learned.tags == ("city", "spend")
    assert learned.left_out == {"member": "seed", "religion": "sensitive"}
