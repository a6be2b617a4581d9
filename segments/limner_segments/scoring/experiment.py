"""An experiment: leakage check, training and evaluation of one scenario beside its baselines.

Pure given its data: no files, no clock. Imports the parts beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner_profile.catalog import Catalog
from limner_segments.scoring.baselines import fit_base_rate, fit_logistic, fit_rfm
from limner_segments.scoring.dataset import ScenarioData
from limner_segments.scoring.encoding import ValueType
from limner_segments.scoring.evaluation import Evaluation, evaluate
from limner_segments.scoring.leakage import LeakageAlarm, leakage_alarms
from limner_segments.scoring.model import Provenance, ScoringModel
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.scoring.training import train_model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Experiment:
    """A trained model with its alarms, and the evaluation of every scorer on the hold-out (`lightgbm` first)."""

    model: ScoringModel
    alarms: tuple[LeakageAlarm, ...]
    evaluations: Mapping[str, Evaluation]
    excluded: tuple[str, ...]


def run_experiment(
    named: NamedScenario, catalog: Catalog, data: ScenarioData, on_step: Callable[[str], None] = lambda step: None
) -> Experiment:
    """The experiment of a scenario. Tags that alarm and cannot be proven to be known at the cutoff are left out.

    The alarms are looked for at the training cutoffs and at the hold-out: leaving a leak out only makes the hold-out
    harder, and a value that is filled in late shows there first.
    """
    import numpy as np
    import pandas as pd

    on_step("looking for leaks")
    trusted = {tag for tag in data.tags if catalog[tag].provable} | set(named.scenario.trust)
    alarms = leakage_alarms(
        pd.concat([data.training.frame, data.holdout.frame], ignore_index=True),
        np.concatenate([data.training.outcome, data.holdout.outcome]),
        np.concatenate([data.training.cutoff, data.holdout.cutoff]),
        trusted,
    )
    excluded = tuple(alarm.tag for alarm in alarms if alarm.action == "excluded")
    tags = [tag for tag in data.tags if tag not in excluded]
    types: dict[str, ValueType] = {tag: _value_type(catalog, tag) for tag in tags}
    training, holdout = data.training.frame[tags], data.holdout.frame[tags]
    on_step("training LightGBM")
    provenance = Provenance(
        scenario=named.name,
        scenario_text=named.scenario.content(),
        tags_hash=tags_with_hashes(tags, catalog),
        data_hash=data.training.digest,
        cutoffs=tuple(cutoff.isoformat() for cutoff in data.schedule.all),
    )
    model = train_model(training, data.training.outcome, data.training.cutoff, data.training.user_id, provenance, types)
    on_step("evaluating beside the baselines")
    logistic = fit_logistic(training, data.training.outcome, model.encoding)
    rfm = fit_rfm(*_rfm(data.training.rfm), data.training.outcome)
    base = fit_base_rate(data.training.outcome)
    evaluations = {
        "lightgbm": evaluate(data.holdout.outcome, model.score(holdout), model.score(training)),
        "logistic": evaluate(data.holdout.outcome, logistic.score(holdout), logistic.score(training)),
        "rfm": evaluate(data.holdout.outcome, rfm.score(*_rfm(data.holdout.rfm)), rfm.score(*_rfm(data.training.rfm))),
        "base_rate": evaluate(data.holdout.outcome, base.score(len(data.holdout))),
    }
    return Experiment(model, alarms, evaluations, excluded)


def tags_with_hashes(tags: Iterable[str], catalog: Catalog) -> str:
    """The tags with the hashes of their definitions, as a model remembers them."""
    return " ".join(f"{tag}:{catalog[tag].definition_hash if tag in catalog else 'gone'}" for tag in tags)


def _rfm(frame: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float], pd.Series[float]]:
    return frame["recency"], frame["frequency"], frame["monetary"]


def _value_type(catalog: Catalog, tag: str) -> ValueType:
    kind = catalog[tag].type
    return "number" if kind == "number" else "boolean" if kind == "boolean" else "category"
