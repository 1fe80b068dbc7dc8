"""Reports of OpenADR 3 that come to a server, as readings of devices. Pure, both dialects.

    READING, DEMAND (kW), USAGE (kWh of the interval) ─▶ power        STORAGE_CHARGE_LEVEL (%) ─▶ soc
    SETPOINT (kW): what the device holds               DATA_QUALITY ─▶ quality; MISSING is no reading

A reading stands at the end of its interval. OpenADR counts what is drawn, we what is fed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeAlias

import msgspec

from adapters.openadr3_wire import (
    Descriptor,
    Interval,
    Name,
    Period,
    read_duration,
    read_moment,
)
from vpp.errors import DataError

MOST_RESOURCES, MOST_INTERVALS, MOST_PAYLOADS = 1000, 2000, 50
AGGREGATED = "AGGREGATED_REPORT"
POWER = ("READING", "DEMAND", "USAGE")
"""What a power is taken from, best first."""

MOST_VALUE = 1e15
"""Beyond it nothing is a power or an energy, in whatever unit."""

_KW = {None: 1.0, "KW": 1.0, "W": 0.001, "MW": 1000.0}
_KWH = {None: 1.0, "KWH": 1.0, "WH": 0.001, "MWH": 1000.0}
Quality: TypeAlias = Literal["good", "uncertain", "bad"]
_QUALITIES: dict[str, Quality | None] = {"OK": "good", "ESTIMATED": "uncertain", "MISSING": None}


class ResourceReport(msgspec.Struct, omit_defaults=True):
    """What is reported of one resource."""

    resourceName: Name  # noqa: N815 - as the wire writes it
    intervals: Annotated[list[Interval], msgspec.Meta(max_length=MOST_INTERVALS)]
    intervalPeriod: Period | None = None  # noqa: N815


class ReportBody(msgspec.Struct, omit_defaults=True):
    """A report as it comes; what else stands in it is not kept."""

    eventID: Name  # noqa: N815
    clientName: Name  # noqa: N815
    resources: Annotated[list[ResourceReport], msgspec.Meta(max_length=MOST_RESOURCES)]
    programID: Name | None = None  # noqa: N815
    reportName: Name | None = None  # noqa: N815
    payloadDescriptors: Annotated[list[Descriptor], msgspec.Meta(max_length=100)] | None = None  # noqa: N815


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReading:
    """What a device was at one moment."""

    resource_name: str
    at: datetime
    quality: Quality
    power_kw: float | None = None
    """Net injection; None where none was reported."""
    soc: float | None = None
    """0 to 1."""
    held_kw: float | None = None
    """Net injection that the device is set to, as it says."""


_body = msgspec.json.Decoder(ReportBody).decode


def read_report(raw: bytes) -> ReportBody:
    """A report by its shape.

    Raises:
        DataError: It is none.
    """
    try:
        return _body(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(str(error)[:300], where="report", fix="Keep to the schema") from None


def readings_of(report: ReportBody) -> tuple[SiteReading, ...]:
    """What it says of each resource, in its order.

    Raises:
        DataError: A time that nobody knows, a unit that the value cannot have, a number beyond sense.
    """
    units = {one.payloadType: one.units for one in report.payloadDescriptors or ()}
    found = []
    for place, resource in enumerate(report.resources):
        for number, interval in enumerate(resource.intervals):
            where = f"resources.{place}.intervals.{number}"
            start, length = _span(resource.intervalPeriod, interval, number, where)
            reading = _reading(resource.resourceName, interval, units, start, length, where)
            if reading is not None:
                found.append(reading)
    return tuple(found)


def _span(
    whole: Period | None, interval: Interval, number: int, where: str
) -> tuple[datetime, timedelta]:
    own = interval.intervalPeriod
    length = timedelta(0)
    for period in (whole, own):
        if period is not None and period.duration is not None:
            length = read_duration(period.duration, f"{where}.duration") or length
    if length > timedelta(days=31):
        raise DataError("lasts more than 31 days", where=where, fix="Report shorter intervals")
    if own is not None and (start := read_moment(own.start, f"{where}.start")) is not None:
        return start, length
    first = None if whole is None else read_moment(whole.start, f"{where}.start")
    if first is None:
        raise DataError("says no start", where=where, fix="Give intervalPeriod with start")
    return first + number * length, length


def _reading(
    name: str,
    interval: Interval,
    units: dict[str, str | None],
    start: datetime,
    length: timedelta,
    where: str,
) -> SiteReading | None:
    if len(interval.payloads) > MOST_PAYLOADS:
        raise DataError("has too many payloads", where=where, fix=f"At most {MOST_PAYLOADS}")
    values = {one.type: one.values[0] for one in interval.payloads if one.values}
    quality = _QUALITIES.get(str(values.get("DATA_QUALITY", "OK")), "bad")
    if quality is None:
        return None

    def number(kind: str, factors: dict[str | None, float]) -> float | None:
        value, unit = values.get(kind), units.get(kind)
        if value is None:
            return None
        if unit not in factors:
            raise DataError(f"{kind} in {unit}", where=where, fix=f"Use one of {list(factors)[1:]}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"{kind} is no number", where=where, fix="Give a number")
        if not abs(value) <= MOST_VALUE:  # an int may be larger than any float
            raise DataError(f"{kind} is beyond sense", where=where, fix="Give the true number")
        return float(value) * factors[unit]

    drawn_kw = next((kw for kind in POWER[:2] if (kw := number(kind, _KW)) is not None), None)
    if drawn_kw is None and (used_kwh := number("USAGE", _KWH)) is not None:
        if not length:
            raise DataError("USAGE without a duration", where=where, fix="Give intervalPeriod")
        drawn_kw = used_kwh / (length.total_seconds() / 3600)
    held_kw, percent = number("SETPOINT", _KW), number("STORAGE_CHARGE_LEVEL", _PERCENT)
    return SiteReading(
        resource_name=name,
        at=start + length,
        quality=quality,
        power_kw=_fed(drawn_kw),
        soc=None if percent is None else percent / 100,
        held_kw=_fed(held_kw),
    )


_PERCENT: dict[str | None, float] = {None: 1.0, "PERCENT": 1.0}


def _fed(drawn_kw: float | None) -> float | None:
    """Net injection of a power that counts what is drawn."""
    return None if drawn_kw is None else -drawn_kw + 0.0  # no minus nought
