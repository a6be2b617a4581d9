"""Training of a scorer: a validation split in time, early stopping, calibration, and the final fit on all rows.

A pure function of rows and settings: the same rows in the same order give the same model text. Imports the encoding,
the calibration and the model beside it, and the errors of the profile floor.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from limner_profile.errors import InternalError, Issue, RefusedError
from limner_segments.scoring.calibration import fit_calibration
from limner_segments.scoring.encoding import ValueType, fit_encoding
from limner_segments.scoring.model import ModelRecord, Provenance, ScoringModel, fingerprint_of, sha256

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    FloatArray = npt.NDArray[np.float64]
    BoolArray = npt.NDArray[np.bool_]

FOLDS = 4
MIN_VALIDATION = 10
SMALL_ROWS = 50_000


class TrainingSettings(BaseModel):
    """The dials of training; the defaults are meant for a few hundred to a few million rows.

    `min_outcomes` is how many users with, and how many without the outcome the training rows need at least.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_depth: int = Field(default=6, ge=1, le=6)  # deeper trees make attribution slow, and rules unreadable
    num_leaves: int = Field(default=31, ge=2)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    feature_fraction: float = Field(default=0.8, gt=0, le=1)
    lambda_l2: float = Field(default=1.0, ge=0)
    max_rounds: int = Field(default=400, ge=1)
    patience: int = Field(default=30, ge=1)
    min_outcomes: int = Field(default=30, ge=2)
    num_threads: int = Field(default=2, ge=1)
    seed: int = 20240601


def train_model(
    frame: pd.DataFrame,
    outcome: npt.ArrayLike,
    cutoff: npt.ArrayLike,
    user_id: npt.ArrayLike,
    provenance: Provenance,
    value_types: Mapping[str, ValueType] | None = None,
    settings: TrainingSettings | None = None,
) -> ScoringModel:
    """The scorer fitted on these training rows (without the hold-out).

    `frame` has a row for a user at a cutoff and a column for a tag; `outcome` is 0 or 1, `cutoff` an index that grows
    with time. The number of rounds is found by early stopping on the newest training cutoff, or on a quarter of the
    users where there is only one cutoff or too few outcomes at the newest. All rows are fitted with that number of
    rounds, and calibrated by the margins that models without a row's user give it.
    Raises RefusedError: `no-tags`, `too-few-outcomes`, and what `fit_encoding` raises.
    """
    import numpy as np

    settings = settings or TrainingSettings()
    happened, cutoffs = check_outcome(outcome, len(frame)), np.asarray(cutoff)
    require_outcomes(happened, settings.min_outcomes)
    encoding = fit_encoding(frame, value_types)
    matrix = encoding.encode(frame)
    held, validation = validation_rows(happened, cutoffs, np.asarray(user_id, dtype=object))

    names = encoding.column_names
    probe = fit_booster(
        matrix[~held], happened[~held], names, settings, settings.max_rounds, matrix[held], happened[held]
    )
    rounds = int(probe.best_iteration) or settings.max_rounds
    folds = np.array([fold_of(user) for user in np.asarray(user_id, dtype=object)], dtype=np.int64)
    calibration = fit_calibration(_out_of_fold_margins(matrix, happened, folds, names, settings, rounds), happened)

    text = str(fit_booster(matrix, happened, names, settings, rounds).model_to_string())
    record = ModelRecord(
        fingerprint=fingerprint_of(provenance, encoding, settings.model_dump_json()),
        provenance=provenance,
        encoding=encoding,
        calibration=calibration,
        rounds=rounds,
        base_margin=_base_margin(text, matrix[:1]),
        training_rows=len(frame),
        training_outcomes=int(happened.sum()),
        validation=validation,
        validation_rows=int(held.sum()),
        settings=settings.model_dump(),
        versions=_versions(),
        trees_sha256=sha256(text),
    )
    return ScoringModel(text, record)


def check_outcome(outcome: npt.ArrayLike, rows: int) -> BoolArray:
    """The outcome as booleans; raises InternalError where it is not 0 or 1 for every row."""
    import numpy as np

    values = np.asarray(outcome)
    if values.shape != (rows,):
        raise InternalError(f"{rows} rows, but an outcome of shape {values.shape}")
    happened: BoolArray = values == 1
    if not np.all(happened | (values == 0)):
        raise InternalError("an outcome is neither 0 nor 1")
    return happened


def require_outcomes(happened: BoolArray, least: int) -> None:
    """Nothing; raises RefusedError (`too-few-outcomes`) with the counts where there is too little to learn from."""
    with_outcome, rows = int(happened.sum()), len(happened)
    without = rows - with_outcome
    if min(with_outcome, without) >= least:
        return
    if with_outcome < least:
        found = "none has the outcome" if with_outcome == 0 else f"only {with_outcome:,} have the outcome"
    else:
        found = "all have the outcome" if without == 0 else f"only {without:,} do not have the outcome"
    raise RefusedError(
        Issue(
            "too-few-outcomes",
            "",
            f"of {rows:,} training rows {found}; at least {least} with it and {least} without it are needed",
            "check the outcome's definition, widen the label window or the population, or add earlier cutoffs",
        )
    )


