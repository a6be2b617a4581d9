"""Random nested conditions of all kinds together, against an oracle in plain Python over the rows that the workspace was made of."""

from __future__ import annotations

import hashlib
import math
import operator
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from limner.project import Project, build, open_project
from limner.steps import Silent
from limner_segments.audience import audience_query, measure_audience, measure_many, prepare
from limner_segments.funnel import measure_funnel
from limner_segments.segment import resolve

# The clocks of Berlin change on the 30th of March 2025, inside the windows.
ZONE = ZoneInfo("Europe/Berlin")
AS_OF = datetime(2025, 4, 4, tzinfo=ZONE)
USERS = [f"u{number:02}" for number in range(40)]
CONFIG = """name: shop
timezone: Europe/Berlin
sources:
  people: {type: users, path: people.csv, user: u, attributes: [city]}
  acts: {type: events, path: acts.csv, user: u, time: t, event: e, amount: price, properties: [product]}
"""
# Tags are called like the columns of events and of the relations of our own SQL, which they must never stand for.
TAGS = """amount: {kind: count, event: buy, window: all}
product: {kind: attribute, attribute: city}
time: {kind: recency, event: view}
event: {kind: sum, of: amount, event: buy, window: 30d}
"""
LISTED = ["u01", "u05", "u06", "u20", "ghost"]


@dataclass(frozen=True)
class Act:
    """A row of the events."""

    user: str
    time: datetime
    event: str
    amount: float | None
    product: str | None


Truth = bool | None
Test = Callable[[str], Truth]


SIGNS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<": operator.lt, "!=": operator.ne}
WHERES: dict[str, Callable[[Act], bool]] = {
    "": lambda act: True,
    ", where => amount >= 5": lambda act: act.amount is not None and act.amount >= 5,
    ", where => product != 'a'": lambda act: act.product is not None and act.product != "a",
    ", where => not (product = 'a')": lambda act: act.product != "a",
}


class World:
    """The rows, and what the oracle makes of them."""

    def __init__(self, seed: int) -> None:
        dice = random.Random(seed)
        self.city = {user: dice.choice(["Oslo", "上海", "O'Hara", None]) for user in USERS}
        self.acts: list[Act] = []
        for user in USERS:
            for _ in range(dice.choice([0, 1, 2, 4, 8])):
                # Many lie at local midnights, where windows begin.
                day = AS_OF.date() - timedelta(days=dice.randint(0, 12) if dice.random() < 0.8 else dice.randint(0, 60))
                clock = dice.choice([(0, 0), (0, 0), (23, 59), (1, 30), (12, 0)])
                time = datetime(day.year, day.month, day.day, *clock, tzinfo=ZONE).astimezone(UTC)
                amount, product = dice.choice([None, 2.5, 7.0]), dice.choice([None, "a", "b"])
                act = Act(user, time, dice.choice(["buy", "view"]), amount, product)
                if act not in self.acts:
                    self.acts.append(act)
        known = [act for act in self.acts if act.time < AS_OF]
        self.by_user = {user: [act for act in known if act.user == user] for user in USERS}

    def number(self, tag: str, user: str) -> float | None:
        acts = self.by_user[user]
        if tag == "amount":
            return sum(act.event == "buy" for act in acts)
        if tag == "time":
            seen = [act.time.astimezone(ZONE).date() for act in acts if act.event == "view"]
            return (AS_OF.date() - max(seen)).days if seen else None
        start = midnight(AS_OF.date() - timedelta(days=30))
        bought = [act.amount for act in acts if act.event == "buy" and act.time >= start and act.amount is not None]
        return sum(bought) if bought else 0.0


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)


def share(salt: str, user: str) -> float:
    return float(int(hashlib.sha256(f"{salt}:{user}".encode()).hexdigest()[:13], 16) / 16**13)


