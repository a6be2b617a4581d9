"""Reading what proposals are made from, and ingesting the times and numbers that they find."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from limner_profile.errors import SourceError
from limner_profile.ingest import ingest
from limner_profile.mapping.sample import data_files, read_samples, value_counts
from limner_profile.workspace import open_workspace


def lay(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def test_a_folder_gives_its_data_files_each_once(tmp_path: Path) -> None:
    lay(tmp_path, {"b.csv": "x\n1\n", "a.jsonl": "{}\n", "note.md": "", ".hidden.csv": "x\n", "sub/c.csv": "x\n1\n"})
    found = data_files([tmp_path, tmp_path / "b.csv", tmp_path / "sub" / "c.csv"])
    assert [file.name for file in found] == ["a.jsonl", "b.csv", "c.csv"]


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("oders.csv", "missing-file", "orders.csv"),
        ("note.md", "unknown-format", ".parquet"),
        ("empty", "missing-file", ".parquet"),
    ],
)
def test_what_is_no_data_is_named(tmp_path: Path, name: str, code: str, hint: str) -> None:
    lay(tmp_path, {"orders.csv": "x\n1\n", "note.md": "hello"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as error:
        data_files([tmp_path / name])
    assert error.value.code == code
    assert hint in error.value.issues[0].hint


def test_files_of_one_shape_are_one_source_and_others_are_not(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "visits-2025-01.csv": "u,t\na,1\n", "visits-2025-02.csv": "u,t\nb,x\n",
            "log_1.csv": "u,t\na,1\n", "log_2.csv": "u,t,z\na,1,2\n",
        },
    )  # fmt: skip
    samples = {sample.pattern: sample for sample in read_samples(data_files([tmp_path]))}
    assert set(samples) == {"visits-*.csv", "log_1.csv", "log_2.csv"}
    visits = samples["visits-*.csv"]
    assert [file.name for file in visits.files] == ["visits-2025-01.csv", "visits-2025-02.csv"]
    # Where the files disagree about a type, it is text.
    assert visits.columns == {"u": "VARCHAR", "t": "VARCHAR"}
    assert visits.rows == [{"u": "a", "t": "1"}, {"u": "b", "t": "x"}]
    assert visits.retyped == {"t"}


def test_what_the_first_file_lacks_the_second_may_have(tmp_path: Path) -> None:
    lay(tmp_path, {"v1.csv": "u,a\nx,\n", "v2.csv": "u,a\ny,1.5\n"})
    (sample,) = read_samples(data_files([tmp_path]))
    assert (sample.columns["a"], sample.retyped) == ("DOUBLE", frozenset({"a"}))


def test_many_files_are_looked_at_here_and_there(tmp_path: Path) -> None:
    lay(tmp_path, {f"v{n:02}.csv": f"u,a\nu{n},{n}\n" for n in range(20)})
    (sample,) = read_samples(data_files([tmp_path]))
    assert (len(sample.files), [row["a"] for row in sample.rows]) == (20, ["0", "3", "6", "9", "12", "15", "18"])


def test_every_format_gives_its_rows_as_text(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "a.tsv.gz": gzip.compress(b"u\tn\nx\t1.5\ny\t\n"),
            "b.jsonl": '{"u": "x", "p": {"n": 1.5}}\n{"u": "y"}\n',
            "d.csv": b"\xef\xbb\xbfu;n\r\nx;1.5\r\ny;\r\n",
        },
    )
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT * FROM (VALUES ('x', 1.5), ('y', NULL)) AS rows(u, n)) TO ? (FORMAT parquet)",
            [str(tmp_path / "c.parquet")],
        )
    (tmp_path / "e.csv.zst").write_bytes(pa.compress(b"u,n\nx,1.5\ny,\n", "zstd", asbytes=True))
    for sample in read_samples(data_files([tmp_path])):
        number = "p.n" if "p.n" in sample.columns else "n"
        assert [(row["u"], row[number]) for row in sample.rows] == [("x", "1.5"), ("y", None)], sample.pattern


def test_values_are_counted_in_whole_files(tmp_path: Path) -> None:
    lines = [json.dumps({"e": "buy" if n % 3 == 0 else "view", "a": 5 if n % 3 == 0 else None}) for n in range(30)]
    lay(tmp_path, {"1.jsonl": "\n".join(lines[:20]) + "\n", "2.jsonl": "\n".join(lines[20:]) + "\n"})
    counts = value_counts([tmp_path / "1.jsonl", tmp_path / "2.jsonl"], "e", "a")
    assert counts == {"view": (20, 0), "buy": (10, 10)}
    assert list(counts) == ["view", "buy"]


def test_counting_minds_no_column_of_another_name(tmp_path: Path) -> None:
    lay(tmp_path, {"x.csv": 'value,count,"e {}"\n1,2,buy\n2,2,buy\n3,,view\n'})
    assert value_counts([tmp_path / "x.csv"], "e {}", "count") == {"buy": (2, 2), "view": (1, 0)}


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("u,t\n", "empty-source", "holds no rows"),
        ("", "empty-source", "is empty"),
        ("1,2268318,pv,1511544070\n1,2333346,buy,1511561733\n", "no-header", "holds values (1, 2268318, 1511544070)"),
        ("用户ID,时间\n1,登录\n".encode("gbk"), "other-encoding", "is not UTF-8, and looks like GBK"),
    ],
)
def test_files_without_readable_rows_are_errors(tmp_path: Path, content: str | bytes, code: str, words: str) -> None:
    lay(tmp_path, {"x.csv": content})
    with pytest.raises(SourceError) as error:
        read_samples([tmp_path / "x.csv"])
    assert error.value.code == code
    assert words in error.value.issues[0].message


def ingested(root: Path, fields: str, text: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The stored events (user, time, amount) and the rejects (value, reason) of a file of orders."""
    source = f"{{type: orders, path: x.csv, user: u, time: t, amount: a, {fields}}}"
    lay(root, {"x.csv": text, "limner.yaml": f"name: t\ntimezone: Asia/Shanghai\nsources:\n  x: {source}\n"})
    (entry,) = ingest(open_workspace(root))
    with duckdb.connect() as con:
        events = con.execute(
            "SELECT user_id, CAST(time AS VARCHAR), amount FROM read_parquet(?) ORDER BY user_id",
            [[str(root / ".limner" / file) for file in entry.files]],
        ).fetchall()
        rejects = con.execute(
            "SELECT value, reason FROM read_parquet(?) ORDER BY line",
            [[str(root / ".limner" / part.rejects_file) for part in entry.parts]],
        ).fetchall()
    return events, rejects


