"""What joins the `s2` section of a park file with its resources."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.model.resource import (
    CurtailableLoad,
    EvFleet,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
)
from vpp.service.links.gatewaychecks import LEAST_CHARS
from vpp.service.links.s2schema import S2DeviceSection
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import read_secret

LIMITS: dict[type[Resource], str] = {
    Generator: "feed",
    CurtailableLoad: "draw",
    InterruptibleLoad: "draw",
}
"""What a set-point of a kind limits; of all others it is their very power."""


def check_s2(parts: Parts) -> None:
    """Each device is a resource, with a token of its own."""
    section = parts.s2
    if section is None:
        return
    used: dict[str, str] = {}
    for place, device in enumerate(section.devices):
        where: KeyPath = ("s2", "devices", place)
        _check_token(parts, (*where, "token"), device, used)
        if require(
            parts, (*where, "resource"), device.resource, parts.known("resource"), "resource"
        ):
            _check_limits(parts, where, device, parts.by_id().get(device.resource))


def _check_token(
    parts: Parts, where: KeyPath, device: S2DeviceSection, used: dict[str, str]
) -> None:
    try:
        value = read_secret(device.token, Path(parts.document.file).parent)
    except UnavailableError as error:
        parts.fault(where, f"{error.where}: {error.what}: {error.fix}")
        return
    if len(value) < LEAST_CHARS:
        parts.fault(where, f"has fewer than {LEAST_CHARS} characters")
    if (first := used.setdefault(value, device.resource)) != device.resource:
        parts.fault(where, f"is that of {first!r}: give each device its own")


def _check_limits(
    parts: Parts, where: KeyPath, device: S2DeviceSection, resource: Resource | None
) -> None:
    """A set-point limits what its kind has it limit: the meaning stands in `vpp/model/resource`."""
    if resource is None:
        return  # it is faulty, and told of
    meant = LIMITS.get(type(resource), "power")
    if device.limits is not None and device.limits != meant:
        parts.fault((*where, "limits"), f"a set-point of this resource means {meant!r}")
    if isinstance(resource, ShiftableRun) and not device.read_only:
        parts.fault((*where, "read_only"), "runs are told by PPBC, which is not spoken here")
    if isinstance(resource, EvFleet) and device.control != "frbc":
        parts.fault((*where, "control"), "a charging point tells its car by frbc alone")
