"""A trained scorer: margins, scores and contributions of users, and its folder on disk.

Contributions are in calibrated log-odds and add up: base value + the contributions of all tags = the log-odds of the
score. Imports the encoding and the calibration beside it, and the errors of the profile floor.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from limner_profile.errors import Issue, RefusedError, UnknownNameError
from limner_segments.scoring.calibration import Calibration
from limner_segments.scoring.encoding import Encoding

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    FloatArray = npt.NDArray[np.float64]

CHUNK_ROWS = 50_000
SMALL_ROWS = 1_000


class Provenance(BaseModel):
    """What a model was trained on: scenario, hashes of the tag definitions and of the rows, cutoffs (oldest first)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    scenario_text: str
    tags_hash: str
    data_hash: str
    cutoffs: tuple[str, ...]


class ModelRecord(BaseModel):
    """Everything about a model but its trees: what `model.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    fingerprint: str
    provenance: Provenance
    encoding: Encoding
    calibration: Calibration
    rounds: int
    base_margin: float
    training_rows: int
    training_outcomes: int
    validation: str
    validation_rows: int
    settings: dict[str, int | float]
    versions: dict[str, str]
    trees_sha256: str


@dataclass(frozen=True)
class Contributions:
    """SHAP contributions in calibrated log-odds: `values` is (users × tags), `base_value` one number for all users."""

    tags: tuple[str, ...]
    values: FloatArray
    base_value: float


@dataclass(frozen=True)
class ScoringModel:
    """A trained scorer: `booster_text` holds the trees, `record` all the rest."""

    booster_text: str
    record: ModelRecord

    @property
    def scenario(self) -> str:
        """The name of the scenario."""
        return self.record.provenance.scenario

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of what the model was trained on."""
        return self.record.fingerprint

    @property
    def encoding(self) -> Encoding:
        """How tags become columns."""
        return self.record.encoding

    @property
    def calibration(self) -> Calibration:
        """The line from margin to log-odds."""
        return self.record.calibration

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that the model reads."""
        return self.record.encoding.tags

    @property
    def base_value(self) -> float:
        """The calibrated log-odds before any tag speaks."""
        return self.calibration.slope * self.record.base_margin + self.calibration.intercept

    @cached_property
    def booster(self) -> Any:
        """The LightGBM Booster, read once."""
        import lightgbm

        return lightgbm.Booster(model_str=self.booster_text)

    def margin(self, frame: pd.DataFrame) -> FloatArray:
        """The raw sum of the trees for each row, before calibration."""
        import numpy as np

        margin = np.zeros(len(frame), dtype=np.float64)
        for start in range(0, len(frame), CHUNK_ROWS):  # the matrix is many times wider than the tags
            matrix = self.encoding.encode(frame.iloc[start : start + CHUNK_ROWS])
            margin[start : start + CHUNK_ROWS] = self._predict(matrix, raw_score=True)
        return margin

    def log_odds(self, frame: pd.DataFrame) -> FloatArray:
        """The calibrated log-odds of each row: what base value and contributions add up to."""
        return self.calibration.log_odds(self.margin(frame))

    def score(self, frame: pd.DataFrame) -> FloatArray:
        """The calibrated probability of each row."""
        return self.calibration.probability(self.margin(frame))

    def contributions(self, frame: pd.DataFrame) -> Contributions:
        """The contribution of each tag to each row's log-odds, the columns of one tag added up.

        Path-dependent TreeSHAP (Lundberg et al. 2020) as LightGBM computes it, times the slope of the calibration.
        """
        import numpy as np

        values = np.zeros((len(frame), len(self.tags)), dtype=np.float64)
        for start in range(0, len(frame), CHUNK_ROWS):
            matrix = self.encoding.encode(frame.iloc[start : start + CHUNK_ROWS])
            by_column = self._predict(matrix, pred_contrib=True)[:, :-1]  # the last column is the base margin
            values[start : start + CHUNK_ROWS] = self.encoding.sum_by_tag(by_column)
        values *= self.calibration.slope
        return Contributions(self.tags, values, self.base_value)

    def _predict(self, matrix: FloatArray, **what: bool) -> FloatArray:
        """LightGBM's prediction; a few rows stay on one thread, since threads that wait for each other cost more."""
        import numpy as np

        threads = 1 if len(matrix) < SMALL_ROWS else 0  # 0 leaves the number to LightGBM
        return np.asarray(self.booster.predict(matrix, num_threads=threads, **what), dtype=np.float64)

    def save(self, directory: Path) -> None:
        """Write `model.txt` and `model.json` into a new folder, then give it the name `directory` in one step.

        A folder that holds this very model is left as it is; one that holds another model is replaced.
        """
        parent = directory.parent
        parent.mkdir(parents=True, exist_ok=True)
        if directory.exists() and _holds(directory, self):
            return
        fresh = parent / f".{directory.name}.{secrets.token_hex(4)}.tmp"
        fresh.mkdir()
        try:
            _write(fresh / "model.txt", self.booster_text)
            _write(fresh / "model.json", self.record.model_dump_json(indent=2) + "\n")
            if directory.exists():
                # a folder cannot be renamed onto a full one: the old one steps aside, and comes back if that fails
                aside = fresh.with_suffix(".old")
                directory.rename(aside)
                try:
                    fresh.rename(directory)
                except OSError:
                    aside.rename(directory)
                    raise
                shutil.rmtree(aside)
            else:
                fresh.rename(directory)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @staticmethod
    def load(directory: Path) -> ScoringModel:
        """The model saved in `directory`.

        Raises UnknownNameError (`unknown-model`) where there is none, RefusedError (`damaged-model`) where its files
        cannot be read or do not belong together.
        """
        hint = "train the scenario again"
        try:
            text = (directory / "model.txt").read_text(encoding="utf-8")
            record_text = (directory / "model.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UnknownNameError(Issue("unknown-model", str(directory), "there is no model here", hint)) from None
        try:
            record = ModelRecord.model_validate_json(record_text)
        except ValidationError as error:
            first = error.errors()[0]["msg"]
            raise RefusedError(
                Issue("damaged-model", str(directory / "model.json"), f"model.json cannot be read: {first}", hint)
            ) from None
        if sha256(text) != record.trees_sha256:
            raise RefusedError(
                Issue(
                    "damaged-model", str(directory / "model.txt"), "the trees are not those that model.json names", hint
                )
            )
        return ScoringModel(text, record)


def sha256(*parts: str) -> str:
    """The SHA-256 of the parts, each preceded by its length, so that moving a character between two parts shows."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8")
        if len(parts) > 1:
            digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def fingerprint_of(provenance: Provenance, encoding: Encoding, settings_text: str) -> str:
    """The SHA-256 over scenario text, tag definitions, rows, encoding and settings: equal inputs, equal model."""
    return sha256(
        provenance.scenario_text,
        provenance.tags_hash,
        provenance.data_hash,
        encoding.model_dump_json(),
        settings_text,
    )


def _holds(directory: Path, model: ScoringModel) -> bool:
    try:
        return ScoringModel.load(directory) == model
    except (UnknownNameError, RefusedError, OSError):
        return False


def _write(path: Path, text: str) -> None:
    """Write `text` and wait until the disk has it."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
