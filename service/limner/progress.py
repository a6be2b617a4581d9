"""Progress in the terminal: a rich bar for each step, on stderr so that results can be piped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class TerminalStep:
    """A step with its bar, or without one where nobody watches."""

    def __init__(self, progress: Progress | None, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: float = 1) -> None:
        """Move the bar on."""
        if self._progress:
            self._progress.advance(self._task, amount)

    def describe(self, text: str) -> None:
        """Say what is being done now."""
        if self._progress:
            self._progress.update(self._task, description=escape(text))


class TerminalProgress:
    """Steps as bars while they run, and as one line with the time that they took when they are done."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Iterator[TerminalStep]:
        """A step; the bar pulses where `total` is None."""
        started = time.perf_counter()
        if not self.console.is_terminal:
            yield TerminalStep(None, TaskID(0))
            self._done(name, started)
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=28), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            yield TerminalStep(progress, progress.add_task(escape(name), total=total))
        self._done(name, started)

    def _done(self, name: str, started: float) -> None:
        self.console.print(
            f"[green]✓[/] {escape(name)} [dim]{time.perf_counter() - started:.1f} s[/]", highlight=False, soft_wrap=True
        )

    def warn(self, text: str) -> None:
        """A line in yellow."""
        self.console.print(f"[yellow]![/] {escape(text)}", highlight=False, soft_wrap=True)
