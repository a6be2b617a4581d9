from __future__ import annotations

import csv
import hashlib
import json
import math
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest

from limner_profile.errors import UnknownNameError
from limner_segments.exports.fields import GoogleFields, MetaFields
from limner_segments.exports.formats import FORMATS, file_format
from limner_segments.exports.formats.base import FormatExample, Options, Prepared
from limner_segments.exports.formats.csv_file import csv_cell, write_csv, write_lines
from segments.exports.bench import write_file

EXAMPLES = [pytest.param(word, example, id=word) for word, kind in FORMATS for example in kind.EXAMPLES]


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        found: list[tuple[Any, ...]] = connection.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        return found


@pytest.mark.parametrize(("word", "example"), EXAMPLES)
def test_an_example_becomes_the_file_that_it_states(word: str, example: FormatExample, tmp_path: Path) -> None:
    path = tmp_path / "file"
    prepared = write_file(word, path, example.columns, example.users, example.options)
    assert prepared.rejected == example.rejected
    contents = file_format(word).read(path)
    assert contents.header == prepared.header
    assert contents.rows == prepared.users - prepared.left_out
    if isinstance(example.content, str):
        assert path.read_bytes() == example.content.encode()
    else:
        assert tuple(rows_of(path)) == example.content


def test_every_kind_has_examples_and_a_docstring() -> None:
    assert FORMATS.words() == ["csv", "google", "jsonl", "meta", "parquet"]
    for _, kind in FORMATS:
        assert kind.EXAMPLES
        assert kind.__doc__
    with pytest.raises(UnknownNameError, match="did you mean 'google'"):
        file_format("gogle")


@pytest.mark.parametrize(("word", "model"), [("google", GoogleFields), ("meta", MetaFields)])
def test_the_fields_of_limner_yaml_are_those_of_the_platform(word: str, model: Any) -> None:
    assert set(model.model_fields) - {"region", "hashed"} == set(file_format(word).FIELDS)


@pytest.mark.parametrize("word", ["csv", "jsonl", "parquet"])
def test_hostile_texts_come_back_as_they_were(word: str, tmp_path: Path) -> None:
    texts = [
        'a,"b"',
        "two\nlines",
        "tab\tand\rreturn",
        "",
        "  ",
        "=1+1",
        "上海 😀",
        "\\N",
        "NULL",
        "'",
        "a\u2028b",
        "\x01",
    ]
    users = {f"u{index:02d}": (text,) for index, text in enumerate(texts)}
    path = tmp_path / "file"
    write_file(word, path, ["city"], users)
    if word == "csv":
        import csv

        with path.open(encoding="utf-8", newline="") as file:
            found = [row[1] for row in list(csv.reader(file))[1:]]
    elif word == "jsonl":
        found = [json.loads(line)["city"] for line in path.read_text(encoding="utf-8").split("\n") if line]
    else:
        found = [row[1] for row in rows_of(path)]
    assert found == texts
    assert file_format(word).read(path).rows == len(texts)


