"""What a connection point may draw so that no new peak is paid: the mean of a measuring interval counts."""

from __future__ import annotations

from datetime import timedelta
from math import inf

import pytest

from vpp.model.ids import ConnectionPointId
from vpp.model.measurement import MeterReading
from vpp.service.plant import Plant
from vpp.service.steering.ceilings import ceilings_kw

MINUTE = timedelta(minutes=1)
MELT = ConnectionPointId("steel-melt")
"""Its paid peak is 3050 kW; the plan of the fixture draws less."""


def read(plant: Plant, minutes: int, import_kwh: float) -> None:
    """The main meter of the melt shop, `minutes` after the present."""
    at = plant.clock.now() + timedelta(minutes=minutes)
    point = plant.file.park.point_by_id[MELT]
    plant.meters.add(
        MeterReading(
            meter_id=point.meter_id,
            measured_at=at,
            received_at=at,
            seq=100 + minutes,
            enterprise_id=point.enterprise_id,
            power_kw=0.0,
            import_wh=int(import_kwh * 1000),
            export_wh=0,
        )
    )


@pytest.mark.parametrize(
    ("minutes", "drawn_kwh", "may_draw_kw"),
    [
        pytest.param(0, 0, 3050, id="at its beginning: the peak that is paid"),
        pytest.param(5, 3050 / 12, 3050, id="five minutes at the peak: the same again"),
        pytest.param(5, 3650 / 12, 2750, id="600 kW too much for 5 minutes: 300 less for 10"),
        pytest.param(5, 2450 / 12, 3350, id="600 kW too little: 300 more"),
        pytest.param(14, 3050 / 4, 0, id="all is drawn a minute too early: nothing more"),
    ],
)
def test_what_the_beginning_of_a_quarter_hour_drew_too_much_its_rest_draws_less(
    plant: Plant, minutes: int, drawn_kwh: float, may_draw_kw: float
) -> None:
    read(plant, 0, 0)
    read(plant, minutes, drawn_kwh)

    ceilings = ceilings_kw(plant, plant.clock.now() + timedelta(minutes=minutes), MINUTE)

    assert ceilings[MELT] == pytest.approx(may_draw_kw, abs=0.1)


def test_a_meter_that_lags_is_gone_by_as_far_as_it_was_read(plant: Plant) -> None:
    """600 kW too much for 5 minutes, and 10 seconds that were not read yet: 300 less for the other 10 minutes."""
    read(plant, 0, 0)
    read(plant, 5, 3650 / 12)

    ceilings = ceilings_kw(plant, plant.clock.now() + timedelta(minutes=5, seconds=10), MINUTE)

    assert ceilings[MELT] == pytest.approx(2750, abs=0.1)


def test_a_meter_that_is_not_read_leaves_the_peak_as_it_is(plant: Plant) -> None:
    ceilings = ceilings_kw(plant, plant.clock.now() + timedelta(minutes=5), MINUTE)

    assert ceilings[MELT] == 3050
    assert inf not in ceilings.values()