@pytest.mark.parametrize(
    ("written", "text"), [("unix", "1735689600"), ("unix", "1735689600.0"), ("unix_ms", "1735689600000")]
)
def test_times_since_1970_are_instants_whatever_the_time_zone(tmp_path: Path, written: str, text: str) -> None:
    events, rejects = ingested(tmp_path, f"time_format: {written}", f"u;t;a\nx;{text};1\ny;soon;1\nz;1e300;1\n")
    assert events == [("x", "2025-01-01 00:00:00", 1.0)]
    assert rejects == [("soon", "bad-time"), ("1e300", "bad-time")]


def test_decimal_commas(tmp_path: Path) -> None:
    rows = {
        "a": "12,50",
        "b": "1.234,5",
        "c": "7",
        "d": "1.234",
        "e": "-0,5",
        "f": "12.50",
        "g": "1,2,3",
        "h": "1.23,4",
    }
    text = "u;t;a\n" + "".join(f"{user};2025-01-01;{amount}\n" for user, amount in rows.items())
    events, rejects = ingested(tmp_path, "decimal_comma: true", text)
    assert [(user, amount) for user, _, amount in events] == [
        ("a", 12.5),
        ("b", 1234.5),
        ("c", 7),
        ("d", 1234),
        ("e", -0.5),
    ]
    # A point that parts no thousands is no number, rather than one a hundred times as great.
    assert rejects == [("12.50", "bad-number"), ("1,2,3", "bad-number"), ("1.23,4", "bad-number")]


def test_files_at_fault_are_left_out_where_somebody_is_told(tmp_path: Path) -> None:
    lay(tmp_path, {"a.csv": "u,t\nx,1\n", "b.csv": "", "c.csv": "u\n", "d.parquet": "nonsense"})
    told: dict[str, str] = {}
    samples = read_samples(data_files([tmp_path]), lambda file, error: told.update({file.name: error.code}))
    assert [sample.label for sample in samples] == ["a.csv"]
    assert told == {"b.csv": "empty-source", "c.csv": "empty-source", "d.parquet": "unreadable-file"}
    with pytest.raises(SourceError):
        read_samples(data_files([tmp_path]))


def test_the_order_of_columns_makes_no_other_shape(tmp_path: Path) -> None:
    lay(tmp_path, {"v1.csv": "u,t\nx,1\n", "v2.csv": "t,u\n2,y\n"})
    (sample,) = read_samples(data_files([tmp_path]))
    assert sample.rows == [{"u": "x", "t": "1"}, {"u": "y", "t": "2"}]
