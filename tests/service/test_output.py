"""Tables on paper of a given width: what does not fit is turned on its side, and COLUMNS counts when output is piped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from limner.output import Format, print_rows

WIDE = [{f"column_number_{n}": f"value-{n}-{row}" for n in range(46)} for row in range(30)]


def printed(capsys: pytest.CaptureFixture[str], rows: Sequence[Mapping[str, object]]) -> list[str]:
    print_rows(rows, Format.table)
    return capsys.readouterr().out.splitlines()


def test_rows_with_too_many_columns_are_turned_on_their_side(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, WIDE[:3])
    assert lines[0].split() == ["1", "2", "3"]
    assert [line.split() for line in lines[1:]] == [[name, *(row[name] for row in WIDE[:3])] for name in WIDE[0]]


def test_rows_that_do_not_fit_beside_each_other_follow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = printed(capsys, WIDE)
    assert max(len(line) for line in lines) <= 80
    words = [word for line in lines for word in line.split()]
    assert all(words.count(value) == 1 for row in WIDE for value in row.values())
    assert [word for word in words if word.isdigit()] == [str(n) for n in range(1, 31)]


def test_what_fits_stays_a_table_with_long_texts_folded(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, [{"name": "a", "text": "long " * 100, "n": 1}])
    assert lines[0].split() == ["name", "text", "n"]
    assert max(len(line) for line in lines) <= 160


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("200", 200), ("nonsense", 160), ("0", 160), (None, 160)])
def test_piped_results_are_as_wide_as_columns_says(
    columns: str | None, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert max(len(line) for line in printed(capsys, [{"text": "x" * 1000}])) == width
