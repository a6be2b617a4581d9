"""Lookalikes: everyone outside a seed, ranked by how much their tags are those of the seed.

LightGBM with the settings of the scorers learns the seed against a draw of the others. Each user is ranked by a model that has not
seen that user (four folds by a salted hash), so neither the seed nor the users who are ranked are compared with themselves; the
AUC of these ranks is an honest measure of how far the tags tell the seed apart. Imports floor 1, the scoring and the salted shares.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from sqlglot import exp

from limner_profile import tags as tag_modules
from limner_profile.dependencies import closure_of
from limner_profile.errors import Issue, RefusedError
from limner_profile.tags.base import TAG_KINDS
from limner_segments.conditions.lists import read_words, write_users
from limner_segments.conditions.salted import share_of
from limner_segments.scoring.encoding import Encoding, ValueType, fit_encoding
from limner_segments.scoring.evaluation import auc_interval
from limner_segments.scoring.leakage import AUC_ALARM, single_tag_strength
from limner_segments.scoring.training import FOLDS, TrainingSettings, fit_booster, fold_of, validation_rows

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    BoolArray = npt.NDArray[np.bool_]

FOLDER = "lookalikes"
MIN_SEED = 50
SETTINGS = TrainingSettings(max_rounds=200)
# Rows of the seed, and of the others, that the models learn from at most: more change the order little and take minutes.
MAX_ROWS = 50_000
_SALT = "limner-lookalike"
_BATCH = 50_000
_VERSION = "1"


@dataclass(frozen=True)
class Lookalikes:
    """What was learned about a seed: its size, the candidates outside it, and how far the tags tell both apart, out of fold.

    `auc` is 0.5 for tags that tell nothing. `left_out` says why other tags of the snapshot were not used: sensitive, proxy, type
    (dates, times), score, seed (the seed's own condition asks for it, or for a tag that it is computed from or that is computed from it),
    tautological (the tag alone tells the seed apart nearly perfectly).
    """

    seed: int
    candidates: int
    auc: float
    auc_low: float
    auc_high: float
    tags: tuple[str, ...]
    left_out: Mapping[str, str]


def lookalike_path(seed_sql: str, snapshot: str) -> str:
    """The file of a seed's lookalikes in a snapshot, relative to `.limner`; `seed_sql` is the seed's condition over `profiles`."""
    parts = (_VERSION, snapshot, seed_sql, SETTINGS.model_dump_json(), str(MAX_ROWS))
    return f"{FOLDER}/{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}.parquet"


def prepare_lookalikes(
    connection: duckdb.DuckDBPyConnection, seed: exp.Expr, seed_tags: frozenset[str], path: Path, name: str
) -> None:
    """Write the ranking of everyone outside the seed: user_id, score and rank, the best first.

    Raises RefusedError: `small-seed`, `no-tags`.
    """
    found, users, scores = learn(connection, seed, seed_tags, name)
    columns = {"user_id": users, "score": scores, "rank": range(1, len(users) + 1)}
    words = {key: json.dumps(value, ensure_ascii=False) for key, value in asdict(found).items()}
    write_users(path, columns, words)


def read_lookalikes(path: Path) -> Lookalikes:
    """What was learned, as the file of a ranking holds it."""
    words: dict[str, Any] = {key: json.loads(value) for key, value in read_words(path).items()}
    return Lookalikes(**{**words, "tags": tuple(words["tags"])})


def learn(
    connection: duckdb.DuckDBPyConnection, seed: exp.Expr, seed_tags: frozenset[str], name: str
) -> tuple[Lookalikes, list[str], list[float]]:
    """What was learned, and the users outside the seed with their scores, the best first and equal ones by their ids."""
    import numpy as np

    size, others = _sizes(connection, seed)
    if size < MIN_SEED or others < MIN_SEED:
        few = f"holds {size:,} users" if size < MIN_SEED else f"leaves {others:,} users outside"
        raise RefusedError(
            Issue(
                "small-seed",
                "",
                f"the seed {name!r} {few}: nothing can be learned from so few",
                f"at least {MIN_SEED} users within it and as many outside are needed",
            )
        )
    types, left_out = _allowed(connection, seed_tags)
    rows = _read(connection, seed, types, _drawn(seed, size, others))
    happened: BoolArray = rows["_seed"].to_numpy(dtype=bool)
    for tag, kind in list(types.items()):
        if single_tag_strength(rows[tag], happened, kind)[0] >= AUC_ALARM:
            left_out[tag] = "tautological"
            del types[tag]
    if not types:
        hint = "a seed by other tags leaves more to learn from"
        raise RefusedError(Issue("no-tags", "", f"no tag is left to learn the seed {name!r} from", hint))
    encoding = fit_encoding(rows[list(types)], types)
    models = _models(rows, happened, encoding)
    users, margins, inside = [], [], []
    for batch in _batches(connection, seed, types):
        ids = batch["user_id"].to_numpy(dtype=object)
        users.append(ids)
        inside.append(batch["_seed"].to_numpy(dtype=bool))
        margins.append(_margins(models, ids, encoding.encode(batch)))
    all_users, margin, is_seed = np.concatenate(users), np.concatenate(margins), np.concatenate(inside)
    auc = auc_interval(is_seed, margin)
    outside = np.flatnonzero(~is_seed)
    # Users come in the order of their ids, which a stable sort keeps among equal ones.
    best = outside[np.argsort(-margin[outside], kind="stable")]
    scores = 1.0 / (1.0 + np.exp(-margin[best]))
    found = Lookalikes(size, len(best), auc.value, auc.low, auc.high, tuple(types), left_out)
    return found, all_users[best].tolist(), scores.tolist()


def _sizes(connection: duckdb.DuckDBPyConnection, seed: exp.Expr) -> tuple[int, int]:
    with connection.cursor() as cursor:
        query = f"SELECT count(*) FILTER (WHERE {_within(seed)}), count(*) FROM profiles"
        size, users = cursor.execute(query).fetchall()[0]
    return int(size), int(users) - int(size)


def _within(seed: exp.Expr) -> str:
    return f"coalesce({seed.sql(dialect='duckdb')}, false)"


def _drawn(seed: exp.Expr, size: int, others: int) -> str:
    """The condition that a user is among those that the models learn from, by the salted hash."""
    number = share_of(_SALT).sql(dialect="duckdb")
    within, without = (min(1.0, MAX_ROWS / count) for count in (size, others))
    return f"{number} < CASE WHEN {_within(seed)} THEN {within!r} ELSE {without!r} END"


def _allowed(
    connection: duckdb.DuckDBPyConnection, seed_tags: frozenset[str]
) -> tuple[dict[str, ValueType], dict[str, str]]:
    """The tags to learn from with their types, in the order of the catalog, and why the others are left out."""
    with connection.cursor() as cursor:
        rows = cursor.execute("SELECT name, kind, type, sensitivity, definition FROM tags").fetchall()
        columns = {row[0] for row in cursor.execute("DESCRIBE SELECT * FROM profiles").fetchall()}
    TAG_KINDS.discover(tag_modules)
    references = {name: _references(kind, definition) for name, kind, _, _, definition in rows}
    above = closure_of(seed_tags, references) | seed_tags
    types: dict[str, ValueType] = {}
    left_out: dict[str, str] = {}
    for name, kind, value_type, sensitivity, _ in rows:
        if name not in columns:
            continue
        if name in above or not seed_tags.isdisjoint(closure_of([name], references)):
            left_out[name] = "seed"
        elif sensitivity != "none":
            left_out[name] = sensitivity
        elif kind == "score":
            left_out[name] = "score"
        elif value_type not in ("number", "category", "boolean"):
            left_out[name] = "type"
        else:
            types[name] = value_type
    return types, left_out


def _references(kind: str, definition: str) -> tuple[str, ...]:
    if kind not in TAG_KINDS.words():
        return ()
    try:
        return TAG_KINDS.get(kind).model_validate({**json.loads(definition), "kind": kind}).references()
    except ValidationError:  # written by another version
        return ()


def _query(seed: exp.Expr, types: Mapping[str, ValueType], where: str) -> str:
    values = [
        exp.alias_(
            exp.Cast(this=exp.column(name, quoted=True), to=exp.DataType.build("double"))
            if kind == "number"
            else exp.column(name, quoted=True),
            name,
            quoted=True,
        ).sql(dialect="duckdb")
        for name, kind in types.items()
    ]
    chosen = ", ".join(["user_id", f"{_within(seed)} AS _seed", *values])
    return f"SELECT {chosen} FROM profiles WHERE {where} ORDER BY user_id"


def _read(
    connection: duckdb.DuckDBPyConnection, seed: exp.Expr, types: Mapping[str, ValueType], where: str
) -> pd.DataFrame:
    with connection.cursor() as cursor:
        return cursor.execute(_query(seed, types, where)).df()


def _batches(
    connection: duckdb.DuckDBPyConnection, seed: exp.Expr, types: Mapping[str, ValueType]
) -> Iterator[pd.DataFrame]:
    """Everyone, in the order of their ids, some thousands at a time: the matrix is many times wider than the tags."""
    with connection.cursor() as cursor:
        for batch in cursor.sql(_query(seed, types, "true")).to_arrow_reader(_BATCH):
            yield batch.to_pandas()


def _models(rows: pd.DataFrame, happened: BoolArray, encoding: Encoding) -> list[Any]:
    """A booster for each fold, from the rows of the others; all with the number of rounds at which one stopped early."""
    import numpy as np

    users = rows["user_id"].to_numpy(dtype=object)
    matrix, names = encoding.encode(rows), encoding.column_names
    held, _ = validation_rows(happened, np.zeros(len(rows), dtype=np.int64), users)
    probe = fit_booster(
        matrix[~held], happened[~held], names, SETTINGS, SETTINGS.max_rounds, matrix[held], happened[held]
    )
    rounds = int(probe.best_iteration) or SETTINGS.max_rounds
    folds = _folds(users)
    return [
        fit_booster(matrix[folds != fold], happened[folds != fold], names, SETTINGS, rounds) for fold in range(FOLDS)
    ]


def _folds(users: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    import numpy as np

    return np.array([fold_of(user) for user in users], dtype=np.int64)


def _margins(models: list[Any], users: npt.NDArray[Any], matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The margin of each user from the model of its fold."""
    import numpy as np

    folds = _folds(users)
    margins = np.zeros(len(users), dtype=np.float64)
    for fold, model in enumerate(models):
        own = folds == fold
        if own.any():
            margins[own] = model.predict(matrix[own], raw_score=True, num_threads=SETTINGS.num_threads)
    return cast("npt.NDArray[np.float64]", margins)
