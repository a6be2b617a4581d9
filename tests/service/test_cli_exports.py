"""Exports from the command line: every kind from one workspace, mapping from limner.yaml or flags, proof, mistakes, erasure."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.project import build, open_project
from limner.steps import Silent

Run = Callable[..., tuple[int, str, str]]
MARY = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"  # mary@example.com

CONFIG = """
name: shop
timezone: Asia/Shanghai
settings: {min_export: 3}
exports:
  google: {email: mail, phone: mobile, country: land, region: CN}
sources:
  people: {type: users, path: people.csv, user: user_id, attributes: [mail, mobile, land, gender, code]}
"""
TAGS = """
mail: {kind: attribute, attribute: mail}
mobile: {kind: attribute, attribute: mobile}
land: {kind: attribute, attribute: land}
gender: {kind: attribute, attribute: gender}
code: {kind: attribute, attribute: code}
"""
PEOPLE = f"""user_id,mail,mobile,land,gender,code
anna,Mary@Example.com,138 0013 8000,CN,f,{MARY}
bert,b.e.rt+x@gmail.com,+1 650-253-0000,US,m,{MARY}
carl,nobody,12345,DE,x,{MARY}
=dora,dora@example.com,,,f,{MARY}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exports") / "shop"
    segments = "everyone: {where: mail is known}\n"
    files = {"limner.yaml": CONFIG, "tags/tags.yaml": TAGS, "people.csv": PEOPLE, "segments/all.yaml": segments}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    build(open_project(root), "2025-03-01", Silent())
    return root


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "shop")


def export(run_main: Run, shop: Path, *arguments: Any) -> dict[str, Any]:
    code, out, err = run_main("segments", "export", "everyone", "--dir", shop, "--format", "json", *arguments)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("csv", "everyone.csv"),
        ("jsonl", "everyone.jsonl"),
        ("parquet", "everyone.parquet"),
        ("google", "everyone.google.csv"),
    ],
)
def test_each_kind_is_written_and_proven(kind: str, name: str, shop: Path, run_main: Run) -> None:
    found = export(run_main, shop, "--as", kind, *(("--columns", "mail,land") if kind != "google" else ()))
    assert Path(found["path"]) == shop / "exports" / name
    code, out, _ = run_main("export", "verify", found["path"], "--format", "json")
    proven = json.loads(out)
    assert (code, proven["verified"], proven["rows"], proven["kind"]) == (0, True, found["rows"], kind)
    assert proven["sha256"] == hashlib.sha256(Path(found["path"]).read_bytes()).hexdigest()
    first = Path(found["path"]).read_bytes()
    export(run_main, shop, "--as", kind, "--overwrite", *(("--columns", "mail,land") if kind != "google" else ()))
    assert Path(found["path"]).read_bytes() == first


def test_the_mapping_stands_in_limner_yaml(shop: Path, run_main: Run) -> None:
    found = export(run_main, shop, "--as", "google")
    with Path(found["path"]).open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["Email", "Phone", "Country"],
        [digest("dora@example.com"), "", ""],
        [MARY, digest("+8613800138000"), "CN"],
        [digest("bert@gmail.com"), digest("+16502530000"), "US"],
    ]
    assert (found["users"], found["rows"], found["left_out"], found["region"]) == (4, 3, 1, "CN")
    assert found["rejected"] == {"email": {"invalid-email": 1}, "phone": {"invalid-phone": 1}}
    assert found["missing"] == {"phone": 1, "country": 1}
    assert found["tags"] == ["mail", "mobile", "land"]


