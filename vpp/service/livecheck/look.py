"""`vpp check --live`: look at everything once, the machine first, then whom the park has to reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vpp.errors import ConfigError
from vpp.service.livecheck import machine, reach
from vpp.service.livecheck.addresses import Listens, calls, folders, ledger, listens, papers
from vpp.service.livecheck.finding import Finding, State
from vpp.service.livecheck.wiring import certificate_ends_at, own_broker
from vpp.service.park.parkfile import ParkFile
from vpp.service.runnable import require_real_market, require_runnable


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """As `vpp run` would be given them."""

    data: Path
    host: str
    port: int
    broker_url: str | None
    venue_url: str | None


async def look(file: ParkFile, options: LiveOptions, now: datetime) -> list[Finding]:
    """What would hinder `vpp run` of this park on this machine, and what stands well.

    Raises:
        ConfigError: The address of the broker, or of the venue, is none.
    """
    found = [*_file(file), *_machine(file, options), *_papers(file, now)]
    if options.broker_url is None:
        found.append(Finding("broker", "our own", State.OK, own_broker()))
    else:
        found.append(await reach.broker(options.broker_url))
    asked = [*calls(file), *([] if options.venue_url is None else [ledger(options.venue_url)])]
    return [*found, *await reach.all_reached(asked)]


def _file(file: ParkFile) -> Iterator[Finding]:
    """What `vpp run` refuses though the file is in order."""
    name = file.park.park_id
    try:
        require_real_market(file)
        require_runnable(file)
    except ConfigError as error:
        yield Finding("park", name, State.FAULT, f"{error.where}: {error.what}", error.fix)
        return
    yield Finding("park", name, State.OK, "`vpp run` takes it")


def _machine(file: ParkFile, options: LiveOptions) -> Iterator[Finding]:
    yield machine.port(Listens("page and API", options.host, options.port))
    yield from (machine.port(one) for one in listens(file))
    yield from machine.disk(options.data)
    yield machine.clock()
    yield from (machine.folder(name, path, written=out) for name, path, out in folders(file))


def _papers(file: ParkFile, now: datetime) -> Iterator[Finding]:
    for name, path in papers(file):
        ends = certificate_ends_at(path)
        if isinstance(ends, str):
            do = "Put certificate and key there as PEM, readable for the service"
            yield Finding("certificate", name, State.FAULT, f"{path}: {ends}", do)
        else:
            yield machine.certificate(name, ends, now)
