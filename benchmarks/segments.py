"""Segments at a million users: sizes, comparison, overlap, materialising and a hashed export, each against its goal.

    python benchmarks/segments.py --dir DIR [--users 1000000 --millions 20] [--only size compare …] [--runs 5]

Makes a workspace of so many users with sixty tags (the forty of the workload and twenty more, all built by Limner from the events) and
contacts to export, once, and keeps it in DIR. Then measures on the open snapshot, and prints a Markdown table. Exports are also made by
pandas and `hashlib`, row by row as one would write it, and the script stops where the two files are not the same.
"""

from __future__ import annotations

import sys

_here = [entry for entry in sys.path if entry.endswith("benchmarks")]
sys.path = [entry for entry in sys.path if entry not in _here] + _here

import argparse
import hashlib
import platform
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml
from crowd import CONTACTS, MORE, behaviour, drawn, leaves, nested, prepare, ranked
from workload import AS_OF, TAGS

from limner.project import Project, open_project
from limner_profile.snapshots import Snapshot
from limner_segments.audience import measure_audience
from limner_segments.conditions import parse_condition


@dataclass
class Result:
    """A line of the table: seconds, which the goal limits from above, or how many times as fast, which it limits from below."""

    what: str
    value: float
    goal: float | None
    note: str = ""
    times: bool = False

    def row(self) -> str:
        """The line in Markdown."""
        shown = [f"{each:.1f} ×" if self.times else _time(each) for each in (self.value, self.goal) if each is not None]
        reached = "–"
        if self.goal is not None:
            reached = "yes" if (self.value >= self.goal if self.times else self.value <= self.goal) else "**no**"
        return f"| {self.what} | {shown[0]} | {shown[1] if self.goal is not None else '–'} | {reached} | {self.note} |"


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 2 else f"{seconds:.1f} s"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came back."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def p95(seconds: list[float]) -> float:
    """The 95th percentile: of a hundred the 95th."""
    return sorted(seconds)[max(0, round(0.95 * len(seconds)) - 1)]


def sizes(what: str, goal: float, texts: list[str], snapshot: Snapshot) -> Result:
    """The time from the text of a condition to its exact size."""
    measure_audience(snapshot, parse_condition(texts[0]))  # the first one opens the file
    runs = [(*timed(lambda text=text: measure_audience(snapshot, parse_condition(text))), text) for text in texts]
    taken = [seconds for seconds, _, _ in runs]
    slowest = max(runs, key=lambda run: run[0])[2]
    print(f"{what}: slowest is {slowest}", file=sys.stderr)
    return Result(
        f"{what}, p95 of {len(texts)}",
        p95(taken),
        goal,
        f"median {_time(statistics.median(taken))}, slowest {_time(max(taken))}",
    )


