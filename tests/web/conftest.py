"""One served plant and one browser for all tests of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.site import Site, a_plant, opened
from vpp.service.api.face import build_api


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Path) -> Iterator[Site]:
    """The page of a plant in full swing, with Chromium before it."""
    folder = tmp_path_factory.mktemp("site")
    with asyncio.Runner() as runner:
        plant = runner.run(a_plant(folder))
        app = build_api(plant)
        stack, browser, address = runner.run(opened(app, chromium))
        try:
            yield Site(
                plant=plant, app=app, runner=runner, browser=browser, address=address, folder=folder
            )
        finally:
            runner.run(stack.aclose())
