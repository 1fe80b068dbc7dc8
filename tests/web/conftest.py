"""One served plant and one browser for all tests of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.site import Site, a_plant, opened


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Path) -> Iterator[Site]:
    """The page of a plant in full swing, with Chromium before it."""
    folder = tmp_path_factory.mktemp("site")
    with asyncio.Runner() as runner:
        plant = runner.run(a_plant(folder))
        stack, browser, address = runner.run(opened(plant, chromium))
        try:
            yield Site(plant=plant, runner=runner, browser=browser, address=address, folder=folder)
        finally:
            runner.run(stack.aclose())