def leaf(world: World, dice: random.Random, sets: dict[str, Test]) -> tuple[str, Test]:
    """A condition without connectives: its text, and whether it holds for a user."""
    kind = dice.choice(
        ["tag", "city", "did", "did_not", "sum", "distinct", "days", "edge", "sequence", "rank", "drawn", "set"]
    )
    if kind == "tag":
        tag, limit = dice.choice(["amount", "time", "event"]), dice.choice([0, 1, 2, 7])
        sign = dice.choice(list(SIGNS))
        also = dice.random() < 0.3
        text = f"{tag} {sign} {limit}{' include_unknown' if also else ''}"

        def by_number(user: str) -> Truth:
            value = world.number(tag, user)
            return (True if also else None) if value is None else SIGNS[sign](value, limit)

        return text, by_number
    if kind == "city":
        city = dice.choice(["Oslo", "上海", "O'Hara"])
        quoted = "'" + city.replace("'", "''") + "'"
        if dice.random() < 0.3:
            return "product is unknown", lambda user: world.city[user] is None
        return (
            f"product not in ({quoted}, 'Lima')",
            lambda user: None if world.city[user] is None else world.city[user] != city,
        )
    if kind == "drawn":
        low = dice.choice([0.25, 0.5, 0.75])
        if dice.random() < 0.5:
            return f"in_sample('a''b', {low})", lambda user: share("a'b", user) < low
        return "in_split('盐', 2, shares => '1/3')", lambda user: share("盐", user) >= 0.25
    if kind == "set":
        name = dice.choice([*sets, "in_list('vip')"])
        return name, sets.get(name, lambda user: user in LISTED)
    if kind == "rank":
        tag, count = dice.choice(["amount", "time"]), dice.randint(1, 50)
        valued = sorted((value, user) for user in USERS if (value := world.number(tag, user)) is not None)
        if dice.random() < 0.5:
            top = {user for _, user in valued[-count:]}
            return f"in_top({tag}, {count})", lambda user: user in top
        low = dice.choice([0, 12.5, 40])
        among = {user for i, (_, user) in enumerate(valued) if low <= 100 * (i + 0.5) / len(valued) < 80}
        return f"in_percentile({tag}, {low}, 80)", lambda user: user in among
    return behaviour(world, dice, kind)


def behaviour(world: World, dice: random.Random, kind: str) -> tuple[str, Test]:
    """A condition on events."""
    start, end, window = span(dice)
    names = dice.choice([["buy"], ["view"], ["buy", "view"], []])
    where = dice.choice(list(WHERES))
    fits = WHERES[where]
    words = ", ".join(f"'{name}'" for name in names)
    least = dice.randint(1, 3)

    def rows(user: str) -> list[Act]:
        return [
            act for act in world.by_user[user]
            if (not names or act.event in names) and fits(act) and start <= act.time < end
        ]  # fmt: skip

    def call(word: str, *first: str) -> str:
        arguments = ", ".join(part for part in [*first, words] if part)
        return f"{word}({arguments}{{limit}}{window}{where})".replace("(, ", "(")

    at_least = f"{', ' if words else ''}at_least => {least}"
    if kind == "did":
        most = dice.choice([None, least + 1])
        text = at_least + (f", at_most => {most}" if most else "")
        return call("did").replace("{limit}", text), lambda user: least <= len(rows(user)) <= (most or math.inf)
    if kind == "did_not":
        return call("did_not").replace("{limit}", "").replace("(, ", "("), lambda user: not rows(user)
    if kind == "sum":

        def total(user: str) -> bool:
            amounts = [act.amount for act in rows(user) if act.amount is not None]
            return bool(amounts) and sum(amounts) <= 3 * least

        return call("total", "amount").replace("{limit}", f", at_most => {3 * least}"), total
    if kind == "distinct":
        return call("distinct", "product").replace(
            "{limit}", f", at_most => {least}"
        ), lambda user: 1 <= len({act.product for act in rows(user)} - {None}) <= least
    if kind == "days":
        return call("active_days").replace(
            "{limit}", at_least
        ), lambda user: len({act.time.astimezone(ZONE).date() for act in rows(user)}) >= least
    if kind == "edge":
        last = dice.random() < 0.5

        def edge(user: str) -> bool:
            own = [act.time for act in world.by_user[user] if (not names or act.event in names) and fits(act)]
            return bool(own) and start <= (max(own) if last else min(own)) < end

        return call("last_did" if last else "first_did").replace("{limit}", "").replace("(, ", "("), edge
    hours = dice.choice([None, 24, 36])
    limit = f"step('buy', within => '{hours}h')" if hours else "'buy'"
    text = f"sequence('view', {limit}{window})"

    def sequence(user: str) -> bool:
        acts = [act for act in world.by_user[user] if start <= act.time < end]
        return any(
            a.event == "view" and b.event == "buy" and a.time < b.time
            and (hours is None or b.time - a.time <= timedelta(hours=hours))
            for a in acts for b in acts
        )  # fmt: skip

    return text, sequence


