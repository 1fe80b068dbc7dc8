"""Every `ProgrammeServer` keeps the same promises, whatever dialect the utility speaks.

Over OpenADR 3 the other side is our own server. What a server may do wrong is in `tests/adapters/test_openadr3.py`.
That of 2.0b is tried where openleadr is installed; `tests/peers/test_openadr.py` tries it in an environment of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

import pytest

from adapters.openadr2b import OpenAdr2b, Vtn2b
from adapters.openadr3 import OpenAdr3
from adapters.openadr3_wire import Version
from tests.contracts.ownvtn import OwnVtn
from vpp.errors import UnavailableError
from vpp.model.programme import ProgrammeReport
from vpp.ports import ProgrammeServer
from vpp.service.http import reserved_port

pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use web.AppKey")  # openleadr

HOUR = timedelta(hours=1)
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 2 * HOUR
"""openleadr judges events by the wall clock."""

FLEX = "oadr://flex"


@dataclass(frozen=True)
class Utility:
    """A server, how it is changed, and our client of it."""

    client: ProgrammeServer
    add: Callable[[str, float], None]
    cancel: Callable[[str], None]
    stop: Callable[[], Awaitable[None]]
    id_of: Callable[[str], str] = str
    """What the server calls an event that we added."""


@asynccontextmanager
async def ours(version: Version) -> AsyncIterator[Utility]:
    """Our client of our own server."""
    async with OwnVtn.serving(reports=False) as vtn:
        stood: dict[str, str] = {}

        def add(event_id: str, level: float) -> None:
            stood[event_id] = vtn.add_level(level, start=START, duration=HOUR).event_id

        def cancel(event_id: str) -> None:
            vtn.shelf.drop_event(stood[event_id])

        async with OpenAdr3(vtn.asked(version), now=lambda: datetime.now(UTC)) as client:
            yield Utility(client, add, cancel, vtn.stop, lambda event_id: stood[event_id])


@asynccontextmanager
async def xml() -> AsyncIterator[Utility]:
    if find_spec("openleadr") is None:
        pytest.skip("openleadr is not installed -> .venv/bin/pip install '.[openadr2b]'")
    from openleadr import OpenADRServer

    async def registered(info: dict[str, Any]) -> tuple[str, str]:
        return "ven-1", "registration-1"

    async def offered(reports: Any) -> list[Any]:
        return []

    with reserved_port() as port:
        server = OpenADRServer(vtn_id="grid", http_host="127.0.0.1", http_port=port)
        server.add_handler("on_create_party_registration", registered)
        server.add_handler("on_register_report", offered)
        await server.run()
        stopped: list[bool] = []

        def add(event_id: str, level: float) -> None:
            server.add_event(
                ven_id="ven-1", event_id=event_id, signal_name="SIMPLE", signal_type="level",
                intervals=[{"dtstart": START, "duration": HOUR, "signal_payload": level}],
                callback=asyncio.Future(), market_context=FLEX,
            )  # fmt: skip

        async def stop() -> None:
            if not stopped:
                stopped.append(True)
                await server.stop()

        url = f"http://127.0.0.1:{port}/OpenADR2/Simple/2.0b"
        async with OpenAdr2b(Vtn2b(url=url, ven_name="park")) as client:
            yield Utility(client, add, lambda name: server.cancel_event("ven-1", name), stop)
        await stop()


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[Utility]]] = {
    "3.0": lambda: ours("3.0"),
    "3.1": lambda: ours("3.1"),
    "2.0b": xml,
}


@pytest.fixture(params=list(SERVERS))
def play(request: pytest.FixtureRequest) -> Callable[[Callable[[Utility], Awaitable[None]]], None]:
    def run(story: Callable[[Utility], Awaitable[None]]) -> None:
        async def main() -> None:
            async with SERVERS[request.param]() as utility:
                await story(utility)

        asyncio.run(main())

    return run


Play = Callable[[Callable[[Utility], Awaitable[None]]], None]


async def levels(utility: Utility) -> dict[str, float]:
    listed = await utility.client.events([FLEX])
    assert not listed.faults
    assert [program.name for program in listed.programs] == [FLEX]
    found = {}
    for event in listed.events:
        (interval,) = event.intervals
        (payload,) = interval.payloads
        assert payload.payload_type == "SIMPLE"
        assert event.period is not None
        assert (event.period.start, event.period.duration) == (START, HOUR)
        found[event.event_id] = float(payload.values[0])
    return found


def test_the_whole_list_is_given_and_what_is_cancelled_is_not_in_it(play: Play) -> None:
    async def story(utility: Utility) -> None:
        await utility.client.register()
        assert await levels(utility) == {}
        utility.add("a", 1)
        utility.add("b", 2)
        both = {utility.id_of("a"): 1, utility.id_of("b"): 2}
        assert await levels(utility) == both
        assert await levels(utility) == both
        utility.cancel("a")
        assert await levels(utility) == {utility.id_of("b"): 2}

    play(story)


def test_we_may_make_ourselves_known_again_and_again(play: Play) -> None:
    async def story(utility: Utility) -> None:
        await utility.client.register()
        await utility.client.register()
        utility.client.offer_power(lambda: None)

    play(story)


def test_a_server_that_is_gone_is_unavailable_and_never_an_empty_list(play: Play) -> None:
    async def story(utility: Utility) -> None:
        utility.add("a", 1)
        assert await levels(utility) == {utility.id_of("a"): 1}
        await utility.stop()
        with pytest.raises(UnavailableError):
            await utility.client.events([FLEX])

    play(story)


def test_a_report_that_was_not_sent_is_not_there(play: Play) -> None:
    report = ProgrammeReport(
        report_name="r", program_id="p-1", event_id="a", units=(), intervals=()
    )

    async def story(utility: Utility) -> None:
        assert not await utility.client.has_report(report)

    play(story)
