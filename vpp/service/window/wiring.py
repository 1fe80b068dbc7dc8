"""Open the window of a park file with its adapter, which is loaded only where one is asked for."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from vpp.service.park.parkfile import ParkFile
from vpp.service.secretfiles import read_secret
from vpp.service.venues.wiring import shown_to
from vpp.service.window.desk import WindowDesk
from vpp.service.window.schema import RedisSection


async def open_window(file: ParkFile, stack: AsyncExitStack) -> WindowDesk | None:
    """The window of a park file, closed with `stack`; None where it has none. Nothing is reached yet."""
    section = file.redis
    if section is None:
        return None
    # The client library is loaded here, not by whoever imports the daemon.
    from adapters.redis_state import RedisAccess, RedisWindow

    parts = section.parts
    access = RedisAccess(
        prefix=f"{section.prefix}:v1:{file.park.park_id}",
        ttl_s=section.ttl_s,
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        unix_socket=section.unix_socket,
        db=section.db,
        tls=parts.scheme == "rediss",
        username=section.username,
        password=partial(_password, section, file),
        certificate=shown_to(section.certificate, file.folder),
        timeout_s=section.timeout_s,
    )
    port = await stack.enter_async_context(RedisWindow(access))
    return WindowDesk(section=section, port=port)


def _password(section: RedisSection, file: ParkFile) -> str | None:
    return None if section.password is None else read_secret(section.password, file.folder)
