"""Every word of the page stands in both languages, and every word that is asked for is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vpp.service.api.pages import web_folder

KEY = re.compile(r'^    "([a-z_]+\.[a-z0-9_.+-]+)":', re.MULTILINE)
ASKED = re.compile(r'\bt\(\s*"([^"]+\.[^"]+)"')
PREFIX = re.compile(r'\bterm\(\s*"([^"]+)"')
NAMED = re.compile(r'"((?:[a-z_]+)\.[a-z0-9_.]+)"')

JS = web_folder() / "js"
DICTIONARIES = sorted((JS / "words").glob("*.js"))
MODULES = sorted(file for file in JS.rglob("*.js") if file.parent.name != "words")


def keys_of(file: Path) -> tuple[list[str], list[str]]:
    """The keys of the English and of the Chinese part."""
    english, chinese = file.read_text().split("\n  zh: {")
    return KEY.findall(english), KEY.findall(chinese)


@pytest.mark.parametrize("file", DICTIONARIES, ids=lambda file: file.stem)
def test_both_languages_have_the_same_words(file: Path) -> None:
    english, chinese = keys_of(file)
    assert english
    assert sorted(english) == sorted(chinese)
    assert len(set(english)) == len(english)


@pytest.mark.parametrize("file", DICTIONARIES, ids=lambda file: file.stem)
def test_a_dictionary_speaks_for_its_own_view_only(file: Path) -> None:
    assert {key.split(".")[0] for key in keys_of(file)[0]} == {file.stem}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.stem)
def test_every_word_that_is_asked_for_is_there(file: Path) -> None:
    there = {key for one in DICTIONARIES for key in keys_of(one)[0]}
    views = {key.split(".")[0] for key in there}
    text = file.read_text()
    asked = {key for key in NAMED.findall(text) if key.split(".")[0] in views}
    asked = (asked | set(ASKED.findall(text))) - set(PREFIX.findall(text))
    assert asked - there == set()


def test_no_word_stands_there_that_nobody_asks_for() -> None:
    text = "".join(file.read_text() for file in MODULES)
    made = re.findall(r'[`"]([a-z_]+\.[a-z0-9_.]*?)[_.]?\$\{', text)
    starts = tuple(made + [f"{one}." for one in PREFIX.findall(text)])
    for file in DICTIONARIES:
        unused = [
            key for key in keys_of(file)[0] if f'"{key}"' not in text and not key.startswith(starts)
        ]
        assert unused == [], file.name
