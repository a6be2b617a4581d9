"""limner users erase: what it does to the rows of other people, to counts of values, and to ids that are numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

Run = Callable[..., tuple[int, str, str]]

FILES = {
    "limner.yaml": """name: t
timezone: UTC
sources:
  people: {type: users, path: people.csv, user: id, attributes: [mail, inviter]}
  acts: {type: events, path: 'acts*.csv', user: u, time: t, event: e, event_id: i, amount: price, properties: [to, note]}
""",
    "tags/t.yaml": """
acts: {kind: count, event: act, window: all}
spend: {kind: sum, event: act, of: amount, window: all}
mail: {kind: attribute, attribute: mail}
inviter: {kind: attribute, attribute: inviter}
""",
    "people.csv": "id,mail,inviter\n100000001,zoe at home,\n100000002,bert at work,100000001\n100000003,cora,5\n",
    "acts1.csv": "u,t,e,i,price,to,note\n100000001,2025-01-01,act,100000009,4000,,\n"
    "100000002,2025-01-02,act,100000001,2,100000001,b\n100000003,2025-01-03,act,o-100000001-1,4,6,see 100000001\n",
}
AGAIN = (
    "u,t,e,i,price,to,note\n"
    "100000002,2025-01-02,act,100000001,2,100000001,b\n100000003,2025-01-03,act,o-100000001-1,4,6,see 100000001\n"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, run_once: Callable[..., object]) -> Path:
    """A workspace whose users have numbers for ids, which stand among numbers, texts and ids of events."""
    root = tmp_path_factory.mktemp("built")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "acts2.csv").write_text(AGAIN, encoding="utf-8")
    run_once("build", "--dir", root)
    run_once("users", "erase", "100000001", "--yes", "--dir", root)
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to write to."""
    return shutil.copytree(built, tmp_path / "copy")


def rows(run: Run, *arguments: object) -> Any:
    code, out, err = run(*arguments, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def test_events_of_others_count_once_whatever_their_ids(root: Path, run_main: Run) -> None:
    (root / "acts3.csv").write_text(AGAIN, encoding="utf-8")
    assert run_main("build", "--dir", root)[0] == 0
    found = rows(run_main, "sql", "select user_id, acts, spend from profiles order by 1", "--dir", root)
    assert found == [
        {"user_id": "100000002", "acts": 1, "spend": 2},
        {"user_id": "100000003", "acts": 1, "spend": 4},
    ]


@pytest.mark.parametrize("anew", [False, True])
def test_others_name_nobody_in_texts_or_numbers(root: Path, run_main: Run, *, anew: bool) -> None:
    if anew:
        for file in root.glob("*.csv"):
            file.touch()
        assert run_main("build", "--dir", root)[0] == 0
    with duckdb.connect() as connection:
        query = f"SELECT u, note FROM (SELECT \"to\" AS u, note FROM '{root}/.limner/events/*.parquet')"
        assert set(connection.execute(query).fetchall()) == {(None, "b"), (6.0, "see (erased)")}
    found = rows(run_main, "sql", "select user_id, inviter from profiles order by 1", "--dir", root)
    assert [row["inviter"] for row in found] == [None, 5]


def test_the_counts_of_values_forget_too(root: Path, run_main: Run) -> None:
    (snapshot,) = (root / ".limner" / "snapshots").glob("*.duckdb")
    assert b"zoe" not in snapshot.read_bytes()
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        mail = connection.execute("SELECT users, top_values FROM tag_statistics WHERE tag = 'mail'").fetchall()
        assert mail == [(2, '[["bert at work", 1], ["cora", 1]]')]
        assert connection.execute("SELECT max FROM tag_statistics WHERE tag = 'spend'").fetchall() == [(4.0,)]
        assert connection.execute("SELECT max(value) FROM tag_places WHERE tag = 'spend'").fetchall() == [(4.0,)]
        assert connection.execute("SELECT users FROM tags WHERE name = 'mail'").fetchall() == [(2,)]
        bins = connection.execute("SELECT bins FROM tag_statistics").fetchall()
        assert [json.loads(text) for (text,) in bins]
    # The drift of the next build is measured against these counts.
    assert run_main("build", "--dir", root)[0] == 0
