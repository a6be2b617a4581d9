"""The crowd that the benchmarks of segments work on: a million users with sixty tags, contacts to export, and random conditions.

Reuses the workload: its events and forty tags, and twenty more. The same numbers give the same rows and conditions.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import yaml
from workload import TAGS, make_project

from limner.project import Project, build, open_project, sync
from limner.steps import Silent
from limner_profile.snapshots import Snapshot

CONTACTS = ("email", "phone", "first_name", "last_name", "country", "postcode")
MORE: dict[str, dict[str, Any]] = {
    **{f"{event}s_{window}": {"kind": "count", "event": event, "window": window}
       for event, window in (("login", "1d"), ("login", "180d"), ("read", "7d"), ("read", "180d"), ("search", "90d"), ("share", "30d"),
                             ("comment", "30d"), ("comment", "90d"), ("order", "30d"), ("order", "90d"), ("order", "180d"))},
    "shelved_90d": {"kind": "count", "event": "add_to_shelf", "window": "90d"},
    "spend_30d": {"kind": "sum", "event": "order", "window": "30d"},
    "spend_180d": {"kind": "sum", "event": "order", "window": "180d"},
    "days_since_search": {"kind": "recency", "event": "search"},
    "days_since_share": {"kind": "recency", "event": "share"},
    "reading_days_30d": {"kind": "active_days", "event": "read", "window": "30d"},
    "last_product": {"kind": "last", "event": "order", "of": "product"},
    "last_genre": {"kind": "last", "event": "read", "of": "genre"},
    "member": {"kind": "attribute", "attribute": "member"},
}  # fmt: skip
EVENTS = ("login", "read", "search", "share", "comment", "add_to_shelf", "order")


def prepare(folder: Path, users: int, millions: float) -> Project:
    """The built project in the folder, made where it is not there yet."""
    done = folder / "built"
    if not done.exists():
        started = time.perf_counter()
        if (folder / "limner.yaml").exists():  # half made
            shutil.rmtree(folder)
        make_project(folder, int(millions * 1e6), users)
        write_contacts(folder, users)
        settings = yaml.safe_load((folder / "limner.yaml").read_text("utf-8"))
        settings["sources"]["contacts"] = {
            "type": "users", "path": "contacts.parquet", "user": "user_id",
            "attributes": {name: name for name in (*CONTACTS, "member")},
        }  # fmt: skip
        (folder / "limner.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), "utf-8")
        contacts = {name: {"kind": "attribute", "attribute": name} for name in CONTACTS}
        (folder / "tags" / "more.yaml").write_text(yaml.safe_dump({**MORE, **contacts}, sort_keys=False), "utf-8")
        project = open_project(folder)
        sync(project, Silent())
        build(project, None, Silent())
        done.write_text(f"{users} users, {millions:g} million events\n", "utf-8")
        print(f"made and built in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return open_project(folder)


def write_contacts(folder: Path, users: int) -> None:
    """Write `contacts.parquet`: what a channel matches people by, one in ten unknown.

    Written as people write it: upper and lower case, white space, one phone number in fifty with a prefix for calls from abroad.
    """
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT 'u' || lpad(CAST(i AS VARCHAR), 7, '0') AS user_id,
                CASE WHEN hash(i * 2) % 10 > 0 THEN ['Li', 'mary.', ' Chen_', 'O.'][1 + CAST(hash(i * 3) % 4 AS INT)] || CAST(i AS VARCHAR)
                    || ['@Gmail.com', '@example.org ', '@qq.com'][1 + CAST(hash(i * 5) % 3 AS INT)] END AS email,
                CASE WHEN hash(i * 7) % 10 > 0 THEN
                    CASE WHEN hash(i * 37) % 50 = 0 THEN '0086 136' ELSE ['138 ', '+86 139-', '136'][1 + CAST(hash(i * 11) % 3 AS INT)] END || lpad(CAST(hash(i * 13) % 100000000 AS VARCHAR), 8, '0') END AS phone,
                ['Anna', 'José ', '伟', 'mary ann', 'Zoë'][1 + CAST(hash(i * 17) % 5 AS INT)] AS first_name,
                ['O''Neil', '王', 'de la Cruz', 'Smith-Jones', 'LEE'][1 + CAST(hash(i * 19) % 5 AS INT)] AS last_name,
                ['CN', 'cn', 'US'][1 + CAST(hash(i * 23) % 3 AS INT)] AS country,
                lpad(CAST(hash(i * 29) % 90000 + 10000 AS VARCHAR), 5, '0') AS postcode,
                hash(i * 31) % 3 = 0 AS member
                FROM range({users}) AS t(i)) TO '{folder / "contacts.parquet"}' (FORMAT parquet)"""
        )


