"""The command line: `limner <noun> <verb>`. Commands live in `commands/`, one file a noun; heavy imports inside them."""

from __future__ import annotations

import errno
import io
import sys

import typer

import limner
from limner.commands import (
    build,
    comparing,
    demo,
    exports,
    funnels,
    init,
    insights,
    profile,
    retention,
    sample,
    scenarios,
    segment_definitions,
    segment_history,
    segment_list,
    segment_overlap,
    segment_suggest,
    segment_why,
    segments,
    serve,
    snapshots,
    sql,
    tags,
    users,
)

app = typer.Typer(
    name="limner",
    help="From raw behaviour to a rule that a person can read, trust and act on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_INTERRUPTED = 130
# What the machine refuses is neither the user's mistake in a definition nor ours: it needs no traceback either.
_OUTSIDE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EMFILE,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.EFBIG,
        errno.ENOENT,
    }
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"limner {limner.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """From raw behaviour to a rule that a person can read, trust and act on."""


app.command("demo", rich_help_panel="Start here")(demo.demo)
app.command("init", rich_help_panel="Start here")(init.init)
app.command("sample", rich_help_panel="Start here")(sample.sample)
app.command("check", rich_help_panel="Build")(build.check)
app.command("sync", rich_help_panel="Build")(build.sync)
app.command("build", rich_help_panel="Build")(build.build)
app.command("sql", rich_help_panel="Look")(sql.sql)
app.command("serve", rich_help_panel="Look")(serve.serve)
app.add_typer(tags.app, name="tags", rich_help_panel="Look")
app.add_typer(profile.app, name="profile", rich_help_panel="Look")
app.add_typer(snapshots.app, name="snapshots", rich_help_panel="Look")
app.add_typer(users.app, name="users", rich_help_panel="Look")
segments.app.command("list")(segment_list.list_segments)
segments.app.command("why")(segment_why.why)
segments.app.command("history")(segment_history.history)
segments.app.command("overlap")(segment_overlap.overlap)
segments.app.command("suggest")(segment_suggest.suggest)
segments.app.command("compare")(comparing.compare)
segments.app.command("funnel")(funnels.funnel)
segments.app.command("retention")(retention.retention)
segments.app.command("check")(segment_definitions.check)
segments.app.command("build")(segment_definitions.build)
app.add_typer(segments.app, name="segments", rich_help_panel="Act")
app.add_typer(exports.app, name="export", rich_help_panel="Act")
app.add_typer(scenarios.app, name="scenarios", rich_help_panel="Act")
app.add_typer(insights.app, name="insights", rich_help_panel="Act")


def main() -> None:
    """Run the command line; a user's mistake ends with exit code 1 and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 shows Chinese as escapes (in JSON they are read back) instead of failing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            typer.echo("stopped; nothing half-written is in use", err=True)
        raise
    except KeyboardInterrupt:
        typer.echo("stopped; nothing half-written is in use", err=True)
        sys.exit(_INTERRUPTED)
    except Exception as error:
        from limner_profile.errors import Issue, UserError

        if isinstance(error, OSError) and error.errno in _OUTSIDE:
            place = str(error.filename or "")
            hint = "look at the path, its permissions and the space that is left"
            error = UserError(Issue("cannot-access", place, (error.strerror or str(error)).lower(), hint))
        if not isinstance(error, UserError):
            raise
        from limner.output import print_error

        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
