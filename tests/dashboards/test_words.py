"""Words stand in both languages with the same gaps, and the examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from typing import get_args

import pytest

import limner_dashboards
from limner_dashboards.terms import TERMS, explain
from limner_dashboards.words import WORDS, say
from limner_explain.judging import Reason

MODULES = [module.name for module in pkgutil.walk_packages(limner_dashboards.__path__, "limner_dashboards.")]


def test_every_word_has_both_languages_with_the_same_gaps() -> None:
    for key, (english, chinese) in WORDS.items():
        assert english.strip(), key
        assert chinese.strip(), key
        assert set(re.findall(r"{(\w+)}", english)) == set(re.findall(r"{(\w+)}", chinese)), key


def test_every_explained_term_is_a_word() -> None:
    assert set(TERMS) <= set(WORDS)
    assert all(english and chinese for english, chinese in TERMS.values())
    assert explain("overview", "en") == ""


def test_every_reason_for_dropping_a_rule_has_words() -> None:
    assert set(get_args(Reason)) <= set(WORDS)


def test_an_unknown_language_is_english() -> None:
    assert say("users", "fr") == "Users"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
