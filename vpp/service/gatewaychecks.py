"""What joins the MQTT gateways of a park file with its devices and with the maps they are read by."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.model.payloads import PayloadMap
from vpp.service.config import ConfigErrors, Fault, KeyPath
from vpp.service.feedsecrets import read_secret
from vpp.service.linkhealth import NATIVE
from vpp.service.parkparts import Parts, require
from vpp.service.payloadmaps import load_payload_map, shipped_payload_maps
from vpp.service.payloadschema import GatewayDeviceSection, MqttGatewaySection

REGISTERS = ("import_wh", "export_wh")


def read_payload_maps(parts: Parts, folder: Path) -> list[Fault]:
    """Put every map of payloads that is named into `parts`; return what fails, each file once."""
    faults: list[Fault] = []
    tried: set[str] = set()
    for path, gateway in parts.mqtt_gateways:
        name, where = gateway.map, (*path, "map")
        if name in tried:
            continue
        tried.add(name)
        if not name.endswith(".yaml") and name not in shipped_payload_maps():
            shown = ", ".join(shipped_payload_maps())
            what = f"unknown map of payloads {name!r}; shipped: {shown}; or give a file in .yaml"
            faults.append(parts.document.fault(where, what))
            continue
        try:
            parts.payload_maps[name] = load_payload_map(name, folder)
        except ConfigErrors as error:
            faults += [parts.seen_from(where, name, fault) for fault in error.faults]
    return faults


def check_mqtt_gateways(parts: Parts) -> None:
    """Each device is of the park, behind one gateway, and can be told from the others there."""
    carried = {device.resource: g.id for _, g in parts.modbus for device in g.devices}
    for path, gateway in parts.mqtt_gateways:
        if gateway.id == NATIVE:
            parts.fault((*path, "id"), f"{NATIVE!r} is the name of the link to our own broker")
        _check_broker(parts, path, gateway)
        payload_map = parts.payload_maps.get(gateway.map)
        told: dict[tuple[str, ...], str] = {}
        for place, device in enumerate(gateway.devices):
            where = (*path, "devices", place)
            if device.resource in carried:
                what = f"device {device.resource!r} is behind {carried[device.resource]!r} already"
                parts.fault((*where, "resource"), what)
            carried.setdefault(device.resource, gateway.id)
            known = require(
                parts, (*where, "resource"), device.resource, parts.known("device"), "device"
            )
            if payload_map is not None and known:
                _check_device(parts, where, device, payload_map, told)


def _check_device(
    parts: Parts,
    where: KeyPath,
    device: GatewayDeviceSection,
    payload_map: PayloadMap,
    told: dict[tuple[str, ...], str],
) -> None:
    wanted = set(payload_map.device_by)
    if device.names.keys() != wanted:
        parts.fault((*where, "names"), f"give {sorted(wanted)}, no more and no less")
        return
    key = tuple(device.names[name] for name in payload_map.device_by)
    if (first := told.setdefault(key, device.resource)) != device.resource:
        parts.fault((*where, "names"), f"device {first!r} is called the same")
    is_meter = device.resource not in parts.known("resource")
    points = {name for incoming in payload_map.incoming for name in incoming.points}
    if is_meter and not device.read_only:
        parts.fault((*where, "read_only"), "a main meter takes no set-points")
    for name in REGISTERS if is_meter else ():
        if name not in points:
            what = f"the map tells no {name}, which a main meter must"
            parts.fault((*where, "resource"), what)
    if not (device.read_only or is_meter) and payload_map.command is None:
        parts.fault((*where, "read_only"), f"the map {payload_map.name!r} has no command")


def _check_broker(parts: Parts, path: KeyPath, gateway: MqttGatewaySection) -> None:
    """User and password come together, and are there; they are not shown."""
    broker = gateway.broker
    if broker is None:
        return
    if (broker.username is None) != (broker.password is None):
        parts.fault((*path, "broker"), "give both username and password, or neither")
    for name, secret in (("username", broker.username), ("password", broker.password)):
        if secret is None:
            continue
        try:
            read_secret(secret, Path(parts.document.file).parent)
        except UnavailableError as error:
            parts.fault((*path, "broker", name), f"{error.where}: {error.what}: {error.fix}")
