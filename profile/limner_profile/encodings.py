"""Text files that are not UTF-8: which encoding they look like, and how to convert them. Imports csv_dialect and errors.

DuckDB reads UTF-8 only and drops each line that is something else; a file of another encoding would silently lose those lines.
"""

from __future__ import annotations

import re
from pathlib import Path

from limner_profile.csv_dialect import is_csv, open_bytes
from limner_profile.errors import Issue, SourceError

_LOOKED = 1 << 20
# So many lines that are not UTF-8 are no accident; fewer are rows of their own, which the build keeps aside.
_FEW = 3
_HIGH = re.compile(rb"[\x80-\xff]")
# Two bytes a letter: the common letters of GB 2312 and of Big5.
_GB2312 = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_BIG5 = re.compile(rb"[\xa1-\xf9][\x40-\x7e\xa1-\xfe]")
_COMMON_BIG5 = re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]")
_COMMON_GB = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]")


def check_encoding(file: Path, where: str) -> None:
    """Nothing for UTF-8, as far as the first megabyte of a text file tells; raises SourceError for another encoding.

    A few broken lines among sound ones are no other encoding.
    """
    with open_bytes(file) as raw:
        beginning = raw.read(_LOOKED)
    found = other_encoding(beginning, header=is_csv(file))
    if found is None:
        return
    # After a packed file stands what is inside it.
    name = file.name.removesuffix(".gz").removesuffix(".zst")
    hint = (
        f"convert it: iconv -f {found} -t UTF-8 {name} > utf8-{name}; Excel saves it right as 'CSV UTF-8 (Comma delimited)'"
        if found
        else "save it as UTF-8: in Excel as 'CSV UTF-8 (Comma delimited)'"
    )
    looks = f", and looks like {_NAMES.get(found, found)}" if found else ""
    raise SourceError(Issue("other-encoding", where, f"{file.name} is not UTF-8{looks}", hint))


_NAMES = {"GB18030": "GBK (GB18030), which Excel writes in China", "WINDOWS-1252": "Windows-1252 (Latin-1)"}


def other_encoding(beginning: bytes, *, header: bool) -> str | None:
    """None for UTF-8, else the name of the encoding for iconv, empty where it is none that is known here.

    >>> other_encoding("用户,城市\\n".encode("gbk"), header=True), other_encoding("用户,城市\\n".encode(), header=True)
    ('GB18030', None)
    """
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    if _is_utf16(beginning, 1):
        return "UTF-16LE"
    if _is_utf16(beginning, 0):
        return "UTF-16BE"
    if len(beginning) == _LOOKED:
        beginning = beginning[: beginning.rfind(b"\n") + 1] or beginning  # the last line is cut off in the middle
    if _is(beginning, "utf-8"):
        return None
    lines = beginning.splitlines()
    special = [line for line in lines if _HIGH.search(line)]
    broken = [line for line in special if not _is(line, "utf-8")]
    in_header = bool(broken) and header and broken[0] is lines[0]
    if not in_header and (len(broken) < _FEW or 2 * len(broken) < len(special)):
        return None
    text = b"\n".join(broken)
    high = len(_HIGH.findall(text))
    # In Chinese text the bytes above 127 come in pairs; in Western text alone, among letters of ASCII.
    gb, big5 = (sum(len(_HIGH.findall(pair)) for pair in found.findall(text)) for found in (_GB2312, _BIG5))
    common_gb, common_big5 = (len(found.findall(text)) for found in (_COMMON_GB, _COMMON_BIG5))
    if gb >= 0.95 * high and _is(text, "gb18030") and common_gb >= 0.5 * common_big5:
        return "GB18030"
    pairs = re.findall(rb"[\x80-\xff]{2}", text)
    if 2 * len(pairs) >= 0.3 * high and big5 >= 0.9 * high and _is(text, "big5"):
        return "BIG5"
    if 2 * len(pairs) >= 0.65 * high:
        return "GB18030" if _is(text, "gb18030") else ""
    return "WINDOWS-1252" if _is(text, "cp1252") else ""


def _is_utf16(beginning: bytes, odd: int) -> bool:
    """Whether most bytes at the odd (or even) places are zero, as of ASCII in UTF-16, and few at the others."""
    tried = beginning[:4096]
    zeros, others = tried[odd::2].count(0), tried[1 - odd :: 2].count(0)
    return len(tried) >= 4 and zeros > 0.4 * len(tried[odd::2]) and others == 0


def _is(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
