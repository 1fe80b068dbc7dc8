"""What a running plant has used of its budgets: counted, kept on record, priced once a day.

    act       what resources say of their day ▸ seen
    account   main meters, means of quarter-hours, what was seen ▸ journal ▸ tally
    plan      tally ▸ prices, with the first plan of a local day (budgets of a day: with each plan)

    quota_metered   an entry for each quarter-hour, as soon as every main meter tells it
    quota_done      an entry for each quarter-hour in which a resource did something that is counted

An amount is on record before it counts, so the same one never counts twice. A budget that cannot be
kept any more is told once a day, and again after a restart: who looks at the events of a service that
has just begun sees it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from math import isfinite

import msgspec

from vpp.account.meters import MAX_HOLE
from vpp.errors import UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.measurement import Quality, Reading
from vpp.model.park import Park
from vpp.model.resource import Generator, Storage
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary, local_date, parse_utc
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.quotas import schema
from vpp.service.quotas.prices import QuotaState, states_until, terms_of
from vpp.service.quotas.tally import (
    EXPORT,
    IMPORT,
    UNMEASURED_H,
    UNMETERED_H,
    What,
    counter,
    days_of,
)
from vpp.service.record import append_all

METERED, DONE = "quota_metered", "quota_done"
"""Kinds of journal entries; their key is the beginning of the quarter-hour."""

GIVE_UP = MAX_HOLE + timedelta(hours=1)
"""After this no reading can tell any more what went through a main meter."""

MEANS_KEPT = timedelta(hours=2)
"""Means of quarter-hours can be made for so long (`IntervalMeans.keep`)."""


# ---------------------------------------------------------------- counting


def measured(park: Park, quotas: tuple[schema.AnyQuota, ...]) -> frozenset[ResourceId]:
    """Resources whose energy some quota counts: what is fed, and what stores keep."""
    counts = {quota.counts for quota in quotas}
    names: set[ResourceId] = set()
    if counts & {"carbon", "green_use", "green_ratios"}:
        names |= {r.resource_id for r in park.resources if isinstance(r, Generator)}
    if "green_ratios" in counts:
        names |= {r.resource_id for r in park.electric if isinstance(r, Storage)}
    return frozenset(names)


def note_readings(plant: Plant) -> None:
    """Take what resources say of their own day."""
    zone = plant.file.park.timezone
    for what, name in _own_counts(plant):
        reading = plant.intake.newest.get(name)
        said = None if reading is None else _said(reading, what)
        if reading is not None and said is not None and reading.quality is not Quality.BAD:
            day = local_date(reading.measured_at, zone)
            plant.quotas.tally.see(day, counter(what, name), said)


def _own_counts(plant: Plant) -> Iterator[tuple[What, ResourceId]]:
    for quota in plant.file.quotas:
        match quota:
            case schema.DischargeQuota() | schema.CallsQuota() | schema.HoursQuota():
                yield quota.counts, ResourceId(quota.resource)
            case _:
                pass  # of the whole park


def _said(reading: Reading, what: What) -> float | None:
    match what:
        case "calls":
            return reading.calls_today
        case "hours_on":
            return reading.hours_on_today
        case _:
            return reading.discharged_today_kwh


async def count(plant: Plant, now: datetime) -> None:
    """Put on record what was used up to the newest quarter-hour, and count it."""
    if not plant.file.quotas:
        return
    desk, newest = plant.quotas, latest_boundary(now, QUARTER)
    found = [(METERED, start, of) for start, of in _metered(plant, newest)]
    found += [(DONE, start, of) for start, of in _done(plant, newest)]
    with suppress(UnavailableError):  # said there; what is not on record is tried again
        await _keep(plant, found, now)
        for kind, start, amounts in found:
            _take(plant, kind, start, amounts)
        desk.done_until = max(desk.done_until, newest)


async def _keep(
    plant: Plant, found: list[tuple[str, datetime, dict[str, float]]], now: datetime
) -> None:
    """All on disk. What is there already (a write that failed, and had not) stays as it is."""
    entries = []
    for place, (kind, start, amounts) in enumerate(found):
        known = plant.journal.find(kind, isoformat(start))
        if known is None:
            entries.append((kind, isoformat(start), msgspec.json.encode(amounts)))
        else:
            found[place] = kind, start, _decode(known.body)
    if entries:
        await append_all(plant, entries, now=now)


def _take(plant: Plant, kind: str, start: datetime, amounts: Mapping[str, float]) -> None:
    """Count an amount that is on record."""
    desk = plant.quotas
    day = local_date(start, plant.file.park.timezone)
    for name, amount in amounts.items():
        desk.tally.add(day, name, amount)
    if kind == METERED:
        desk.metered.add(start)
    else:
        desk.done_until = max(desk.done_until, start + QUARTER)


def _metered(plant: Plant, newest: datetime) -> Iterator[tuple[datetime, dict[str, float]]]:
    """Quarter-hours whose imports and exports are known now, or will never be."""
    desk = plant.quotas
    while desk.unmetered_from in desk.metered:
        desk.metered.remove(desk.unmetered_from)
        desk.unmetered_from += QUARTER
    if desk.unmetered_from >= newest:
        return
    for quarter in Interval(desk.unmetered_from, newest).split(QUARTER):
        if quarter.start in desk.metered:
            continue
        amounts = _energies(plant, quarter)
        if amounts is not None:
            yield quarter.start, amounts
        elif newest - quarter.end >= GIVE_UP:
            yield quarter.start, {UNMETERED_H: quarter.hours}


def _energies(plant: Plant, quarter: Interval) -> dict[str, float] | None:
    points = plant.file.park.connection_points
    energies = [plant.meters.energy_wh(point.meter_id, quarter) for point in points]
    known = [energy for energy in energies if energy is not None]
    if len(known) < len(energies):
        return None
    return {
        IMPORT: sum(energy.import_wh for energy in known) / 1000,
        EXPORT: sum(energy.export_wh for energy in known) / 1000,
    }


def _done(plant: Plant, newest: datetime) -> Iterator[tuple[datetime, dict[str, float]]]:
    """What resources did in the quarter-hours that are finished since the last time."""
    desk, zone = plant.quotas, plant.file.park.timezone
    if desk.done_until >= newest:
        return
    for quarter in Interval(desk.done_until, newest).split(QUARTER):
        day, following = (local_date(at, zone) for at in (quarter.start, quarter.end))
        amounts = _means(plant, quarter, newest)
        if quarter.end == newest or day != following:
            amounts |= desk.tally.rises(day)
        if amounts:
            yield quarter.start, amounts


def _means(plant: Plant, quarter: Interval, newest: datetime) -> dict[str, float]:
    """Energies of what is measured; an hour in which somebody is not heard is not counted."""
    names, park = plant.quotas.measured, plant.file.park
    if not names:
        return {}
    means = plant.means.close(quarter) if newest - quarter.start <= MEANS_KEPT else {}
    amounts: dict[str, float] = {}
    for name in sorted(names):
        if name not in means:
            amounts[UNMEASURED_H] = quarter.hours
            continue
        kwh = means[name].power_kw * quarter.hours
        if isinstance(park.resource_by_id[name], Storage):
            amounts[counter("kept", name)] = -kwh
            continue
        amounts[counter("fed", name)] = max(kwh, 0.0)
        available_kw = means[name].available_kw
        if available_kw is not None:
            amounts[counter("unfed", name)] = max(available_kw * quarter.hours - kwh, 0.0)
    return amounts


def recover(plant: Plant) -> None:
    """Count again what is on record."""
    if plant.file.quotas:
        for entry in plant.journal.entries(METERED, DONE):
            start = parse_utc(entry.key, where="journal")
            _take(plant, entry.kind, start, _decode(entry.body))


# ---------------------------------------------------------------- prices


def terms(plant: Plant, view: PlanningView) -> tuple[Term, ...]:
    """The prices of all budgets, as they hold at the view's `now`; renewed where they are due.

    Raises:
        PlanError: A coarse model has no solution, which is a fault of the solver.
    """
    if not plant.file.quotas:
        return ()
    note_readings(plant)
    renew(plant, view.now, view.horizon.span.end)
    return terms_of([s for states in plant.quotas.states.values() for s in states], view)


def plant_states(plant: Plant) -> tuple[QuotaState, ...]:
    """How each budget stood when it was last priced, in the order of the park file."""
    today, found = plant.quotas.priced_on, plant.quotas.states
    return tuple(
        state
        for quota in plant.file.quotas
        for state in found.get(quota.id, ())
        if today is not None and today in state.days
    )


def renew(plant: Plant, now: datetime, until: datetime) -> None:
    """Price what is due, of the periods that run before `until`; tell what cannot be kept any more.

    Raises:
        PlanError: As `terms`.
    """
    desk, park = plant.quotas, plant.file.park
    today, began_on = (local_date(at, park.timezone) for at in (now, desk.began_at))
    last, first = local_date(until - QUARTER, park.timezone), desk.priced_on != today
    for quota in plant.file.quotas:
        if isinstance(quota, schema.PeakQuota):
            continue  # counts nothing up: see `peaks.py`
        reaches = any(last in state.days for state in desk.states.get(quota.id, ()))
        if not first and reaches and quota.period is not schema.Period.DAY:
            continue
        begins = began_on in days_of(quota.period, today)
        states = states_until(quota, park, desk.tally, now, until, from_start=begins)
        desk.states[quota.id] = states
        _tell(plant, [state for state in states if today in state.days], now, today)
    if first:
        _tell_silent(plant, now)
        for key in [key for key in desk.tally.seen if key[0] < today - timedelta(days=1)]:
            del desk.tally.seen[key]
    desk.priced_on = today


def _tell(plant: Plant, states: Iterable[QuotaState], now: datetime, today: date) -> None:
    """Announce what cannot be kept any more, once a day."""
    for state in states:
        key = state.quota_id, state.counts
        if state.unreachable_by is None or plant.quotas.told.get(key) == today:
            continue
        plant.quotas.told[key] = today
        side = "above its most" if isfinite(state.most) else "below its least"
        plant.events.emit(
            "quota_unreachable",
            f"quota {state.quota_id} ({state.counts}) cannot be kept: by {state.days.end} it will be"
            f" {state.unreachable_by:g} {side}",
            at=now,
            severity=Severity.ALARM,
            quota=state.quota_id,
            by=state.unreachable_by,
        )


def _tell_silent(plant: Plant, now: datetime) -> None:
    """Name resources that speak, and do not say what a quota counts."""
    for what, name in dict.fromkeys(_own_counts(plant)):
        reading = plant.intake.newest.get(name)
        if reading is not None and _said(reading, what) is None:
            plant.events.emit(
                "quota_uncounted",
                f"{name} does not say its {what} of the day: its quota is not counted",
                at=now,
                severity=Severity.WARNING,
                resource_id=name,
            )


_decode = msgspec.json.Decoder(dict[str, float]).decode
