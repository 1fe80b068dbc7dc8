"""`vpp plan --plot`: a picture of net power, storages, prices and what is stored."""

from __future__ import annotations

import asyncio
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.service.test_case import CASE, PARK, SERIES
from vpp.errors import ConfigError
from vpp.service.cases.case import Ran, run_case
from vpp.service.cases.casefile import read_case
from vpp.service.planning import picture as plot
from vpp.service.solving.inline import InlineExecutor

needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="matplotlib is an extra and not installed here"
)


def ran(folder: Path, *, park: str = PARK, case: str = CASE) -> Ran:
    (folder / "park.yaml").write_text(park, encoding="utf-8")
    (folder / "day.csv").write_text(SERIES, encoding="utf-8")
    (folder / "case.yaml").write_text(case, encoding="utf-8")
    return asyncio.run(run_case(read_case(folder / "case.yaml"), InlineExecutor()))


def size(picture: Path) -> tuple[int, int]:
    """Width and height, from the head of a PNG file."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@needs_matplotlib
def test_a_plan_is_drawn_into_a_png(tmp_path: Path) -> None:
    plot.draw(ran(tmp_path), tmp_path / "plan.png")

    assert min(size(tmp_path / "plan.png")) > 900
    assert (tmp_path / "plan.png").stat().st_size > 20_000


@needs_matplotlib
def test_a_park_without_storages_is_drawn_too(tmp_path: Path) -> None:
    park = PARK[: PARK.index("          - id: battery")]
    case = CASE.replace("  battery: {soc: 0}\n", "  {}\n")

    plot.draw(ran(tmp_path, park=park, case=case), tmp_path / "plan.png")

    assert min(size(tmp_path / "plan.png")) > 900


@needs_matplotlib
def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        plot.draw(ran(tmp_path), tmp_path / "gone" / "plan.png")


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)

    with pytest.raises(ConfigError) as caught:
        plot.require_matplotlib()

    assert str(caught.value) == (
        "--plot: matplotlib is not installed -> .venv/bin/pip install '.[plot]'"
    )
