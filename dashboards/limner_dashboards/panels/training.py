"""Whether a scenario's model can be used: not trained, trained but no longer fitting, or trained and not yet in the snapshot.

Imports floors 1 and 2, the view and the elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limner_dashboards.elements import with_code
from limner_dashboards.view import Visit
from limner_dashboards.words import say
from limner_profile.errors import UserError
from limner_segments.scoring.shelf import staleness, take_model


@dataclass(frozen=True)
class Training:
    """What stands on the shelf for a scenario: whether it was trained, and why the model no longer fits (else empty)."""

    trained: bool
    stale: str = ""


def read_training(visit: Visit, name: str) -> Training:
    """The state of a scenario's model; a model that cannot be read is one that no longer fits."""
    named, catalog = visit.view.scenarios[name], visit.view.catalog

    def look() -> Training:
        try:
            trained = take_model(visit.view.workspace, name)
        except UserError as error:
            return Training(True, error.issues[0].message)
        return Training(False) if trained is None else Training(True, staleness(trained, named, catalog))

    return visit.memo(("training", name), look)


def state_line(visit: Visit, name: str, untrained: str) -> str:
    """What to do about a scenario without scores; `untrained` is the word for one that was never trained."""
    state, language = read_training(visit, name), visit.language
    if not state.trained:
        return say(untrained, language, name=name)
    if state.stale:
        return say("stale", language, name=name, reason=in_language(state.stale, language))
    return say("not_rated", language, name=name, snapshot=visit.opened.id)


def stale_alert(visit: Visit, name: str) -> list[Any]:
    """An alert for a scenario whose scores are in the snapshot, but which the next build will not score again."""
    import dash_mantine_components as dmc
    from dash import html

    state, language = read_training(visit, name), visit.language
    if not state.stale:
        return []
    text = say("stale_scores", language, name=name, reason=in_language(state.stale, language))
    alert = dmc.Alert(with_code(text), title=f"⚠ {say('stale_title', language)}", color="orange", variant="light")
    return [html.Div(alert, className="stale")]


def in_language(reason: str, language: str) -> str:
    """The reason why a model no longer fits, as `staleness` words it, in 'en' or 'zh'.

    >>> in_language("tags changed after training: age", "zh")
    '标签在训练后被修改：age'
    """
    if language != "zh":
        return reason
    for key in ("scenario_edited", "tags_changed"):
        english = say(key, "en")
        if reason.startswith(english):
            return say(key, "zh") + reason.removeprefix(english).replace(": ", "：", 1)
    return reason
