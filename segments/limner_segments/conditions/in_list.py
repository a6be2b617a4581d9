"""`in_list('vip')`: the users of a file in the workspace's folder `lists`. Imports the base and the lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import field_validator
from sqlglot import exp

from limner_profile.errors import Issue, UserError
from limner_profile.predicates.base import Words
from limner_profile.predicates.values import read_value
from limner_profile.predicates.words import Language
from limner_segments.conditions.base import Parameter, UserSet, Vocabulary, condition, members
from limner_segments.conditions.lists import FOLDER, check_list, prepare_list, prepared_path
from limner_segments.conditions.scope import Scope


@condition("in_list")
class InList(UserSet):
    """The user stands in a list: `lists/vip.txt`, one id a line, or `lists/vip.csv` with a column `user_id`.

    Rows without a usable id are left out and counted, empty lines and repeated ids do no harm. An id that was merged with others
    stands for the user that it belongs to. The list is read when the segment is evaluated, so an audience that was built keeps the
    users of its day.
    """

    kind: Literal["in_list"] = "in_list"
    READS_FILES: ClassVar[bool] = True
    name: str

    PARAMETERS: ClassVar[tuple[Parameter, ...]] = (
        Parameter("name", "text", "the list: the name of its file in lists, without the ending", positional=True),
    )
    SHOWN: ClassVar[str] = "in_list('vip')"

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not name:
            raise ValueError("the name of the list is empty")
        return str(read_value(name))

    def in_scope(self, scope: Scope) -> exp.Expr:
        """The user is in the file that `prepare` made of the list; raises UnknownNameError where the list is gone."""
        path = f"{FOLDER}/{self.name}.parquet"
        if scope.state is not None:
            path = prepared_path(scope.state.parent, self.name, scope.snapshot)
        return members(users_of(path))

    def prepare(self, scope: Scope, connection: Any) -> None:
        """Make the Parquet file of the list as it is now, its ids merged as the snapshot merged them."""
        if scope.state is not None:
            prepare_list(scope.state.parent, scope.state, self.name, scope.snapshot, _merged(connection))

    def complaints(self, vocabulary: Vocabulary, where: str) -> list[Issue]:
        """A list that does not exist, or whose file has no column of ids."""
        if vocabulary.root is None:
            return []
        try:
            check_list(vocabulary.root, self.name)
        except UserError as error:
            return [replace(issue, where=where) for issue in error.issues]
        return []

    def to_sentence(self, language: Language, words: Words) -> str:
        """`in the list vip`."""
        return f"in the list {self.name}" if language == "en" else f"在名单 {self.name} 中"


def users_of(path: str) -> exp.Select:
    """The query for the users of a prepared file."""
    return exp.select("user_id").from_(exp.Table(this=exp.ReadParquet(expressions=[exp.Literal.string(path)])))


def _merged(connection: Any) -> dict[str, str]:
    """Id to user for the ids that were merged, where the snapshot has any."""
    with connection.cursor() as cursor:
        tables = cursor.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'identities'").fetchall()
        rows = cursor.execute("SELECT id, user_id FROM identities").fetchall() if tables else []
    return dict(rows)
