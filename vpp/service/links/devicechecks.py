"""What joins the gateways of a park file with its devices and with the maps they are read by."""

from __future__ import annotations

from pathlib import Path

from vpp.service.links.deviceschema import ModbusDeviceSection
from vpp.service.links.registermaps import load_map, shipped_maps
from vpp.service.park.config import ConfigErrors, Fault, KeyPath
from vpp.service.park.parts import Parts, require


def read_register_maps(parts: Parts, folder: Path) -> list[Fault]:
    """Put every register map that is named into `parts`; return what fails, each file once."""
    faults: list[Fault] = []
    tried: set[str] = set()
    for path, gateway in parts.modbus:
        for place, device in enumerate(gateway.devices):
            name, where = device.map, (*path, "devices", place, "map")
            if name is None or name in tried:
                continue
            tried.add(name)
            if not name.endswith(".yaml") and name not in shipped_maps():
                shown = ", ".join(shipped_maps())
                what = f"unknown register map {name!r}; shipped: {shown}; or give a file in .yaml"
                faults.append(parts.document.fault(where, what))
                continue
            try:
                parts.register_maps[name] = load_map(name, folder)
            except ConfigErrors as error:
                faults += [parts.seen_from(where, name, fault) for fault in error.faults]
    return faults


def check_gateways(parts: Parts) -> None:
    """Each device is of the park, each gateway is given once, and a map fits what it is used for."""
    reached: dict[tuple[str, int], str] = {}
    for path, gateway in parts.modbus:
        other = reached.setdefault((gateway.host, gateway.port), gateway.id)
        if other != gateway.id:
            what = (
                f"{gateway.host}:{gateway.port} is gateway {other!r} already: add its devices there"
            )
            parts.fault((*path, "host"), what)
        for place, device in enumerate(gateway.devices):
            where = (*path, "devices", place)
            if require(
                parts, (*where, "resource"), device.resource, parts.known("device"), "device"
            ):
                _check_map(parts, where, device)
            if gateway.timeout_s > device.poll_s:
                what = f"is below timeout_s {gateway.timeout_s:g} of its gateway: nothing could be late"
                parts.fault((*where, "poll_s"), what)


def _check_map(parts: Parts, where: KeyPath, device: ModbusDeviceSection) -> None:
    """What a map must say of a main meter, of a device that is commanded, and of shares."""
    is_meter = device.resource not in parts.known("resource")
    if is_meter and not device.read_only:
        parts.fault((*where, "read_only"), "a main meter takes no set-points")
    found = parts.register_maps.get(device.map or "")
    if found is None:
        return  # SunSpec says it when it is found; a faulty map is told of already
    for name in ("import_wh", "export_wh") if is_meter else ():
        if name not in found.points:
            parts.fault((*where, "map"), f"a main meter tells {name}, and {device.map!r} has none")
    if not (device.read_only or is_meter or found.takes_setpoints):
        parts.fault((*where, "read_only"), f"the map {device.map!r} has no setpoint to write")
    registers = [*found.points.values(), *(write.register for write in found.writes)]
    shares = any(register.of == "rated_kw" for register in registers)
    if shares and device.rated_kw is None and "rated_kw" not in found.points:
        parts.fault((*where, "map"), f"{device.map!r} speaks in shares: give rated_kw")