def validation_rows(happened: BoolArray, cutoff: npt.NDArray[Any], user_id: npt.NDArray[Any]) -> tuple[BoolArray, str]:
    """Which rows stop the training early, and how they were chosen.

    `newest-cutoff` where there are two cutoffs or more and both sides hold at least ten rows of each class; else
    `hashed-users`: one in four users by a salted hash, so that no user stands on both sides.
    """
    import numpy as np

    newest: BoolArray = cutoff == cutoff.max()
    if _rarer(happened[newest]) >= MIN_VALIDATION and _rarer(happened[~newest]) >= MIN_VALIDATION:
        return newest, "newest-cutoff"
    quarter = np.array([fold_of(user) for user in user_id], dtype=np.int64)
    folds: list[BoolArray] = [quarter == fold for fold in range(FOLDS)]
    # with few users a fold can lack outcomes: the one with the most of the rarer class on its thinner side is taken
    best = max(range(FOLDS), key=lambda at: (min(_rarer(happened[folds[at]]), _rarer(happened[~folds[at]])), -at))
    return folds[best], "hashed-users"


def booster_parameters(settings: TrainingSettings, rows: int) -> dict[str, Any]:
    """The parameters that LightGBM gets for so many rows."""
    return {
        "objective": "binary",
        "metric": "binary_logloss",
        "max_depth": settings.max_depth,
        "num_leaves": settings.num_leaves,
        "learning_rate": settings.learning_rate,
        "feature_fraction": settings.feature_fraction,
        "lambda_l2": settings.lambda_l2,
        # grows with the root of the rows: 10 at 400 rows, 50 at 10,000, 500 at a million
        "min_data_in_leaf": min(500, max(10, math.isqrt(rows) // 2)),
        "deterministic": True,
        "force_row_wise": True,
        "seed": settings.seed,
        # Threads that wait for each other on a busy machine cost twenty times what they gain on few rows.
        "num_threads": 1 if rows < SMALL_ROWS else settings.num_threads,
        "verbosity": -1,
    }


def fit_booster(
    matrix: FloatArray,
    happened: BoolArray,
    names: list[str],
    settings: TrainingSettings,
    rounds: int,
    held_matrix: FloatArray | None = None,
    held_happened: BoolArray | None = None,
) -> Any:
    """A LightGBM Booster, stopped early where held rows are given."""
    import lightgbm
    import numpy as np

    parameters = booster_parameters(settings, len(matrix))
    train = lightgbm.Dataset(matrix, happened.astype(np.float64), feature_name=names, params=parameters)
    if held_matrix is None or held_happened is None:
        return lightgbm.train(parameters, train, num_boost_round=rounds)
    held = lightgbm.Dataset(held_matrix, held_happened.astype(np.float64), reference=train, params=parameters)
    stop = lightgbm.early_stopping(settings.patience, verbose=False)
    return lightgbm.train(parameters, train, num_boost_round=rounds, valid_sets=[held], callbacks=[stop])


def _out_of_fold_margins(
    matrix: FloatArray,
    happened: BoolArray,
    folds: npt.NDArray[Any],
    names: list[str],
    settings: TrainingSettings,
    rounds: int,
) -> FloatArray:
    """The margin of each row from a model that has not seen its user.

    One cutoff alone calibrates badly where the base rate moves from cutoff to cutoff: on the Complete Journey data
    the hold-out's Brier score is .098 so, and .091 with the margins of all of them.
    """
    import numpy as np

    margins = np.zeros(len(matrix), dtype=np.float64)
    for fold in range(FOLDS):
        own: BoolArray = folds == fold
        if not own.any():
            continue
        model = fit_booster(matrix[~own], happened[~own], names, settings, rounds)
        margins[own] = model.predict(matrix[own], raw_score=True, num_threads=settings.num_threads)
    return margins


def _base_margin(text: str, row: FloatArray) -> float:
    """The expected margin of the trees: the last column of LightGBM's contributions, the same for every row."""
    import lightgbm
    import numpy as np

    contributions = np.asarray(lightgbm.Booster(model_str=text).predict(row, pred_contrib=True, num_threads=1))
    return float(contributions[0, -1])


def _rarer(happened: BoolArray) -> int:
    return int(min(happened.sum(), (~happened).sum()))


def fold_of(user: object) -> int:
    """The fold of a user, from 0, by a salted hash: the same in every run."""
    return hashlib.sha256(f"limner-validation:{user}".encode()).digest()[0] % FOLDS


def _versions() -> dict[str, str]:
    import lightgbm
    import numpy as np

    return {"lightgbm": str(lightgbm.__version__), "numpy": str(np.__version__)}
