"""Two main meters, a mill's and a dairy's, that are not read at the same moment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tests.service.drpark import NOW, a_plant, read, write_park
from vpp.act.correct import Metered, Shown
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service.plant import Plant
from vpp.service.steering import mainmeters
from vpp.wire import TelemetryMessage, topic

MINUTE = timedelta(minutes=1)
NEXT = Interval(NOW, NOW + QUARTER)
MILL, DAIRY = (ResourceId("mill-meter"), "mill"), (ResourceId("dairy-meter"), "dairy")


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return a_plant(write_park(tmp_path), tmp_path)


def reads(
    plant: Plant, meter: tuple[ResourceId, str], minute: float, draw_kw: float, register_wh: int
) -> None:
    """A register as it stands so many minutes after the beginning."""
    read(plant, meter[0], EnterpriseId(meter[1]), NOW + minute * MINUTE, register_wh)
    owner, site = plant.file.park.device_owner[meter[0]]
    message = TelemetryMessage(
        ts=isoformat(NOW + minute * MINUTE),
        seq=int(minute * 60) + 5,
        power_kw=-draw_kw,
        import_wh=register_wh,
        export_wh=0,
    )
    at = NOW + minute * MINUTE
    plant.intake.accept(topic(owner, site, meter[0], "telemetry"), msgspec.json.encode(message), at)


def begun(plant: Plant, meter: tuple[ResourceId, str]) -> int:
    """The register at the beginning of the quarter-hour."""
    first = plant.meters.first_read_at(meter[0])
    assert first is not None
    energy = plant.meters.energy_wh(meter[0], Interval(first, NOW))
    assert energy is not None
    return energy.import_wh


def test_energy_is_told_as_far_as_every_meter_was_read(plant: Plant) -> None:
    """The mill draws 3 MW and was read at 5 minutes, the dairy 600 kW and at 4: 200 and 40 kWh until then."""
    reads(plant, MILL, 5, 3000, begun(plant, MILL) + 250_000)
    reads(plant, DAIRY, 4, 600, begun(plant, DAIRY) + 40_000)

    at = NOW + 5.5 * MINUTE
    assert mainmeters.metered_so_far(plant, NEXT, at) == Metered(-240.0, NOW + 4 * MINUTE)
    assert mainmeters.shown(plant, at) == Shown(-3600.0, NOW + 4 * MINUTE)


def test_before_the_first_reading_of_the_interval_nothing_is_metered(plant: Plant) -> None:
    assert mainmeters.metered_so_far(plant, NEXT, NOW + MINUTE) == Metered(0.0, NOW)


def test_a_meter_that_falls_silent_shows_nothing_and_holds_what_is_known_where_it_was(
    plant: Plant,
) -> None:
    reads(plant, MILL, 1, 3000, begun(plant, MILL) + 50_000)
    reads(plant, DAIRY, 1, 600, begun(plant, DAIRY) + 10_000)
    reads(plant, MILL, 8, 3000, begun(plant, MILL) + 400_000)

    at = NOW + 8 * MINUTE
    assert mainmeters.shown(plant, at) is None
    assert mainmeters.metered_so_far(plant, NEXT, at) == Metered(-60.0, NOW + MINUTE)


def test_a_register_that_began_anew_in_a_long_step_tells_nothing(plant: Plant) -> None:
    reads(plant, MILL, 8, 3000, 5)
    reads(plant, DAIRY, 8, 600, begun(plant, DAIRY) + 80_000)

    assert mainmeters.metered_so_far(plant, NEXT, NOW + 8 * MINUTE) is None
