"""The section `s2` of a park file: what it becomes, what is refused, and that it is served and let go in a daemon's order."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from adapters.memory_journal import MemoryJournal
from adapters.mqtt_life import BrokerAddress
from adapters.s2_device import FillLevel
from adapters.s2_wire import Control
from tests.adapters.managers import BATTERY, Manager
from tests.patience import PATIENCE_S
from tests.service.smallpark import MARKET, PARK
from vpp.clock import WallClock
from vpp.model.ids import ResourceId
from vpp.service.devicetest.wiring import channel_of
from vpp.service.http import reserved_port
from vpp.service.links.s2wiring import s2_link
from vpp.service.links.wiring import open_links
from vpp.service.listeners import serve_face
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import ParkFile, load_park

TOKEN = "a-token-of-the-battery"
SECTION = """
s2:
  listen: {port: 8887}
  devices:
    - {resource: battery, token: {file: battery.token}, control: frbc, read_only: false}
    - {resource: pv, token: {file: pv.token}, control: pebc, limits: feed, read_only: false}
"""
LIVE = "trading: {mode: shadow}\n"
CHARGING = """\
          - {id: charging, kind: ev_fleet, charger_kw: 22, max_draw_kw: 22, unserved_cost_per_kwh: 1}
"""


def loaded(folder: Path, text: str, *, park: str = PARK) -> ParkFile:
    for name in ("battery", "pv", "charging", "hall"):
        (folder / f"{name}.token").write_text(f"a-token-of-the-{name}", encoding="utf-8")
    (folder / "short.token").write_text("short", encoding="utf-8")
    (folder / "park.yaml").write_text(park + text, encoding="utf-8")
    (folder / "market.yaml").write_text(MARKET, encoding="utf-8")
    return load_park(folder / "park.yaml")


def with_charging(park: str) -> str:
    return park.replace("bidding_units:", f"{CHARGING}bidding_units:")


def test_the_template_fits_a_park(tmp_path: Path) -> None:
    template = shipped("devices/s2/devices.yaml").read_text(encoding="utf-8")
    section = loaded(tmp_path, template, park=with_charging(PARK)).s2
    assert section is not None
    assert [one.resource for one in section.devices] == ["battery", "charging", "hall", "pv"]


def test_the_example_of_the_page_fits_a_park(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "s2.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(s2:.*?)```", page, re.DOTALL)
    assert loaded(tmp_path, example).s2 is not None


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (("resource: pv", "resource: nobody"), "s2.devices.1.resource: unknown resource 'nobody'"),
        (("resource: pv", "resource: mill-meter"), "s2.devices.1.resource: unknown resource"),
        (("resource: pv", "resource: battery"), "device 'battery' is behind 's2' already"),
        (("limits: feed", "limits: draw"), "a set-point of this resource means 'feed'"),
        ((", limits: feed", ""), "`limits` belongs to control: pebc"),
        (
            ("file: pv.token", "file: battery.token"),
            "is that of 'battery': give each device its own",
        ),
        (("file: pv.token", "file: short.token"), "has fewer than 16 characters"),
        (("file: pv.token", "file: no.token"), "cannot be read"),
        (("port: 8887", "port: 8887, host: 192.0.2.1"), "192.0.2.1 is beyond loopback"),
        (("resource: battery", "resource: kiln"), "runs are told by PPBC"),
        (("s2:\n", "s2:\n  id: mqtt\n"), "'mqtt' is the name of the link to our own broker"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    spoilt: tuple[str, str], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, SECTION.replace(*spoilt))
    assert any(told in f"{f.path}: {f.what}" for f in raised.value.faults), raised.value.faults


def test_a_device_behind_another_link_is_told_of(tmp_path: Path) -> None:
    modbus = """
modbus:
  - {id: gate, host: 192.0.2.9, devices: [{resource: battery, unit: 1, map: battery-inverter}]}
"""
    with pytest.raises(ConfigErrors, match="device 'battery' is behind 'gate' already"):
        loaded(tmp_path, modbus + SECTION)


def test_a_section_becomes_devices_each_as_its_kind_is_steered(tmp_path: Path) -> None:
    template = shipped("devices/s2/devices.yaml").read_text(encoding="utf-8")
    file = loaded(tmp_path, template, park=with_charging(PARK))
    assert file.s2 is not None
    link, face = s2_link(file.s2, file, clock=WallClock(), jitter=Random(1))
    told = {str(line.state.device.device_id): line.state.device for line in link._lines.values()}
    assert (told["battery"].control, told["pv"].control) == (Control.FRBC, Control.PEBC)
    assert (told["pv"].limits, told["pv"].charge_efficiency) == ("feed", None)
    assert told["charging"].charge_efficiency == 1.0
    assert told["hall"].fill_level == FillLevel(field="temperature_degc", scale=1.0)
    assert face.listen.port == 8888
    assert channel_of(file, ResourceId("hall")) == "s2"


async def opened(file: ParkFile, stack: AsyncExitStack) -> tuple[str, ...]:
    """The addresses at which devices connect."""
    linked = await open_links(
        file,
        clock=WallClock(),
        seed=1,
        broker=BrokerAddress(host="127.0.0.1", port=1),
        stack=stack,
        journal=MemoryJournal(),
    )
    return tuple(
        [
            await stack.enter_async_context(serve_face(face, folder=file.folder))
            for face in linked.faces
        ]
    )


def test_a_device_is_let_go_when_the_service_stops_though_its_listener_stops_first(
    tmp_path: Path,
) -> None:
    manager = Manager(tells=BATTERY)

    async def check() -> None:
        with reserved_port() as port:
            file = loaded(tmp_path, LIVE + SECTION.replace("8887", str(port)))
            async with AsyncExitStack() as stack:
                (address,) = await opened(file, stack)
                await manager.connect(f"{address}/s2/battery", TOKEN)
                await manager.until(lambda: len(manager.of("SelectControlType")) == 1)
        assert manager.heard[-2]["control_type"] == "NO_SELECTION"
        assert manager.heard[-1]["request"] == "TERMINATE"
        await manager.vanish()

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_beside_a_simulated_market_nothing_listens(tmp_path: Path) -> None:
    async def check() -> None:
        file = loaded(tmp_path, SECTION).in_simulation()
        async with AsyncExitStack() as stack:
            assert await opened(file, stack) == ()

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))
