"""What a scorer has to beat: one-hot logistic regression, an RFM heuristic, and the base rate.

All are fitted on the training rows and scored on the hold-out, like the scorer itself. Imports the encoding, the
calibration and the ROC-AUC beside it; scikit-learn inside the function that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_segments.scoring.calibration import Calibration, fit_calibration
from limner_segments.scoring.encoding import Encoding
from limner_segments.scoring.evaluation import roc_auc

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogisticBaseline:
    """One-hot logistic regression: `pipeline` is the fitted scikit-learn pipeline."""

    encoding: Encoding
    pipeline: Any

    def score(self, frame: pd.DataFrame) -> FloatArray:
        """The probability of each row."""
        import numpy as np

        return np.asarray(self.pipeline.predict_proba(self.encoding.encode(frame))[:, 1], dtype=np.float64)


def fit_logistic(frame: pd.DataFrame, outcome: npt.ArrayLike, encoding: Encoding) -> LogisticBaseline:
    """Logistic regression with an L2 penalty on the scorer's own columns, fitted on training rows.

    Unknown numbers become the median, with a column that says so; all columns are standardised.
    """
    import numpy as np
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=1.0, max_iter=2000),
    )
    pipeline.fit(encoding.encode(frame), np.asarray(outcome).astype(np.int64))
    return LogisticBaseline(encoding, pipeline)


@dataclass(frozen=True)
class RfmBaseline:
    """The sum of three quintile ranks, turned into a probability; `direction` is −1 where low ranks have the outcome.

    The cuts are the training rows' quintile bounds of minus recency, frequency and monetary.
    """

    recency_cuts: tuple[float, ...]
    frequency_cuts: tuple[float, ...]
    monetary_cuts: tuple[float, ...]
    direction: int
    calibration: Calibration

    def ranks(self, recency_days: npt.ArrayLike, frequency: npt.ArrayLike, monetary: npt.ArrayLike) -> FloatArray:
        """An (n × 3) array of ranks 1 to 5, 5 the most recent, frequent or valuable, and 0 for never or unknown."""
        import numpy as np

        recency = -np.asarray(recency_days, dtype=np.float64)  # fewer days since the last time is a higher rank
        columns = (
            _rank(recency, self.recency_cuts),
            _rank(np.asarray(frequency, dtype=np.float64), self.frequency_cuts),
            _rank(np.asarray(monetary, dtype=np.float64), self.monetary_cuts),
        )
        return np.column_stack(columns)

    def score(self, recency_days: npt.ArrayLike, frequency: npt.ArrayLike, monetary: npt.ArrayLike) -> FloatArray:
        """The probability of each user; it ranks users as the sum of their ranks does."""
        total = self.ranks(recency_days, frequency, monetary).sum(axis=1)
        return self.calibration.probability(self.direction * total)


def fit_rfm(
    recency_days: npt.ArrayLike, frequency: npt.ArrayLike, monetary: npt.ArrayLike, outcome: npt.ArrayLike
) -> RfmBaseline:
    """The RFM heuristic with its quintiles, its direction and its probabilities taken from training rows.

    `recency_days` is NaN for a user who never bought. The direction is the one that ranks the training outcome
    better: the best customers first for a purchase, the worst first for churn.
    """
    import numpy as np

    recency = -np.asarray(recency_days, dtype=np.float64)
    cuts = [_quintiles(np.asarray(values, dtype=np.float64)) for values in (recency, frequency, monetary)]
    unsigned = RfmBaseline(cuts[0], cuts[1], cuts[2], 1, Calibration(slope=1.0, intercept=0.0))
    total = unsigned.ranks(recency_days, frequency, monetary).sum(axis=1)
    direction = 1 if roc_auc(outcome, total) >= 0.5 else -1
    return RfmBaseline(cuts[0], cuts[1], cuts[2], direction, fit_calibration(direction * total, outcome))


@dataclass(frozen=True)
class BaseRateBaseline:
    """The training base rate, the same for everyone."""

    rate: float

    def score(self, users: int) -> FloatArray:
        """The base rate, `users` times."""
        import numpy as np

        return np.full(users, self.rate, dtype=np.float64)


def fit_base_rate(outcome: npt.ArrayLike) -> BaseRateBaseline:
    """The share of training rows with the outcome."""
    import numpy as np

    return BaseRateBaseline(float(np.mean(np.asarray(outcome, dtype=np.float64))))


def _quintiles(values: FloatArray) -> tuple[float, ...]:
    """The four bounds of the known values' quintiles, fewer where many values are equal."""
    import numpy as np

    known = values[~np.isnan(values)]
    if not len(known):
        return ()
    return tuple(float(cut) for cut in np.quantile(known, (0.2, 0.4, 0.6, 0.8)))


def _rank(values: FloatArray, cuts: tuple[float, ...]) -> FloatArray:
    """1 + the number of cuts strictly below the value, 0 for an unknown one."""
    import numpy as np

    rank = 1.0 + np.searchsorted(np.asarray(cuts, dtype=np.float64), values, side="left")
    return np.where(np.isnan(values), 0.0, rank)
