"""Lookalikes: that they resemble the seed, are honest about it, use only tags that they may use, and come out the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from limner_profile.errors import InternalError, RefusedError
from limner_profile.predicates import FieldWords, Not, Predicate, load
from limner_segments.conditions import parse_condition
from limner_segments.conditions.base import Vocabulary
from limner_segments.conditions.like_segment import LikeSegment
from limner_segments.conditions.linking import asked_segments, circle_issues, full_text, link
from limner_segments.conditions.lookalike import Lookalikes
from segments.conditions.sets import found, scope

USERS = 2400
TAGS = [
    # name, kind, type, sensitivity, definition
    ("member", "attribute", "boolean", "none", {"attribute": "member"}),
    ("member_band", "band", "category", "none", {"of": "member_score_raw"}),
    ("visits", "attribute", "number", "none", {"attribute": "visits"}),
    ("genre", "attribute", "category", "none", {"attribute": "genre"}),
    ("noise", "attribute", "number", "none", {"attribute": "noise"}),
    ("app", "attribute", "boolean", "none", {"attribute": "app"}),
    ("religion", "attribute", "category", "sensitive", {"attribute": "religion"}),
    ("postcode", "attribute", "category", "proxy", {"attribute": "postcode"}),
    ("card", "attribute", "category", "none", {"attribute": "card"}),
    ("first_seen", "attribute", "date", "none", {"attribute": "first_seen"}),
    ("churn_score", "score", "number", "none", {}),
    ("member_share", "rank", "number", "none", {"of": "member"}),
]


@pytest.fixture
def people() -> Iterator[duckdb.DuckDBPyConnection]:
    """Members are drawn by visits and genre; their card gives them away, and other tags are not to be used."""
    rng = np.random.default_rng(11)
    visits, genre = rng.gamma(2.0, 3.0, USERS), rng.integers(0, 4, USERS)
    chance = 1 / (1 + np.exp(-(0.5 * (visits - 8) + 1.5 * (genre == 2))))
    member = rng.random(USERS) < chance
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE profiles (user_id VARCHAR, member BOOLEAN, visits DOUBLE, genre VARCHAR, noise DOUBLE, app BOOLEAN, "
            "religion VARCHAR, postcode VARCHAR, card VARCHAR, first_seen DATE, churn_score DOUBLE, member_share DOUBLE, chance DOUBLE)"
        )
        rows = [
            [f"u{at:05}", bool(member[at]), float(visits[at]) if at % 10 else None, "abcd"[genre[at]], float(rng.random()),
             bool(rng.random() < 0.5), "x" if member[at] else "y", "1" if member[at] else "2", "gold" if member[at] else "none",
             "2025-01-01", float(member[at]), float(member[at]), float(chance[at])]
            for at in range(USERS)
        ]  # fmt: skip
        for start in range(0, USERS, 400):
            chunk = rows[start : start + 400]
            marks = ", ".join(["(" + ", ".join("?" * 13) + ")"] * len(chunk))
            connection.execute(f"INSERT INTO profiles VALUES {marks}", [value for row in chunk for value in row])
        connection.execute(
            "CREATE TABLE tags (name VARCHAR, kind VARCHAR, type VARCHAR, sensitivity VARCHAR, definition VARCHAR)"
        )
        connection.executemany(
            "INSERT INTO tags VALUES (?, ?, ?, ?, ?)", [[*tag[:4], json.dumps(tag[4])] for tag in TAGS]
        )
        yield connection


def like(seed: str | Predicate, top: int = 200) -> LikeSegment:
    tree = parse_condition(seed) if isinstance(seed, str) else seed
    node = link(LikeSegment(segment="seed", top=top), {"seed": tree})
    assert isinstance(node, LikeSegment)
    return node


def searched(connection: duckdb.DuckDBPyConnection, state: Path) -> duckdb.DuckDBPyConnection:
    connection.execute("SET GLOBAL file_search_path = ?", [str(state)])
    return connection


def test_lookalikes_resemble_the_seed_without_being_in_it(people: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    searched(people, tmp_path)
    at = scope(tmp_path, "s1")
    alike = found(people, like("member = true"), at)
    assert len(alike) == 200
    rows = people.execute("SELECT user_id, member, chance FROM profiles").fetchall()
    members = {user for user, member, _ in rows if member}
    assert not alike & members
    chance = {user: share for user, _, share in rows}
    others = [chance[user] for user in chance if user not in members]
    # The tags tell the chance: those who resemble the members most were likelier by far to be among them.
    assert np.mean([chance[user] for user in alike]) > 2 * np.mean(others)
    assert found(people, Not(part=like("member = true")), at) == set(chance) - alike
    fewer, everybody = found(people, like("member = true", 50), at), found(people, like("member = true", USERS), at)
    assert fewer < alike < everybody
    assert everybody == set(chance) - members
    assert len(list((tmp_path / "lookalikes").iterdir())) == 1


def test_what_was_learned_is_said_and_honest(people: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    searched(people, tmp_path)
    learned = like("member = true").describe(scope(tmp_path, "s1"), people)
    assert isinstance(learned, Lookalikes)
    assert learned.seed + learned.candidates == USERS
    assert learned.tags == ("visits", "genre", "noise", "app")
    assert learned.left_out == {
        "member": "seed",
        "member_share": "seed",
        "religion": "sensitive",
        "postcode": "proxy",
        "card": "tautological",
        "first_seen": "type",
        "churn_score": "score",
    }
    assert learned.auc_low <= learned.auc <= learned.auc_high
    # What a model that knows the true chance reaches, less what ten per cent of unknown visits take.
    assert 0.7 < learned.auc < 0.9
    drawn = like("in_sample('nobody', 0.3)").describe(scope(tmp_path, "s1"), people)
    assert drawn.auc_low < 0.53
    assert drawn.auc_high > 0.47
    assert "seed" not in drawn.left_out.values()
    assert {"member", "card", "member_share"} <= set(drawn.tags)


def test_the_same_seed_gives_the_same_bytes(people: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    digests = []
    for folder in ("one", "two"):
        state = tmp_path / folder
        searched(people, state)
        found(people, like("member = true"), scope(state, "s1"))
        [path] = (state / "lookalikes").iterdir()
        digests.append((path.name, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert digests[0] == digests[1]
    found(people, like("member = true and app = true"), scope(state, "s1"))
    found(people, like("member = true"), scope(state, "s2"))
    assert len(list((state / "lookalikes").iterdir())) == 3


def test_too_small_a_seed_is_refused(people: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    searched(people, tmp_path)
    for seed, few in (
        ("user_id in ('u00001', 'u00002')", "holds 2 users"),
        ("user_id not in ('u00001')", "leaves 1 users"),
    ):
        with pytest.raises(RefusedError) as raised:
            found(people, like(seed), scope(tmp_path, "s1"))
        [issue] = raised.value.issues
        assert issue.code == "small-seed"
        assert few in issue.message
    with pytest.raises(RefusedError, match="no tag weight, which the seed 'seed' asks for"):
        found(people, like("weight > 1"), scope(tmp_path, "s1"))


def test_no_tag_is_left(people: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    searched(people, tmp_path)
    people.execute("DELETE FROM tags WHERE name NOT IN ('member', 'card')")
    with pytest.raises(RefusedError) as raised:
        found(people, like("member = true"), scope(tmp_path, "s1"))
    assert raised.value.issues[0].code == "no-tags"


def test_seeds_inside_seeds_and_linking(people: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    searched(people, tmp_path)
    conditions = {
        "members": parse_condition("member = true"),
        "alike": parse_condition("like_segment('members', top => 300)"),
    }
    tree = link(parse_condition("like_segment('alike', top => 40) and not (in_segment('members'))"), conditions)
    assert asked_segments(tree) == ["alike", "members"]
    inner = found(people, link(conditions["alike"], conditions), scope(tmp_path, "s1"))
    outer = found(people, tree, scope(tmp_path, "s1"))
    assert len(inner) == 300
    assert outer
    assert not outer & inner


def test_the_full_text_tells_seeds_apart() -> None:
    assert full_text(like("a = 1")) != full_text(like("a = 2"))
    assert full_text(like("a = 1")) == "like_segment('seed', top => 200); like_segment('seed', top => 200): a = 1"


def test_a_seed_of_itself_is_a_circle() -> None:
    conditions = {
        "a": parse_condition("in_segment('b')"),
        "b": parse_condition("n = 1 or like_segment('a', top => 5)"),
    }
    issues, caught = circle_issues(conditions, {"a": "a.yaml:1:4"})
    assert caught == {"a", "b"}
    [issue] = issues
    assert (issue.code, "a → b → a" in issue.message) == ("segment-circle", True)


def test_text_dictionary_sentences_and_complaints() -> None:
    node = parse_condition("like_segment('regulars', top => 10000)")
    assert isinstance(node, LikeSegment)
    assert node.to_text() == "like_segment('regulars', top => 10000)"
    assert load(node.model_dump()) == node
    assert (
        link(node, {"regulars": parse_condition("a = 1")}).model_dump(exclude={"inner"})
        == node.model_dump()
        == {
            "kind": "like_segment",
            "segment": "regulars",
            "top": 10000,
        }
    )
    assert node.to_sentence("en", FieldWords) == "among the 10,000 users most like the segment regulars"
    assert node.to_sentence("zh", FieldWords) == "属于与人群 regulars 最相似的 10,000 位用户"
    [issue] = node.complaints(Vocabulary({}, segments=["regular"]), "w")
    assert (issue.code, issue.hint) == ("unknown-segment", "did you mean 'regular'?")
    assert node.complaints(Vocabulary({}, segments=["regulars"]), "w") == []
    with pytest.raises(InternalError, match="was not linked"):
        node.in_scope(scope())
