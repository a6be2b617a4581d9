"""The commonest mistakes in a typed condition and in a name, in Chinese; all others are told in English. Pure; imports the words."""

from __future__ import annotations

import re

from limner_dashboards.words import say
from limner_profile.errors import Issue

_THINGS = {"tag": "标签", "segment": "人群", "list": "名单", "field": "字段", "event": "事件"}
_FOUND = "(?:the name |the word )?(.+)"
_ZH: tuple[tuple[str, str], ...] = (
    # messages
    (r"unknown (tag|segment|list|field|event) '(.+)'", "没有名为 {1!r} 的{0}"),
    (r"unknown condition '(.+)'", "没有 {0} 这种条件"),
    (r"unknown argument '(.+)' of (.+)", "{1} 没有参数 {0!r}"),
    (r"no event is called '(.+)'", "没有名为 {0!r} 的事件"),
    (r"the bracket '\(' is never closed", "括号 “(” 没有闭合"),
    (r"expected a value, found the end", "缺少值"),
    (rf"expected a value, found {_FOUND}", "此处应为值，而不是 {0}"),
    (r"expected a tag name, found the end", "缺少标签名"),
    (r"expected a tag name, found (.+)", "此处应为标签名，而不是 {0}"),
    (r"expected an operator after (.+), found the end", "{0} 之后缺少运算符"),
    (r"expected an operator after (.+), found (.+)", "{0} 之后应为运算符，而不是 {1}"),
    (r"expected 'and', 'or' or the end, found (.+)", "此处应为 and、or 或结尾，而不是 {0}"),
    (r"'(.+)' is a number, but (.+) is a .+", "{0!r} 是数值，{1} 不是"),
    (r"'(.+)' is a category, but (.+) is a .+", "{0!r} 是类别，{1} 不是文本"),
    (r"'(.+)' is not a window", "{0!r} 不是时间窗口"),
    (r"'(.+)' is not a day of the calendar", "{0!r} 不是日历中的日期"),
    (r"the segment '(.+)' exists already", "人群 {0!r} 已存在"),
    (r"(.+) cannot be the name of a segment", "{0} 不能作为人群名称"),
    (r"(.+) is too long for the name of a segment", "人群名称 {0} 过长"),
    # remedies
    (r"did you mean '(.+)'\?", "是否想写 {0!r}？"),
    (r"known(?: \w+ names)?: (.+)", "可用：{0}"),
    (r"there is no (tag|segment|list|field|event) yet", "还没有{0}"),
    (r"add '\)'", "请补上 “)”"),
    (r"a value is 'text', a number, true, false, or date '(.+)'", "值可以是 'text'、数字、true、false 或 date '{0}'"),
    (r"put text in single quotes: (.+)", "文本请用单引号：{0}"),
    (r"write a number without quotes, like (.+) or (.+)", "数字不加引号，如 {0} 或 {1}"),
    (r"write text in single quotes, like (.+)", "文本请用单引号，如 {0}"),
    (r"write days as (.+), hours as (.+), or all", "天写作 {0}，小时写作 {1}，或 all"),
    (r"add a condition behind (.+), or leave it out", "请在 {0} 之后补上条件，或删去它"),
    (r"join two conditions with and, or", "请用 and 或 or 连接两个条件"),
    (r"write (.+), or (.+) where it is a yes or no", "请写 {0}；是否类标签写 {1}"),
)


def in_words(text: str, language: str) -> str:
    """A message or a remedy in a language, as it is where there are no words for it.

    >>> in_words("unknown tag 'agee'", "zh"), in_words("did you mean 'age'?", "zh"), in_words("add ')'", "en")
    ("没有名为 'agee' 的标签", "是否想写 'age'？", "add ')'")
    """
    if language != "zh":
        return text
    for pattern, words in _ZH:
        found = re.fullmatch(pattern, text)
        if found:
            return words.format(*(_THINGS.get(part, part) for part in found.groups()))
    return text


def mistake(issue: Issue, language: str) -> tuple[str, str]:
    """The message of an issue and its remedy, without the text that a marker points into.

    A remedy of the command line is told as one of the page.
    """
    remedy = issue.hint.partition("\n    ")[0]
    if issue.code == "bad-name":
        remedy = say("name_rule", language)
    elif issue.code == "name-taken":
        remedy = say("other_name", language)
    return in_words(issue.message, language), in_words(remedy, language)
