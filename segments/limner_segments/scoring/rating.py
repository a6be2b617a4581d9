"""Rating: a scenario's trained model gives every user of its population in a snapshot a score.

The score is a calibrated probability in `scores` and, as an ordinary tag `<scenario>_score`, in `profiles`.
Imports floor 1, and model and scenario beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import duckdb

from limner_profile.builder import refresh_tag_statistics
from limner_profile.snapshots import SnapshotWriter
from limner_segments.audience import condition_sql
from limner_segments.scoring.model import ScoringModel
from limner_segments.scoring.scenario import NamedScenario

if TYPE_CHECKING:
    import pandas as pd

_TABLES = """
CREATE TABLE IF NOT EXISTS scores (user_id VARCHAR, scenario VARCHAR, score DOUBLE, log_odds DOUBLE, percentile DOUBLE);
CREATE TABLE IF NOT EXISTS evaluations (scenario VARCHAR, scorer VARCHAR, metric VARCHAR, k DOUBLE, value DOUBLE, low DOUBLE, high DOUBLE);
"""


def create_score_tables(writer: SnapshotWriter) -> None:
    """Create the tables `scores` and `evaluations`, empty, where the snapshot lacks them."""
    writer.connection.execute(_TABLES)


def population_frame(
    connection: duckdb.DuckDBPyConnection, named: NamedScenario, tags: Iterable[str], types: Mapping[str, str]
) -> pd.DataFrame:
    """The population of a scenario in `profiles`: `user_id` and the tags, numbers as floats, in user order."""
    columns = ", ".join(f'CAST("{tag}" AS DOUBLE) AS "{tag}"' if types[tag] == "number" else f'"{tag}"' for tag in tags)
    condition = condition_sql(named.scenario.population).sql(dialect="duckdb")
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
    for row in rows:
        writer.connection.execute(
            "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)",
            [row["scenario"], row["scorer"], row["metric"], row["k"], row["value"], row["low"], row["high"]],
        )
