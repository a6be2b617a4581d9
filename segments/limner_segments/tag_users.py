"""Who uses a tag: the segments and scenarios that name it, and the scorers that may see it.

Imports floor 1, segment and scenario. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from limner_profile.catalog import Catalog
from limner_profile.errors import RefusedError
from limner_segments.scoring.scenario import NamedScenario, allowed_tags
from limner_segments.segment import NamedSegment


@dataclass(frozen=True)
class TagUser:
    """A user of a tag: `thing` is segment or scenario, `role` condition, population, trust or scorer."""

    thing: str
    name: str
    role: str
    where: str


def users_of_tag(
    tag: str, catalog: Catalog, segments: Mapping[str, NamedSegment], scenarios: Mapping[str, NamedScenario]
) -> list[TagUser]:
    """The segments, then the scenarios that use a tag, each with its role; a scenario may have several."""
    users = [
        TagUser("segment", name, "condition", named.place)
        for name, named in segments.items()
        if tag in named.condition.fields()
    ]
    for name, named in scenarios.items():
        scenario = named.scenario
        roles = ["population"] if tag in scenario.population.fields() else []
        roles += ["trust"] if tag in scenario.trust else []
        with suppress(RefusedError):  # a scenario that leaves no tag for its scorer says so when it is trained
            roles += ["scorer"] if tag in allowed_tags(scenario, catalog) else []
        users += [TagUser("scenario", name, role, named.place) for role in roles]
    return users
