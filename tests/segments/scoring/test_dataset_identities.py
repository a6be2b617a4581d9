"""Merged ids in the rows of a scenario: a cutoff knows the pairs of then, for what was seen and for what came after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from limner_profile.catalog import load_catalog
from limner_profile.ingest import ingest
from limner_segments.scoring.dataset import build_dataset
from limner_segments.scoring.scenario import load_scenarios
from segments.small import CONFIG, make_workspace

SCENARIO = """
quit:
  title: quit
  population: visits_30d >= 1
  outcome: {kind: did_not, event: visit, title: stay away}
  label_window: 14d
  cutoffs: {training: 2, every: 14d, history: 14d}
"""
TAGS = "visits_30d: {kind: count, event: visit, window: 30d}\n"


def test_each_cutoff_knows_the_pairs_of_then(tmp_path: Path) -> None:
    days = [datetime(2025, 1, 1, 10, tzinfo=UTC) + timedelta(days=day) for day in range(119)]
    # The phone and the account of one person, day by day in turn; a second person keeps the numbers of users up.
    acts = "user_id,time,event,received,amount,product\n" + "".join(
        f"{('phone', 'account')[number % 2]},{day.isoformat()},visit,,,\nother,{day.isoformat()},visit,,,\n"
        for number, day in enumerate(days)
    )
    config = CONFIG + "  links: {type: identities, path: links.csv, user: a, other: b, kind: kind, time: known}\n"
    workspace = make_workspace(tmp_path, scenarios=SCENARIO, tags=TAGS, config=config, acts=acts)
    end = datetime(2025, 5, 1, tzinfo=UTC)

    def visits(known: datetime) -> dict[tuple[int, str], float]:
        links = f"a,b,kind,known\nphone,account,account,{known.isoformat()}\n"
        (workspace.root / "links.csv").write_text(links, encoding="utf-8")
        ingest(workspace)
        catalog = load_catalog(workspace)
        (named,) = load_scenarios(workspace, catalog).values()
        data = build_dataset(workspace, catalog, named, end)
        cutoffs.update(enumerate(data.schedule.all))
        return {
            (int(cutoff), str(user)): float(value)
            for part in (data.training, data.holdout)
            for cutoff, user, value in zip(part.cutoff, part.user_id, part.frame["visits_30d"], strict=True)
        }

    cutoffs: dict[int, datetime] = {}
    never = visits(end)
    assert {user for _, user in never} == {"phone", "account", "other"}
    assert set(cutoffs) == {0, 1, 2}
    found = visits(cutoffs[0] + timedelta(days=1))
    assert {user for cutoff, user in found if cutoff == 0} == {"phone", "account", "other"}
    assert {user for cutoff, user in found if cutoff > 0} == {"account", "other"}
    assert found[1, "account"] == never[1, "account"] + never[1, "phone"] == 30
