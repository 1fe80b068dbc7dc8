"""Cars: each within its stay, its charger and what it lends; all of them within their car park."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.measurement import EvSession
from vpp.model.resource import EvFleet
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, equal, near, slack


def cars_faults(case: Case, fleet: EvFleet) -> Iterator[str]:
    """What no car could take or give, and what the car park could not pass on."""
    name, reading = fleet.resource_id, case.reading(fleet.resource_id)
    sessions = (reading.sessions or ()) if reading is not None else ()
    arriving = case.view.arriving_kw[name].values
    cars = np.array([case.schedule.cars_kw[f"{name}/{s.session_id}"] for s in sessions])
    cars = cars.reshape(len(sessions), case.steps)
    draw, feed = np.maximum(-cars, 0.0).sum(axis=0), np.maximum(cars, 0.0).sum(axis=0)
    yield from equal(
        f"{name}: its cars and those to come",
        case.power(name),
        arriving + feed - draw,
        arriving,
        draw,
        feed,
    )
    room = np.maximum(fleet.max_draw_kw + arriving, 0.0)
    yield from between(f"{name}: max_draw_kw", draw - feed, -np.inf, room, draw, feed)
    yield from between(f"{name}: max_draw_kw", feed, 0.0, fleet.max_draw_kw)
    for session, power in zip(sessions, cars, strict=True):
        yield from _car(case, fleet, session, power)


def _car(case: Case, fleet: EvFleet, session: EvSession, power: Floats) -> Iterator[str]:
    name = f"{fleet.resource_id}/{session.session_id}"
    share = _shares(case, session)
    yield from between(
        f"{name}: charger_kw, max_car_feed_kw",
        power,
        -fleet.charger_kw * share,
        fleet.max_car_feed_kw * share,
    )
    gained = case.hours * fleet.charge_efficiency * np.maximum(-power, 0.0)
    lost = case.hours / fleet.discharge_efficiency * np.maximum(power, 0.0)
    level, moved = np.cumsum(gained - lost), np.cumsum(gained + lost)
    wanted, unserved = session.wanted_kwh, case.schedule.unserved_kwh[name]
    yield from between(f"{name}: level", level, -session.lends_kwh, wanted, moved, unit="kWh")
    if not unserved >= -slack(wanted):
        yield f"{name}: leaves with {unserved:.6f} kWh missing"
    if not near(float(level[-1]) + unserved, wanted, float(moved[-1]), unserved):
        yield (
            f"{name}: is served {level[-1]:.6f} kWh and lacks {unserved:.6f}, it wants {wanted:.6f}"
        )


def _shares(case: Case, session: EvSession) -> Floats:
    """Share of each step that the car is here, shape (T,)."""
    horizon, at = case.view.horizon, np.arange(case.steps)
    comes = 0.0
    if session.arrives_at is not None:
        comes = (session.arrives_at - horizon.start) / horizon.step
    goes = (session.departs_at - horizon.start) / horizon.step
    return np.asarray(np.maximum(np.minimum(goes, at + 1) - np.maximum(comes, at), 0.0))
