"""limner.yaml and the files behind it: what is refused, where the complaint stands, and what the sources offer."""
# ruff: noqa: DTZ001  (stored instants are UTC without a zone, and so are the ones compared with them)

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limner_profile.csv_dialect import csv_delimiter
from limner_profile.errors import DefinitionError, SourceError, UserError
from limner_profile.source_files import field_type, source_files
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

GOOD = """name: shop
timezone: Asia/Shanghai
sources:
  people:
    type: users
    path: people.csv
    user: id
    attributes:
      city: town
  acts:
    type: events
    path: acts.csv
    user: id
    time: at
    event: what
    properties: [genre, pages]
"""
FILES = {
    "limner.yaml": GOOD,
    "people.csv": "id,town\na,北京\n",
    "acts.csv": "id,at,what,genre,pages\na,2025-01-01,read,x,3\n",
}


def complaints(root: Path) -> list[tuple[str, str, str, str]]:
    with pytest.raises(UserError) as caught:
        _ = open_workspace(root).schema
    return [(issue.code, issue.where, issue.message, issue.hint) for issue in caught.value.issues]


def test_what_the_sources_offer(lay: Lay) -> None:
    schema = open_workspace(lay(FILES)).schema
    assert schema.attributes == {"city": "category"}
    assert schema.attribute_source == {"city": "people"}
    assert schema.event_fields == {
        "event": "category", "time": "time", "amount": "number", "source": "category", "genre": "category",
        "pages": "number",
    }  # fmt: skip
    assert (schema.user_sources, schema.has_events, schema.has_received) == (("people",), True, False)


@pytest.mark.parametrize(
    ("old", "new", "code", "where", "message", "hint"),
    [
        ("Asia/Shanghai", "Asia/Shangai", "bad-value", "limner.yaml:2:1",
         "'timezone': unknown time zone 'Asia/Shangai'", "did you mean 'Asia/Shanghai'?"),
        ("    path: people.csv", "    pth: people.csv", "unknown-field", "limner.yaml:6:5", "unknown field 'pth'",
         "did you mean 'path'?"),
        ("type: users", "type: user", "bad-value", "limner.yaml:5:5", "'type' cannot be 'user'",
         "did you mean 'users'?"),
        ("    time: at\n", "", "bad-value", "limner.yaml:10:3", "'acts': a source of type events needs 'time'",
         "name the column that holds the time of the act"),
        ("    event: what\n", "", "bad-value", "limner.yaml:10:3",
         "'acts': a source of events needs either 'event' or 'event_name'",
         "'event' names a column, 'event_name' is one name for all rows"),
        ("type: events", "type: orders", "bad-value", "limner.yaml:10:3",
         "'acts': a source of orders needs 'amount'", "name the column that holds the amount"),
        ("    user: id\n    attributes", "    user: id\n    amount: x\n    attributes", "bad-value", "limner.yaml:4:3",
         "'people': a source of type users has no field 'amount'", "remove it, or change the type"),
        ("    user: id\n    attributes", "    user: id\n    keep_duplicates: true\n    attributes", "bad-value",
         "limner.yaml:4:3", "'people': a source of type users has no field 'keep_duplicates'",
         "remove it, or change the type"),
        ("[genre, pages]", "{Event: genre}", "bad-value", "limner.yaml:10:3",
         "'acts': 'Event' is a name of Limner's own", "call it otherwise: 'my_Event: Event'"),
        ("[genre, pages]", "{_row: genre}", "bad-value", "limner.yaml:10:3",
         "'acts': '_row' is a name of Limner's own", "call it otherwise: 'my_row: _row'"),
        ("[genre, pages]", "{p: genre, P: pages}", "bad-value", "limner.yaml:10:3",
         "'acts': 'P' and 'p' differ in upper and lower case only", "rename one of them"),
        ("  acts:\n", "  my acts:\n", "bad-value", "limner.yaml:3:1",
         "'sources': 'my acts' cannot be the name of a source", "letters, digits and underscores, such as web_orders"),
        ("  acts:\n", "  People:\n", "bad-value", "limner.yaml:3:1",
         "'sources': the names of two sources differ in upper and lower case only", "rename one of them"),
        ("path: people.csv", "path: people.csw", "missing-file", "limner.yaml:6:5", "no file matches 'people.csw'",
         "did you mean 'people.csv'?"),
        ("path: people.csv", "path: limner.yaml", "unknown-format", "limner.yaml:6:5",
         "'limner.yaml' is neither CSV, JSON lines, Parquet nor DuckDB",
         "files end in .csv, .tsv, .jsonl (each also .gz or .zst), .parquet or .duckdb"),
        ("city: town", "city: twon", "unknown-column", "limner.yaml:9:7", "people.csv has no column 'twon'",
         "did you mean 'town'?"),
        ("    time: at", "    time: Time", "unknown-column", "limner.yaml:14:5", "acts.csv has no column 'Time'",
         "its columns: id, at, what, genre, pages"),
        ("[genre, pages]", "[genre, page]", "unknown-column", "limner.yaml:16:5", "acts.csv has no column 'page'",
         "did you mean 'pages'?"),
    ],
)  # fmt: skip
def test_complaints(lay: Lay, old: str, new: str, code: str, where: str, message: str, hint: str) -> None:
    assert old in GOOD
    found = complaints(lay({**FILES, "limner.yaml": GOOD.replace(old, new)}))
    assert (code, where, message, hint) in found


