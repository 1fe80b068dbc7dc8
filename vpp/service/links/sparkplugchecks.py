"""What joins the `sparkplug` section of a park file with its devices."""

from __future__ import annotations

from vpp.service.links.gatewaychecks import REGISTERS, check_broker
from vpp.service.links.sparkplugschema import SparkplugDeviceSection
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require


def check_sparkplug(parts: Parts) -> None:
    """Each device is of the park, and at a place of its own."""
    places: dict[tuple[str, str, str | None], str] = {}
    for path, section in parts.sparkplug:
        check_broker(parts, path, section.broker)
        for place, device in enumerate(section.devices):
            where: KeyPath = (*path, "devices", place)
            key = section.id, device.node, device.device
            if (first := places.setdefault(key, device.resource)) != device.resource:
                parts.fault((*where, "node"), f"is where {first!r} is already")
            known = parts.known("device")
            if require(parts, (*where, "resource"), device.resource, known, "device"):
                _check_device(parts, where, device)


def _check_device(parts: Parts, where: KeyPath, device: SparkplugDeviceSection) -> None:
    names = [point.metric for point in device.points.values()]
    if len(set(names)) < len(names):
        parts.fault((*where, "points"), "a metric is given twice")
    if device.resource in parts.known("resource"):
        return
    if device.setpoint is not None:
        parts.fault((*where, "setpoint"), "a main meter takes no set-points")
    for name in REGISTERS:
        if name not in device.points:
            parts.fault((*where, "points"), f"a main meter tells {name} too")
