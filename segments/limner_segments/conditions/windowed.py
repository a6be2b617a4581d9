"""What conditions on behaviour share: the window in which events count, in local days before as_of or from day to day.

Imports the base, the scope and floor 1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import model_validator
from sqlglot import exp

from limner_profile.errors import Issue, RefusedError
from limner_profile.predicates.values import read_date
from limner_profile.predicates.words import Language
from limner_profile.windows import Span, Window, add_days
from limner_segments.conditions.base import Parameter, UserSet, members
from limner_segments.conditions.scope import Scope

WINDOW = (
    Parameter(
        "within",
        "window",
        "the window before as_of, such as '30d' (local days) or '24h'; everything before as_of by default",
    ),
    Parameter(
        "ending",
        "window",
        "how long before as_of the window ends: within => '30d', ending => '30d' is 60 to 30 days ago",
    ),
    Parameter("since", "date", "the first day that counts, instead of a window"),
    Parameter("before", "date", "the first day that no longer counts"),
)


def duration(span: str) -> timedelta:
    """The length of a span such as `7d` or `24h`, days of 24 hours.

    >>> duration("2d")
    datetime.timedelta(days=2)
    """
    return timedelta(days=int(span[:-1])) if span[-1] == "d" else timedelta(hours=int(span[:-1]))


def span_words(span: str, language: Language) -> str:
    """A length of time in words.

    >>> span_words("1d", "en"), span_words("24h", "zh")
    ('1 day', '24 小时')
    """
    number, days = span[:-1], span[-1] == "d"
    if language == "zh":
        return f"{number} {'天' if days else '小时'}"
    return f"{number} {'day' if days else 'hour'}{'' if number == '1' else 's'}"


class Windowed(UserSet):
    """A condition on what a user did in a window before as_of."""

    within: Window | None = None
    ending: Span | None = None
    since: date | None = None
    before: date | None = None

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = WINDOW

    @model_validator(mode="before")
    @classmethod
    def _read_days(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        # A dictionary (YAML, JSON) has text where the language has a date.
        return {**raw, **{name: read_date(raw[name]) for name in ("since", "before") if isinstance(raw.get(name), str)}}

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.since is not None and self.within is not None:
            raise ValueError("since and within both say where the window begins | give one of them")
        if self.before is not None and self.ending is not None:
            raise ValueError("before and ending both say where the window ends | give one of them")
        if self.before is not None and self.within is not None:
            raise ValueError("a window before as_of takes no last day | write ending => '30d', or since and before")
        if self.since is not None and self.before is not None and self.before <= self.since:
            raise ValueError(f"nothing lies from {self.since} to before {self.before}")
        if self.ending is not None:
            if self.within in (None, "all"):
                raise ValueError("ending takes a window: within => '30d', ending => '30d'")
            if self.within and self.within[-1] != self.ending[-1]:
                raise ValueError("within and ending are both in days, or both in hours")
        return self

    def span(self, scope: Scope) -> tuple[datetime | None, datetime]:
        """The window as UTC instants: from the first (None for the beginning of everything) to before the second, at most as_of."""
        end = scope.as_of
        if self.before is not None:
            end = min(end, scope.midnight(self.before))
        if self.since is not None:
            return scope.midnight(self.since), end
        if self.ending is None or self.within is None:
            return (scope.start(self.within) if self.within else None), end
        back, length = int(self.ending[:-1]), int(self.within[:-1])
        if self.ending[-1] == "h":
            end = scope.as_of - timedelta(hours=back)
            return end - timedelta(hours=length), end
        return (
            add_days(scope.as_of, -back - length, scope.timezone),
            add_days(scope.as_of, -back, scope.timezone),
        )

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The user is among those of the query."""
        return members(self.users(scope))

    @abstractmethod
    def users(self, scope: Scope) -> exp.Query:
        """The query for the `user_id` of those who match, over `events`."""

    @abstractmethod
    def asked_events(self) -> list[str]:
        """The names of the events that it asks for."""

    @abstractmethod
    def asked_fields(self) -> frozenset[str]:
        """The fields of events that it asks for."""

    def prepare(self, scope: Scope, connection: Any) -> None:
        """Nothing; raises RefusedError where the events that the snapshot saw are no longer there, or lack a field."""
        require_events(scope, connection)
        require_fields(scope, connection, self.asked_fields())

    def window_words(self, language: Language) -> str:
        """The window at the end of an English clause, or at the beginning of a Chinese one; empty for everything."""
        if self.within and self.within != "all":
            length = span_words(self.within, language)
            if self.ending:
                back = span_words(self.ending, language)
                return f" in {length} that ended {back} ago" if language == "en" else f"截至 {back}前的 {length}内"
            return f" in the last {length}" if language == "en" else f"近 {length}"
        if language == "en":
            parts = [f" since {self.since}" if self.since else "", f" before {self.before}" if self.before else ""]
            return "".join(parts)
        parts = [f"{self.since} 起" if self.since else "", f"{self.before} 之前" if self.before else ""]
        return "、".join(part for part in parts if part)


def require_events(scope: Scope, connection: Any) -> None:
    """Nothing; raises RefusedError `events-gone` where the view `events` cannot be read."""
    with connection.cursor() as cursor:
        found = cursor.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'event_files'").fetchall()
        files = cursor.execute("SELECT file FROM event_files").fetchall() if found[0][0] else None
    if files is not None and (scope.state is None or all((scope.state / file).exists() for (file,) in files)):
        return
    reason = (
        "its events were replaced by a later sync" if files is not None else "it was built before snapshots had events"
    )
    raise RefusedError(
        Issue(
            "events-gone",
            "",
            f"the behaviour that snapshot {scope.snapshot} saw cannot be read: {reason}",
            "run 'limner build'",
        )
    )


def require_fields(scope: Scope, connection: Any, fields: Collection[str]) -> None:
    """Nothing; raises RefusedError `not-built` where the events of the snapshot lack a field that was mapped after it was built.

    SQL would not complain: in a subquery a name that `events` lacks is the tag of that name, where there is one.
    """
    if not fields:
        return
    with connection.cursor() as cursor:
        found = cursor.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'events'").fetchall()
    known = {name.casefold() for (name,) in found}
    lacking = sorted(name for name in fields if name.casefold() not in known)
    if lacking:
        message = f"the events of snapshot {scope.snapshot} have no field {', '.join(lacking)}"
        raise RefusedError(Issue("not-built", "", message, "run 'limner build' first"))