def test_every_missing_column_and_file_at_once(lay: Lay) -> None:
    found = complaints(lay({**FILES, "acts.csv": "id,at,what\n", "limner.yaml": GOOD.replace("people.csv", "x.csv")}))
    assert [issue[0] for issue in found] == ["missing-file", "unknown-column", "unknown-column"]


def test_an_attribute_has_one_source(lay: Lay) -> None:
    second = GOOD + "  more: {type: users, path: people.csv, user: id, attributes: {city: town}}\n"
    found = complaints(lay({**FILES, "limner.yaml": second}))
    assert found == [
        ("duplicate-attribute", "limner.yaml:17:64", "'city' comes from 'people' already", "map it under another name")
    ]


def test_a_property_has_one_type(lay: Lay) -> None:
    second = GOOD + "  more: {type: events, path: more.csv, user: id, time: at, event: what, properties: [genre]}\n"
    files = {**FILES, "limner.yaml": second, "more.csv": "id,at,what,genre\na,2025-01-01,x,7\n"}
    found = complaints(lay(files))
    assert [(issue[0], issue[2]) for issue in found] == [
        ("wrong-type", "'genre' is a number here and a category in another source")
    ]
    stated = second.replace("[genre]}", "{genre: {column: genre, type: category}}}")
    assert open_workspace(lay({"limner.yaml": stated})).schema.event_fields["genre"] == "category"


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnonsense", b"PAR1"])
@pytest.mark.parametrize("name", ["acts.csv.gz", "acts.parquet"])
def test_a_file_that_is_not_what_its_name_says(lay: Lay, name: str, content: bytes) -> None:
    found = complaints(lay({**FILES, name: content, "limner.yaml": GOOD.replace("acts.csv", name)}))
    assert found[0][0] in {"unreadable-file", "empty-source"}
    assert found[0][1] == "limner.yaml:12:5"


