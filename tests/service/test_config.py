from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.errors import ConfigError
from vpp.service.park.config import (
    MAX_BYTES,
    ConfigErrors,
    Document,
    read_document,
    read_yaml,
    shipped,
)


def read(text: str) -> Document:
    return read_yaml(text.encode(), file="a.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("06:00", "06:00", id="a time stays text, never 360"),
        pytest.param("2025-12-03", "2025-12-03", id="a date stays text"),
        pytest.param("no", False, id="no is false"),
        pytest.param("on", True, id="on is true"),
        pytest.param('"no"', "no", id="a quoted no is text"),
        pytest.param("010", "010", id="a leading zero is neither eight nor ten"),
        pytest.param("1e3", 1000.0, id="an exponent without a point is a number"),
        pytest.param("-0.5", -0.5, id="a decimal is a number"),
        pytest.param("0x1F", "0x1F", id="hexadecimal is text"),
        pytest.param("~", None, id="a tilde is nothing"),
        pytest.param("1_000", "1_000", id="an underscore makes text"),
    ],
)
def test_plain_words_are_read_by_few_rules(text: str, value: object) -> None:
    found = read(f"key: {text}\n")

    assert found.tree == {"key": value}
    assert type(found.tree["key"]) is type(value)
    assert not found.faults


def test_every_path_knows_where_it_stands() -> None:
    document = read("a:\n  - b: 1\n    c: {d: 2}\n  - x\n")

    assert document.marks == {
        (): (1, 1),
        ("a",): (1, 1),
        ("a", 0): (2, 5),
        ("a", 0, "b"): (2, 5),
        ("a", 0, "c"): (3, 5),
        ("a", 0, "c", "d"): (3, 9),
        ("a", 1): (4, 5),
    }
    assert str(document.fault(("a", 0, "gone"), "missing")) == "a.yaml:2:5: a.0.gone: missing"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param(
            "a: 1\nb: 2\na: 3\n",
            ["a.yaml:3:1: a: the key stands here a second time, first in line 1"],
            id="a key twice",
        ),
        pytest.param(
            "on: 1\n",
            ["a.yaml:1:1: on: the key on is read as true: put it in quotes"],
            id="a key that is a truth value",
        ),
        pytest.param(
            "a: .nan\nb: [1, -.inf, 1e999]\n",
            [
                "a.yaml:1:1: a: .nan is not a finite number",
                "a.yaml:2:8: b.1: -.inf is not a finite number",
                "a.yaml:2:15: b.2: 1e999 is not a finite number",
            ],
            id="numbers that are not finite",
        ),
        pytest.param(
            "a: !!python/object/new:x [ls]\n",
            [
                "a.yaml:1:1: a: the tag tag:yaml.org,2002:python/object/new:x is not allowed",
            ],
            id="a tag that would build an object",
        ),
        pytest.param(
            "? [1, 2]\n: 3\n",
            ["a.yaml:1:3: ?: the key ? is read as null: put it in quotes"],
            id="a list as a key",
        ),
    ],
)
def test_readable_yaml_may_still_hold_mistakes(text: str, faults: list[str]) -> None:
    assert list(map(str, read(text).faults)) == faults


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "starts"),
    [
        pytest.param(b"a:\n\tb: 1\n", "a.yaml:2:1: no YAML: ", id="a tab"),
        pytest.param(b"a: [1, 2\n", "a.yaml:2:1: no YAML: ", id="a bracket left open"),
        pytest.param(b"a: *gone\n", "a.yaml:1:4: no YAML: ", id="an unknown alias"),
        pytest.param(b"a: 1\n---\nb: 2\n", "a.yaml:2:1: no YAML: ", id="two documents"),
        pytest.param(b"a: 1\nb: \xff\n", "a.yaml:2:1: is not UTF-8 text", id="not UTF-8"),
        pytest.param(b"a: \x00\n", "a.yaml:1:1: no YAML: ", id="a zero byte"),
        pytest.param(b"[" * 200_000, "a.yaml:1:33: nested deeper", id="a tower of brackets"),
        pytest.param(BOMB.encode(), "a.yaml:", id="a bomb of aliases"),
        pytest.param(b"a: &a [*a]\n", "a.yaml:1:4: a.0", id="an alias inside itself"),
    ],
)
def test_what_is_no_yaml_is_told_in_one_line(content: bytes, starts: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read_yaml(content, file="a.yaml")

    (fault,) = caught.value.faults
    assert str(caught.value) == str(fault)
    assert str(fault).startswith(starts)
    assert "\n" not in str(fault)


def test_a_bomb_is_told_as_such() -> None:
    with pytest.raises(ConfigErrors, match="aliases make more than"):
        read(BOMB)


def test_an_alias_used_as_it_should_be_is_fine() -> None:
    assert read("a: &days [mon, tue]\nb: *days\n").tree == {
        "a": ["mon", "tue"],
        "b": ["mon", "tue"],
    }


def test_a_missing_file_a_folder_and_a_huge_file_are_told(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (MAX_BYTES + 1))

    for path, what in [
        (tmp_path / "none.yaml", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (huge, f"is bigger than {MAX_BYTES} bytes"),
    ]:
        with pytest.raises(ConfigErrors) as caught:
            read_document(path)
        assert str(caught.value) == f"{path}:1:1: {what}"


def test_shipped_files_are_found_and_others_refused() -> None:
    assert shipped("parks/demo.yaml").is_file()
    with pytest.raises(ConfigError, match="not shipped"):
        shipped("parks/none.yaml")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text("ab:-[]{}&*!?|>'\"#%@ \n\t01.~<", max_size=60)))
def test_any_bytes_are_read_or_refused(content: bytes | str) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    try:
        read_yaml(raw, file="a.yaml")
    except ConfigErrors:
        return
