"""Reasons: why each user has the score that they have, for everyone (batch) and for one user (on demand).

Both are TreeSHAP in calibrated log-odds, the columns of one tag summed back to the tag, and add up with the base
value to the log-odds of the score. Imports floors 1 and 2.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_profile.errors import InternalError
from limner_profile.schema import table
from limner_profile.snapshots import SnapshotWriter
from limner_segments.scoring.model import ScoringModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

KEPT_REASONS = 6

REASONS_TABLE = table(
    "reasons",
    "The six tags that move each user's score most, by size of contribution.",
    [
        ("user_id", "VARCHAR", "The user"),
        ("scenario", "VARCHAR", "The scenario"),
        ("rank", "INTEGER", "1 for the largest contribution"),
        ("tag", "VARCHAR", "The tag"),
        ("value", "VARCHAR", "The user's value of it, as text; NULL is unknown"),
        ("contribution", "DOUBLE", "Its SHAP share of the score, in calibrated log-odds"),
    ],
)
IMPORTANCES_TABLE = table(
    "importances",
    "How much each tag moves the scores of a scenario's population.",
    [
        ("scenario", "VARCHAR", "The scenario"),
        ("tag", "VARCHAR", "The tag"),
        ("mean_contribution", "DOUBLE", "Mean contribution, in log-odds"),
        ("mean_abs_contribution", "DOUBLE", "Mean size of the contribution, in log-odds"),
    ],
)


@dataclass(frozen=True)
class UserReasons:
    """The contributions of every tag to one user's score, largest first; `base_value` and `log_odds` in log-odds."""

    contributions: tuple[tuple[str, float], ...]
    base_value: float
    log_odds: float
    score: float


def create_reason_tables(writer: SnapshotWriter) -> None:
    """Create the tables `reasons` and `importances`, empty, where the snapshot lacks them."""
    REASONS_TABLE.create(writer.connection)
    IMPORTANCES_TABLE.create(writer.connection)


def write_reasons(writer: SnapshotWriter, scenario: str, model: ScoringModel, population: pd.DataFrame) -> int:
    """How many reasons were written: the six largest contributions of each user in `population`, and the means of all."""
    import numpy as np
    import pandas as pd

    connection = writer.connection
    with writer.run("reasons", scenario) as count:
        for kind in (REASONS_TABLE, IMPORTANCES_TABLE):
            connection.execute(f"DELETE FROM {kind.name} WHERE scenario = ?", [scenario])
        if population.empty:
            return 0
        contributions = model.contributions(population)
        values = contributions.values
        kept = min(KEPT_REASONS, values.shape[1])
        # Stable order: by size, then by the order of the tags, so that equal contributions always rank alike.
        order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :kept]
        tags = np.array(contributions.tags, dtype=object)
        texts = np.column_stack([_texts(population[tag]) for tag in contributions.tags])
        rows = np.arange(len(values))[:, None]
        frame = pd.DataFrame(
            {
                "user_id": np.repeat(population["user_id"].to_numpy(dtype=object), kept),
                "rank": np.tile(np.arange(1, kept + 1), len(values)),
                "tag": tags[order].ravel(),
                "value": texts[rows, order].ravel(),
                "contribution": values[rows, order].ravel(),
            }
        )
        importances = pd.DataFrame(
            {
                "tag": tags,
                "mean_contribution": values.mean(axis=0),
                "mean_abs_contribution": np.abs(values).mean(axis=0),
            }
        )
        for kind, rows_of in ((REASONS_TABLE, frame), (IMPORTANCES_TABLE, importances)):
            kind.insert_frame(connection, rows_of.assign(scenario=scenario))
        count.rows = len(frame)
    return count.rows


def _texts(values: pd.Series[Any]) -> npt.NDArray[np.object_]:
    import pandas as pd

    known = values.notna()
    if pd.api.types.is_float_dtype(values):
        texts = values.map(lambda value: f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}", na_action="ignore")
    else:
        texts = values.map(str, na_action="ignore")
    return texts.astype(object).where(known, None).to_numpy(dtype=object)


def explain_user(model: ScoringModel, row: pd.DataFrame) -> UserReasons:
    """The contributions to one user's score, computed on demand with `shap.TreeExplainer`.

    `row` has one row with the model's tags. Raises InternalError where they do not add up to the score.
    """
    import shap

    with warnings.catch_warnings():
        # shap tells at every call that the shape of its answer for LightGBM changed long ago.
        warnings.filterwarnings("ignore", message="LightGBM binary classifier", category=UserWarning)
        by_column = shap.TreeExplainer(model.booster).shap_values(model.encoding.encode(row))
    values = model.encoding.sum_by_tag(by_column)[0] * model.calibration.slope
    log_odds = float(model.log_odds(row)[0])
    if abs(model.base_value + float(values.sum()) - log_odds) > 1e-6:
        raise InternalError("contributions do not add up to the score")
    order = sorted(range(len(values)), key=lambda at: (-abs(values[at]), at))
    pairs = tuple((model.tags[at], float(values[at])) for at in order)
    return UserReasons(pairs, model.base_value, log_odds, float(model.score(row)[0]))
