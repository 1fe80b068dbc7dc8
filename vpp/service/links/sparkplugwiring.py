"""What a park file says of Sparkplug B, with its adapter: a part of the wiring."""

from __future__ import annotations

from random import Random

from adapters.mqtt_life import BrokerAddress
from adapters.sparkplug_device import ReadMetric, SparkplugDevice, WriteMetric
from adapters.sparkplug_link import SparkplugLink
from adapters.sparkplug_node import NODE
from vpp.clock import Watch
from vpp.model.ids import ResourceId
from vpp.service.links.deviceschema import Counts
from vpp.service.links.mappedwiring import broker_of
from vpp.service.links.sparkplugschema import SparkplugDeviceSection, SparkplugSection
from vpp.service.park.parkfile import ParkFile


def sparkplug_link(
    section: SparkplugSection,
    file: ParkFile,
    broker: BrokerAddress,
    *,
    clock: Watch,
    jitter: Random,
    client_id: str,
) -> SparkplugLink:
    """The link to edge nodes as its section says; not started. `broker` is the park's own.

    Raises:
        UnavailableError: User or password of their broker are not where the file says.
    """
    return SparkplugLink(
        broker_of(section.broker, file, broker),
        section.group,
        [_device(device, file) for device in section.devices],
        client_id=f"{client_id}-{section.id}",
        now=clock.now,
        jitter=jitter,
        ask_s=section.ask_s,
    )


def _device(section: SparkplugDeviceSection, file: ParkFile) -> SparkplugDevice:
    device_id = ResourceId(section.resource)
    enterprise_id, site_id = file.park.device_owner[device_id]
    written = section.setpoint
    return SparkplugDevice(
        device_id=device_id,
        enterprise_id=enterprise_id,
        site_id=site_id,
        node=section.node,
        device=section.device or NODE,
        points={
            name: ReadMetric(name=point.metric, factor=_signed(point.scale, point.counts))
            for name, point in section.points.items()
        },
        setpoint=None
        if written is None
        else WriteMetric(
            name=written.metric,
            factor=_signed(written.scale, written.counts),
            tolerance=written.tolerance,
            ends_in_s=written.ends_in_s,
            enable=written.enable,
            released=written.released,
        ),
    )


def _signed(scale: float, counts: Counts) -> float:
    return scale if counts == "feed" else -scale
