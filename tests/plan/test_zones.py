"""Zones by hand: first with a COP that follows the temperature outdoors, then with a constant one.

10 kWh/°C behind 1 °C/kW: half of a difference is left after 6.93 hours. Holding 20 °C at 0 °C outdoors
loses 20 kW, at 10 °C 10 kW.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any

import pytest

SLOPE = {"cop": 2.0, "cop_outdoor_degc": 5.0, "cop_per_degc": 0.1}


@pytest.mark.parametrize(
    ("said", "outdoor_degc", "draw_kw"),
    [
        pytest.param({}, 0.0, 10, id="20 kW at a COP of 2"),
        pytest.param(SLOPE, 5.0, 7.5, id="15 kW, 2.0 at 5 °C"),
        pytest.param(SLOPE, 0.0, 20 / 1.5, id="20 kW, 1.5 at 0 °C"),
        pytest.param(SLOPE, 10.0, 4, id="10 kW, 2.5 at 10 °C"),
        pytest.param(
            {"heating": False, "target_degc": 20.0, "cop": 3.0, "cop_outdoor_degc": 25.0}
            | {"cop_per_degc": -0.1},
            30.0,
            4,
            id="cooling: 10 kW, 2.5 at 30 °C",
        ),
    ],
)
def test_holding_a_temperature_takes_what_is_lost_by_the_cop_of_the_hour(
    lab: Any, said: dict[str, Any], outdoor_degc: float, draw_kw: float
) -> None:
    """Held within no band at all, by the plan and by the thermostat of a zone that is not heard."""
    hall = lab.zone(**(said | {"min_degc": 20.0, "max_degc": 20.0}))
    heard = lab.view(
        hall,
        price=[0.1, 0.1],
        readings=[lab.reading("hall", temperature_degc=20.0)],
        outdoor_degc=outdoor_degc,
    )
    unknown = lab.view(hall, price=[0.1, 0.1], outdoor_degc=outdoor_degc)

    for view in (heard, unknown):
        power = lab.power(lab.plan(view), "hall")
        assert power.tolist() == pytest.approx([-draw_kw, -draw_kw], abs=1e-4)


@pytest.mark.parametrize(
    ("price", "ahead"),
    [
        pytest.param(
            [0.10, 0.12], False, id="0.10 / 1.0 is dearer than 0.12 / 2.0: when it is lost"
        ),
        pytest.param([0.10, 0.30], True, id="0.10 / 1.0 is cheaper than 0.30 / 2.0: an hour ahead"),
    ],
)
def test_heat_is_made_when_it_is_cheap_by_price_and_cop(
    lab: Any, price: Sequence[float], ahead: bool
) -> None:
    """Freezing now and mild later: a COP of 1 and then of 2; the hall is found at its least."""
    zone = lab.zone(
        cop=1.0,
        cop_outdoor_degc=0.0,
        cop_per_degc=0.1,
        resistance_degc_per_kw=1000.0,  # warmth made an hour ahead is nearly all there
    )
    view = lab.view(
        zone,
        price=price,
        readings=[lab.reading("hall", temperature_degc=19.0)],
        outdoor_degc=[0.0, 10.0],
    )
    decay = exp(-1 / 10_000)
    lost_degc = 19 - 10 - decay * (19 - 10)  # in the second hour, towards 10 °C

    schedule = lab.plan(view)

    first, second = (-lab.power(schedule, "hall")).tolist()
    held_first = (
        (1 - decay) * 19 / ((1 - decay) * 1000)
    )  # what the first hour takes to stay at 19 °C
    if ahead:
        # The second hour's loss is made up for in the first one, at a COP of 1.
        assert second == pytest.approx(0, abs=1e-6)
        assert first == pytest.approx(
            held_first + lost_degc / decay / ((1 - decay) * 1000), rel=1e-3
        )
    else:
        assert first == pytest.approx(held_first, rel=1e-3)
        assert second == pytest.approx(lost_degc / ((1 - decay) * 2000), rel=1e-3)
    assert schedule.temperature_degc["hall"][-1] == pytest.approx(19, abs=1e-6)


def test_a_machine_moves_a_little_heat_however_cold_it_is(lab: Any) -> None:
    """Its line would cross 0 at -15 °C: it stays a machine, with a COP of 0.001."""
    view = lab.view(
        lab.zone(**SLOPE, max_draw_kw=10.0, discomfort_cost_per_degc_h=1.0),
        price=[0.1],
        readings=[lab.reading("hall", temperature_degc=19.0)],
        outdoor_degc=-40.0,
    )
    decay = exp(-0.1)

    schedule = lab.plan(view)

    # Its 10 kW would bring 0.001 °C, for less discomfort than they cost.
    assert lab.power(schedule, "hall").tolist() == [0]
    assert schedule.temperature_degc["hall"][0] == pytest.approx(-40 + decay * 59)


def test_limits_of_a_zone_are_told_by_their_names(lab: Any) -> None:
    """A hall that must be held at 20 °C with 12 of 10 kW."""
    view = lab.view(
        lab.zone(min_degc=20.0, max_draw_kw=10.0, cop=1.0),
        price=[0.1],
        readings=[lab.reading("hall", temperature_degc=20.0)],
    )

    prices = {p.limit: p.per_unit.tolist() for p in lab.plan(view).limit_prices}

    # A kilowatt more warms the hall by 0.095 °C, each worth 100 an hour, and costs 0.10.
    assert prices["hall: max_draw_kw"] == pytest.approx([-(1 - exp(-0.1)) * 100 + 0.1])


# ---------------------------------------------------------------- a constant COP


def test_a_zone_warms_up_before_a_dear_hour_and_stays_in_its_band(lab: Any) -> None:
    zone = lab.zone()
    view = lab.view(
        zone,
        price=[0.1, 0.1, 0.5, 0.5, 0.1, 0.1],
        outdoor_degc=10.0,
        readings=[lab.reading("hall", temperature_degc=20.0)],
    )

    schedule = lab.plan(view)

    power, degc = lab.power(schedule, "hall"), schedule.temperature_degc["hall"]
    thermostat_kw = (20 - 10) / 2
    assert degc[1] > 20.5  # warmed up beforehand
    assert power[2:4].sum() > -2 * thermostat_kw  # so that it draws less when it is dear
    assert (degc >= 19 - 1e-6).all()
    assert (degc <= 23 + 1e-6).all()
    expected = 20.0
    for step, kw in enumerate(schedule.power_kw[0]):
        expected = zone.temperature_after(expected, float(kw), 10.0, 1.0)
        assert degc[step] == pytest.approx(expected, abs=1e-6)


def test_a_cold_store_cools_down_before_a_dear_hour(lab: Any) -> None:
    zone = lab.zone(heating=False, min_degc=-24.0, max_degc=-20.0, target_degc=-22.0)
    view = lab.view(
        zone,
        price=[0.1, 0.9],
        outdoor_degc=10.0,
        readings=[lab.reading("hall", temperature_degc=-21.0)],
    )

    schedule = lab.plan(view)

    degc = schedule.temperature_degc["hall"]
    assert degc[0] < -21.5
    assert degc[1] == pytest.approx(-20.0)
    assert (lab.power(schedule, "hall") <= 0).all()


def test_a_zone_is_heated_no_more_than_its_band_asks(lab: Any) -> None:
    """In the steady state 19 °C against 9 °C outside takes 10 kW of heat: 5 kW at a COP of 2."""
    view = lab.view(
        lab.zone(),
        price=[0.1, 0.1, 0.1],
        outdoor_degc=9.0,
        readings=[lab.reading("hall", temperature_degc=19.0)],
    )

    assert lab.power(lab.plan(view), "hall").tolist() == pytest.approx([-5, -5, -5])


def test_discomfort_is_priced_where_it_cannot_be_avoided(lab: Any) -> None:
    """A weak machine in deep frost: 1 °C for an hour costs what the zone says."""
    zone = lab.zone(max_draw_kw=0.0)
    view = lab.view(
        zone,
        price=[0.1],
        outdoor_degc=0.0,
        readings=[lab.reading("hall", temperature_degc=19.0)],
    )

    schedule = lab.plan(view)

    degc = zone.temperature_after(19.0, 0.0, 0.0, 1.0)
    assert schedule.cost_by_cause["discomfort"] == pytest.approx((19 - degc) * 100)


def test_cheap_discomfort_is_accepted_where_heating_is_dearer(lab: Any) -> None:
    view = lab.view(
        lab.zone(discomfort_cost_per_degc_h=0.01),
        price=[5.0],
        outdoor_degc=0.0,
        readings=[lab.reading("hall", temperature_degc=19.0)],
    )

    assert lab.power(lab.plan(view), "hall").tolist() == [0]


def test_warmth_that_is_left_has_its_value(lab: Any) -> None:
    """10 kWh/°C at a COP of 2: one degree more is 5 kWh of electricity, here 1.00."""
    view = lab.view(
        lab.zone(max_draw_kw=0.0),
        price=[0.1],
        outdoor_degc=20.0,
        readings=[lab.reading("hall", temperature_degc=20.0)],
    )

    schedule = lab.plan(view, lab.terms(view, stored_value_per_kwh=0.2))

    assert schedule.cost_by_cause["stored energy"] == pytest.approx(-20 * 1.0)


@pytest.mark.parametrize(
    ("heating", "outdoor_degc", "draw_kw"),
    [
        pytest.param(True, 10.0, 5.0, id="heating holds 20 °C against 10 °C"),
        pytest.param(True, 25.0, 0.0, id="nothing to heat"),
        pytest.param(False, 30.0, 5.0, id="cooling holds 20 °C against 30 °C"),
    ],
)
def test_an_unknown_zone_is_left_to_its_thermostat(
    lab: Any, heating: bool, outdoor_degc: float, draw_kw: float
) -> None:
    view = lab.view(lab.zone(heating=heating), price=[0.1, 0.9], outdoor_degc=outdoor_degc)

    schedule = lab.plan(view)

    assert lab.power(schedule, "hall").tolist() == [-draw_kw, -draw_kw]
    assert schedule.temperature_degc == {}
