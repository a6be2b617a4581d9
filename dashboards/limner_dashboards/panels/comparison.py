"""What sets an audience apart from all users: the chart of the largest differences, and the tables of traits and of means.

Imports floors 1 and 2, the view and the elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from limner_dashboards.charts.traits import telling_traits, tgi_chart
from limner_dashboards.elements import (
    empty_state,
    graph,
    grid,
    number_column,
    panel,
    percent_column,
    term,
    text_column,
)
from limner_dashboards.view import Visit
from limner_dashboards.words import say
from limner_profile.predicates.base import Predicate
from limner_segments.comparison import Comparison, MeanTrait, Trait, compare_audience

_Q_FORMAT = {
    "function": "params.value == null ? '–' : params.value < 0.0001 ? '< 0.0001' : d3.format('.2g')(params.value)"
}


def comparison(visit: Visit, condition: Predicate) -> Any:
    """What sets an audience apart: the chart of its largest differences, and the tables of all traits and means."""
    import dash_mantine_components as dmc
    from dash import html

    language, catalog = visit.language, visit.view.catalog
    columns = visit.memo("profile columns", lambda: visit.opened.columns("profiles"))
    tags = tuple(name for name in catalog.tags if name in columns)
    key = ("comparison", visit.meaning(condition), language, visit.min_group, tags)
    found: Comparison = visit.memo(
        key, lambda: compare_audience(visit.opened, condition, catalog, language, visit.min_group, tags)
    )
    traits = [_worded(trait, catalog[trait.tag].type, language) for trait in found.traits]
    if not traits:
        return panel(say("differs", language), empty_state(say("no_traits", language)))
    free = telling_traits(traits)
    fixed, hidden = sum(trait.tautological for trait in traits), sum(trait.suppressed for trait in traits)
    notes = [say("tautological", language, count=fixed)] if fixed else []
    notes += [say("suppressed", language, count=hidden, min_group=visit.min_group)] if hidden else []
    chart = (
        graph(tgi_chart(free, language), say("differs", language))
        if free
        else empty_state(say("no_difference", language))
    )
    return html.Div(
        [
            panel(
                say("differs", language),
                chart,
                *[dmc.Text(note, size="sm", c="dimmed") for note in notes],
                hint=[say("differs_hint", language), " ", term("tgi", language, "TGI?")],
            ),
            panel(say("all_traits", language), _trait_grid(traits, language)),
            *([panel(say("all_means", language), _mean_grid(found.means, language))] if found.means else []),
        ],
        className="stack",
    )


def _worded(trait: Trait, kind: str, language: str) -> Trait:
    """The trait of a boolean tag with yes or no for true or false."""
    return (
        replace(trait, trait=say(trait.trait, language))
        if kind == "boolean" and trait.trait in ("true", "false")
        else trait
    )


def _note(trait: Trait | MeanTrait, language: str) -> str:
    if trait.suppressed:
        return say("note_suppressed", language)
    return say("note_tautological", language) if trait.tautological else ""


def _mean_grid(means: Sequence[MeanTrait], language: str) -> Any:
    def interval(mean: MeanTrait) -> str:
        return (
            "" if mean.mean_low is None or mean.mean_high is None else f"{mean.mean_low:+,.3g} – {mean.mean_high:+,.3g}"
        )

    rows = [
        {
            "title": mean.title,
            "audience": mean.audience_mean,
            "base": mean.base_mean,
            "difference": mean.mean_difference,
            "interval": interval(mean),
            "effect": mean.effect_size,
            "q": mean.q_value,
            "note": _note(mean, language),
        }
        for mean in means
    ]
    columns = [
        text_column("title", say("tag", language), 142, flex=220),
        number_column("audience", say("in_audience", language), ",.3~r", 110),
        number_column("base", say("among_all", language), ",.3~r", 110),
        number_column("difference", say("difference", language), "+,.3~r", 110),
        text_column("interval", say("interval", language), 150, type="rightAligned"),
        number_column("effect", say("effect_size", language), "+.2f", 100),
        number_column("q", say("q_value", language), ".2g", 100, valueFormatter=_Q_FORMAT),
        text_column("note", say("note", language), 130),
    ]
    return grid(columns, rows, language, 420)


def _trait_grid(traits: list[Trait], language: str) -> Any:
    def interval(trait: Trait) -> str:
        return "" if trait.tgi_low is None or trait.tgi_high is None else f"{trait.tgi_low:,.0f}–{trait.tgi_high:,.0f}"

    rows = [
        {
            "title": trait.title,
            "trait": trait.trait,
            "audience": trait.audience_share,
            "base": trait.base_share,
            "tgi": trait.tgi,
            "interval": interval(trait),
            "q": trait.q_value,
            "effect": trait.effect_size,
            "note": _note(trait, language),
        }
        for trait in traits
    ]
    columns = [
        # A telephone has room for the first three.
        text_column("title", say("tag", language), 142, flex=190),
        text_column("trait", say("trait", language), 92, flex=120),
        percent_column("audience", say("in_audience", language), 90, flex=110),
        percent_column("base", say("among_all", language)),
        number_column("tgi", say("tgi", language), ",.0f", 80),
        text_column("interval", say("interval", language), 120, type="rightAligned"),
        number_column("effect", say("effect_size", language), "+.2f", 100),
        number_column("q", say("q_value", language), ".2g", 100, valueFormatter=_Q_FORMAT),
        text_column("note", say("note", language), 130),
    ]
    return grid(columns, rows, language, 520)
