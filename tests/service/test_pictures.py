"""Drawings of reports: round axes, gaps where values are missing, nothing that runs, the same bytes each time."""

from __future__ import annotations

import re
from math import nan
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.errors import ConfigError
from vpp.service.pictures.drawings import Series, bars, bridge, lines
from vpp.service.pictures.paper import paper, write_paper
from vpp.service.pictures.scale import Scale, ticks


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        pytest.param([-3, 41], [-10, 0, 10, 20, 30, 40, 50], id="around 0"),
        pytest.param([0.2, 0.9], [0, 0.2, 0.4, 0.6, 0.8, 1.0], id="below 1"),
        pytest.param([-9000, -500], [-10000, -8000, -6000, -4000, -2000, 0], id="costs"),
        pytest.param([], [0, 0.2, 0.4, 0.6, 0.8, 1.0], id="nothing"),
    ],
)
def test_an_axis_has_round_numbers_around_all_values_and_0(
    values: list[float], marks: list[float]
) -> None:
    assert ticks(values) == marks


@given(st.lists(st.floats(-1e9, 1e9), max_size=20))
def test_every_value_lies_on_its_axis(values: list[float]) -> None:
    marks = ticks(values)

    assert 2 <= len(marks) <= 12
    slack = 1e-6 * max([1.0, *map(abs, values)])  # far less than the width of a line
    for value in values:
        assert marks[0] - slack <= value <= marks[-1] + slack


def test_a_scale_may_run_downwards() -> None:
    assert [Scale(0, 10, 200, 100).at(value) for value in (0, 5, 10)] == [200, 150, 100]


def test_a_line_has_a_gap_where_a_value_is_missing() -> None:
    drawn = lines("power", list("abcde"), [Series("kW", [1, 2, nan, 4, 5])], unit="kW")

    (path,) = re.findall(r' d="([^"]+)"', drawn)
    assert path.count("M") == 2
    assert path.count("L") == 2


def test_a_bridge_hangs_each_amount_on_the_one_before() -> None:
    """Planned -100, a loss of 50, a gain of 30: the ends stand on 0, the others between."""
    drawn = bridge(
        "why", [("planned", -100), ("price", -50), ("model", 30), ("came to", -120)], unit="EUR"
    )

    found = [
        (look, float(top), float(height))
        for look, top, height in re.findall(
            r'<rect class="(\w+)" x="[^"]+" y="([^"]+)" width="[^"]+" height="([^"]+)"', drawn
        )
    ]
    (_, zero, whole), (_, start, lost), (_, _, gained), (_, _, came_to) = found
    assert [look for look, _, _ in found] == ["whole", "loss", "gain", "whole"]
    assert start == pytest.approx(zero + whole, abs=0.2)
    assert lost == pytest.approx(whole / 2, abs=0.2)
    assert gained == pytest.approx(whole * 0.3, abs=0.2)
    assert came_to == pytest.approx(whole * 1.2, abs=0.2)


def test_names_are_text_and_never_markup() -> None:
    drawn = bars("<t>", ["<l>"], [Series('<n a="">', [1.0]), Series("b", [2.0])], unit="<u>")

    assert ET.fromstring(f"<p>{drawn}</p>") is not None
    assert "<t>" not in drawn
    assert "<n " not in drawn


def test_a_page_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_paper(tmp_path / "no" / "page.html", "text")
    write_paper(tmp_path / "page.html", "text")
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_a_template_escapes_what_it_is_given() -> None:
    assert "&lt;script&gt;" in paper("backtest.html", BARE | {"name": "<script>"})


EMPTY = ("park", "name", "span", "every", "seed", "currency", "first", "digest", "causes_caption")
PICTURES = ("days_picture", "saved_picture", "causes_picture")
TABLES = ("verdicts", "titles", "causes", "totals", "facts", "day_heads", "days")
BARE: dict[str, object] = {
    **dict.fromkeys((*EMPTY, *PICTURES), ""),
    **dict.fromkeys(TABLES, ()),
}
