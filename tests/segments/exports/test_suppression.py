from __future__ import annotations

from pathlib import Path

import pytest

from limner_profile.errors import DefinitionError, SourceError
from limner_segments.exports.settings import export_settings, read_export_settings
from limner_segments.exports.suppression import read_list, read_suppressed
from segments.small import CONFIG, make_workspace


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "u1\n u2 \n\n#3\n"),
        ("a.txt", "\ufeffu1\r\nu2\r\n\r\n#3"),
        ("a.csv", "user_id\nu1\nu2\n#3\n"),
        ("a.csv", 'reason,user_id,day\nasked,u1,2025-01-01\n"by mail, twice", u2 ,\n,#3,\n,,\n'),
        ("a.csv", "\ufeffreason;user_id\r\nasked;u1\r\n\r\nasked;u2\r\nasked;#3\r\n"),
        ("a.txt", "user_id\nu1\nu2\n#3\n"),
        ("a", "u1\nu2\n#3\nu1\n"),
        ("a.txt", "User_ID\twhy\nu1\tasked\nu2\t\n#3\tx"),
        ("a.csv", "USER_ID\ru1\ru2\r#3\r"),
    ],
)
def test_lists_are_read_as_lines_or_as_a_csv(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert {"u1", "u2", "#3"} <= read_list(tmp_path / name, name) <= {"u1", "u2", "#3", " u2 "}


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_an_id_that_looks_odd_is_still_named(tmp_path: Path, name: str) -> None:
    ids = [" spaced ", "semi;colon", "line\u2028sep", "next\x85line"]
    head = ["user_id"] if name.endswith("csv") else []
    (tmp_path / name).write_text("\n".join([*head, *ids]), encoding="utf-8")
    assert read_list(tmp_path / name, name) == {*ids, "spaced"}
    (tmp_path / name).write_text("\n".join([*head, '"u1"', '"q""uote"']), encoding="utf-8")
    assert {"u1", 'q"uote'} <= read_list(tmp_path / name, name)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"userid,reason\nu1,x\n", "no-user-column"),
        ("a.csv", b"u1\nu2\n", "no-user-column"),
        ("a.csv", b"user_id,reason\nu1\n", "bad-list"),
        ("a.csv", b"user_id\nu1,u2\n", "bad-list"),
        ("a.txt", "Zoë".encode("latin-1"), "unreadable-list"),
        ("a.txt", "u1\nu2\n".encode("utf-16-le"), "unreadable-list"),
        ("gone.txt", None, "missing-list"),
    ],
)
def test_a_list_that_cannot_be_obeyed_stops_the_export(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read_list(tmp_path / name, f"lists/{name}")
    assert caught.value.code == code
    assert caught.value.issues[0].where == f"lists/{name}"


def test_an_empty_list_leaves_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    for name in ("a.txt", "b.csv"):
        (tmp_path / "lists" / name).write_text("\n")
    assert read_suppressed(tmp_path, ["a.txt", "b.csv"]) == {"a.txt": frozenset(), "b.csv": frozenset()}


SETTINGS = """
exports:
  suppression: [out.txt]
  consent: agrees
  cap: {days: 7}
  holdout: {share: 0.1, salt: spring}
  google: {email: mail}
  destinations:
    crm: {as: webhook, url: "https://crm.example.com/in", secret_env: CRM_SECRET, columns: [city]}
    drop: {as: csv, path: "exports/drop/{segment}-{export}.csv", consent: agrees, changes: true}
"""


def test_settings_are_read_and_checked_against_tags_and_lists(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "out.txt").write_text("u1\n")
    workspace = make_workspace(tmp_path, config=CONFIG + SETTINGS)
    settings = export_settings(workspace, {"agrees": "boolean", "city": "category", "mail": "category"})
    assert settings.google
    assert settings.google.tags() == {"email": "mail"}
    assert settings.destination("crm").columns == ("city",)
    assert settings.destination("drop").changes
    assert settings.destinations["crm"].batch == 1000
    with pytest.raises(Exception, match="did you mean 'drop'"):
        settings.destination("dropp")
    assert export_settings(make_workspace(tmp_path / "b")).destinations == {}


MISTAKES = {
    "cap: {days: 7, contcts: 1}": ("unknown-field", "3:18", "unknown field 'contcts'", "did you mean 'contacts'?"),
    "supression: [a.txt]": ("unknown-field", "3:3", "unknown field 'supression'", "did you mean 'suppression'?"),
    "destinations: {a: {as: webhok}}": ("bad-value", "3:22", "'as' cannot be 'webhok'", "did you mean 'webhook'?"),
    "destinations: {a: {az: csv}}": ("missing-field", "3:18", "the field 'as' is missing", "add a line 'as: …'"),
    "destinations: {a: {as: csv, secret: x}}": (
        "unknown-field",
        "3:31",
        "unknown field 'secret'",
        "did you mean 'secret_env'?",
    ),
    "destinations: {a: {as: webhook, url: 'https://a.b/'}}": (
        "bad-value",
        "3:18",
        "a webhook needs 'secret_env'",
        "add a line",
    ),
    "destinations: {a: {as: csv, url: 'https://a.b/'}}": (
        "bad-value",
        "3:18",
        "a destination as csv has no 'url'",
        "remove",
    ),
    "destinations: {a: {as: meta, columns: [city]}}": (
        "bad-value",
        "3:18",
        "a destination as meta has no 'columns'",
        "remove",
    ),
    "destinations: {a: {as: csv, path: 'x{day}'}}": (
        "bad-value",
        "3:31",
        "another placeholder",
        "{segment} and {export}",
    ),
    "destinations: {a-b: {as: csv}}": ("bad-value", "3:3", "cannot be the name of a destination", "letters"),
    "destinations: {a: {as: webhook, url: 'file:///x', secret_env: A}}": ("bad-value", "3:35", "begins with http", ""),
    "holdout: {share: 10}": ("bad-value", "3:13", "above 0 and below 1", "0.1"),
    "suppression: [../x.txt]": ("bad-value", "3:3", "not the name of a file in lists/", "such as"),
    "suppression: [ot.txt]": ("missing-list", "3:17", "there is no list 'lists/ot.txt'", "did you mean 'out.txt'?"),
    "consent: agres": ("unknown-tag", "3:3", "unknown tag 'agres'", "did you mean 'agrees'?"),
    "consent: city": ("wrong-type", "3:3", "'city' is a category", "true or false"),
    "destinations: {a: {as: csv, columns: [citi]}}": (
        "unknown-tag",
        "3:41",
        "unknown tag 'citi'",
        "did you mean 'city'?",
    ),
}


@pytest.mark.parametrize("line", MISTAKES, ids=list(MISTAKES))
def test_mistakes_are_placed_with_the_nearest_name(tmp_path: Path, line: str) -> None:
    code, place, message, hint = MISTAKES[line]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "out.txt").write_text("u1\n")
    # `exports:` stands first, so that the lines are known.
    workspace = make_workspace(tmp_path, config=f"\nexports:\n  {line}\n{CONFIG.lstrip()}")
    _, issues = read_export_settings(workspace, {"agrees": "boolean", "city": "category"})
    issue = issues[0]
    assert (issue.code, issue.where) == (code, f"limner.yaml:{place}")
    assert message in issue.message
    assert hint in issue.hint
    with pytest.raises(DefinitionError):
        export_settings(workspace, {"agrees": "boolean", "city": "category"})


@pytest.mark.parametrize(
    "line", ["secret_env: 'pa ss-word'", "url: 'https://me:pa ss-word@a.b/'", "url: 'https://me:pa ss@a.b/'"]
)
def test_what_may_be_a_secret_is_not_repeated(tmp_path: Path, line: str) -> None:
    workspace = make_workspace(
        tmp_path, config=f"{CONFIG}\nexports: {{destinations: {{a: {{as: webhook, {line}}}}}}}\n"
    )
    _, issues = read_export_settings(workspace)
    assert issues
    assert "pa ss" not in repr(issues)
