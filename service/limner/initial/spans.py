"""Fitting scenarios to how many days the data span: less history, a shorter look ahead, or put in comments with a word of why. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from limner.initial.definition_text import EntryText
from limner_profile.windows import days_of

# To look ahead over less than a third of the days is another question; so is a shorter past than half of what was asked for.
_WINDOWS = (60, 30, 14, 7)
_LEAST_WINDOW = 1 / 3
_LEAST_HISTORY = 0.5
_WAITING = re.compile(r"\bdays_since_\w+ (?:>=|>|between) (\d+)")
_HISTORY = re.compile(r"(history: )(\d+)d")
_WINDOW = re.compile(r"^(  label_window: )(\w+)$", re.MULTILINE)


def fit_scenario(entry: EntryText, days: int) -> tuple[EntryText, str]:
    """The scenario as it can be trained on data that span so many days, and a line on what was changed; empty for nothing.

    Two times gap and label window, and the history before them, are the least that training needs.
    """
    content = entry.content
    window, gap = days_of(str(content["label_window"])), days_of(str(content.get("gap", "0d")))
    history = days_of(str(content.get("cutoffs", {}).get("history", "60d")))
    # Who is to have stayed away for 90 days cannot be found in the first 90.
    waiting = max((int(found) for found in _WAITING.findall(str(content["population"]))), default=0)
    least = max(round(history * _LEAST_HISTORY), round(waiting * 1.1))
    for shorter in (window, *(each for each in _WINDOWS if window * _LEAST_WINDOW <= each < window)):
        left = days - 2 * (gap + shorter)
        if left < least:
            continue
        before = min(history, left - left % 10 if left - left % 10 >= least else left)
        if (shorter, before) == (window, history):
            return entry, ""
        return _changed(entry, (window, shorter), (history, before), days)
    needed = 2 * (gap + window) + history
    return replace(entry, off=f"the data span {days} days, and training needs {needed}"), ""


def _changed(entry: EntryText, window: tuple[int, int], history: tuple[int, int], days: int) -> tuple[EntryText, str]:
    text, said = entry.text, []
    if window[0] != window[1]:
        why = f"  # {window[0]}d in the template; the data span {days} days"
        text = _WINDOW.sub(rf"\g<1>{window[1]}d{why}", text)
        text = re.sub(rf"\bnext {window[0]}\b", f"next {window[1]}", text)
        said.append(f"looks ahead {window[1]} days instead of {window[0]}")
    if history[0] != history[1]:
        text = _HISTORY.sub(rf"\g<1>{history[1]}d", text)
        said.append(f"has {history[1]} days of history before a cutoff instead of {history[0]}")
    return replace(entry, text=text), f"the scenario {entry.name} {' and '.join(said)}: the data span {days} days"
