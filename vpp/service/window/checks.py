"""What joins the section `redis` with the rest of a park file: the secret, the certificate, the control period."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.service.park.parts import Parts
from vpp.service.secretfiles import read_secret
from vpp.service.venues.checks import check_certificate


def check_window(parts: Parts) -> None:
    """The password and the certificate are there, and a hash outlives two control cycles."""
    section = parts.redis
    if section is None:
        return
    if section.password is not None:
        try:
            read_secret(section.password, Path(parts.document.file).parent)
        except UnavailableError as error:
            parts.fault(("redis", "password"), f"{error.where}: {error.what}: {error.fix}")
    if section.certificate is not None:
        check_certificate(parts, ("redis", "certificate"), section.certificate)
    control = parts.control
    if control is not None and section.ttl_s < 2 * control.period_s:
        what = f"ends before the second control cycle, every {control.period_s:g} s, has come"
        parts.fault(("redis", "ttl_s"), what)
