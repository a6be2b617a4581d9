"""What each page holds, in both languages, on a trained workspace and on ones that lack something."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plotly.utils import PlotlyJSONEncoder

from limner.project import Project, build, open_project
from limner.steps import Silent
from limner_dashboards.app import create_app, draw_page
from limner_dashboards.elements import issue_lines
from limner_dashboards.formatting import percent
from limner_dashboards.pages.base import PAGES
from limner_dashboards.pages.insights import save_card
from limner_dashboards.pages.segments import Segments
from limner_dashboards.panels.card import draw_card
from limner_dashboards.panels.condition import measure_text
from limner_dashboards.panels.rules import rule_panel, why_dropped
from limner_dashboards.shell import navigation
from limner_dashboards.view import Reader, Visit
from limner_explain.cards import read_cards
from limner_explain.judging import JudgingSettings
from limner_profile.errors import Issue, UserError
from limner_samples.workspaces import make_workspace
from limner_segments.segment import resolve

PATHS = (
    "/",
    "/segments",
    "/segments/active_readers",
    "/insights",
    "/insights/churn",
    "/insights/sharing",
    "/nowhere",
    "/segments/nobody",
    "/insights/nothing",
)


def words_of(component: Any) -> Iterator[str]:
    """Every text in a tree of components."""
    if isinstance(component, str):
        yield component
    elif isinstance(component, list | tuple):
        for child in component:
            yield from words_of(child)
    elif component is not None and not isinstance(component, int | float | dict):
        for name in ("children", "title", "label", "rowData"):
            yield from words_of(getattr(component, name, None))


def page(reader: Reader, path: str, language: str = "en") -> tuple[str, str]:
    """All words of a page, and its browser title."""
    content, _, _, title = draw_page(reader, {kind.PATH: kind() for _, kind in PAGES}, path, language, navigation)
    json.dumps(content, cls=PlotlyJSONEncoder)
    return " ".join(words_of(content)), title


def _issues(visit: Visit, text: str) -> tuple[Issue, ...]:
    with pytest.raises(UserError) as caught:
        resolve(None, text, visit.view.segments, visit.view.catalog)
    return caught.value.issues


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", PATHS)
def test_every_page_can_be_drawn_and_sent(reader: Reader, path: str, language: str) -> None:
    text, title = page(reader, path, language)
    assert text.strip()
    assert title.endswith(" · Limner")


def test_the_overview_names_the_snapshot_and_counts_its_users(reader: Reader, reading_project: Project) -> None:
    text, _ = page(reader, "/")
    assert str(reading_project.store.current_id()) in text
    assert "8,000" in text
    assert "limner scenarios train membership" in text
    assert "LightGBM" in text


def test_a_segment_page_shows_the_exact_size_and_its_condition(reader: Reader, reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        size = snapshot.value("SELECT count(*) FROM profiles WHERE login_count_30d >= 1")
    text, title = page(reader, "/segments/active_readers")
    assert f"{size:,}" in text
    assert "login_count_30d >= 1" in text
    assert title == "Active readers · Limner"
    assert "活跃读者" in page(reader, "/segments/active_readers", "zh")[0]


def test_the_cards_say_what_the_snapshot_says(reader: Reader, reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        cards = read_cards(snapshot, "churn")
    text, _ = page(reader, "/insights/churn")
    assert cards
    for card in cards:
        assert card["sentence_en"] in text
        assert card["condition"] in text
        assert f"{card['size']:,} users now" in text
    assert "CRM status" in text, "the leaking tag is told"
    assert all(card["sentence_zh"] in page(reader, "/insights/churn", "zh")[0] for card in cards)


def test_the_list_of_segments_states_the_sizes_of_the_snapshot(reader: Reader, reading_project: Project) -> None:
    with reader.visit("en") as visit:
        drawn = Segments().draw(visit, "")
        expected = {row["name"]: row["size"] for row in visit.opened.rows("SELECT name, size FROM segments")}
    rows = drawn.children[-1].children[-1].rowData
    assert {row["name"]: row["size"] for row in rows} == expected
    assert [row["size"] for row in rows] == sorted(expected.values(), reverse=True)
    assert set(expected) == set(reading_project.segments)


def test_who_joined_and_who_left_is_shown(reading_copy: Path, reader_of: Callable[[Path], Reader]) -> None:
    project = open_project(reading_copy)
    build(project, "2025-12-15", Silent())
    build(project, "2026-01-01", Silent())
    with project.store.open() as snapshot:
        rows = snapshot.rows(
            "SELECT change, count(*) AS users FROM audience_changes WHERE segment = 'active_readers' GROUP BY change"
        )
    counted = {row["change"]: row["users"] for row in rows}
    text, _ = page(reader_of(reading_copy), "/segments/active_readers")
    assert counted["joined"] > 0
    assert f"+{counted['joined']:,}" in text
    assert f"−{counted['left']:,}" in text
    assert "since the previous snapshot" in text


def test_dropped_rules_say_why_in_words(reader: Reader) -> None:
    with reader.visit("en") as visit:
        table = list(words_of(rule_panel(visit, "churn", "dropped")))
        rows = rule_panel(visit, "churn", "dropped").children[-1].rowData
    assert "Why" not in table
    assert rows
    assert all(
        row["why"] and not re.search(r"\b(small-group|not-significant|lift-too|scorer-)", row["why"]) for row in rows
    )


def test_a_dropped_rule_tells_its_number_and_the_limit() -> None:
    limits = JudgingSettings()
    few, enough, small = limits.min_count - 1, limits.min_count, limits.min_share / 4
    rule = {
        "direction": "lowers",
        "holdout_users": few,
        "support": 0.5,
        "lift": 0.9,
        "rediscovered": 0.61,
        "q_value": 0.2,
    }
    told = f"too few users ({few} hold-out users; at least {enough} are needed)"
    assert why_dropped("small-group", rule, "en") == told
    assert why_dropped("small-group", {**rule, "holdout_users": enough}, "en") == "too few users"
    share = why_dropped("small-group", {**rule, "holdout_users": enough, "support": small}, "en")
    assert share.startswith(f"too few users ({percent(small)} of the population; at least {percent(limits.min_share)}")
    assert why_dropped("lift-too-small", rule, "en") == "the lift is too small (0.90; at most 0.83)"
    assert why_dropped("lift-too-small", {**rule, "lift": 0.0}, "en") == "the lift is too small"
    assert "at least 1.20" in why_dropped("lift-too-small", {**rule, "direction": "raises", "lift": 1.1}, "en")
    assert why_dropped("unstable", rule, "zh").endswith("（在 61 % 的样本中再现；至少需要 80 %）")
    assert why_dropped("not-significant", rule, "en").endswith("(q-value 0.2; at most 0.05)")
    assert why_dropped("of-the-future", rule, "en") == "of-the-future"


def test_a_share_reads_the_same_on_every_page(reader: Reader) -> None:
    with reader.visit("en") as visit:
        rows = Segments().draw(visit, "").children[-1].children[-1].rowData
    assert rows
    for row in rows:
        assert row["share_shown"] == percent(row["share"])
        assert row["share_shown"] in page(reader, f"/segments/{row['name']}")[0]


@pytest.mark.parametrize(("size", "told"), [(3, "only 3 users match now"), (1, "only one user"), (0, "nobody")])
def test_a_card_that_few_match_now_warns(reader: Reader, size: int, told: str) -> None:
    with reader.visit("en") as visit:
        card = read_cards(visit.opened, "churn")[0]

    def text(number: int) -> str:
        return " ".join(words_of(draw_card({**card, "size": number}, "lapse", "en", (0.5, 2.0), 1.0, None, 10)))

    assert f"⚠ Warning: {told}" in text(size)
    assert "match now" not in text(10)


def test_a_model_that_no_longer_fits_is_not_called_untrained(
    reading_copy: Path, reader_of: Callable[[Path], Reader]
) -> None:
    file = reading_copy / "scenarios" / "churn.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("label_window: 30d", "label_window: 21d"), encoding="utf-8"
    )
    reader = reader_of(reading_copy)
    for path in ("/", "/insights/churn"):
        assert "churn was trained, but the scenario was edited after training" in page(reader, path)[0]
    assert "1 to train anew" in page(reader, "/")[0]
    build(open_project(reading_copy), None, Silent())
    for path in ("/", "/insights/churn"):
        text = page(reader, path)[0]
        assert "churn was trained, but the scenario was edited after training; type" in text
        assert "limner scenarios train churn" in text
        assert "churn has not been trained" not in text
    assert "场景在训练后被修改" in page(reader, "/", "zh")[0]


def test_names_in_an_address_cannot_do_harm(reader: Reader) -> None:
    text, _ = page(reader, "/segments/x'; DROP TABLE profiles --")
    assert "There is no segment called" in text
    assert "There is no page here" in page(reader, "/segments/a/b")[0]


def test_a_condition_is_measured_as_it_is_typed(reader: Reader) -> None:
    with reader.visit("en") as visit:
        error, content = measure_text(visit, "age >= 30 and push_enabled = true")
        expected = visit.opened.value("SELECT count(*) FROM profiles WHERE age >= 30 AND push_enabled")
        assert error is None
        assert f"{expected:,}" in " ".join(words_of(content))
        error, content = measure_text(visit, "agee >= 30")
        assert content is None
        assert "did you mean 'age'?" in " ".join(words_of(error))
        error, content = measure_text(visit, "age >= 30 and\n  age <")
        assert content is None
        told = list(words_of(error))
        assert "expected a value, found the end" in told
        assert " (at line 2, character 8)".strip() in "".join(told)
        assert "  age <\n       ^" in told, "the marker stands in the column of what is missing"
        assert "第 7 个字符处" in "".join(words_of(issue_lines(_issues(visit, "age >="), "zh")))
        error, content = measure_text(visit, "   ")
        assert error is None


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", {"no event is called 'ordr'", "did you mean 'order'?"}),
        ("zh", {"没有名为 'ordr' 的事件", "是否想写 'order'？"}),
    ],
)
def test_an_event_that_nobody_ever_did_is_told(reader: Reader, language: str, told: set[str]) -> None:
    with reader.visit(language) as visit:
        error, content = measure_text(visit, "did('ordr') or did('order')")
        assert error is None
        assert told <= set(words_of(content))
        assert not told & set(words_of(measure_text(visit, "did('order')")[1]))


def test_the_nearest_segment_is_named_in_the_language_of_the_page(reader: Reader) -> None:
    assert "did you mean 'active_readers'?" in page(reader, "/segments/active_reader")[0]
    assert "是否想写 'active_readers'？" in page(reader, "/segments/active_reader", "zh")[0]


def test_saving_a_card_keeps_its_promise_and_refuses_a_second_time(
    reading_copy: Path, reader_of: Callable[[Path], Reader]
) -> None:
    reader = reader_of(reading_copy)
    with reader.visit() as visit:
        card = read_cards(visit.opened, "churn")[0]
    error, told, name = save_card(reader.view(), card["id"], "at_risk", "en")
    assert error is None
    assert name == "at_risk"
    assert f"{card['size']:,} users, as promised." in " ".join(words_of(told["message"]))
    text, _ = page(reader, "/segments/at_risk")
    assert f"{card['size']:,}" in text
    assert "as promised on the card" in text
    assert "Saved as at_risk" in page(reader, "/insights/churn")[0]
    error, told, name = save_card(reader.view(), card["id"], "at_risk", "en")
    assert error is not None
    assert "exists already" in error
    assert name is None
    assert told["title"] == "⚠ Not saved"
    for unfit in ("no good", "a" * 65, "a" * 300):
        error, told, name = save_card(reader.view(), card["id"], unfit, "en")
        assert error is not None
        assert "64" in error
        assert (told["title"], name) == ("⚠ Not saved", None)
    assert save_card(reader.view(), "churn-none", "other", "en")[0] is not None


def test_saving_never_ends_in_silence(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("limner_dashboards.pages.insights.save_insight", fail)
    error, told, name = save_card(reader.view(), "churn-any", "other", "en")
    assert error == "Something went wrong. The details stand in the server's log."
    assert (told["title"], name) == ("⚠ Not saved", None)


def test_a_card_can_be_refused_while_somebody_else_writes(
    reading_copy: Path, reader_of: Callable[[Path], Reader]
) -> None:
    from filelock import FileLock

    reader = reader_of(reading_copy)
    with reader.visit() as visit:
        card = read_cards(visit.opened, "churn")[0]
    with FileLock(reading_copy / ".limner" / "lock", is_singleton=False):
        error, told, _ = save_card(reader.view(), card["id"], "at_risk", "zh")
    assert error is not None
    assert told["title"] == "⚠ 未保存"
    assert not (reading_copy / "segments" / "at_risk.yaml").exists()


def test_a_segment_newer_than_the_snapshot_is_measured_and_said_to_be_so(
    reading_copy: Path, reader_of: Callable[[Path], Reader]
) -> None:
    (reading_copy / "segments" / "young.yaml").write_text("young: {where: age < 25}\n", encoding="utf-8")
    (reading_copy / "tags" / "more.yaml").write_text(
        "login_count_33d: {kind: count, event: login, window: 33d}\n", encoding="utf-8"
    )
    (reading_copy / "segments" / "fresh.yaml").write_text("fresh: {where: login_count_33d >= 1}\n", encoding="utf-8")
    reader = reader_of(reading_copy)
    assert "is not in snapshot" in page(reader, "/segments/young")[0]
    text, _ = page(reader, "/segments/fresh")
    assert "login_count_33d is not in snapshot" in text
    assert page(reader, "/")[0]
    assert page(reader, "/segments")[0]
    with reader.visit("en") as visit:
        assert "limner build" in str(measure_text(visit, "login_count_33d >= 1")[0])


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without a snapshot."""
    root = tmp_path_factory.mktemp("untrained")
    make_workspace("reading", root)
    return root


