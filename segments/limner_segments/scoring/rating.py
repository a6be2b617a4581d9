"""Rating: a scenario's trained model gives every user of its population in a snapshot a score.

The score is a calibrated probability in `scores` and, as an ordinary tag `<scenario>_score`, in `profiles`.
Imports floor 1, and model and scenario beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import duckdb

from limner_profile.builder import refresh_tag_statistics
from limner_profile.schema import table
from limner_profile.snapshots import SnapshotWriter
from limner_segments.audience import condition_sql, prepare
from limner_segments.scoring.model import ScoringModel
from limner_segments.scoring.scenario import NamedScenario

if TYPE_CHECKING:
    import pandas as pd

SCORES_TABLE = table(
    "scores",
    "The score of each user in the population of each trained scenario.",
    [
        ("user_id", "VARCHAR", "The user"),
        ("scenario", "VARCHAR", "The scenario"),
        ("score", "DOUBLE", "Calibrated probability of the outcome, 0 to 1"),
        ("log_odds", "DOUBLE", "The same in log-odds: base value plus the contributions of all tags"),
        ("percentile", "DOUBLE", "Share of the population that scores lower, 0 to just under 1"),
    ],
)
EVALUATIONS_TABLE = table(
    "evaluations",
    "What each scorer of a scenario is worth on the hold-out, which lies later in time than all training.",
    [
        ("scenario", "VARCHAR", "The scenario"),
        ("scorer", "VARCHAR", "lightgbm, or a baseline: logistic, rfm, base_rate"),
        ("metric", "VARCHAR", "auc, ks, lift, gain, brier, log_loss, calibration, psi, users, outcomes, base_rate, …"),
        ("k", "DOUBLE", "For lift, gain and top_users the share of users; for calibration the mean score of the bin"),
        ("value", "DOUBLE", "The measure"),
        ("low", "DOUBLE", "Lower bound of its 95 % interval, where there is one"),
        ("high", "DOUBLE", "Upper bound of its 95 % interval, where there is one"),
    ],
)


def create_score_tables(writer: SnapshotWriter) -> None:
    """Create the tables `scores` and `evaluations`, empty, where the snapshot lacks them."""
    SCORES_TABLE.create(writer.connection)
    EVALUATIONS_TABLE.create(writer.connection)


def population_frame(
    connection: duckdb.DuckDBPyConnection, named: NamedScenario, tags: Iterable[str], types: Mapping[str, str]
) -> pd.DataFrame:
    """The population of a scenario in `profiles`: `user_id` and the tags, numbers as floats, in user order."""
    columns = ", ".join(f'CAST("{tag}" AS DOUBLE) AS "{tag}"' if types[tag] == "number" else f'"{tag}"' for tag in tags)
    population = named.scenario.population
    condition = condition_sql(population, prepare(connection, population)).sql(dialect="duckdb")
    with connection.cursor() as cursor:
        return cursor.execute(f"SELECT user_id, {columns} FROM profiles WHERE {condition} ORDER BY user_id").df()


def write_scores(writer: SnapshotWriter, named: NamedScenario, model: ScoringModel, population: pd.DataFrame) -> int:
    """How many users were scored; writes their rows in `scores` and the score tag's column in `profiles`.

    `population` is what `population_frame` gives. Users outside the population keep an unknown score.
    """
    import pandas as pd

    connection = writer.connection
    with writer.run("scores", f"{named.name} {model.fingerprint}") as count:
        log_odds = model.log_odds(population)
        scored = pd.DataFrame(
            {"user_id": population["user_id"], "score": model.score(population), "log_odds": log_odds}
        )
        # The share of the population that scores lower: 0 for the lowest, just under 1 for the highest.
        scored["percentile"] = (scored["log_odds"].rank(method="min") - 1) / max(len(scored), 1)
        connection.execute("DELETE FROM scores WHERE scenario = ?", [named.name])
        connection.register("scored", scored)
        connection.execute(
            "INSERT INTO scores SELECT user_id, ?, score, log_odds, percentile FROM scored", [named.name]
        )
        connection.execute(
            f'UPDATE profiles SET "{named.score_tag}" = scored.score FROM scored WHERE scored.user_id = profiles.user_id'
        )
        connection.unregister("scored")
        refresh_tag_statistics(connection, named.score_tag)
        count.rows = len(scored)
    return count.rows


def write_evaluations(writer: SnapshotWriter, scenario: str, rows: Iterable[Mapping[str, str | float | None]]) -> None:
    """Write the measures of a scenario's evaluation into `evaluations`, in place of older ones."""
    writer.connection.execute("DELETE FROM evaluations WHERE scenario = ?", [scenario])
    EVALUATIONS_TABLE.insert(writer.connection, list(rows))
