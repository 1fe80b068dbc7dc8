"""The platforms of a park file, each with its adapter: a part of the wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

from adapters.http_token import TokenSource
from adapters.report_http import HttpPlatform, PlatformAccess
from vpp.service.plant import Plant
from vpp.service.reports import sending as reportsending
from vpp.service.reports.desk import PlatformDesk
from vpp.service.reports.schema import PlatformSection
from vpp.service.secretfiles import headers_of, read_secret
from vpp.service.venues.wiring import shown_to


async def open_platforms(plant: Plant, stack: AsyncExitStack) -> None:
    """Give the plant its platforms, closed with `stack`, and each of them what it missed.

    None where the market is simulated with the park: no platform is told what is not real.

    Raises:
        ConfigError: An address is neither https nor loopback, or carries a password.
    """
    file = plant.file
    if file.trading.mode == "simulated":
        return
    plant.reports.platforms = tuple(
        [
            PlatformDesk(
                section=section,
                port=await stack.enter_async_context(
                    HttpPlatform(access_to(section, file.folder), now=plant.clock.now)
                ),
            )
            for section in file.reporting.platforms
        ]
    )
    reportsending.recover(plant)


def access_to(section: PlatformSection, folder: Path) -> PlatformAccess:
    """How a platform is spoken to, as its section says it; `folder` is the park file's."""
    token = section.token
    return PlatformAccess(
        url=section.url,
        headers=partial(headers_of, section.headers, folder),
        token=None
        if token is None
        else TokenSource(
            url=token.url,
            client_id=partial(read_secret, token.client_id, folder),
            client_secret=partial(read_secret, token.client_secret, folder),
            scope=token.scope,
            ahead=timedelta(seconds=token.ahead_s),
        ),
        certificate=shown_to(section.certificate, folder),
        timeout_s=section.timeout_s,
    )