def size(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """Sizes of segments on tags only."""
    dice = random.Random(1)
    one = leaves(project, snapshot, dice)
    texts = [nested(one, dice) for _ in range(100)]
    return [sizes("size, five nested conditions on tags", 0.05, texts, snapshot)]


def size_places(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """Sizes of segments on tags with one condition that needs every user: a place in an order, or a draw by lot."""
    dice = random.Random(5)
    one = leaves(project, snapshot, dice)

    def texts(more: Callable[[], str]) -> list[str]:
        return [f"({nested(one, dice, 4)}) {dice.choice(['and', 'or'])} {more()}" for _ in range(40)]

    return [
        sizes(
            "size, four conditions on tags and one on a place among all",
            0.05,
            texts(lambda: ranked(project, dice)),
            snapshot,
        ),
        sizes("size, four conditions on tags and a random draw", 0.05, texts(lambda: drawn(dice)), snapshot),
    ]


def size_events(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """Sizes of segments with one condition on events."""
    dice = random.Random(2)
    one = leaves(project, snapshot, dice)
    texts = [f"({nested(one, dice, 4)}) {dice.choice(['and', 'or'])} {behaviour(dice)}" for _ in range(40)]
    return [sizes("size, four conditions on tags and one on events", 1.0, texts, snapshot)]


def compare(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """Comparison of an audience with everyone over sixty tags."""
    from limner_segments.comparison import compare_audience

    dice = random.Random(3)
    one = leaves(project, snapshot, dice)
    conditions = [parse_condition(nested(one, dice)) for _ in range(2 * runs)]
    tags = [*TAGS, *MORE]
    compare_audience(snapshot, conditions[0], project.catalog, tags=tags[:1])  # the first one imports scipy
    taken = [
        timed(lambda condition=condition: compare_audience(snapshot, condition, project.catalog, tags=tags))[0]
        for condition in conditions
    ]
    return [
        Result(
            f"comparison over {len(tags)} tags, p95 of {len(taken)}",
            p95(taken),
            1.0,
            f"median {_time(statistics.median(taken))}",
        )
    ]


def write_segments(project: Project, snapshot: Snapshot, number: int) -> None:
    """Write so many segments, of which one in ten asks for events, as a file of the workspace."""
    dice = random.Random(4)
    one = leaves(project, snapshot, dice)
    texts = {
        f"s{at}": {"where": nested(one, dice) + (f" and {behaviour(dice)}" if at % 10 == 9 else "")}
        for at in range(number)
    }
    folder = project.workspace.root / "segments"
    folder.mkdir(exist_ok=True)
    (folder / "many.yaml").write_text(yaml.safe_dump(texts, allow_unicode=True, sort_keys=False, width=1000), "utf-8")


def materialised(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """A hundred audiences into a snapshot derived from the current one."""
    from limner.materialising import materialise

    write_segments(project, snapshot, 100)
    seconds, done = timed(lambda: materialise(open_project(project.workspace.root)))
    rows = sum(done.sizes.values())
    return [Result("materialising 100 segments", seconds, 30.0, f"{rows / 1e6:.1f} M rows of audiences")]


def overlap(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """All pairs of fifty materialised segments, from the snapshot's bitmaps to the table."""
    from limner_segments.bitmaps import read_bitmaps
    from limner_segments.overlap import overlap_pairs

    opened = open_project(project.workspace.root)
    if len(opened.segments) < 50:
        materialised(project, snapshot, runs)
        opened = open_project(project.workspace.root)
    conditions = {name: opened.segments[name].condition for name in list(opened.segments)[:50]}
    with opened.store.open() as current:
        taken, pairs = [], []
        for _ in range(2 * runs):
            seconds, pairs = timed(lambda: overlap_pairs(read_bitmaps(current, conditions)))
            taken.append(seconds)
        first = pairs[0]
        both = f"SELECT count(*) FROM audiences AS a JOIN audiences AS b USING (user_id) WHERE a.segment = '{first.first}' AND b.segment = '{first.second}'"
        if current.value(both) != first.both:
            sys.exit(f"the overlap of {first.first} and {first.second} is {current.value(both)}, not {first.both}")
    return [
        Result(
            f"overlap of {len(conditions)} segments, {len(pairs)} pairs",
            statistics.median(taken),
            0.1,
            f"slowest {_time(max(taken))}",
        )
    ]


def export(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """Everyone as a hashed CSV for a platform, by Limner and by pandas, which must write the same lines."""
    from limner_segments.exports.files import About, write_rows
    from limner_segments.exports.formats.base import Options
    from limner_segments.segment import NamedSegment, Segment

    condition = parse_condition("country is known")
    named = NamedSegment("everyone", Segment(where=condition))
    columns = {name: name for name in CONTACTS}
    ours, theirs = (project.workspace.root / "exports" / name for name in ("limner.csv", "pandas.csv"))
    ours.parent.mkdir(exist_ok=True)
    about = About("benchmark", datetime.now(UTC))
    taken = [
        timed(
            lambda: write_rows(
                snapshot, "SELECT user_id FROM profiles ORDER BY user_id", columns, "meta", ours, named=named, catalog=project.catalog,
                about=about, min_size=0, options=Options(region="CN"), overwrite=True,
            )
        )[0]
        for _ in range(runs)
    ]  # fmt: skip
    seconds, _ = timed(lambda: by_pandas(snapshot, theirs))
    compare_files(ours, theirs)
    median = statistics.median(taken)
    rows = snapshot.value("SELECT count(*) FROM profiles")
    return [
        Result(
            f"export of {rows:,} rows as hashed CSV",
            median,
            10.0,
            f"{len(CONTACTS)} fields; median of {runs}",
        ),
        Result("the same against pandas", seconds / median, 5.0, f"pandas takes {_time(seconds)}", times=True),
    ]


def follow(project: Project, snapshot: Snapshot, runs: int) -> list[Result]:
    """Retention and funnel of everyone, which have no goal."""
    from limner_profile.tags.acts import Acts
    from limner_segments.funnel_definition import steps_of
    from limner_segments.funnels import measure_funnel
    from limner_segments.retention import Retention, measure_retention

    everyone = parse_condition("logins_7d is known")
    login = Acts(("login",))
    asked = Retention(login, Acts(()), "week", 12)
    retained = [timed(lambda: measure_retention(snapshot, everyone, asked))[0] for _ in range(runs)]
    steps = steps_of("login,read,order", "7d")
    went = [timed(lambda: measure_funnel(snapshot, everyone, steps))[0] for _ in range(runs)]
    return [
        Result("retention by week, 12 periods", statistics.median(retained), None, f"median of {runs}"),
        Result("funnel of three steps within 7 days", statistics.median(went), None, f"median of {runs}"),
    ]


def by_pandas(snapshot: Snapshot, target: Path) -> None:
    """The file of the same users and fields by the rules of Meta, as one writes it with pandas."""
    import unicodedata

    import pandas as pd
    import phonenumbers

    def digest(text: str | None) -> str | None:
        return hashlib.sha256(text.encode()).hexdigest() if text else None

    def email(text: str) -> str:
        return text.strip().lower()

    def phone(text: str) -> str | None:
        try:
            parsed = phonenumbers.parse(text, "CN")
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_valid_number(parsed):
            return None
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).lstrip("+")

    def person(text: str) -> str:
        kept = "".join(letter for letter in text.lower() if not unicodedata.category(letter).startswith("P"))
        return " ".join(kept.split())

    def lowered(text: str) -> str:
        return text.replace(" ", "").lower()

    frame = snapshot.frame(f"SELECT {', '.join(CONTACTS)} FROM profiles ORDER BY user_id")
    rules = {"email": ("email", email), "phone": ("phone", phone), "fn": ("first_name", person), "ln": ("last_name", person),
             "country": ("country", lowered), "zip": ("postcode", lowered)}  # fmt: skip
    done = {}
    for header, (column, rule) in rules.items():
        done[header] = frame[column].map(lambda text, rule=rule: digest(rule(text)) if isinstance(text, str) else None)
    pd.DataFrame(done).to_csv(target, index=False, lineterminator="\n")


def compare_files(ours: Path, theirs: Path) -> None:
    """Nothing; stops where the lines of two files differ, whatever the order of their columns."""
    with duckdb.connect() as connection:
        read = "SELECT {} FROM read_csv('{}', all_varchar = true, header = true)"
        names = [row[0] for row in connection.execute(f"DESCRIBE {read.format('*', theirs)}").fetchall()]
        one, other = (read.format(", ".join(names), path) for path in (ours, theirs))
        differing = connection.execute(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchall()[0][0]
        counts = [connection.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0] for query in (one, other)]
    if differing or counts[0] != counts[1]:
        sys.exit(f"the two exports differ in {differing} of {counts[0]} and {counts[1]} rows")


MEASURES: dict[str, Callable[[Project, Snapshot, int], list[Result]]] = {
    "size": size, "size_places": size_places, "size_events": size_events, "compare": compare, "build": materialised, "overlap": overlap, "follow": follow, "export": export,
}  # fmt: skip


def main() -> None:
    """Make the workspace, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="where the workspace is kept from run to run")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--millions", type=float, default=20, help="millions of events")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    folder = arguments.dir / f"segments-{arguments.users}-{arguments.millions:g}"
    project = prepare(folder, arguments.users, arguments.millions)
    print(
        f"{arguments.users:,} users, {len(TAGS) + len(MORE)} tags, {int(arguments.millions * 1e6):,} events until {AS_OF}; "
        f"{platform.machine()}, duckdb {duckdb.__version__}\n"
    )
    print("| what | seconds | goal | reached | |\n| --- | --- | --- | --- | --- |")
    for name in arguments.only:
        with project.store.open() as snapshot:
            for result in MEASURES[name](project, snapshot, arguments.runs):
                print(result.row(), flush=True)


if __name__ == "__main__":
    main()
