"""Serving the dashboard with waitress, on this machine only unless told otherwise."""

from __future__ import annotations

import socket
import sys

import typer
from flask import Flask, request

from limner.project import Project, open_project
from limner_profile.errors import Issue, RefusedError


def check_port(host: str, port: int) -> None:
    """Nothing; raises RefusedError where nobody could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"the port cannot be used: {error.strerror}"
            raise RefusedError(Issue("port-taken", f"{host}:{port}", message, "choose another with --port")) from None


def guard_host(server: Flask, host: str) -> None:
    """Refuse requests that name another host: a web page whose name resolves to this machine must not reach it.

    Where the dashboard listens on all addresses, whoever chose that has put something in front of it.
    """
    if host in ("0.0.0.0", "::"):
        return
    allowed = {"127.0.0.1", "localhost", "[::1]", host}

    @server.before_request
    def check() -> tuple[str, int] | None:
        name = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
        return None if name in allowed else ("this host name is not served here", 403)


def serve_dashboard(project: Project, host: str, port: int) -> None:
    """Serve until interrupted; raises RefusedError where the port is taken or there is no snapshot."""
    project.store.open().close()
    check_port(host, port)
    from limner_dashboards.app import create_app

    root = project.workspace.root
    app = create_app(lambda: open_project(root))
    guard_host(app.server, host)
    typer.echo(f"\nLimner is at http://{host}:{port}/  (Ctrl-C stops it)")
    sys.stdout.flush()
    import waitress

    waitress.serve(app.server, host=host, port=port, threads=8, _quiet=True)