def test_json_has_no_word_for_infinity(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file("jsonl", path, ["n"], {"u1": (math.inf,), "u2": (math.nan,), "u3": (1e300,)})
    rows = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert [row["n"] for row in rows] == [None, None, 1e300]


@pytest.mark.parametrize("word", ["csv", "jsonl"])
def test_times_are_iso_8601(word: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(word, path, ["seen"], {"u1": ("2025-01-01 08:00:00.25",)}, types={"seen": "TIMESTAMP"})
    assert "2025-01-01T08:00:00.25" in path.read_text()


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_safe_cells_defuse_what_a_spreadsheet_would_run(begin: str, tmp_path: Path) -> None:
    import csv

    path = tmp_path / "file"
    write_file(
        "csv", path, ["city", "n"], {f"{begin}u": (f"{begin}1+1", -3), "u": ("a=1", 4)}, Options(safe_cells=True)
    )
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(list(csv.reader(file))[1:])
    assert rows == sorted([[f"'{begin}u", f"'{begin}1+1", "-3"], ["u", "a=1", "4"]])


@pytest.mark.parametrize("word", ["csv", "jsonl", "parquet", "google"])
def test_many_rows_give_the_same_bytes_whatever_their_order_was(word: str, tmp_path: Path) -> None:
    digests = set()
    columns = ["email", "phone"] if word == "google" else ["city", "n"]
    for run, order in enumerate(["i", "-i", "hash(i)"]):
        path = tmp_path / f"{run}"
        format_ = file_format(word)
        with duckdb.connect() as bench:
            bench.execute("SET threads = 2")
            bench.execute(
                f"CREATE TEMP TABLE given AS SELECT lpad(i::VARCHAR, 7, '0') AS user_id, 'u' || i || '@x.com' AS {columns[0]}, "
                f"CAST(13800000000 + i AS VARCHAR) AS {columns[1]} FROM range(150000) AS r(i) ORDER BY {order}"
            )
            given = _given(columns)
            format_.write(
                bench, format_.prepare(bench, given, Options(region="CN") if word == "google" else Options()), path
            )
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def _given(columns: list[str]) -> Any:
    from zoneinfo import ZoneInfo

    from limner_segments.exports.formats.base import Given
    from segments.exports.bench import TODAY

    return Given({name: name for name in columns}, dict.fromkeys(columns, "VARCHAR"), TODAY, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("columns", "options", "code"),
    [
        (["emial"], Options(), "unknown-field"),
        (["first_name", "last_name"], Options(), "no-identifier"),
        ([], Options(), "no-identifier"),
        (["email"], Options(region="China"), "unknown-region"),
        (["email", "birth"], Options(hashing="off"), "cannot-pass-on"),
    ],
)
def test_what_a_platform_cannot_use_is_said_before_anything_is_written(
    columns: list[str], options: Options, code: str
) -> None:
    (issue,) = file_format("meta").issues({name: name for name in columns}, options)
    assert issue.code == code
    assert issue.hint
    if code == "unknown-field":
        assert issue.hint == "did you mean 'email'?"


@pytest.mark.parametrize(("kind", "hashing"), [("google", "on"), ("meta", "on"), ("google", "off"), ("meta", "off")])
def test_values_that_many_users_share_become_what_they_become_alone(
    kind: str, hashing: Literal["on", "off"], tmp_path: Path
) -> None:
    """Shared values are judged once, in a table of their own: a crowd of copies must give the lines and counts of each one alone."""
    one = [
        ("a.b+x@Gmail.com", "138 0013 8000", "José ", "O'Neil", "US", "12345-6789"),
        (" x@y.co", "+49 89 1234567", "ｍａｒｙ", "-", "cn", "12345-6789"),
        (None, "", "\t伟", "a,b", None, "1,2\n#\"3\""),
        ("nobody", "12", None, "王", "XX", "SW1A 1AA"),
        ("e" * 64, "0086 13912345678", "Zoë", " ", "Us", "none"),
    ]  # fmt: skip
    columns = ("email", "phone", "first_name", "last_name", "country", "postcode")
    options, copies = Options(region="CN", hashing=hashing), 20
    alone = write_file(kind, tmp_path / "alone", columns, {f"u{at}": row for at, row in enumerate(one)}, options)
    crowd = {f"u{at}-{copy:02}": row for at, row in enumerate(one) for copy in range(copies)}
    together = write_file(kind, tmp_path / "crowd", columns, crowd, options)
    with (tmp_path / "alone").open(newline="") as few, (tmp_path / "crowd").open(newline="") as many:
        (header, *rows), (same, *found) = csv.reader(few), csv.reader(many)
    assert (header, [row for row in rows for _ in range(copies)]) == (same, found)
    assert {name: copies * count for name, count in alone.missing.items()} == together.missing
    assert together.rejected == {
        name: {reason: copies * count for reason, count in found.items()} for name, found in alone.rejected.items()
    }
    assert (copies * alone.users, copies * alone.left_out) == (together.users, together.left_out)


def test_lines_are_those_of_the_database(tmp_path: Path) -> None:
    """A cell gets quotes where DuckDB's own writer gives it some, and nowhere else."""
    texts = [f"a{chr(code)}b" for code in range(1, 256)] + [chr(code) for code in range(1, 256)] + [" a ", "NULL", None]
    with duckdb.connect() as bench:
        bench.execute("CREATE TABLE cells AS SELECT unnest($texts) AS a, 'x' AS b", {"texts": texts})
        write_csv(bench, Prepared("FROM cells", ("a", "b"), len(texts)), tmp_path / "one")
        query = f"SELECT concat({csv_cell('a')}, ',', b, chr(10)) AS line FROM cells"
        write_lines(bench, Prepared(query, ("a", "b"), len(texts)), tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
