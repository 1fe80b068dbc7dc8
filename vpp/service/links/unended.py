"""Who holds his last set-point when this service is killed: told by `vpp check`, for nobody sees it until then."""

from __future__ import annotations

from collections.abc import Iterator

from vpp.service.links.httpdeviceschema import HttpGatewaySection
from vpp.service.links.payloadschema import MqttGatewaySection
from vpp.service.park.parkfile import ParkFile


def unended(file: ParkFile) -> Iterator[str]:
    """A warning for each link whose devices do not let go by themselves, nor a broker for us."""
    asked = [gateway for gateway in file.http_devices.gateways if gateway.pull is not None]
    for gateway in asked:
        if held := _without_expiry(file, gateway):
            yield _warning(gateway.id, held)
    for spoken in file.mqtt_gateways:
        held = _without_expiry(file, spoken)
        if len(held) > 1:  # one alone is let go by the last will of the connection
            yield _warning(spoken.id, held)
    for group in file.sparkplug:
        held = [
            device.resource
            for device in group.devices
            if device.setpoint is not None and device.setpoint.ends_in_s is None
        ]
        if held:
            yield _warning(group.id, held)


def _without_expiry(file: ParkFile, gateway: HttpGatewaySection | MqttGatewaySection) -> list[str]:
    command = file.payload_maps[gateway.map].command
    if command is None or not command.without_expiry:
        return []
    return [device.resource for device in gateway.devices if not device.read_only]


def _warning(link: str, held: list[str]) -> str:
    shown = ", ".join(held[:5]) + (f" and {len(held) - 5} more" if len(held) > 5 else "")
    return (
        f"set-points over {link!r} carry no end: {shown} hold the last one when this service is killed,"
        " until it is back or their own watchdogs act"
    )
