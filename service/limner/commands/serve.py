"""limner serve: the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.commands.options import Dir, opened


def serve(
    directory: Dir = Path("."),
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8050,
    host: Annotated[str, typer.Option("--host", help="Only this machine by default.")] = "127.0.0.1",
) -> None:
    """Serve the dashboard of a workspace."""
    from limner.server import serve_dashboard

    serve_dashboard(opened(directory), host, port)
