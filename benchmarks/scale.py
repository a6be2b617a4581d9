"""Scale: seconds and memory of `limner sync` and `limner build` from 1 to 50 million events, and the look-up of one profile.

    python benchmarks/scale.py --millions 1 2 5 10 20 50

Twenty events a user, the forty tags of the workload, each step in a process of its own, whose peak resident memory is told.
"""

from __future__ import annotations

import sys

_here = [entry for entry in sys.path if entry.endswith("benchmarks")]
sys.path = [entry for entry in sys.path if entry not in _here] + _here

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from workload import make_project

from limner.project import build, open_project, sync
from limner.steps import Silent
from limner_profile.lookup import read_profile


def step(folder: Path, name: str) -> dict[str, Any]:
    """What one step measured, run in this process."""
    project = open_project(folder)
    started = time.perf_counter()
    if name == "sync":
        sync(project, Silent())
    elif name == "build":
        build(project, None, Silent())
    else:
        snapshot = project.store.open()
        users = [
            row["user_id"] for row in snapshot.rows("SELECT user_id FROM profiles USING SAMPLE 50 ROWS (reservoir, 1)")
        ]
        read_profile(snapshot, users[0])  # the first one opens the file
        taken = []
        for user in users:
            started = time.perf_counter()
            read_profile(snapshot, user)
            taken.append(time.perf_counter() - started)
        return {"median": statistics.median(taken), "p95": sorted(taken)[int(0.95 * len(taken))]}
    return {"seconds": time.perf_counter() - started, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def run(folder: Path, name: str) -> dict[str, Any]:
    """What one step measured, run in a process of its own."""
    command = [sys.executable, __file__, "--step", name, "--dir", str(folder)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Make each workspace, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 2, 5, 10, 20, 50])
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--step", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(step(arguments.dir, arguments.step)))
        return
    folder = arguments.dir or Path(tempfile.mkdtemp(prefix="limner-bench-"))
    print("| events | users | sync, s | GB | build, s | GB | build, s per million | look-up, ms | p95 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for millions in arguments.millions:
        workspace, users = folder / f"scale-{millions}", millions * 50_000
        make_project(workspace, millions * 1_000_000, users)
        synced, built, looked = (run(workspace, name) for name in ("sync", "build", "look-up"))
        print(
            f"| {millions},000,000 | {users:,} | {synced['seconds']:.1f} | {synced['peak']:.1f} | {built['seconds']:.1f} | {built['peak']:.1f} "
            f"| {built['seconds'] / millions:.2f} | {1000 * looked['median']:.0f} | {1000 * looked['p95']:.0f} |",
            flush=True,
        )
        shutil.rmtree(workspace)


if __name__ == "__main__":
    main()
