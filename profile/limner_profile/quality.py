"""Quality: the limits that a tag's definition sets, and what of its statistics does not keep them. Pure.

Imports definitions and errors only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from limner_profile.definitions import Definition
from limner_profile.errors import Issue


class Quality(Definition):
    """Limits on a tag's coverage and drift (PSI against the snapshot before), and what a build does where one is broken.

    `warn` says so and goes on; `stop` ends the build, and the snapshot that was current stays. The same goes for the tag's
    limit of `freshness`.
    """

    coverage_min: float | None = Field(default=None, ge=0, le=1)
    psi_max: float | None = Field(default=None, gt=0)
    on_breach: Literal["warn", "stop"] = "warn"


@dataclass(frozen=True)
class Staleness:
    """Why a tag's limit of freshness is not kept; not `known` where nobody can tell how old its data is."""

    words: str
    known: bool = True


@dataclass(frozen=True)
class Breach:
    """A limit that a tag does not keep."""

    tag: str
    words: str
    stop: bool
    where: str = ""

    @property
    def issue(self) -> Issue:
        """The breach as an issue, for a build that stops."""
        hint = "mend the source, or change 'quality' of the tag; the snapshot that was current stays"
        return Issue("quality-limit", self.where, f"the tag {self.tag!r}: {self.words}", hint)


def find_breaches(
    limits: Mapping[str, tuple[Quality, str]],
    statistics: Iterable[Mapping[str, Any]],
    stale: Mapping[str, Staleness] | None = None,
) -> list[Breach]:
    """The limits that the statistics do not keep; `limits` is tag to its quality and the place of its definition.

    A tag without drift (new, redefined, the first build) keeps every limit of drift. `stale` are the tags that do not keep
    their limit of freshness; one of unknown age is told, since unknown is not fresh, but never stops a build by that.
    """
    breaches = []
    for row in statistics:
        if row["tag"] not in limits:
            continue
        quality, where = limits[row["tag"]]
        found = []
        if quality.coverage_min is not None and row["coverage"] < quality.coverage_min:
            found.append(f"coverage {row['coverage']:.4g} is below {quality.coverage_min:g}")
        if quality.psi_max is not None and row["psi"] is not None and row["psi"] > quality.psi_max:
            found.append(f"psi {row['psi']:.4g} against {row['compared_with']} is above {quality.psi_max:g}")
        age = (stale or {}).get(row["tag"])
        if age is not None and age.known:
            found.append(age.words)
        stop = bool(found) and quality.on_breach == "stop"
        if age is not None and not age.known:
            found.append(age.words)
        if found:
            breaches.append(Breach(row["tag"], "; ".join(found), stop, where))
    return breaches
