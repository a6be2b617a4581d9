from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from limner_profile.errors import RefusedError, UnknownNameError
from limner_segments.scoring import model as model_module
from limner_segments.scoring.model import Provenance, ScoringModel, sha256
from limner_segments.scoring.training import TrainingSettings, train_model


def frame_of(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "recency": np.where(rng.random(count) < 0.1, np.nan, rng.exponential(30, count)),
            "city": rng.choice(np.array(["上海", "北京", "x", None], dtype=object), count),
            "is_member": rng.choice(np.array([True, False, None], dtype=object), count),
            "spend": rng.gamma(2, 20, count),
        }
    )


def trained(data_hash: str, rounds: int) -> ScoringModel:
    frame = frame_of(1500, 1)
    log_odds = -0.05 * frame["recency"].fillna(60) + (frame["city"] == "上海") + 0.02 * frame["spend"]
    outcome = np.random.default_rng(2).random(1500) < 1 / (1 + np.exp(-log_odds))
    provenance = Provenance(scenario="s", scenario_text="", tags_hash="", data_hash=data_hash, cutoffs=("a", "b"))
    at = np.arange(1500)
    settings = TrainingSettings(max_rounds=rounds, learning_rate=0.1, num_threads=1)
    return train_model(frame, outcome, at % 2, at // 2, provenance, settings=settings)


@pytest.fixture(scope="module")
def model() -> ScoringModel:
    return trained("one", 60)


@pytest.fixture(scope="module")
def other() -> ScoringModel:
    return trained("two", 5)


def test_base_value_and_contributions_add_up_to_the_score(model: ScoringModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "CHUNK_ROWS", 170)  # more than one chunk, the last one short
    frame = frame_of(500, 5)
    explained, score = model.contributions(frame), model.score(frame)
    assert explained.tags == ("recency", "city", "is_member", "spend")
    assert explained.values.shape == (500, 4)
    total = explained.base_value + explained.values.sum(axis=1)
    np.testing.assert_allclose(total, np.log(score / (1 - score)), rtol=0, atol=1e-9)
    np.testing.assert_allclose(total, model.log_odds(frame), rtol=0, atol=1e-12)
    assert explained.base_value == model.base_value
    assert np.abs(explained.values).mean(axis=0).argmin() == 2  # is_member plays no part


def test_contributions_equal_those_of_shap(model: ScoringModel) -> None:
    import shap

    frame = frame_of(200, 6)
    explainer = shap.TreeExplainer(model.booster, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer(model.encoding.encode(frame)).values)
    by_tag = np.stack(
        [values[:, [at for at, of in enumerate(model.encoding.tag_of) if of == tag]].sum(axis=1) for tag in model.tags],
        axis=1,
    )
    np.testing.assert_allclose(model.contributions(frame).values, model.calibration.slope * by_tag, rtol=0, atol=1e-9)


def test_scores_depend_on_values_only(model: ScoringModel) -> None:
    frame = frame_of(50, 7)
    shuffled = frame[["spend", "is_member", "city", "recency"]].set_index(np.arange(50) * 3)
    np.testing.assert_array_equal(model.score(shuffled), model.score(frame))
    assert model.score(frame[:0]).shape == (0,)
    assert model.contributions(frame[:0]).values.shape == (0, 4)
    with pytest.raises(UnknownNameError, match="'spend'"):
        model.score(frame.drop(columns="spend"))


def test_save_and_load(model: ScoringModel, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "s"
    model.save(folder)
    back = ScoringModel.load(folder)
    assert back == model
    np.testing.assert_array_equal(back.score(frame_of(50, 8)), model.score(frame_of(50, 8)))
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.txt"]
    assert json.loads((folder / "model.json").read_text(encoding="utf-8"))["fingerprint"] == model.fingerprint
    assert [path.name for path in folder.parent.iterdir()] == ["s"]


def test_saving_again_changes_nothing_and_another_model_replaces(
    model: ScoringModel, other: ScoringModel, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    model.save(folder)
    before = (folder / "model.txt").stat()
    model.save(folder)
    after = (folder / "model.txt").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    other.save(folder)
    assert ScoringModel.load(folder) == other
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_failed_save_leaves_the_old_model(
    model: ScoringModel, other: ScoringModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save(tmp_path / "s")

    def full(path: Path, text: str) -> None:
        path.write_text(text[:10], encoding="utf-8")
        raise OSError("no space left")

    monkeypatch.setattr(model_module, "_write", full)
    with pytest.raises(OSError, match="no space left"):
        other.save(tmp_path / "s")
    assert ScoringModel.load(tmp_path / "s") == model
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_missing_and_damaged_models_are_refused(model: ScoringModel, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as missing:
        ScoringModel.load(tmp_path / "none")
    assert missing.value.code == "unknown-model"
    model.save(tmp_path / "s")
    with (tmp_path / "s" / "model.txt").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(RefusedError, match="trees are not those") as damaged:
        ScoringModel.load(tmp_path / "s")
    assert damaged.value.code == "damaged-model"
    (tmp_path / "s" / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(RefusedError, match="cannot be read"):
        ScoringModel.load(tmp_path / "s")
    model.save(tmp_path / "s")  # a damaged folder is repaired by saving
    assert ScoringModel.load(tmp_path / "s") == model


def test_sha256_of_parts_keeps_them_apart() -> None:
    assert sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256("ab", "c") != sha256("a", "bc")