@pytest.mark.parametrize("path", PATHS)
def test_before_the_first_build_every_page_says_what_to_type(
    untrained: Path, reader_of: Callable[[Path], Reader], path: str
) -> None:
    text, _ = page(reader_of(untrained), path)
    assert "limner build" in text or path == "/nowhere"


def test_before_training_the_pages_say_what_to_type(
    untrained: Path, tmp_path: Path, reader_of: Callable[[Path], Reader]
) -> None:
    import shutil

    root = tmp_path / "built"
    shutil.copytree(untrained, root)
    build(open_project(root), None, Silent())
    reader = reader_of(root)
    assert "limner scenarios train churn" in page(reader, "/")[0]
    assert "limner scenarios train churn" in page(reader, "/insights/churn")[0]
    assert page(reader, "/segments/active_readers")[0]
    for file in (root / "segments").glob("*.yaml"):
        file.unlink()
    for file in (root / "scenarios").glob("*.yaml"):
        file.unlink()
    build(open_project(root), None, Silent())
    assert "segments/*.yaml" in page(reader, "/")[0]
    assert "scenarios/*.yaml" in page(reader, "/insights")[0]
    assert "segments/*.yaml" in page(reader, "/segments")[0]


def test_the_server_forbids_other_hosts_and_serves_its_own_assets(reading_project: Project) -> None:
    client = create_app(lambda: reading_project).server.test_client()
    with client.get("/segments") as answer:
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        body = answer.get_data(as_text=True)
    assert "http://" not in body.replace("http://www.w3.org", "")
    assert "https://" not in body
    with client.get("/assets/limner.css") as answer:
        assert answer.status_code == 200
