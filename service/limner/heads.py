"""The heads of the tables that the commands with --lang print, in Chinese. Pure; imports nothing.

Only tables for people are told in Chinese. The keys of JSON and the columns of CSV are read by programs, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# By the words of GLOSSARY.md and of the dashboard: joined is 新进入 here and there.
_ZH: Mapping[str, str] = {
    # all tables
    "name": "名称", "title": "标题", "tag": "标签", "value": "值", "size": "人数", "share": "占比", "users": "用户数", "condition": "条件",
    "snapshot": "快照", "as_of": "截至", "note": "备注", "change": "变化", "sentence": "文字描述", "owner": "负责人", "alert": "告警",
    "window": "窗口", "events": "事件数", "event": "事件", "time": "时间", "source": "来源", "sources": "来源",
    # segments why
    "place": "位置", "under": "所在条件", "met": "满足", "wanted": "应满足", "from": "来源",
    # segments history
    "definition": "定义", "joined": "新进入", "left": "已离开", "joined_by_definition": "因定义新进入",
    "left_by_definition": "因定义离开", "new": "新用户", "gone": "不再有的用户", "by it alone": "仅因此条",
    "before": "之前", "after": "之后", "segments edited": "已修改的人群", "tags edited": "已修改的标签",
    # segments compare
    "trait": "特征", "effect": "效应量", "audience": "受众", "base": "基准", "tgi or difference": "TGI 或差值", "ceiling": "上限",
    "q_value": "q 值",
    # segments suggest
    "taken": "已被占用", "path": "文件",
    # profile show and why
    "percentile": "百分位", "valid_from": "生效时间", "valid_to": "失效时间", "redefined": "定义已修改", "attribute": "属性",
    "properties": "事件属性", "contribution": "贡献",
}  # fmt: skip


def heads_of(names: Sequence[str], language: str) -> list[str]:
    """What a table in this language calls its columns; by their names where there is no other word.

    >>> heads_of(["size", "elsewhere"], "zh"), heads_of(["size"], "en")
    (['人数', 'elsewhere'], ['size'])
    """
    return [_ZH.get(name, name) for name in names] if language == "zh" else list(names)


def said(english: str, chinese: str, language: str) -> str:
    """The text in this language.

    >>> said("latest acts", "最近行为", "zh")
    '最近行为'
    """
    return chinese if language == "zh" else english
