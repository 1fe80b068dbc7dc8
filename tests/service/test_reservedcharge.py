"""Energy for reserve that is sold stays in its stores, by hand; while the product is called it may be used."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.service.conftest import NOW
from vpp.model.activation import Activation
from vpp.model.ids import ProductId, ResourceId, UnitId
from vpp.model.market import Side
from vpp.model.resource import Storage
from vpp.model.schedule import Reserve
from vpp.model.time import QUARTER, Interval
from vpp.plan.terms import ReserveHeadroom
from vpp.service import cycle
from vpp.service.calls.reservedcharge import reserved_kwh
from vpp.service.plant import Plant
from vpp.service.steering import overrides
from vpp.wirecontrol import OverrideRequest

FCR = ProductId("fcr")
STORE = ResourceId("steel-battery")


def sold(plant: Plant, *, firm_kw: float = 100.0, kept_kw: float = 100.0, up: bool = True) -> None:
    """The standing plan keeps `kept_kw` in one battery for half an hour's call of `firm_kw`."""
    assert plant.schedule is not None
    steps = np.ones(plant.schedule.horizon.steps)
    term = ReserveHeadroom(
        product_id=FCR, up=up, resource_ids=frozenset([STORE]), firm_kw=firm_kw * steps,
        shortfall_per_kw_h=1.0, open_kw=0 * steps, price_per_kw_h=0 * steps, activation_hours=0.5,
    )  # fmt: skip
    kept = Reserve(
        kept_kw={STORE: kept_kw * steps}, sold_kw=0 * steps, lacking_kw=0 * steps,
        relief_kw={STORE: 20.0 * steps},
    )  # fmt: skip
    plant.schedule = replace(plant.schedule, reserve={term.key: kept})
    view: Any = SimpleNamespace()  # of a plan's making its terms alone are read here
    plant.made_from = (view, (term,))


def expected_kwh(plant: Plant, owed: float) -> float:
    """20 kW by charging no more, the rest by feeding, each for half an hour."""
    store = plant.file.park.resource_by_id[STORE]
    assert isinstance(store, Storage)
    return owed * 0.5 * (store.charge_efficiency * 20 + 80 / store.discharge_efficiency)


@pytest.mark.parametrize(
    ("firm_kw", "owed"),
    [
        pytest.param(100.0, 1.0, id="all of it is sold"),
        pytest.param(25.0, 0.25, id="a quarter is sold: the rest is nobody's yet"),
    ],
)
def test_what_is_sold_stays_in_the_store(plant: Plant, firm_kw: float, owed: float) -> None:
    sold(plant, firm_kw=firm_kw)
    kwh = reserved_kwh(plant, NOW)

    assert kwh is not None
    assert kwh[plant.units.index[STORE]] == pytest.approx(expected_kwh(plant, owed))
    assert np.count_nonzero(kwh) == 1


def test_nothing_is_kept_without_a_plan_or_downwards_or_after_the_horizon(plant: Plant) -> None:
    assert reserved_kwh(plant, NOW) is None
    sold(plant, up=False)
    assert reserved_kwh(plant, NOW) is None
    sold(plant)
    assert reserved_kwh(plant, NOW + timedelta(days=9)) is None


def test_while_it_is_called_it_may_be_used(plant: Plant) -> None:
    sold(plant)
    plant.book.calls.add(
        Activation(
            activation_id="a", revision=1, product_id=FCR, unit_id=UnitId("u"),
            interval=Interval(NOW, NOW + QUARTER), side=Side.SELL, quantity_mw=Decimal("0.1"),
            source="venue", received_at=NOW, baseline_kw=None,
        )
    )  # fmt: skip

    assert reserved_kwh(plant, NOW) is None
    assert reserved_kwh(plant, NOW + QUARTER) is not None


def test_a_call_that_was_taken_back_frees_nothing(plant: Plant) -> None:
    sold(plant)
    plant.book.calls.add(
        Activation(
            activation_id="a", revision=2, product_id=FCR, unit_id=UnitId("u"),
            interval=Interval(NOW, NOW + QUARTER), side=Side.SELL, quantity_mw=Decimal(0),
            source="venue", received_at=NOW, baseline_kw=None,
        )
    )  # fmt: skip

    assert reserved_kwh(plant, NOW) is not None


@pytest.mark.parametrize(
    ("asked", "told_kw"),
    [
        pytest.param({"power_kw": 200.0}, 200.0, id="a power: a person outranks what was sold"),
        pytest.param({"high_kw": 200.0}, 0.0, id="bounds: what was sold holds inside of them"),
    ],
)
def test_a_person_who_names_a_power_outranks_what_was_sold(
    plant: Plant, asked: dict[str, float], told_kw: float
) -> None:
    sold(plant, firm_kw=1e6, kept_kw=1e6)
    assert plant.schedule is not None
    power_kw = plant.schedule.power_kw.copy()
    power_kw[plant.units.index[STORE], :] = 300.0
    plant.schedule = replace(plant.schedule, power_kw=power_kw)
    request = OverrideRequest.model_validate(
        {"for_minutes": 30, "by": "Li", "reason": "a drill", **asked}
    )
    asyncio.run(overrides.take(plant, STORE, request, now=NOW))
    asyncio.run(cycle.act(plant, NOW))

    newest = plant.lives.standing(STORE).setpoint
    assert newest is not None
    assert newest.power_kw == told_kw


@pytest.mark.parametrize(
    ("is_sold", "told_kw"),
    [
        pytest.param(False, 300.0, id="nothing is sold: as planned"),
        pytest.param(True, 0.0, id="all that is in it is sold"),
    ],
)
def test_the_act_cycle_does_not_spend_it(plant: Plant, is_sold: bool, told_kw: float) -> None:
    assert plant.schedule is not None
    power_kw = plant.schedule.power_kw.copy()
    power_kw[plant.units.index[STORE], :] = 300.0
    plant.schedule = replace(plant.schedule, power_kw=power_kw)
    if is_sold:
        sold(plant, firm_kw=1e6, kept_kw=1e6)
    asyncio.run(cycle.act(plant, NOW))

    newest = plant.lives.standing(STORE).setpoint
    assert newest is not None
    assert newest.power_kw == pytest.approx(told_kw)