def leaves(project: Project, snapshot: Snapshot, dice: random.Random) -> Iterator[str]:
    """Random conditions on one tag, with the values that users have."""
    names = [name for name in (*TAGS, *MORE) if project.catalog[name].type in ("number", "category", "boolean")]
    known: dict[str, list[Any]] = {}
    while True:
        name = dice.choice(names)
        kind = project.catalog[name].type
        if name not in known:
            points = f"quantile_disc({name}, [0.05, 0.2, 0.4, 0.5, 0.6, 0.8, 0.95])"
            query = (
                f"SELECT list(DISTINCT {name} ORDER BY {name}) FROM profiles"
                if kind == "category"
                else f"SELECT {points} FROM profiles"
            )
            known[name] = (
                [] if kind == "boolean" else [one for one in snapshot.value(query) or [] if one is not None][:20]
            )
        values = known[name]
        if kind == "boolean" or not values or dice.random() < 0.1:
            yield dice.choice([f"{name} is known", f"{name} is unknown"]) if kind != "boolean" else f"{name} = true"
        elif kind == "category":
            chosen = ", ".join(
                "'" + value.replace("'", "''") + "'" for value in dice.sample(values, min(3, len(values)))
            )
            yield f"{name} {dice.choice(['in', 'not in'])} ({chosen})"
        else:
            low, high = sorted(dice.choices(values, k=2))
            yield dice.choice(
                [f"{name} >= {low}", f"{name} < {high} include_unknown", f"{name} between {low} and {high}"]
            )


def nested(one: Iterator[str], dice: random.Random, deep: int = 5) -> str:
    """Five conditions, each inside the brackets of the one before."""
    text = next(one)
    for _ in range(deep - 1):
        text = f"{next(one)} {dice.choice(['and', 'or', 'and not'])} ({text})"
    return text


def behaviour(dice: random.Random) -> str:
    """A random condition on events."""
    event, window = dice.choice(EVENTS), dice.choice(["7d", "30d", "90d", "180d"])
    return dice.choice([
        f"did('{event}', at_least => {dice.randint(1, 4)}, within => '{window}')", f"did_not('{event}', within => '{window}')",
        f"total(amount, 'order', at_least => {dice.randint(50, 900)}, within => '{window}')",
        f"did('order', within => '{window}', where => amount >= {dice.randint(50, 250)})",
        f"active_days('{event}', at_least => {dice.randint(2, 6)}, within => '{window}')",
        f"sequence('{event}', step('order', within => '7d'), within => '{window}')",
    ])  # fmt: skip


def ranked(project: Project, dice: random.Random) -> str:
    """A random condition on the place of a user in the order of a number."""
    name = dice.choice([name for name in (*TAGS, *MORE) if project.catalog[name].type == "number"])
    percent = dice.choice([1, 5, 10, 20, 25, 50])
    low = dice.choice([10, 25, 40, 60, 75])
    return dice.choice([
        f"in_top({name}, percent => {percent})", f"in_bottom({name}, percent => {percent})", f"in_percentile({name}, {low}, {low + 15})",
        f"in_top({name}, {dice.choice([100, 1000, 10_000])})",
    ])  # fmt: skip


def drawn(dice: random.Random) -> str:
    """A random condition on the salted hash of the user."""
    salt = f"'salt {dice.randint(1, 9)}'"
    return dice.choice(
        [f"in_sample({salt}, {dice.choice([0.01, 0.1, 0.5])})", f"in_split({salt}, {dice.randint(1, 3)}, of => 3)"]
    )