def span(dice: random.Random) -> tuple[datetime, datetime, str]:
    """A window of time: its ends, and its text."""
    today, back = AS_OF.date(), dice.randint(1, 12)
    kind = dice.choice(["all", "days", "hours", "ending", "since", "before"])
    ever, now = datetime(1900, 1, 1, tzinfo=UTC), AS_OF.astimezone(UTC)
    if kind == "days":
        return midnight(today - timedelta(days=back)), now, f", within => '{back}d'"
    if kind == "hours":
        return now - timedelta(hours=24 * back), now, f", within => '{24 * back}h'"
    if kind == "ending":
        later = today - timedelta(days=3)
        return midnight(later - timedelta(days=back)), midnight(later), f", within => '{back}d', ending => '3d'"
    day = today - timedelta(days=back)
    if kind == "since":
        return midnight(day), now, f", since => date '{day}'"
    if kind == "before":
        return ever, midnight(day), f", before => date '{day}'"
    return ever, now, dice.choice(["", ", within => 'all'"])


def nested(world: World, dice: random.Random, sets: dict[str, Test], depth: int) -> tuple[str, Test]:
    """A condition with connectives: `and` and `or` as in SQL, `not` the exact complement."""
    if depth == 0 or dice.random() < 0.2:
        return leaf(world, dice, sets)
    if dice.random() < 0.3:
        text, test = nested(world, dice, sets, depth - 1)
        return f"not ({text})", lambda user: test(user) is not True
    parts = [nested(world, dice, sets, depth - 1) for _ in range(dice.randint(2, 3))]
    word = dice.choice(["and", "or"])
    decisive = word == "or"

    def joined(user: str) -> Truth:
        found = [test(user) for _, test in parts]
        return decisive if decisive in found else None if None in found else not decisive

    return f" {word} ".join(f"({text})" for text, _ in parts), joined


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Project, dict[str, Test]]:
    """A built workspace with segments that ask for each other, the rows behind it, and the tests of the segments."""
    root, world, dice = tmp_path_factory.mktemp("shop"), World(11), random.Random(12)
    sets: dict[str, Test] = {}
    written = []
    for number in range(12):
        text, test = nested(world, dice, sets, 2)
        written.append(f"s{number}:\n  where: |\n    {text}\n")
        sets[f"in_segment('s{number}')"] = matching(test)
    acts = [
        f"{act.user},{act.time:%Y-%m-%dT%H:%M:%SZ},{act.event},{'' if act.amount is None else act.amount},{act.product or ''}"
        for act in world.acts
    ]
    files = {
        "limner.yaml": CONFIG, "tags/t.yaml": TAGS, "segments/s.yaml": "".join(written),
        "people.csv": "u,city\n" + "".join(f"{user},{world.city[user] or ''}\n" for user in USERS),
        "acts.csv": "\n".join(["u,t,e,price,product", *acts]) + "\n", "lists/vip.txt": "\n".join(LISTED),
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    build(open_project(root), "2025-04-04", Silent())
    return world, open_project(root), sets


def matching(test: Test) -> Test:
    """The test of a segment, which is never unknown."""
    return lambda user: test(user) is True


def members_of(test: Test) -> list[str]:
    return [user for user in USERS if test(user) is True]


def check_conditions(shop: tuple[World, Project, dict[str, Test]], seed: int, count: int) -> None:
    """That so many conditions give the oracle's users, in every way in which they are evaluated."""
    world, project, sets = shop
    dice = random.Random(seed)
    made = [nested(world, dice, sets, dice.randint(0, 4)) for _ in range(count)]
    with project.store.open() as snapshot:
        conditions = [
            resolve(None, text, project.segments, project.catalog, project.workspace).condition for text, _ in made
        ]
        counted = measure_many(snapshot.connection, conditions)
        for (text, test), condition, many in zip(made, conditions, counted, strict=True):
            expected = members_of(test)
            sql = audience_query(condition, prepare(snapshot.connection, condition)).sql(dialect="duckdb")
            assert [row["user_id"] for row in snapshot.rows(sql)] == expected, text
            assert many == measure_audience(snapshot, condition).size == len(expected), text
            steps = [step for step in measure_funnel(snapshot, condition) if "." not in step.step]
            assert steps[-1].count == len(expected), text


def test_nested_conditions_of_all_kinds_find_the_users_of_the_oracle(
    shop: tuple[World, Project, dict[str, Test]],
) -> None:
    check_conditions(shop, 1, 25)


def test_segments_of_segments_find_the_users_of_the_oracle(shop: tuple[World, Project, dict[str, Test]]) -> None:
    _, project, sets = shop
    with project.store.open() as snapshot:
        for number in range(12):
            rows = snapshot.rows(f"SELECT user_id FROM audiences WHERE segment = 's{number}' ORDER BY user_id")
            assert [row["user_id"] for row in rows] == members_of(sets[f"in_segment('s{number}')"])
