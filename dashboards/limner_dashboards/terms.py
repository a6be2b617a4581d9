"""What the terms of the interface mean, in English and Chinese, as the glossary has them. Pure; imports nothing of Limner."""

from __future__ import annotations

TERMS: dict[str, tuple[str, str]] = {
    "as_of": (
        "The instant of knowledge, exclusive: nothing at or after it was looked at.",
        "知识截止时刻（不含）：此刻及之后的数据均未使用。",
    ),
    "tag_coverage": (
        "Coverage of a tag: the share of users for whom it has a value. Here the mean over all tags but scores.",
        "标签覆盖率：该标签有值的用户占比。此处为除得分外所有标签的平均值。",
    ),
    "tgi": (
        "TGI = 100 × share in the audience ÷ share in the base (all users). 100 is average, 200 twice as common.",
        "TGI = 100 × 受众中的占比 ÷ 全部用户中的占比。100 为平均水平，200 表示两倍。",
    ),
    "ceiling": ("What the TGI would be if the whole audience had the trait.", "若整个受众都具有该特征时的 TGI。"),
    "lift": ("Outcome rate of a group ÷ base rate; average = 1.", "该组的结果比例 ÷ 平均水平；平均 = 1。"),
    "lift_by_k": (
        "Lift at k: outcome rate in the top k ÷ base rate; average = 1.",
        "前 k 提升度：得分最高的 k 中的结果比例 ÷ 平均水平；平均 = 1。",
    ),
    "gain_by_k": (
        "Gain at k: share of all outcomes found in the top k.",
        "前 k 捕获率：得分最高的 k 中包含的结果占全部结果的比例。",
    ),
    "calibration": (
        "Of the users with a score around 30 %, about 30 % should have the outcome.",
        "得分约 30% 的用户中，应有约 30% 出现该结果。",
    ),
    "coverage": (
        "Share of all outcomes on the hold-out that the shown rules reach.",
        "展示的规则所覆盖的结果占留出集全部结果的比例。",
    ),
    "reach": (
        "Share of the hold-out's users who match at least one shown rule.",
        "留出集中至少符合一条展示规则的用户占比。",
    ),
    "fidelity": (
        "How well the shown rules reproduce the scorer: R² on the log-odds. Never plain accuracy.",
        "展示的规则复现打分器的程度：对数几率上的 R²，而非准确率。",
    ),
    "top_decile_recall": (
        "Share of the scorer's top tenth that the rules find again.",
        "规则能找回打分器前 10% 用户的比例。",
    ),
    "log_odds": (
        "A tag's mean contribution to the score of these users, above everybody's, in log-odds: +0.69 doubles the odds.",
        "标签对这些用户得分的平均贡献（相对全体），单位为对数几率：+0.69 即几率翻倍。",
    ),
    "support": (
        "Share of the scenario's population on the hold-out that matches the rule.",
        "留出集目标人群中符合该规则的占比。",
    ),
    "held_up": ("Rules that passed every check on the hold-out.", "在留出集上通过全部检验的规则。"),
    "unknown_share": (
        "Share of users with an unknown value among the tags of the condition.",
        "条件所用标签中存在未知值的用户占比。",
    ),
    "base_rate": ("Share of the population with the outcome.", "目标人群中出现结果的比例。"),
    "score": ("Calibrated probability of the outcome.", "结果的校准概率。"),
    "q_value": (
        "The false-discovery rate if every rule as clear as this one were believed.",
        "若相信所有同样显著的规则，其中错误发现的比例。",
    ),
    "auc": (
        "How often a user with the outcome has a higher score than one without; 0.5 is chance.",
        "出现结果的用户得分高于未出现者的概率；0.5 为随机。",
    ),
    "brier": (
        "Mean squared error of the score as a probability; lower is better.",
        "得分作为概率的均方误差；越低越好。",
    ),
}


def explain(term: str, language: str) -> str:
    """What a term means in 'en' or 'zh', empty for a word that explains itself."""
    meaning = TERMS.get(term)
    return meaning[1 if language == "zh" else 0] if meaning else ""
