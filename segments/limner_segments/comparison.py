"""Comparison: how an audience differs from everyone, from its complement or from another audience, over all tags.

Shares of traits as TGI with an interval, means of numbers with theirs, effect sizes, tests against those outside the audience, false
discoveries controlled over everything that was looked at. Imports floor 1, the audience and the other modules of the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from limner_profile.catalog import Catalog
from limner_profile.predicates.base import Predicate
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.audience import condition_sql, prepare, require_tags
from limner_segments.comparison_causes import Cause, causes_of
from limner_segments.comparison_columns import count_tags
from limner_segments.comparison_counts import Count, read_membership
from limner_segments.comparison_looks import Looks
from limner_segments.comparison_privacy import Protection
from limner_segments.conditions.scope import scope_of

Against = Literal["everyone", "complement"] | Predicate
"""What an audience is compared with: all users, those who are not in it, or the audience of another condition."""


@dataclass(frozen=True)
class Trait:
    """One value or band of a tag: how common it is in the audience and in the base that it is compared with.

    Shares are 0 to 1; `tgi`, its bounds and `ceiling` (what the TGI would be if the whole audience had the trait) are on
    the 100 scale; a TGI is None where nobody in the base has the trait. `effect_size` is Cohen's h against the complement, or the
    other audience; `q_value` belongs to the test of the same difference. `condition` is the trait as text: whoever matches it has it.
    `tautological` marks traits that the definition fixes: those of its own tags (`fixed_by` is `condition`), of tags computed from
    these or the other way round (`derived`), and those that nobody or everybody has, in the audience or outside (`data`). The counts of
    a trait whose audience or complement has fewer than the smallest group allowed are None (`suppressed`), and so are those of another
    trait of the tag where the difference to the whole would give the small number away.
    """

    tag: str
    title: str
    trait: str
    audience_count: int | None
    base_count: int | None
    audience_share: float | None
    base_share: float | None
    tgi: float | None
    tgi_low: float | None
    tgi_high: float | None
    ceiling: float | None
    q_value: float | None
    tautological: bool
    suppressed: bool
    effect_size: float | None = None
    condition: str = ""
    fixed_by: Cause | None = None
    certainty: float = 0.0


@dataclass(frozen=True)
class MeanTrait:
    """The mean of a number tag in the audience and in the base, over the users with a value.

    `mean_difference` is the first minus the second, in the tag's unit, with its 95 % bounds; `effect_size` is Cohen's d
    against the complement, or the other audience. The rest is as in `Trait`.
    """

    tag: str
    title: str
    audience_known: int | None
    base_known: int | None
    audience_mean: float | None
    base_mean: float | None
    mean_difference: float | None
    mean_low: float | None
    mean_high: float | None
    effect_size: float | None
    q_value: float | None
    tautological: bool
    suppressed: bool
    fixed_by: Cause | None = None
    certainty: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """An audience of `size` beside a base of `base_size`, `both` of them in either: traits and means, the most telling first."""

    size: int
    base_size: int
    both: int
    users: int
    traits: tuple[Trait, ...] = ()
    means: tuple[MeanTrait, ...] = ()

    @property
    def differences(self) -> list[Trait | MeanTrait]:
        """Traits and means in one list, what distinguishes the audience most first."""
        return sorted([*self.traits, *self.means], key=_telling, reverse=True)


def compare_audience(
    snapshot: Snapshot,
    condition: Predicate,
    catalog: Catalog,
    language: str = "en",
    min_group: int = 10,
    tags: Sequence[str] | None = None,
    against: Against = "everyone",
) -> Comparison:
    """The comparison of an audience, what distinguishes it most first: by effect size, as far as it is sure.

    Numbers and dates are cut where quantiles of all users are near round values, with zero apart where it is common; categories
    show their ten most frequent values, those as frequent in one of the audiences, and the rest. Unknown is a trait like any
    other. Tags that the snapshot does not have yet are passed over. Against everyone, the test and the effect size are those
    against the complement; against another audience, users who are in both count in both, and the interval and the test know of it.
    Raises RefusedError `not-built` where a condition asks for a tag that the snapshot lacks.
    """
    other = against if isinstance(against, Predicate) else None
    conditions = [condition] if other is None else [condition, other]
    own = frozenset[str]().union(*(each.fields() for each in conditions))
    require_tags(snapshot, sorted(own))
    built = snapshot.columns("profiles")
    chosen: dict[str, FieldType] = {
        name: catalog[name].type for name in (tags if tags is not None else catalog.tags) if name in built
    }
    with snapshot.connection.cursor() as cursor:
        scope = prepare(snapshot.connection, *conditions)
        inside = condition_sql(condition, scope).sql(dialect="duckdb")
        rest = condition_sql(other, scope).sql(dialect="duckdb") if other is not None else "TRUE"
        if against == "complement":
            rest = f"NOT coalesce({inside}, FALSE)"
        membership = read_membership(cursor, inside, rest)
        only_a, both, only_b = (int(np.count_nonzero(part)) for part in membership.parts)
        size, users = (only_a, both, only_b), len(membership.in_a)
        found = Comparison(only_a + both, both + only_b, both, users)
        if not found.size or not found.base_size or not chosen:
            return found
        counted = count_tags(cursor, membership, chosen, (scope or scope_of(snapshot.connection)).timezone)
    sides = "a" if other is None else "ab"
    protection = Protection(size, users, min_group, sides)
    looks = Looks(counted, size, whole_base=against == "everyone")
    causes = [causes_of(each, size, users, own, catalog, sides) for each in counted]
    fixed = [cause is not None for each, _ in causes for cause in each]
    fixed += [whole is not None for each, (_, whole) in zip(counted, causes, strict=True) if each.moments is not None]
    q_values = looks.q_values(np.array(fixed))
    traits: list[Trait] = []
    means: list[MeanTrait] = []
    for each, (reasons, whole) in zip(counted, causes, strict=True):
        hides = protection.hidden(each)
        title = catalog[each.tag].title.of(language)
        for count, reason, hidden in zip(each.counts, reasons, hides, strict=True):
            share = looks.share(len(traits))
            shown: dict[str, Any] = {
                "audience_count": count.parts[0] + count.parts[1], "base_count": count.parts[1] + count.parts[2],
                **share.shown, "q_value": q_values[len(traits)],
            }  # fmt: skip
            # That the data fix a trait says that one of its counts is none.
            cause = None if hidden and reason == "data" else reason
            traits.append(
                Trait(
                    tag=each.tag, title=title, trait=_trait_name(count, catalog, language), **_unless(hidden, shown), suppressed=hidden,
                    tautological=cause is not None, fixed_by=cause, condition=count.condition.to_text(),
                    certainty=0.0 if hidden else share.certainty,
                )
            )  # fmt: skip
        if each.moments is not None:
            known, everyone = each.known
            hidden = protection.is_any_small(known, everyone)
            mean = looks.mean(len(means))
            shown = {**mean.shown, "q_value": q_values[len(looks.counts) + len(means)]}
            # Where the number of users without a value is hidden, so is that of those with one.
            numbers = {"audience_known": known[0] + known[1], "base_known": known[1] + known[2]}
            means.append(
                MeanTrait(
                    tag=each.tag, title=title, **_unless(hidden, shown), **_unless(hidden or any(hides), numbers), suppressed=hidden,
                    tautological=whole is not None, fixed_by=whole, certainty=0.0 if hidden else mean.certainty,
                )
            )  # fmt: skip
    return replace(
        found,
        traits=tuple(sorted(traits, key=_telling, reverse=True)),
        means=tuple(sorted(means, key=_telling, reverse=True)),
    )


def _unless(hidden: bool, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers, None for those that do not exist; all of them None where they are hidden."""
    return {
        name: None if hidden or value is None or not np.isfinite(value) else value for name, value in numbers.items()
    }


def _telling(trait: Trait | MeanTrait) -> tuple[bool, bool, float, float]:
    """Suppressed and tautological traits last; then by how large the effect at least is, and by the effect itself."""
    if trait.suppressed:
        return (False, False, 0.0, 0.0)
    return (True, not trait.tautological, trait.certainty, abs(trait.effect_size or 0.0))


def _trait_name(count: Count, catalog: Catalog, language: str) -> str:
    if count.name is None or count.rest:
        word = "unknown" if count.name is None else "other"
        return {"unknown": "未知", "other": "其他"}[word] if language == "zh" else word
    titles = catalog[count.tag].values
    return titles[count.name].of(language) if count.name in titles else count.name
