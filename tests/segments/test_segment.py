from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_profile.catalog import Catalog, load_catalog
from limner_profile.definitions import Title
from limner_profile.errors import DefinitionError, Issue, RefusedError, UnknownNameError, UserError
from limner_profile.predicates.parser import parse
from limner_profile.workspace import Workspace
from limner_segments.segment import NamedSegment, Origin, Segment, load_segments, read_segments, resolve, save_segment
from segments.small import make_workspace, named


def opened(root: Path, segments: str = "") -> tuple[Workspace, Catalog]:
    workspace = make_workspace(root, segments)
    return workspace, load_catalog(workspace)


def issues_of(root: Path, segments: str) -> list[Issue]:
    return read_segments(*opened(root, segments))[1]


def test_an_unknown_tag_has_its_place_and_the_nearest_name(tmp_path: Path) -> None:
    (issue,) = issues_of(tmp_path, "good: {where: visits_30d > 1}\nbad:\n  title: x\n  where: visit_30d > 1\n")
    assert (issue.code, issue.where) == ("unknown-tag", "segments/some.yaml:4:3")
    assert issue.message == "unknown tag 'visit_30d', used by the segment 'bad'"
    assert issue.hint == "did you mean 'visits_30d'?"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("s: {where: city > 3}", "wrong-type", "segments/some.yaml:1:5"),
        ("s: {where: city = 'x}", "bad-value", "segments/some.yaml:1:5"),
        ("s: {title: x}", "missing-field", "segments/some.yaml:1:1"),
        ("s: {where: visits_30d > 1, purpos: x}", "unknown-field", "segments/some.yaml:1:28"),
        ("lapsed-vip: {where: visits_30d > 1}", "bad-name", "segments/some.yaml:1:1"),
        ("../s: {where: visits_30d > 1}", "bad-name", "segments/some.yaml:1:1"),
        ("s: visits_30d > 1", "not-a-mapping", "segments/some.yaml:1:1"),
        ("- s", "not-a-mapping", "segments/some.yaml:1:1"),
    ],
)
def test_every_mistake_has_a_code_and_a_place(tmp_path: Path, text: str, code: str, place: str) -> None:
    assert [(issue.code, issue.where) for issue in issues_of(tmp_path, text)] == [(code, place)]


def test_a_name_twice_in_one_file_is_told_with_its_first_line(tmp_path: Path) -> None:
    issue = issues_of(tmp_path, "s: {where: visits_30d > 1}\ns: {where: visits_30d > 2}")[0]
    assert (issue.code, issue.where) == ("duplicate-key", "segments/some.yaml:2:1")
    assert "line 1" in issue.hint


def test_a_name_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    workspace, catalog = opened(tmp_path, "regulars: {where: visits_30d > 9}\n")
    (tmp_path / "segments" / "zz.yaml").write_text("new: {where: visits_30d = 0}\nregulars: {where: visits_30d > 5}\n")
    segments, (issue,) = read_segments(workspace, catalog)
    assert (issue.code, issue.where) == ("duplicate-name", "segments/zz.yaml:2:1")
    assert "segments/some.yaml:1:1" in issue.hint
    assert segments["regulars"].condition.to_text() == "visits_30d > 9"  # the first stands
    assert "new" in segments


