"""Cards: the insights of a scenario in a snapshot with their present size, and the click that makes one a segment.

The size promised on a card is counted with the very condition that the segment gets, on the same snapshot. Imports
the parts beside it and floors 1 and 2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner_explain.insight import Insight, InsightSet
from limner_explain.wording import segment_title
from limner_profile.catalog import Catalog
from limner_profile.errors import unknown_name
from limner_profile.predicates.parser import parse
from limner_profile.snapshots import Snapshot, SnapshotStore, SnapshotWriter
from limner_profile.workspace import Workspace
from limner_segments.audience import measure_many, write_audiences
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.segment import NamedSegment, Origin, Segment, save_segment

_COLUMNS = {
    "id": "VARCHAR", "scenario": "VARCHAR", "rank": "INTEGER", "status": "VARCHAR", "direction": "VARCHAR", "rule": "VARCHAR",
    "condition": "VARCHAR", "sentence_en": "VARCHAR", "sentence_zh": "VARCHAR", "size": "BIGINT", "support": "DOUBLE",
    "holdout_users": "BIGINT", "holdout_outcomes": "BIGINT", "outcome_rate": "DOUBLE", "base_rate": "DOUBLE", "lift": "DOUBLE",
    "lift_low": "DOUBLE", "lift_high": "DOUBLE", "q_value": "DOUBLE", "train_lift": "DOUBLE", "rediscovered": "DOUBLE",
    "reasons": "JSON", "warnings": "JSON", "dropped_because": "JSON",
}  # fmt: skip
_TABLES = f"""
CREATE TABLE IF NOT EXISTS insights ({", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())});
CREATE TABLE IF NOT EXISTS insight_sets (scenario VARCHAR, judged INTEGER, held_up INTEGER, shown INTEGER,
    coverage DOUBLE, reach DOUBLE, r_squared DOUBLE, top_decile_recall DOUBLE, reversals JSON);
"""


@dataclass(frozen=True)
class SavedInsight:
    """What saving a card gave: the segment, its file, and its size in the new snapshot."""

    segment: NamedSegment
    path: Path
    snapshot: str
    size: int
    promised: int


def create_insight_tables(writer: SnapshotWriter) -> None:
    """Create the tables `insights` and `insight_sets`, empty, where the snapshot lacks them."""
    writer.connection.execute(_TABLES)


def write_insights(writer: SnapshotWriter, found: InsightSet) -> int:
    """How many insights were written; each with the number of users who match its condition in this snapshot."""
    import pandas as pd

    connection = writer.connection
    with writer.run("insights", found.scenario) as count:
        connection.execute("DELETE FROM insights WHERE scenario = ?", [found.scenario])
        connection.execute("DELETE FROM insight_sets WHERE scenario = ?", [found.scenario])
        shown = found.with_status("shown")
        sizes = measure_many(connection, [parse(insight.condition, thing="tag") for insight in found.rules])
        rows = [_row(insight, size) for insight, size in zip(found.rules, sizes, strict=True)]
        frame = pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object)
        connection.register("rows_of_frame", frame)
        names = ", ".join(_COLUMNS)
        values = ", ".join(f"CAST({name} AS {kind})" for name, kind in _COLUMNS.items())
        connection.execute(f"INSERT INTO insights ({names}) SELECT {values} FROM rows_of_frame")
        connection.unregister("rows_of_frame")
        judged, held_up = len(found.rules), len(found.rules) - len(found.with_status("dropped"))
        reversals = json.dumps([title.model_dump() for title in found.reversals], ensure_ascii=False)
        connection.execute(
            "INSERT INTO insight_sets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                found.scenario, judged, held_up, len(shown), found.coverage, found.reach, found.r_squared,
                found.top_decile_recall, reversals,
            ],
        )  # fmt: skip
        count.rows = len(shown)
    return count.rows


def _row(insight: Insight, size: int) -> list[Any]:
    def as_json(parts: tuple[Any, ...]) -> str:
        return json.dumps(
            [part.model_dump() if hasattr(part, "model_dump") else part for part in parts], ensure_ascii=False
        )

    return [
        insight.id, insight.scenario, insight.rank, insight.status, insight.direction, insight.rule, insight.condition,
        insight.sentence.en, insight.sentence.of("zh"), size, insight.support, insight.holdout_users, insight.holdout_outcomes,
        insight.outcome_rate, insight.base_rate, insight.lift, insight.lift_low, insight.lift_high, insight.q_value,
        insight.train_lift, insight.rediscovered, as_json(insight.reasons), as_json(insight.warnings), as_json(insight.dropped_because),
    ]  # fmt: skip


def read_cards(
    snapshot: Snapshot, scenario: str | None = None, status: Sequence[str] = ("shown",)
) -> list[dict[str, Any]]:
    """The rows of `insights` with one of these statuses, in order, with reasons and warnings as lists."""
    if not snapshot.columns("insights"):
        return []
    rows = snapshot.rows(
        "SELECT * FROM insights WHERE list_contains(?, status) AND (? IS NULL OR scenario = ?) ORDER BY scenario, rank",
        [list(status), scenario, scenario],
    )
    return [
        {**row, **{name: json.loads(row[name]) for name in ("reasons", "warnings", "dropped_because")}} for row in rows
    ]


def save_insight(
    workspace: Workspace,
    store: SnapshotStore,
    insight: str,
    catalog: Catalog,
    scenarios: Mapping[str, NamedScenario],
    name: str | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> SavedInsight:
    """The card as a segment: its file in segments/, and its audience in a new snapshot derived from the current one.

    Raises UnknownNameError for an insight that the current snapshot does not have, RefusedError for a taken name.
    """
    with store.lock():
        with store.open() as snapshot:
            cards = {card["id"]: card for card in read_cards(snapshot, status=("shown", "kept"))}
            if insight not in cards:
                raise unknown_name("insight", insight, cards)
            card, origin_id, as_of = cards[insight], snapshot.id, snapshot.as_of
        scenario = scenarios.get(card["scenario"])
        if scenario is None:
            raise unknown_name("scenario", card["scenario"], scenarios)
        rule = parse(card["rule"], thing="tag")
        segment = Segment(
            where=parse(card["condition"], thing="tag"),
            title=segment_title(rule, scenario, card["direction"], catalog),
            purpose=card["sentence_en"],
            origin=Origin(insight=insight, scenario=card["scenario"], snapshot=origin_id, size=card["size"]),
        )
        named = NamedSegment(name or insight.replace("-", "_"), segment)
        on_step("writing the segment")
        path = save_segment(workspace, named)
        try:
            on_step("building its audience")
            with store.create(as_of, workspace.timezone, workspace.settings.keep_snapshots, derive=True) as writer:
                sizes = write_audiences(writer, [named], catalog, None)
        except BaseException:
            # Either both stand or neither: a segment file without its audience would be a half-kept promise.
            path.unlink(missing_ok=True)
            raise
        return SavedInsight(named, path, writer.id, sizes[named.name], card["size"])
