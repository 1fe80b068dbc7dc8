"""`vpp init`: a folder with a park of one's own, which passes `vpp check` and can be lived through at once.

    FOLDER/park.yaml        what stands in the park: from the table, the rest assumed and marked
           resources.csv    the table it was made from
           README.md        what to do next
           markets/ series/ schemas/   borrowed rules and recorded days; schemas for editors

It is written beside its place and moved there when it is whole and has been read without a fault: there
is a good folder or none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vpp.errors import ConfigError
from vpp.service.park.config import ConfigErrors, Fault, shipped
from vpp.service.park.parkfile import load_park
from vpp.service.park.schemas import SCHEMAS
from vpp.service.start.lent import CURVES, Lent, lent
from vpp.service.start.members import Enterprise, members
from vpp.service.start.nextsteps import next_steps
from vpp.service.start.parktext import park_text
from vpp.service.start.resourcetable import Table, read_table
from vpp.service.start.strategytext import strategy_text

EXAMPLE = "start/resources.csv"
"""The table of who has none yet."""

_RESOURCE = re.compile(
    r"^enterprises\.(\d+)\.connection_points\.(\d+)\.resources\.(\d+)(?:\.(\w+))?"
)
_NO_ID = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPark:
    """What was written."""

    folder: Path
    table: Table
    enterprises: tuple[Enterprise, ...]

    @property
    def resources(self) -> int:
        return len(self.table.rows)

    @property
    def assumed(self) -> int:
        """How many figures of devices a person has to look at."""
        return sum(
            len(member.assumed)
            for enterprise in self.enterprises
            for point in enterprise.points.values()
            for member in point.members
        )


def new_park(folder: Path, *, source: Path | None, like: str) -> NewPark:
    """Write a park of the table `source`, or of the example, into a folder that is not there yet.

    `like` is the shipped park that lends clock, money, tariff, market and recorded days.

    Raises:
        ConfigError: The folder holds something already, cannot be written, or no such park is shipped.
        ConfigErrors: Every fault of the table, with line and column.
    """
    if like not in CURVES:
        raise ConfigError(f"{like!r} lends nothing", where="--like", fix=f"Use one of {[*CURVES]}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            "holds something already", where=str(folder), fix="Name a folder that is not there yet"
        )
    table = read_table(source or shipped(EXAMPLE))
    lender = lent(like)
    enterprises = members(table, lender)
    name = _NO_ID.sub("-", folder.resolve().name.lower()).strip("-")[:32] or "park"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".vpp-init-") as made:
            _write(Path(made), name, source or shipped(EXAMPLE), table, enterprises, lender)
            _prove(Path(made) / "park.yaml", table, enterprises)
            _move(Path(made), folder)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(folder), fix="Name another folder"
        ) from error
    return NewPark(folder=folder, table=table, enterprises=enterprises)


def _write(
    into: Path,
    name: str,
    source: Path,
    table: Table,
    enterprises: tuple[Enterprise, ...],
    lender: Lent,
) -> None:
    for sub in ("markets", "series", "schemas"):
        (into / sub).mkdir()
    for file, _ in lender.markets:
        shutil.copyfile(file, into / "markets" / file.name)
    for file in lender.series:
        shutil.copyfile(file, into / "series" / file.name)
    for schema in ("park", "strategies", "market"):
        text = json.dumps(SCHEMAS[schema](), indent=1, ensure_ascii=False)
        (into / "schemas" / f"{schema}.json").write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(source, into / "resources.csv")
    written = {
        "park.yaml": park_text(name, "resources.csv", enterprises, lender),
        "strategies.yaml": strategy_text(lender, enterprises),
        "README.md": next_steps(name, table, enterprises, lender),
    }
    for file_name, text in written.items():
        (into / file_name).write_text(text, encoding="utf-8")


def _prove(file: Path, table: Table, enterprises: tuple[Enterprise, ...]) -> None:
    """Nobody gets a park with a fault; what joins two rows is told at the row it was made from."""
    try:
        load_park(file)
    except ConfigErrors as error:
        raise ConfigErrors([_at_its_row(f, table, enterprises) for f in error.faults]) from error


def _at_its_row(fault: Fault, table: Table, enterprises: tuple[Enterprise, ...]) -> Fault:
    match = _RESOURCE.match(fault.path)
    if match is None:
        return Fault(table.file, 1, 1, "", f"{fault.path}: {fault.what}")
    enterprise, point, place, key = int(match[1]), int(match[2]), int(match[3]), match[4] or ""
    behind = list(enterprises[enterprise].points.values())[point]
    return table.fault(behind.members[place].place, key, fault.what)


def _move(made: Path, folder: Path) -> None:
    """Into its place at once; an empty folder that stood there gives way."""
    whole = made.with_name(made.name + "-whole")
    made.rename(whole)
    made.mkdir()  # for the temporary folder's own end
    whole.chmod(0o777 & ~_umask())
    try:
        if folder.exists():
            folder.rmdir()
        whole.rename(folder)
    except OSError:
        shutil.rmtree(whole, ignore_errors=True)
        raise


def _umask() -> int:
    """The mask of new files; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
