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
from limner_explain.wording import card_sentence, segment_title
from limner_profile.catalog import Catalog
from limner_profile.errors import unknown_name
from limner_profile.predicates.parser import parse
from limner_profile.schema import table
from limner_profile.snapshots import Snapshot, SnapshotStore, SnapshotWriter
from limner_profile.workspace import Workspace
from limner_segments.audience import measure_many
from limner_segments.audience_tables import write_audiences
from limner_segments.scoring.scenario import NamedScenario
from limner_segments.segment import NamedSegment, Origin, Segment, save_segment

INSIGHTS_TABLE = table(
    "insights",
    "Every judged rule of every trained scenario, those on a card first.",
    [
        ("id", "VARCHAR", "Stays the same for the same rule of the same scenario"),
        ("scenario", "VARCHAR", "The scenario"),
        ("rank", "INTEGER", "1 for the first card"),
        (
            "status",
            "VARCHAR",
            "shown on a card; kept: held up, but tells little that the cards do not; dropped: did not hold up",
        ),
        ("direction", "VARCHAR", "raises or lowers the outcome"),
        ("rule", "VARCHAR", "The mined condition"),
        ("condition", "VARCHAR", "The same within the population: what a segment is made of"),
        ("sentence_en", "VARCHAR", "The card's sentence in English"),
        ("sentence_zh", "VARCHAR", "The card's sentence in Chinese"),
        ("size", "BIGINT", "How many users match the condition in this snapshot"),
        ("support", "DOUBLE", "Share of the hold-out's population that matches, 0 to 1"),
        ("holdout_users", "BIGINT", "How many users of the hold-out match"),
        ("holdout_outcomes", "BIGINT", "How many of them had the outcome"),
        ("outcome_rate", "DOUBLE", "holdout_outcomes ÷ holdout_users"),
        ("base_rate", "DOUBLE", "The share of the hold-out's population with the outcome"),
        ("lift", "DOUBLE", "outcome_rate ÷ base_rate"),
        ("lift_low", "DOUBLE", "Lower bound of the lift's 95 % interval"),
        ("lift_high", "DOUBLE", "Upper bound of the lift's 95 % interval"),
        ("q_value", "DOUBLE", "False-discovery rate at which the rule is kept, over all judged rules"),
        ("train_lift", "DOUBLE", "The lift on the training rows"),
        ("rediscovered", "DOUBLE", "Share of bootstrap resamples that find the rule again"),
        ("reasons", "JSON", "List of {tag, title, contribution}: mean contribution above everybody's, in log-odds"),
        ("warnings", "JSON", "List of {en, zh}"),
        ("dropped_because", "JSON", "List of stable words, empty unless dropped"),
    ],
)
INSIGHT_SETS_TABLE = table(
    "insight_sets",
    "What the insights of a scenario reach together, measured on the hold-out.",
    [
        ("scenario", "VARCHAR", "The scenario"),
        ("judged", "INTEGER", "How many rules were judged"),
        ("held_up", "INTEGER", "How many passed every check"),
        ("shown", "INTEGER", "How many stand on a card"),
        ("coverage", "DOUBLE", "Share of all outcomes that the shown rules that raise them reach"),
        ("reach", "DOUBLE", "Share of users who are members of those"),
        ("r_squared", "DOUBLE", "Fidelity: R² of the shown rules against the scorer's log-odds"),
        ("top_decile_recall", "DOUBLE", "Fidelity: share of the scorer's top decile that the rules find"),
        ("reversals", "JSON", "List of {en, zh}: effects that turn round within the groups of another tag"),
    ],
)


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
    INSIGHTS_TABLE.create(writer.connection)
    INSIGHT_SETS_TABLE.create(writer.connection)


def write_insights(writer: SnapshotWriter, found: InsightSet, named: NamedScenario, catalog: Catalog) -> int:
    """How many insights were written; each with the number of users who match its condition in this snapshot.

    Sentences and titles are worded anew: a title may have been mended since the model was trained.
    """
    import pandas as pd

    connection = writer.connection
    with writer.run("insights", found.scenario) as count:
        connection.execute("DELETE FROM insights WHERE scenario = ?", [found.scenario])
        connection.execute("DELETE FROM insight_sets WHERE scenario = ?", [found.scenario])
        shown = found.with_status("shown")
        sizes = measure_many(connection, [parse(insight.condition, thing="tag") for insight in found.rules])
        rows = [
            _row(_reworded(insight, named, catalog), size) for insight, size in zip(found.rules, sizes, strict=True)
        ]
        names = [column.name for column in INSIGHTS_TABLE.columns]
        INSIGHTS_TABLE.insert_frame(connection, pd.DataFrame(rows, columns=names, dtype=object))
        judged, held_up = len(found.rules), len(found.rules) - len(found.with_status("dropped"))
        reversals = json.dumps([title.model_dump() for title in found.reversals], ensure_ascii=False)
        row = {
            "scenario": found.scenario,
            "judged": judged,
            "held_up": held_up,
            "shown": len(shown),
            "reversals": reversals,
        }
        row |= {"coverage": found.coverage, "reach": found.reach, "r_squared": found.r_squared}
        INSIGHT_SETS_TABLE.insert(connection, [{**row, "top_decile_recall": found.top_decile_recall}])
        count.rows = len(shown)
    return count.rows


def _reworded(insight: Insight, named: NamedScenario, catalog: Catalog) -> Insight:
    sentence = card_sentence(parse(insight.rule, thing="tag"), insight, named, catalog)
    reasons = [reason.model_copy(update={"title": catalog[reason.tag].title}) for reason in insight.reasons]
    return insight.model_copy(update={"sentence": sentence, "reasons": tuple(reasons)})


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
