"""What joins gateways in words of their own (MQTT, HTTP, recordings) with the park and the maps they are read by."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.model.payloads import PayloadMap, fill
from vpp.service.links.httpdeviceschema import HttpGatewaySection, PullSection
from vpp.service.links.payloadmaps import load_payload_map, shipped_payload_maps
from vpp.service.links.payloadschema import BrokerSection, GatewayDeviceSection, MqttGatewaySection
from vpp.service.links.replayschema import ReplaySection
from vpp.service.park.config import ConfigErrors, Fault, KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import SecretSection, read_secret

REGISTERS = ("import_wh", "export_wh")
LEAST_CHARS = 16
"""Of a token: shorter ones can be guessed."""

Mapped = MqttGatewaySection | HttpGatewaySection | ReplaySection


def read_payload_maps(parts: Parts, folder: Path) -> list[Fault]:
    """Put every map of payloads that is named into `parts`; return what fails, each file once."""
    faults: list[Fault] = []
    tried: set[str] = set()
    for path, gateway in mapped_gateways(parts):
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


def mapped_gateways(parts: Parts) -> list[tuple[KeyPath, Mapped]]:
    """Whatever is read by a map of payloads."""
    return [*parts.mqtt_gateways, *parts.http_gateways, *parts.replays]


def check_mapped_gateways(parts: Parts) -> None:
    """Each device is of the park, and can be told from the others behind its gateway."""
    for path, gateway in mapped_gateways(parts):
        payload_map = parts.payload_maps.get(gateway.map)
        told: dict[tuple[str, ...], str] = {}
        for place, device in enumerate(gateway.devices):
            where = (*path, "devices", place)
            known = require(
                parts, (*where, "resource"), device.resource, parts.known("device"), "device"
            )
            if payload_map is not None and known:
                _check_device(parts, where, device, payload_map, told)
    for path, broker_gateway in parts.mqtt_gateways:
        check_broker(parts, path, broker_gateway.broker)
    for path, web_gateway in parts.http_gateways:
        _check_http(parts, path, web_gateway)
    _check_tokens(parts)
    for path, replay in parts.replays:
        _check_replay(parts, path, replay)


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


def check_broker(parts: Parts, path: KeyPath, broker: BrokerSection | None) -> None:
    """User and password come together, and are there; they are not shown."""
    if broker is None:
        return
    if (broker.username is None) != (broker.password is None):
        parts.fault((*path, "broker"), "give both username and password, or neither")
    for name, secret in (("username", broker.username), ("password", broker.password)):
        if secret is not None:
            _value_of(parts, (*path, "broker", name), secret)


def _value_of(parts: Parts, path: KeyPath, secret: SecretSection) -> str | None:
    """The value of a secret, which is not shown; None, and a fault, where there is none."""
    try:
        return read_secret(secret, Path(parts.document.file).parent)
    except UnavailableError as error:
        parts.fault(path, f"{error.where}: {error.what}: {error.fix}")
        return None


def _check_http(parts: Parts, path: KeyPath, gateway: HttpGatewaySection) -> None:
    """What is asked for can be asked for, and what cannot be reached ends its commands by itself."""
    payload_map = parts.payload_maps.get(gateway.map)
    if gateway.pull is not None:
        _check_credentials(parts, (*path, "pull"), gateway.pull)
        if payload_map is not None:
            _check_paths(parts, (*path, "map"), payload_map)
        return
    command = None if payload_map is None else payload_map.command
    if command is not None and command.without_expiry:
        what = (
            f"commands of {gateway.map!r} carry no end, and a gateway that calls cannot be reached"
        )
        parts.fault((*path, "map"), what)


def _check_credentials(parts: Parts, path: KeyPath, pull: PullSection) -> None:
    secrets: dict[KeyPath, SecretSection | None] = {
        ("username",): pull.username,
        ("password",): pull.password,
    }
    secrets |= {("headers", name): secret for name, secret in pull.headers.items()}
    for keys, secret in secrets.items():
        if secret is not None:
            _value_of(parts, (*path, *keys), secret)
    if pull.trusts is not None and not _beside(parts, pull.trusts).is_file():
        parts.fault((*path, "trusts"), f"there is no file {pull.trusts!r}")


def _check_paths(parts: Parts, path: KeyPath, payload_map: PayloadMap) -> None:
    """Every path can be written down for a device, and answers come where commands go."""
    known, names = set(payload_map.device_by), dict.fromkeys(payload_map.device_by, "x")
    for incoming in payload_map.incoming:
        text = incoming.topic.text
        if not set(incoming.topic.captures) <= known or {"+", "#"} & set(text.split("/")):
            what = f"{text!r} is no path that can be asked for: name it by {sorted(known)}"
            parts.fault(path, what)
    command, answer = payload_map.command, payload_map.answer
    if command is None or answer is None:
        return
    if answer.topic.match(fill(command.topic, names)) is None:
        what = "its answers come with the command: give `answer` the topic of `command`"
        parts.fault(path, what)


def _beside(parts: Parts, name: str) -> Path:
    return Path(parts.document.file).parent / name


def _check_tokens(parts: Parts) -> None:
    """Each gateway that calls has a token of its own that cannot be guessed."""
    used: dict[str, str] = {}
    for path, gateway in parts.http_gateways:
        if gateway.push is None:
            continue
        where = (*path, "push", "token")
        value = _value_of(parts, where, gateway.push.token)
        if value is None:
            continue
        if len(value) < LEAST_CHARS:
            parts.fault(where, f"has fewer than {LEAST_CHARS} characters")
        if (first := used.setdefault(value, gateway.id)) != gateway.id:
            parts.fault(where, f"is that of gateway {first!r}: give each its own")


def _check_replay(parts: Parts, path: KeyPath, replay: ReplaySection) -> None:
    """The recording is there, its rows say when, and nobody is commanded by it."""
    if not _beside(parts, replay.file).is_file():
        parts.fault((*path, "file"), f"there is no file {replay.file!r}")
    payload_map = parts.payload_maps.get(replay.map)
    if payload_map is not None and (
        len(payload_map.incoming) != 1 or payload_map.incoming[0].time is None
    ):
        parts.fault((*path, "map"), "give it one entry under incoming, with a time")
    for place, device in enumerate(replay.devices):
        if not device.read_only:
            what = "a recording takes no set-points"
            parts.fault((*path, "devices", place, "read_only"), what)