def test_loading_raises_with_every_issue_at_once(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_segments(*opened(tmp_path, "a: {where: citi = 'x'}\nb: {where: visits_30d = 'x'}\nc: {}\n"))
    assert [issue.code for issue in caught.value.issues] == ["unknown-tag", "wrong-type", "missing-field"]


def test_resolve_takes_a_name_or_a_condition_but_one_of_both(tmp_path: Path) -> None:
    workspace, catalog = opened(tmp_path, "regulars: {where: visits_30d > 9}\n")
    segments = load_segments(workspace, catalog)
    assert resolve("regulars", None, segments, catalog) is segments["regulars"]
    unnamed = resolve(None, "city = '上海'", segments, catalog)
    assert (unnamed.name, unnamed.condition) == ("", parse("city = '上海'"))
    mistakes: list[tuple[str | None, str | None, str]] = [
        (None, None, "no-segment"),
        ("regulars", "visits_30d > 1", "name-and-where"),
        (None, "visits_30d >", "bad-condition"),
        (None, "vists_30d > 1", "unknown-tag"),
        ("regular", None, "unknown-segment"),
    ]
    for name, where, code in mistakes:
        with pytest.raises(UserError) as caught:
            resolve(name, where, segments, catalog)
        assert caught.value.code == code
    with pytest.raises(UnknownNameError, match="did you mean 'regulars'"):
        resolve("regular", None, segments, catalog)


def test_a_saved_segment_is_read_back_as_it_was(tmp_path: Path) -> None:
    workspace, catalog = opened(tmp_path)
    condition = parse(
        "not (city in ('上海', 'O''Neil: #5', 'no')) and (visits_30d >= 1.5 or days_since_visit is unknown)"
    )
    segment = Segment(
        where=condition,
        title=Title(en="Quiet: yes", zh="沉默用户 “甲”"),
        purpose="- not a list\nsecond line",
        owner="no",
        origin=Origin(insight="churn-1a", scenario="churn", snapshot="20250301-0001", size=17),
    )
    path = save_segment(workspace, NamedSegment("沉默", segment))
    assert path == tmp_path / "segments" / "沉默.yaml"
    assert "沉默用户" in path.read_text(encoding="utf-8")
    read = load_segments(workspace, catalog)["沉默"]
    assert read.segment == segment
    assert read.segment.digest() == segment.digest()
    assert read.place == "segments/沉默.yaml:1:1"


texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff"), max_size=160)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Catalog]:
    return opened(tmp_path_factory.mktemp("shop"))


@settings(max_examples=40, deadline=None)
@given(value=texts, purpose=texts, number=st.floats(-1e6, 1e6))
def test_any_text_survives_the_round_trip(
    shop: tuple[Workspace, Catalog], value: str, purpose: str, number: float
) -> None:
    workspace, catalog = shop
    quoted = value.replace("'", "''")
    condition = parse(f"city = '{quoted}' and not (visits_30d < {number:.6f} or city = 'a {quoted} b')")
    path = save_segment(workspace, NamedSegment("saved", Segment(where=condition, purpose=purpose)))
    try:
        read = load_segments(workspace, catalog)["saved"]
    finally:
        path.unlink()
    assert read.condition == condition
    assert read.segment.purpose == purpose


@pytest.mark.parametrize("name", ["", "two words", "a-b", "../escape", "9lives", "a/b", "x.yaml"])
def test_unfit_names_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    workspace, _ = opened(tmp_path)
    before = sorted(path.name for path in (tmp_path / "segments").iterdir())
    with pytest.raises(RefusedError) as caught:
        save_segment(workspace, named("visits_30d > 1", name))
    assert caught.value.code == "bad-name"
    assert sorted(path.name for path in (tmp_path / "segments").iterdir()) == before


def test_a_taken_name_is_refused_whichever_file_it_stands_in(tmp_path: Path) -> None:
    workspace, catalog = opened(tmp_path, "new: {where: visits_30d = 0}\nregulars: {where: visits_30d > 9}\n")
    save_segment(workspace, named("visits_30d > 1", "saved"))
    for name, place in (("saved", "segments/saved.yaml"), ("regulars", "segments/some.yaml:2:1")):
        with pytest.raises(RefusedError) as caught:
            save_segment(workspace, named("visits_30d > 2", name))
        assert (caught.value.code, caught.value.issues[0].where) == ("name-taken", place)
    assert load_segments(workspace, catalog)["saved"].condition.to_text() == "visits_30d > 1"


def test_sentences_carry_the_titles_of_the_catalog(tmp_path: Path) -> None:
    _, catalog = opened(tmp_path)
    segment = named("visits_30d >= 3 and city = '上海'")
    assert segment.sentence("en", catalog) == "visits is at least 3 and city is 上海"
    assert "访问" in segment.sentence("zh", catalog)
    assert "城市" in segment.sentence("zh", catalog)
