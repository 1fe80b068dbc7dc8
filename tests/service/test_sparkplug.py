"""The section `sparkplug` of a park file: what it becomes, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from adapters.mqtt_life import BrokerAddress
from adapters.sparkplug_device import ReadMetric, WriteMetric
from tests.service.smallpark import MARKET, PARK
from vpp.clock import WallClock
from vpp.errors import ConfigError
from vpp.model.ids import ResourceId
from vpp.service.devicetest.wiring import channel_of, require_writable
from vpp.service.links.sparkplugwiring import sparkplug_link
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import ParkFile, load_park

OWN = BrokerAddress(host="127.0.0.1", port=1883)


def loaded(folder: Path, text: str) -> ParkFile:
    (folder / "spb.secret").write_text("secret", encoding="utf-8")
    (folder / "park.yaml").write_text(PARK + text, encoding="utf-8")
    (folder / "market.yaml").write_text(MARKET, encoding="utf-8")
    return load_park(folder / "park.yaml")


def template() -> str:
    return "\n" + shipped("devices/sparkplug/edge-node.yaml").read_text(encoding="utf-8")


def test_the_template_becomes_a_link(tmp_path: Path) -> None:
    file = loaded(tmp_path, template())
    (section,) = file.sparkplug
    link = sparkplug_link(
        section, file, OWN, clock=WallClock(), jitter=Random(1), client_id="vpp-small"
    )
    battery = link._states[ResourceId("battery")].device
    assert battery.points["power_kw"] == ReadMetric(name="Power/Active", factor=-0.001)
    assert battery.setpoint == WriteMetric(
        name="Setpoint/Power",
        factor=-0.001,
        ends_in_s="Setpoint/Valid",
        enable="Setpoint/Remote",
    )
    meter = link._states[ResourceId("mill-meter")].device
    assert (meter.node, meter.device, meter.setpoint) == ("Edge1", "Gate", None)
    assert channel_of(file, ResourceId("battery")) == "hall"
    require_writable(file, ResourceId("battery"))
    with pytest.raises(ConfigError, match="is read-only"):
        require_writable(file, ResourceId("mill-meter"))


def test_the_example_of_the_page_fits_a_park(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPB_USER", "vpp")
    page = (Path(__file__).parents[2] / "docs" / "sparkplug.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(sparkplug:.*?)```", page, re.DOTALL)
    assert loaded(tmp_path, "\n" + example).sparkplug


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (("resource: battery", "resource: nobody"), "devices.0.resource: unknown device 'nobody'"),
        (("resource: mill-meter", "resource: battery"), "is behind 'hall' already"),
        (("device: Gate", "device: BMS"), "devices.1.node: is where 'battery' is already"),
        (('metric: "SoC"', 'metric: "Power/Active"'), "points: a metric is given twice"),
        (('          ends_in_s: "Setpoint/Valid"', "          # "), "give ends_in_s, or say"),
        (
            ('          export_wh: {metric: "Energy/Out"', '          soc: {metric: "E"'),
            "export_wh too",
        ),
        (("node: Edge1", 'node: "Edge/1"'), "devices.0.node"),
        (("id: hall", "id: mqtt"), "'mqtt' is the name of the link to our own broker"),
        (
            ("{host: 192.0.2.17}", "{host: 192.0.2.17, username: {env: NO_SUCH_NAME}}"),
            "give both username and password",
        ),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    spoilt: tuple[str, str], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, template().replace(*spoilt, 1))
    assert any(told in f"{f.path}: {f.what}" for f in raised.value.faults), raised.value.faults


def test_a_device_that_nothing_lets_go_is_refused(tmp_path: Path) -> None:
    text = template().replace('ends_in_s: "Setpoint/Valid"', "without_expiry: nobody")
    with pytest.raises(ConfigErrors, match="nothing lets the device go"):
        loaded(tmp_path, text.replace('          enable: "Setpoint/Remote"', "          # "))
