"""Mistakes in a typed condition, in Chinese: what people commonly write wrong is told without an English word of ours."""

from __future__ import annotations

import re

import pytest

from limner.project import Project
from limner_dashboards.issues import mistake
from limner_profile.errors import Issue, UserError
from limner_segments.segment import resolve


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("login_cont_30d >= 1", "没有名为 'login_cont_30d' 的标签", "是否想写 'login_count_30d'？"),
        ("in_segment('active_reader')", "没有名为 'active_reader' 的人群", "是否想写 'active_readers'？"),
        ("in_list('nobody')", "没有名为 'nobody' 的名单", "还没有名单"),
        ("total(amout, 'order', at_least => 3)", "没有名为 'amout' 的字段", "是否想写 'amount'？"),
        ("did('order', at_leest => 2)", "did() 没有参数 'at_leest'", "是否想写 'at_least'？"),
        ("did('order', within => '30x')", "'30x' 不是时间窗口", "天写作 30d，小时写作 24h，或 all"),
        ("did('order'", "括号 “(” 没有闭合", "请补上 “)”"),
        ("login_count_30d >= 'x'", "'login_count_30d' 是数值，'x' 不是", "数字不加引号，如 12 或 0.5"),
        ("gender = male", "此处应为值，而不是 'male'", "文本请用单引号：'male'"),
        ("login_count_30d >= 1 and", "缺少标签名", "请在 'and' 之后补上条件，或删去它"),
    ],
)
def test_common_mistakes_are_told_in_chinese(reading_project: Project, text: str, message: str, remedy: str) -> None:
    project = reading_project
    with pytest.raises(UserError) as caught:
        resolve(None, text, project.segments, project.catalog, project.workspace)
    (issue,) = caught.value.issues
    assert mistake(issue, "zh") == (message, remedy)
    assert mistake(issue, "en") == (issue.message, re.split("\n", issue.hint)[0])


def test_names_are_told_by_the_rule_of_the_page_and_the_rest_as_it_is() -> None:
    issue = Issue("bad-name", "", "'买 家' cannot be the name of a segment", "letters, digits and underscores")
    assert mistake(issue, "zh")[0] == "'买 家' 不能作为人群名称"
    assert mistake(issue, "zh")[1].startswith("字母、数字和下划线")
    taken = Issue("name-taken", "", "the segment 'buyers' exists already", "choose another name with --name")
    assert (mistake(taken, "zh"), mistake(taken, "en")[1]) == (
        ("人群 'buyers' 已存在", "请换一个名称。"),
        "Choose another name.",
    )
    rare = Issue("bad-condition", "", "something that nobody writes", "a remedy\n    pointed\n    ^")
    assert mistake(rare, "zh") == ("something that nobody writes", "a remedy")
