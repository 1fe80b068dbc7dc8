"""What the adapters know that a look at the machine needs: which broker would be started, when a certificate ends."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from adapters.brokers import find_mosquitto
from adapters.certificate import ends_at
from vpp.errors import VppError


def own_broker() -> str:
    """What `vpp run` starts where no broker is named."""
    program = find_mosquitto()
    return f"{program} would be started" if program else "the one of the package would be started"


def certificate_ends_at(file: Path) -> datetime | str:
    """When the certificate of a PEM file ends, or why nobody can say."""
    try:
        return ends_at(file.read_text(encoding="ascii", errors="replace"))
    except OSError as error:
        return error.strerror or str(error)
    except (VppError, ValueError) as error:
        return str(error)
