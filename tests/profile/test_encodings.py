"""Files of other encodings are named before they are read, and a few broken lines are no other encoding."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from limner_profile.encodings import other_encoding
from limner_profile.errors import SourceError
from limner_profile.ingest import ingest
from limner_profile.workspace import open_workspace

SIMPLIFIED = "用户编号,城市,等级\n" + "".join(f"{n},北京,金卡会员\n{n},上海市,普通\n" for n in range(20))
TRADITIONAL = "用戶編號,城市,等級\n" + "".join(f"{n},臺北,金卡會員\n{n},高雄市,臺中的資料與說明\n" for n in range(20))
GERMAN = "Straße,Größe,Name\n" + "Müllerstraße,Köln,Jürgen\nGasse,Düsseldorf,Käthe\n" * 20
CONFIG = "name: t\ntimezone: Asia/Shanghai\nsources:\n  v: {type: events, path: 'v*.csv', user: u, time: t, event: e}\n"


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (SIMPLIFIED, "gbk", "GB18030"),
        (SIMPLIFIED, "gb18030", "GB18030"),
        (SIMPLIFIED, "utf-16", "UTF-16"),
        (SIMPLIFIED, "utf-16-le", "UTF-16LE"),
        (SIMPLIFIED, "utf-16-be", "UTF-16BE"),
        (TRADITIONAL, "big5", "BIG5"),
        (GERMAN, "cp1252", "WINDOWS-1252"),
        ("id,city\n" + "1,北京\n" * 9, "gbk", "GB18030"),  # only the values are Chinese
    ],
)
def test_encodings_are_told_apart(text: str, encoding: str, found: str) -> None:
    assert other_encoding(text.encode(encoding), header=True) == found
    # What the message proposes must read the file, and give what was written.
    assert text.encode(encoding).decode(found) == text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SIMPLIFIED.encode(),
        SIMPLIFIED.encode("utf-8-sig"),
        GERMAN.encode(),
        ("id,city\n" + "1,北京\n" * 200_000).encode(),  # cut off in the middle of a letter
        ("id,city\n" + "1,x\n" * 9).encode() + b"2,caf\xe9\n",
        ("id,city\n" + "1,北京\n" * 9).encode() + b"2,\xb1\xb1\xbe\xa9\n" * 4,
    ],
)
def test_utf8_with_a_few_broken_lines_is_utf8(content: bytes) -> None:
    assert other_encoding(content[: 1 << 20], header=True) is None


@pytest.mark.parametrize("packed", [False, True])
def test_ingestion_says_it_before_it_loses_rows(tmp_path: Path, packed: bool) -> None:
    (tmp_path / "limner.yaml").write_text(CONFIG.replace(".csv", ".csv.gz") if packed else CONFIG, encoding="utf-8")
    sound, other = (
        f"u,t,e\na,2025-01-01,登录\nb,2025-01-02,{event}\nc,2025-01-03,登录\n" for event in ("登录", "登出")
    )

    def lay(name: str, content: bytes) -> None:
        (tmp_path / (name + ".gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)

    lay("v1.csv", sound.encode())
    (entry,) = ingest(open_workspace(tmp_path))
    assert (entry.rows, entry.rejected) == (3, 0)
    lay("v2.csv", other.encode("gbk"))
    with pytest.raises(SourceError) as error:
        ingest(open_workspace(tmp_path))
    (issue,) = error.value.issues
    assert (issue.code, issue.where) == ("other-encoding", "limner.yaml:4:21")
    assert "is not UTF-8, and looks like GBK (GB18030)" in issue.message
    assert "iconv -f GB18030 -t UTF-8 v2.csv > utf8-v2.csv" in issue.hint
