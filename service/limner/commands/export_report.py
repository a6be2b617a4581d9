"""What an export says on a terminal: a headline, how the audience came to its recipients, and where the proof stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

# The order in which the rules apply; those without users are left out of a table.
_PARTS = {
    "audience": "audience", "suppressed": "− suppressed", "no_consent": "− without consent", "capped": "− contacted too often",
    "held_out": "− held out", "withheld": "− withheld", "unchanged": "− on the list already", "recipients": "= recipients",
    "left": "left the list",
}  # fmt: skip


def print_export(content: Mapping[str, Any]) -> None:
    """Print an export to a file; `content` is what JSON says."""
    from limner.output import Format, console, print_object

    users, rows = content["users"], content["rows"]
    of = f"{rows:,} rows of {users:,} users" if users not in (None, rows) else _counted(rows, "row")
    unmatched = f"; {content['left_out']:,} could not be matched" if content["left_out"] else ""
    console().print(Text(f"{of} in {content['path']}{unmatched}", style="bold"))
    if values := unused_values(content):
        console().print(Text(f"values left empty: {values}"))
    _print_accounting(content["accounting"])
    proof = {"file": content["path"], **({"left": content["left"]} if "left" in content else {})}
    names = ("sha256", "export", "snapshot", "as_of")
    print_object(
        {**proof, "manifest": f"{content['path']}.manifest.json", **{name: content[name] for name in names}},
        Format.table,
    )


def print_sent(content: Mapping[str, Any]) -> None:
    """Print a run of a webhook; `content` is what JSON says."""
    from limner.output import Format, console, print_object

    sent = content["accounting"].get("recipients", 0) + content["accounting"].get("left", 0)
    batches = f"{content['batches']:,} {'batch' if content['batches'] == 1 else 'batches'}"
    console().print(Text(f"{_counted(sent, 'user')} sent to {content['destination']} in {batches}", style="bold"))
    _print_accounting(content["accounting"])
    names = ("target", "export", "mode", "snapshot", "as_of")
    print_object({name: content[name] for name in names}, Format.table)


def print_dry_run(content: Mapping[str, Any], refused: bool) -> None:
    """Print who would be exported; `content` is what JSON says, and `refused` whether that is too few."""
    from limner.output import Format, console, print_object

    whom = f"{content['recipients']:,} of {_counted(content['audience'], 'user')}"
    what = "would be left, too few for an export" if refused else "would be exported"
    console().print(Text(f"{whom} {what}; nothing was written", style="bold"))
    _print_accounting(content)
    names = ("destination", "mode", "since", "holdout_share", "holdout_salt", "snapshot", "as_of")
    print_object({name: content[name] for name in names if content[name] not in (None, 0.0)}, Format.table)


def unused_values(content: Mapping[str, Any]) -> str:
    """The values of a platform's fields that are not in the file, by reason; empty without any.

    >>> unused_values({"rejected": {"phone": {"invalid-phone": 52}}, "missing": {"email": 3}})
    '52 phone not valid, 3 email missing'
    """
    parts = []
    for field, reasons in content["rejected"].items():
        for reason, count in reasons.items():
            words = "not valid" if reason.startswith("invalid") else reason.removesuffix(f"-{field}").replace("-", " ")
            parts.append(f"{count:,} {field} {words if words != 'unknown' else 'not recognised'}")
    return ", ".join([*parts, *(f"{count:,} {field} missing" for field, count in content["missing"].items() if count)])


def _print_accounting(accounting: Mapping[str, Any]) -> None:
    from limner.output import Format, console, print_rows

    rows = [
        {"users": words, "count": accounting[name]}
        for name, words in _PARTS.items()
        if name in ("audience", "recipients") or accounting.get(name)
    ]
    console().print()
    print_rows([row for row in rows if row["count"] is not None], Format.table)
    console().print()


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
