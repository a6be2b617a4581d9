"""The erasure list: salted digests of the ids of people who were erased, which ingestion leaves out from then on.

It stands in the workspace's erased.txt and not under .limner, so that a workspace which is built anew does not bring anybody
back. It holds no id. Imports erasure_texts and errors.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from limner_profile.erasure_texts import without_erased
from limner_profile.errors import DefinitionError, Issue
from limner_profile.sql_text import quoted

NAME = "erased.txt"
_HEADER = (
    "# People who were erased: SHA-256 of 'salt:id', a line each. 'limner sync' leaves their rows out.\n"
    "# A digest with a * is that of an id which can mean nothing else: other people's rows do not name it either.\n"
    "# Written by 'limner users erase'; 'limner users unerase ID' takes an id off the list.\n"
)
_SALT = re.compile(r"salt: ([0-9a-f]{32})\Z")
_DIGEST = re.compile(r"([0-9a-f]{64})( \*)?\Z")
# What may stand within an id; anything else parts the words of a row.
_BETWEEN = r"[^\p{L}\p{N}_@.+-]+"


@dataclass(frozen=True)
class ErasureList:
    """The digests of erased ids, and the salt that they were made with; `telling` are those that can mean nothing else."""

    salt: str = ""
    digests: frozenset[str] = frozenset()
    telling: frozenset[str] = frozenset()

    def digest(self, id_: str) -> str:
        """What stands in the list for an id."""
        return hashlib.sha256(f"{self.salt}:{id_}".encode()).hexdigest()

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and bool(self.digests) and self.digest(id_) in self.digests

    def with_ids(self, ids: Iterable[str], telling: Iterable[str] = ()) -> ErasureList:
        """The list with these ids on it, some of which are telling; the first id brings the salt."""
        salted = self if self.salt else ErasureList(secrets.token_hex(16))
        digests, told = ({salted.digest(id_) for id_ in some} for some in (ids, telling))
        return ErasureList(salted.salt, salted.digests | digests, salted.telling | told)

    def without_ids(self, ids: Iterable[str]) -> ErasureList:
        """The list without these ids."""
        gone = {self.digest(id_) for id_ in ids}
        return ErasureList(self.salt, self.digests - gone, self.telling - gone)


def read_erasures(root: Path) -> ErasureList:
    """The erasure list of the workspace in a folder; raises DefinitionError for a line that is neither salt nor digest."""
    path = root / NAME
    if not path.exists():
        return ErasureList()
    salt, digests, telling = "", set(), set()
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        text = line.strip()
        if found := _SALT.match(text):
            salt = found[1]
        elif found := _DIGEST.match(text):
            digests.add(found[1])
            telling |= {found[1]} if found[2] else set()
        elif text and not text.startswith("#"):
            hint = "a digest has 64 hex digits; 'limner users erase' writes them"
            raise DefinitionError(Issue("bad-erasure-list", f"{NAME}:{number}:1", "this line is no digest", hint))
    if digests and not salt:
        # Without the salt nobody would be recognised, and everybody on the list would come back.
        hint = "restore the line from version control"
        raise DefinitionError(Issue("bad-erasure-list", NAME, "the line 'salt: …' is missing", hint))
    return ErasureList(salt, frozenset(digests), frozenset(telling))


def write_erasures(root: Path, erasures: ErasureList) -> None:
    """Replace erased.txt, and wait until the disk has it."""
    path = root / NAME
    temporary = path.with_name(f".{NAME}.tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        lines = [f"{digest} *" if digest in erasures.telling else digest for digest in sorted(erasures.digests)]
        file.write("\n".join([f"{_HEADER}salt: {erasures.salt}", *lines, ""]))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def leave_out_erased(connection: duckdb.DuckDBPyConnection, erasures: ErasureList) -> int:
    """How many rows of `read_rows` were those of erased people; they are gone from it, and their ids from `rejected`.

    Values of other people's rows lose the telling ids of erased people, as they did in the erasure. Only different ids and
    values are hashed, and nothing at all where nobody was erased.
    """
    if not erasures.digests:
        return 0
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE erased_digests AS SELECT unnest(?) AS digest", [sorted(erasures.digests)]
    )
    salted = f"sha256('{erasures.salt}:' || id)"
    columns = {row[0]: row[1] for row in connection.execute("DESCRIBE SELECT * FROM read_rows").fetchall()}
    held = [name for name in ("user_id", "other_id") if name in columns]
    ids = " UNION ".join(f"SELECT {name} AS id FROM read_rows" for name in held)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE erased_here AS SELECT id FROM ({ids}) WHERE {salted} IN (SELECT digest FROM erased_digests)"
    )
    connection.execute(
        f"UPDATE rejected SET value = NULL WHERE list_has_any(list_transform(list_append(string_split_regex(value, '{_BETWEEN}'), "
        f"value), lambda id: {salted}), (SELECT list(digest) FROM erased_digests))"
    )
    theirs = " OR ".join(f"{name} IN (SELECT id FROM erased_here)" for name in held)
    count = connection.execute(f"SELECT count(*) FROM read_rows WHERE _problem IS NULL AND ({theirs})").fetchall()[0][0]
    if count:
        connection.execute(f"DELETE FROM read_rows WHERE {theirs}")
    if erasures.telling:
        for name, kind in columns.items():
            if not name.startswith("_") and name not in (*held, "event", "event_id", "kind", "amount"):
                _blank(connection, erasures, name, kind)
    return int(count)


def _blank(connection: duckdb.DuckDBPyConnection, erasures: ErasureList, name: str, kind: str) -> None:
    """Take telling ids out of one column of `read_rows`: of text, or of numbers that an id may be."""
    identifier = quoted(name)
    if kind == "VARCHAR":
        condition = f"{identifier} IS NOT NULL"
    elif kind == "DOUBLE":
        condition = f"{identifier} BETWEEN 1e8 AND 1e15 AND {identifier} = floor({identifier})"
    else:
        return

    def is_erased(text: str) -> bool:
        return erasures.digest(text) in erasures.telling

    found = connection.execute(f"SELECT DISTINCT {identifier} FROM read_rows WHERE {condition}").fetchall()
    changes: list[tuple[object, str | None]] = []
    for (value,) in found:
        text = value if isinstance(value, str) else str(int(value))
        made = without_erased(text, is_erased)
        if made != text:
            changes.append((value, made if isinstance(value, str) else None))
    if changes:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE erased_texts (old {kind}, made VARCHAR)")
        connection.executemany("INSERT INTO erased_texts VALUES (?, ?)", changes)
        connection.execute(
            f"UPDATE read_rows SET {identifier} = CAST(t.made AS {kind}) FROM erased_texts AS t WHERE read_rows.{identifier} = t.old"
        )
        connection.execute("DROP TABLE erased_texts")
