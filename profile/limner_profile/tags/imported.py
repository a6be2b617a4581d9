"""Tag kind `imported`: values that were computed elsewhere, from a file with a row a user."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

import duckdb
from pydantic import Field
from sqlglot import exp

from limner_profile.csv_dialect import csv_reader, is_csv
from limner_profile.definitions import Title
from limner_profile.errors import Issue, RefusedError, SourceError, did_you_mean
from limner_profile.source_files import file_columns
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Example, Tag
from limner_profile.tags.scope import Scope
from limner_profile.workspace import Schema

_SQL_TYPES: dict[FieldType, str] = {
    "number": "DOUBLE", "category": "VARCHAR", "boolean": "BOOLEAN", "date": "DATE", "time": "TIMESTAMP"
}  # fmt: skip


@TAG_KINDS.kind("imported")
class Imported(Tag):
    """The value that a CSV or Parquet file gives a user: `path` from the workspace's folder, the column `user` and the
    column `column`, read as `type`. A time that tells no offset is a local one, as in sources.

    The file is read anew by every build. Unknown for users whom it does not list, and where it has no value; users whom
    only the file knows get no profile. As the file says nothing of the past, its values are today's at every as_of.
    """

    kind: Literal["imported"]
    path: str = Field(min_length=1)
    user: str = "user_id"
    column: str = "value"
    type: FieldType

    PROVABLE: ClassVar[bool] = False
    EXAMPLES: ClassVar[tuple[Example, ...]] = (
        Example(
            {"kind": "imported", "path": "lists/survey.csv", "column": "answer", "type": "category"},
            {"u1": "yes", "u2": None, "u3": None},
            users=({"user_id": "u1", "city": "x"}, {"user_id": "u2", "city": "x"}, {"user_id": "u3", "city": "y"}),
            files={"lists/survey.csv": "user_id,answer\nu1,yes\nu2,\nu9,no\n"},
        ),
        Example(
            {"kind": "imported", "path": "worth.csv", "user": "id", "column": "worth", "type": "number", "default": 0},
            {"u1": 12.5, "u2": 0},
            users=({"user_id": "u1", "city": "x"}, {"user_id": "u2", "city": "x"}),
            files={"worth.csv": "id;worth\nu1;12.5\n"},
        ),
    )

    @property
    def relation(self) -> str:
        """The name of the relation with the columns `user_id` and `value`: the same for the same file and columns."""
        text = "\n".join((self.path, self.user, self.column, self.type))
        return f"imported_{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def value(self, scope: Scope) -> exp.Expr:
        """The file's value."""
        return scope.imported(self.relation)

    def value_type(self, schema: Schema) -> FieldType:
        """As stated."""
        return self.type

    def default_title(self) -> Title:
        """The column's name."""
        return Title(en=self.column.replace("_", " "))

    def check_files(self, root: Path) -> list[tuple[str, Issue]]:
        """An issue where the file does not exist, cannot be read, or lacks one of the columns."""
        file = root / self.path
        if not file.is_file():
            near = [path.name for path in file.parent.iterdir()] if file.parent.is_dir() else []
            hint = did_you_mean(file.name, near, "the path is relative to the folder of limner.yaml")
            return [("path", Issue("missing-file", "", f"there is no file {self.path!r}", hint))]
        if not is_csv(file) and file.suffix != ".parquet":
            hint = "files end in .csv, .csv.gz, .tsv or .parquet"
            return [("path", Issue("unknown-format", "", f"{file.name!r} is neither CSV nor Parquet", hint))]
        try:
            columns = file_columns(file, "")
        except SourceError as error:
            return [("path", issue) for issue in error.issues]
        return [
            (
                field if field in self.model_fields_set else "path",
                Issue(
                    "unknown-column",
                    "",
                    f"{file.name} has no column {name!r}",
                    did_you_mean(name, columns, f"its columns: {', '.join(list(columns)[:12])}"),
                ),
            )
            for field, name in (("user", self.user), ("column", self.column))
            if name not in columns
        ]

    def attach(self, connection: duckdb.DuckDBPyConnection, root: Path, where: str) -> None:
        """Create the relation in a temporary table; raises RefusedError for a user listed twice or a value of another type.

        `where` is the place of the definition. The session's time zone must be the workspace's.
        """
        file = root / self.path
        reader = csv_reader(file, keep_broken=False) if is_csv(file) else "read_parquet(?)"
        user, column = (exp.to_identifier(name, quoted=True).sql("duckdb") for name in (self.user, self.column))
        # A plain TIMESTAMP would let go of the offset that a text tells, and take its clock for that of UTC.
        cast = f"TRY_CAST(raw AS {_SQL_TYPES[self.type]})"
        cast = "TRY_CAST(raw AS TIMESTAMPTZ) AT TIME ZONE 'UTC'" if self.type == "time" else cast
        read = f"SELECT CAST({user} AS VARCHAR) AS user_id, {column} AS raw FROM {reader} WHERE {user} IS NOT NULL"
        try:
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {self.relation} AS "
                f"SELECT user_id, {cast} AS value, raw IS NOT NULL AND value IS NULL AS wrong, "
                f"CAST(raw AS VARCHAR) AS raw FROM ({read})",
                [str(file)],
            )
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise RefusedError(
                Issue("unreadable-file", where, f"{self.path} cannot be read: {first}", "is it what its name says?")
            ) from None
        wrong = connection.execute(
            f"SELECT raw, user_id FROM {self.relation} WHERE wrong ORDER BY user_id, raw LIMIT 1"
        ).fetchall()
        if wrong:
            message = f"{self.path}: {wrong[0][0]!r} is no {self.type}, for the user {wrong[0][1]!r}"
            hint = f"correct the file, or say another 'type' than {self.type}"
            raise RefusedError(Issue("wrong-type", where, message, hint))
        twice = connection.execute(
            f"SELECT user_id, count(*) FROM {self.relation} GROUP BY user_id HAVING count(*) > 1 ORDER BY user_id LIMIT 1"
        ).fetchall()
        if twice:
            message = f"{self.path}: there are {twice[0][1]} rows, for the user {twice[0][0]!r}"
            raise RefusedError(Issue("duplicate-user", where, message, "a file of values has one row a user"))
