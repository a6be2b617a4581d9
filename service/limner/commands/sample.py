"""limner sample: write the sample data in any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    out: Annotated[Path, typer.Option("--out", help="The folder to write a workspace to.")] = Path("limner-sample"),
    users: Annotated[
        int, typer.Option("--users", min=10, help="How many users; 8,000 is the committed sample.")
    ] = 8000,
    seed: Annotated[int | None, typer.Option("--seed", help="Another world with the same causes.")] = None,
) -> None:
    """Write the workspace of the reading app with data of any size."""
    from limner.progress import TerminalProgress
    from limner_samples.workspaces import write_reading

    progress = TerminalProgress()
    with progress.step(f"generate {users:,} users", 1.0) as step:
        done = 0.0

        def forward(share: float) -> None:
            nonlocal done
            step.advance(share - done)
            done = share

        rows = write_reading(out, users, seed, forward)
    for name, count in rows.items():
        typer.echo(f"{count:>12,}  {name}")
    typer.echo(f"next: limner build --dir {out}")
