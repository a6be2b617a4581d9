"""The shelf: where trained models stand, `.limner/models/<scenario>/<fingerprint>/`, and which one is in use.

A model's folder is complete before the pointer CURRENT names it. Imports floor 1 and the parts beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from limner_profile.catalog import Catalog
from limner_profile.workspace import Workspace
from limner_segments.scoring.experiment import Experiment, tags_with_hashes
from limner_segments.scoring.leakage import LeakageAlarm
from limner_segments.scoring.model import ScoringModel
from limner_segments.scoring.scenario import NamedScenario


@dataclass(frozen=True)
class TrainedModel:
    """A model in use, with the rows of its evaluation, its leakage alarms and its folder."""

    model: ScoringModel
    evaluation_rows: tuple[Mapping[str, str | float | None], ...]
    alarms: tuple[LeakageAlarm, ...]
    folder: Path

    def file(self, name: str) -> str | None:
        """The text of a further file in the model's folder, None where there is none."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else None


def shelve(workspace: Workspace, named: NamedScenario, experiment: Experiment, further: Mapping[str, str]) -> Path:
    """The folder of the model, which is in use from now on; `further` names more files to keep beside it."""
    shelf = workspace.state / "models" / named.name
    folder = shelf / experiment.model.fingerprint[:16]
    experiment.model.save(folder)
    rows = [
        row for scorer, evaluation in experiment.evaluations.items() for row in evaluation.to_rows(named.name, scorer)
    ]
    content = {"rows": rows, "alarms": [asdict(alarm) for alarm in experiment.alarms]}
    files = {**further, "evaluation.json": json.dumps(content, indent=1, ensure_ascii=False)}
    for name, text in files.items():
        temporary = folder / f"{name}.tmp"
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, folder / name)
    pointer = shelf / "CURRENT.tmp"
    pointer.write_text(folder.name + "\n", encoding="utf-8")
    os.replace(pointer, shelf / "CURRENT")
    return folder


def take_model(workspace: Workspace, scenario: str) -> TrainedModel | None:
    """The model in use for a scenario, None before it was trained; raises what `ScoringModel.load` raises."""
    shelf = workspace.state / "models" / scenario
    pointer = shelf / "CURRENT"
    if not pointer.exists():
        return None
    folder = shelf / pointer.read_text(encoding="utf-8").strip()
    model = ScoringModel.load(folder)
    content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    alarms = tuple(LeakageAlarm(**{**alarm, "cutoffs": tuple(alarm["cutoffs"])}) for alarm in content["alarms"])
    return TrainedModel(model, tuple(content["rows"]), alarms, folder)


def trained_tags(workspace: Workspace, scenario: str) -> frozenset[str]:
    """The tags that the model in use for a scenario reads, without loading it; none before training, or where it is damaged."""
    shelf = workspace.state / "models" / scenario
    try:
        folder = shelf / (shelf / "CURRENT").read_text(encoding="utf-8").strip()
        record = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        return frozenset(entry.split(":")[0] for entry in record["provenance"]["tags_hash"].split())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def staleness(trained: TrainedModel, named: NamedScenario, catalog: Catalog) -> str:
    """Why a model no longer fits its scenario or tags, empty where it does."""
    provenance = trained.model.record.provenance
    if provenance.scenario_text != named.scenario.content():
        return "the scenario was edited after training"
    if provenance.tags_hash != tags_with_hashes(trained.model.tags, catalog):
        before = set(provenance.tags_hash.split())
        changed = [
            entry.split(":")[0]
            for entry in tags_with_hashes(trained.model.tags, catalog).split()
            if entry not in before
        ]
        return f"tags changed after training: {', '.join(changed)}"
    return ""
