"""What only a process of its own can show: start-up, pipes, signals, encodings, the lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limner.project import Project
from segments.small import make_workspace

HEAVY = (
    "duckdb",
    "pandas",
    "numpy",
    "lightgbm",
    "shap",
    "sklearn",
    "scipy",
    "dash",
    "plotly",
    "pyarrow",
    "sqlglot",
    "pydantic",
)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **more}


def limner(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limner.cli", *(str(argument) for argument in arguments)]
    return subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=300, check=False)


def test_the_help_answers_at_once_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; sys.argv = ['limner', '--help']\n"
        "import limner.cli\n"
        "try:\n    limner.cli.main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('took', time.process_time(), 'found', found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=300, check=True
    )
    last = done.stdout.splitlines()[-1].split()
    assert last[2:] == ["found", "[]"]
    assert float(last[1]) < 1.5  # seconds of the processor, whoever else uses it: a third of one on a quiet machine


def test_a_mistake_and_a_result_as_a_process(reading_project: Project) -> None:
    root = reading_project.workspace.root
    done = limner("segments", "size", "quiet_payer", "--dir", root)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "unknown segment 'quiet_payer'  [unknown-segment]\n  did you mean 'quiet_payers'?\n"
    done = limner("segments", "size", "quiet_payers", "--dir", root, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["size"] > 0


def test_a_reader_that_stops_early_causes_no_noise(reading_project: Project) -> None:
    query = "select p.user_id, a.name from profiles p cross join segments a"
    for style in ("csv", "json"):
        command = [
            sys.executable,
            "-m",
            "limner.cli",
            "sql",
            query,
            "--dir",
            str(reading_project.workspace.root),
            "--format",
            style,
        ]
        process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        with process:
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""


def test_a_terminal_without_utf_8_gets_escapes(reading_project: Project) -> None:
    root = reading_project.workspace.root
    shown = limner("segments", "show", "quiet_payers", "--dir", root, PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, "")
    done = limner("segments", "show", "quiet_payers", "--dir", root, "--format", "json", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    named = reading_project.segments["quiet_payers"]
    assert json.loads(done.stdout)["sentence_zh"] == named.sentence("zh", reading_project.catalog)
    wrong = limner("segments", "size", "沉默", "--dir", root, PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert wrong.returncode == 1
    assert "[unknown-segment]" in wrong.stderr


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Another process that holds the lock of a workspace."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom limner_profile.snapshots import SnapshotStore\n"
        "with SnapshotStore(Path(sys.argv[1])).lock():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(root / ".limner")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.communicate()


def test_somebody_elses_build_is_told_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    with locked(tmp_path):
        done = limner("build", "--dir", tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Traceback" not in done.stderr
        assert "another process is writing to this workspace  [workspace-busy]" in done.stderr
    assert limner("build", "--dir", tmp_path, "--format", "json").returncode == 0


def test_an_interrupted_build_leaves_the_snapshot_before_it(reading_project: Project, tmp_path: Path) -> None:
    make_workspace(tmp_path)
    assert limner("build", "--dir", tmp_path).returncode == 0
    before = (tmp_path / ".limner" / "snapshots" / "CURRENT").read_text()
    code = (
        "import signal, sys, time, limner.project as work\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # where the tests run in the background, it is ignored
        "def slow(*_): print('writing', flush=True); time.sleep(30)\n"
        "work.write_profiles = slow\n"
        f"sys.argv = ['limner', 'build', '--dir', {str(tmp_path)!r}]\n"
        "from limner.cli import main\nmain()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.rstrip().endswith("stopped; nothing half-written is in use")
    assert (tmp_path / ".limner" / "snapshots" / "CURRENT").read_text() == before
    assert not list((tmp_path / ".limner" / "snapshots").glob("*.tmp*"))
