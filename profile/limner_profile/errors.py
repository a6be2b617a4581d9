"""The two families of error, and the issue that a check reports. Imports nothing of Limner.

LimnerError
├── UserError           the user's fault: one cause, one remedy, exit code 1, no traceback
│   ├── DefinitionError     a YAML file does not say what it should (holds every issue found)
│   ├── SourceError         a source file is missing, empty or has other columns than mapped
│   ├── ConditionError      the text of a condition cannot be read, or names an unknown field
│   ├── QueryError          SQL that is not allowed, or that DuckDB refuses
│   ├── UnknownNameError    a name (segment, scenario, tag, user, insight, snapshot) that does not exist
│   ├── RefusedError        a rule of the house forbids it (small group, overwriting, too little history)
│   └── BusyError           somebody else holds the lock
└── InternalError       our fault: shown with its traceback
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Issue:
    """One complaint: a stable `code` word, `where` it stands (file:line:column), `message` and `hint`."""

    code: str
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}  {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text


class LimnerError(Exception):
    """The root of everything that Limner raises itself."""


class UserError(LimnerError):
    """The user's fault: a list of issues, at least one, shown without a traceback."""

    def __init__(self, issues: Issue | Sequence[Issue]) -> None:
        self.issues: tuple[Issue, ...] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        super().__init__("\n".join(str(issue) for issue in self.issues))

    @property
    def code(self) -> str:
        """The stable word of the first issue."""
        return self.issues[0].code


class DefinitionError(UserError):
    """A YAML file does not say what it should."""


class SourceError(UserError):
    """A source file is missing, empty or has other columns than its mapping says."""


class ConditionError(UserError):
    """The text of a condition cannot be read, or it names an unknown field."""


class QueryError(UserError):
    """SQL that is not allowed here, or that DuckDB refuses."""


class UnknownNameError(UserError):
    """A name that does not exist."""


class RefusedError(UserError):
    """A rule of the house forbids it."""


class BusyError(UserError):
    """Somebody else holds the lock."""


class InternalError(LimnerError):
    """Our fault: a state that should not be possible."""


def did_you_mean(name: str, known: Iterable[str], fallback: str = "") -> str:
    """The hint that names the nearest valid name, or `fallback` where none is near.

    >>> did_you_mean("at_leest", ["at_least", "window"])
    "did you mean 'at_least'?"
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near:
        folded = {known_name.casefold(): known_name for known_name in names}
        near = [folded[name.casefold()]] if name.casefold() in folded else []
    return f"did you mean {near[0]!r}?" if near else fallback


def unknown_name(thing: str, name: str, known: Iterable[str], where: str = "") -> UnknownNameError:
    """The error for a name that does not exist, with the nearest valid name as the remedy."""
    names = sorted(known)
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    fallback = f"known: {listed}" if names else f"there is no {thing} yet"
    return UnknownNameError(
        Issue(f"unknown-{thing}", where, f"unknown {thing} {name!r}", did_you_mean(name, names, fallback))
    )