def test_flags_are_stronger_than_limner_yaml(shop: Path, run_main: Run) -> None:
    found = export(
        run_main, shop, "--as", "meta", "--map", "email=mail", "--map", "gender=gender", "--out", shop / "m.csv"
    )
    with (shop / "m.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["gen"] for row in rows] == [digest("f"), digest("f"), digest("m")]
    assert found["rejected"] == {"email": {"invalid-email": 1}, "gender": {"unknown-gender": 1}}
    found = export(run_main, shop, "--as", "google", "--map", "phone=mobile", "--region", "US", "--out", shop / "g.csv")
    assert found["rejected"]["phone"] == {"invalid-phone": 2}
    found = export(
        run_main,
        shop,
        "--as",
        "google",
        "--map",
        "email=code",
        "--map",
        "phone=code",
        "--hashed",
        "--out",
        shop / "h.csv",
    )
    assert (found["hashing"], found["rows"], found["rejected"]) == ("as-given", 4, {})


def test_safe_cells(shop: Path, run_main: Run) -> None:
    found = export(run_main, shop, "--columns", "land", "--safe-cells")
    assert Path(found["path"]).read_text().splitlines()[1] == "'=dora,"
    assert found["safe_cells"] is True
    found = export(run_main, shop, "--columns", "land", "--out", shop / "raw.csv")
    assert Path(found["path"]).read_text().splitlines()[1] == "=dora,"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--as", "gogle"), "unknown-export-kind", "did you mean 'google'?"),
        (("--as", "meta"), "no-identifier", "map email"),
        (("--as", "google", "--map", "emial=mail"), "unknown-field", "did you mean 'email'?"),
        (("--as", "google", "--map", "email=mial"), "unknown-tag", "did you mean 'mail'?"),
        (("--as", "google", "--map", "email"), "bad-value", "--map email=email_address"),
        (("--as", "google", "--region", "ZZ"), "unknown-region", "CN or US"),
        (("--as", "google", "--columns", "mail"), "bad-value", "--map"),
        (("--as", "google", "--safe-cells"), "bad-value", "--as csv"),
        (("--as", "csv", "--map", "email=mail"), "bad-value", "--columns"),
        (("--as", "jsonl", "--region", "CN"), "bad-value", "google or meta"),
        (("--as", "meta", "--map", "email=code", "--map", "birth=code", "--hashed"), "cannot-pass-on", "hash here"),
        (("--columns", "mial"), "unknown-tag", "did you mean 'mail'?"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    arguments: tuple[str, ...], code: str, text: str, shop: Path, run_main: Run
) -> None:
    ended, _, err = run_main("segments", "export", "everyone", "--dir", shop, *arguments)
    assert (ended, f"[{code}]" in err, text in " ".join(err.split())) == (1, True, True), err
    assert not (shop / "exports").exists()


def test_a_misspelt_field_of_limner_yaml_has_its_place(shop: Path, run_main: Run) -> None:
    (shop / "limner.yaml").write_text(CONFIG.replace("google: {email:", "google: {emial:"), encoding="utf-8")
    code, _, err = run_main("segments", "export", "everyone", "--as", "google", "--dir", shop)
    assert (code, "limner.yaml:6:12" in err, "did you mean 'email'?" in err) == (1, True, True), err
    (shop / "limner.yaml").write_text(CONFIG.replace("email: mail", "email: mial"), encoding="utf-8")
    code, _, err = run_main("segments", "export", "everyone", "--as", "google", "--dir", shop)
    assert (code, "limner.yaml:6:12" in err, "did you mean 'mail'?" in err) == (1, True, True), err


def test_a_changed_file_is_not_proven(shop: Path, run_main: Run) -> None:
    path = Path(export(run_main, shop, "--columns", "mail")["path"])
    path.write_text(path.read_text() + "eve,eve@example.com\n")
    code, out, err = run_main("export", "verify", path)
    assert (code, out) == (1, "")
    assert "[other-content]" in err
    assert "[other-rows]" in err
    code, _, err = run_main("export", "verify", shop / "none.csv")
    assert (code, "[no-file]" in err) == (1, True)


def test_erasure_finds_people_in_exports_of_every_kind(shop: Path, run_main: Run) -> None:
    for kind in ("csv", "jsonl", "parquet", "google"):
        extra = ("--safe-cells",) if kind == "csv" else ()
        export(run_main, shop, "--as", kind, *(("--columns", "land") if kind != "google" else ()), *extra)
    files = {path.name: path.read_bytes() for path in (shop / "exports").iterdir()}
    for user in ("anna", "=dora"):
        code, out, err = run_main("users", "erase", user, "--dry-run", "--format", "json", "--dir", shop)
        assert code == 0, err
        found = json.loads(out)
        assert found["exports"] == ["exports/everyone.csv", "exports/everyone.jsonl", "exports/everyone.parquet"]
        assert found["platform_exports"] == ["exports/everyone.google.csv"]
    code, out, err = run_main("users", "erase", "ann", "--dry-run", "--format", "json", "--dir", shop)
    assert "exports/everyone.jsonl" not in out
    assert run_main("users", "erase", "anna", "--yes", "--dir", shop)[0] == 0
    assert {path.name: path.read_bytes() for path in (shop / "exports").iterdir()} == files


def test_a_tag_that_fills_a_field_is_in_use(shop: Path, run_main: Run) -> None:
    export(run_main, shop, "--as", "google")
    tags = shop / "tags" / "tags.yaml"
    tags.write_text(TAGS.replace("attribute: land}", "attribute: code}"), encoding="utf-8")
    code, out, err = run_main("check", "--dir", shop)
    assert (code, "the export everyone.google.csv" in " ".join((out + err).split())) == (1, True), out + err
