"""Serving the dashboard with waitress, on this machine only unless told otherwise."""

from __future__ import annotations

import socket
import sys

import typer

from limner.project import Project, open_project
from limner_profile.errors import Issue, RefusedError


def serve_dashboard(project: Project, host: str, port: int) -> None:
    """Serve until interrupted; raises RefusedError where the port is taken or there is no snapshot."""
    project.store.open().close()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RefusedError(
                Issue(
                    "port-taken",
                    f"{host}:{port}",
                    f"the port cannot be used: {error.strerror}",
                    "choose another with --port",
                )
            ) from None
    from limner_dashboards.app import create_app

    root = project.workspace.root
    app = create_app(lambda: open_project(root))
    typer.echo(f"\nLimner is at http://{host}:{port}/  (Ctrl-C stops it)")
    sys.stdout.flush()
    import waitress

    waitress.serve(app.server, host=host, port=port, threads=8, _quiet=True)