def test_no_workspace_here(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        open_workspace(tmp_path)
    assert caught.value.code == "no-workspace"


def test_an_empty_configuration_names_what_is_missing(lay: Lay) -> None:
    found = complaints(lay({"limner.yaml": ""}))
    assert [issue[2] for issue in found] == [
        "the field 'name' is missing", "the field 'timezone' is missing", "the field 'sources' is missing"
    ]  # fmt: skip


def test_a_date_without_quotes_is_an_as_of(lay: Lay) -> None:
    root = lay({**FILES, "limner.yaml": GOOD + "settings:\n  as_of: 2025-02-01\n"})
    assert open_workspace(root).settings.as_of == "2025-02-01"


def test_folders_and_files_with_brackets_are_found(lay: Lay, tmp_path: Path) -> None:
    root = lay(FILES)
    awkward = root.rename(tmp_path / "work [2025]")
    (awkward / "acts.csv").rename(awkward / "acts[1].csv")
    (awkward / "limner.yaml").write_text(GOOD.replace("path: acts.csv", "path: 'acts[1].csv'"), encoding="utf-8")
    assert open_workspace(awkward).schema.event_fields["pages"] == "number"


def test_patterns_find_files_in_name_order_and_no_folders(lay: Lay) -> None:
    header = "id,at,what,genre,pages\n"
    root = lay({"d/b.csv": header, "d/a.csv": header, "d/c.csv/x": "", "d/e/f.csv": header, "limner.yaml": GOOD})
    source = open_workspace(root).config.sources["acts"]
    names = [
        [str(path.relative_to(root)) for path in source_files(source.model_copy(update={"path": pattern}), root, "")]
        for pattern in ("d/*.csv", "d/**/*.csv", str(root / "d" / "?.csv"))
    ]
    assert names == [["d/a.csv", "d/b.csv"], ["d/a.csv", "d/b.csv", "d/e/f.csv"], ["d/a.csv", "d/b.csv"]]


@pytest.mark.parametrize(
    ("header", "delimiter"), [("a,b;c,d", ","), ("a;b;c", ";"), ("a\tb", "\t"), ("a|b", "|"), ("a", ",")]
)
def test_delimiter(tmp_path: Path, header: str, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(header + "\n1,2,3,4,5,6\n", encoding="utf-8")
    assert csv_delimiter(path) == delimiter


def test_types_of_parquet_columns(lay: Lay) -> None:
    import datetime as dt
    from decimal import Decimal

    columns = {
        "id": pa.array([1]), "at": pa.array([dt.datetime(2025, 1, 1)]), "what": pa.array(["x"]),
        "flag": pa.array([True]), "day": pa.array([dt.date(2025, 1, 1)]), "price": pa.array([Decimal("1.50")]),
        "items": pa.array([[Decimal("1.5")]]), "times": pa.array([[dt.datetime(2025, 1, 1)]]),
        "pair": pa.array([{"a": 1}]), "raw": pa.array([b"\xff"]), "genre": pa.array(["a"]).dictionary_encode(),
    }  # fmt: skip
    names = "[flag, day, price, items, times, pair, raw, genre]"
    config = GOOD.replace("acts.csv", "acts.parquet").replace("[genre, pages]", names)
    root = lay({**FILES, "limner.yaml": config})
    pq.write_table(pa.table(columns), root / "acts.parquet")
    fields = open_workspace(root).schema.event_fields
    assert {name: fields[name] for name in list(fields)[4:]} == {
        "flag": "boolean", "day": "date", "price": "number", "items": "category", "times": "category",
        "pair": "category", "raw": "category", "genre": "category",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("duckdb_type", "kind"),
    [("HUGEINT", "number"), ("DECIMAL(18,3)", "number"), ("DECIMAL(18,3)[]", "category"), ("TIMESTAMP[]", "category"),
     ("TIMESTAMP_NS", "time"), ("TIME", "category"), ("INTERVAL", "category"), ("DATE", "date"), ("BOOLEAN", "boolean")],
)  # fmt: skip
def test_field_type(duckdb_type: str, kind: str) -> None:
    assert field_type(duckdb_type) == kind


def test_source_errors_are_errors_of_the_user() -> None:
    assert issubclass(SourceError, UserError)


def test_a_missing_file_tells_the_folder_by_its_name_from_inside_it(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lay({**FILES, "limner.yaml": GOOD.replace("path: acts.csv", "path: zzz.csv")})
    monkeypatch.chdir(root)
    with pytest.raises(SourceError) as caught:
        source_files(open_workspace(Path()).config.sources["acts"], Path(), "")
    assert caught.value.issues[0].hint == f"paths are relative to the folder of limner.yaml ({root.name}/)"
