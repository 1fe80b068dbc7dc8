"""What `vpp report` asks: a period of a record, the newest whole day where nobody names one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from vpp.errors import ConfigError, DataError
from vpp.model.time import local_date, local_day
from vpp.service.accounts import periods
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.results.report import report_of
from vpp.service.results.wiring import remembered
from vpp.wireresult import PeriodResultView


async def reported(file: ParkFile, data: Path, period: str | None) -> PeriodResultView:
    """The report of a period from the record in `data`.

    Raises:
        ConfigError: No such period, nothing of it is settled, or no record is there.
    """
    async with remembered(file, data) as plant:
        name = period or _newest_day(plant)
        try:
            view = await report_of(plant, name)
        except DataError as error:
            raise ConfigError(error.what, where="--period", fix=error.fix) from error
    if view.settled is None:
        known = [one.period for one in periods.periods(plant).days]
        raise ConfigError(
            f"nothing of {name} is settled",
            where=str(data),
            fix=f"Name one of {', '.join(known[:5])}" if known else "Let the service run first",
        )
    return view


def _newest_day(plant: Plant) -> str:
    """The newest local day that is over and settled, else the newest of which anything is."""
    zone = plant.file.park.timezone
    today = local_date(plant.clock.now(), zone)
    days = [one.period for one in periods.periods(plant).days]
    yesterday = today - timedelta(days=1)
    over = [day for day in days if day <= yesterday.isoformat()]
    return (over or days or [local_date(local_day(yesterday, zone).start, zone).isoformat()])[0]
