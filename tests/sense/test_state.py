from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from vpp.model.demand import ActualDemand
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    NodeId,
    ParkId,
    ResourceId,
)
from vpp.model.measurement import Quality, Reading, Unknown
from vpp.model.network import Carrier, Node
from vpp.model.park import ConnectionPoint, Enterprise, Limits, Park
from vpp.model.resource import (
    Converter,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    Port,
    Rebound,
)
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.sense.decode import plausible_kw
from vpp.sense.state import freeze

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
LOAD, PV = ResourceId("load-1"), ResourceId("pv-1")
STEEL, POINT = EnterpriseId("steel"), ConnectionPointId("cp-1")


def a_park() -> Park:
    day = datetime(2025, 1, 1, tzinfo=UTC).time()
    return Park(
        park_id=ParkId("park"),
        name="park",
        timezone=ZoneInfo("Europe/Stockholm"),
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=Limits(),
        feeders=(),
        enterprises=(Enterprise(enterprise_id=STEEL, name="Steel"),),
        connection_points=(
            ConnectionPoint(
                connection_point_id=POINT,
                enterprise_id=STEEL,
                feeder_id=None,
                limits=Limits(),
                meter_id=ResourceId("meter-1"),
                tariff_id="t",
            ),
        ),
        resources=(
            FixedLoad(
                resource_id=LOAD, enterprise_id=STEEL, connection_point_id=POINT, max_draw_kw=100
            ),
            Generator(
                resource_id=PV,
                enterprise_id=STEEL,
                connection_point_id=POINT,
                max_feed_kw=200,
                max_age_s=60,
            ),
        ),
        bidding_units=(),
        tariffs=(
            TwoPartTariff(
                tariff_id="t",
                bands=(TouBand(name="all", start=day, end=day, price_per_kwh=Decimal("0.1")),),
                demand=ActualDemand(price_per_kw_month=Decimal(4)),
            ),
        ),
        grid_kgco2_per_kwh=0.03,
    )


def a_reading(of: ResourceId, *, age_s: float, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(
        resource_id=of,
        enterprise_id=STEEL,
        measured_at=NOON - timedelta(seconds=age_s),
        received_at=NOON,
        seq=1,
        quality=quality,
        power_kw=-1.0,
    )


@pytest.mark.parametrize(
    ("age_s", "quality", "known"),
    [
        pytest.param(60, Quality.GOOD, True, id="just young enough"),
        pytest.param(61, Quality.GOOD, False, id="too old by its source time"),
        pytest.param(1, Quality.UNCERTAIN, True, id="uncertain is still a value"),
        pytest.param(1, Quality.BAD, False, id="the device itself says no"),
        pytest.param(-5, Quality.GOOD, True, id="a clock a little ahead"),
        pytest.param(-600, Quality.GOOD, False, id="ten minutes from the future"),
    ],
)
def test_only_young_and_good_readings_are_known(
    age_s: float, quality: Quality, known: bool
) -> None:
    state = freeze(a_park(), {PV: a_reading(PV, age_s=age_s, quality=quality)}, NOON)

    assert (state.reading(PV) is not None) is known


def test_the_state_stands_in_park_order_and_one_silent_device_harms_no_other() -> None:
    readings = {PV: a_reading(PV, age_s=1), LOAD: a_reading(LOAD, age_s=900)}

    state = freeze(a_park(), readings, NOON)

    assert [one.resource_id for one in state.resources] == [LOAD, PV]
    silent = state.resources[0]
    assert isinstance(silent, Unknown)
    assert silent.reason == "reading is 900 s old, at most 180 s"
    assert state.reading(PV) == readings[PV]


def test_a_device_never_heard_is_unknown() -> None:
    state = freeze(a_park(), {}, NOON)

    assert state.resources[0] == Unknown(resource_id=LOAD, reason="never heard")


def test_plausible_powers_come_from_the_sizes_in_the_park_file() -> None:
    assert plausible_kw(a_park()) == {
        LOAD: (-125.0, 2.0),
        PV: (-4.0, 250.0),
        ResourceId("meter-1"): (-129.0, 252.0),
    }


def test_a_main_meter_may_read_what_is_made_up_for_after_a_call_and_no_heat() -> None:
    """100 kW, and 100 kWh more within an hour; the exchanger draws 300 kW of heat."""
    park, hall = a_park(), NodeId("hall")
    load, _ = park.resources
    owned: dict[str, Any] = {
        "enterprise_id": load.enterprise_id,
        "connection_point_id": load.connection_point_id,
    }
    saw = InterruptibleLoad(
        **owned,
        resource_id=ResourceId("saw"),
        rated_draw_kw=100,
        operating_from=time(6),
        operating_to=time(22),
        call_length=timedelta(hours=1),
        rebound=Rebound(share=1, delay=timedelta(0), length=timedelta(hours=1)),
        callable_hours=(13,),
        call_cost_per_kwh=0.1,
    )
    exchanger = Converter(
        **owned,
        resource_id=ResourceId("exchanger"),
        ports=(Port(node_id=hall), Port(node_id=hall)),
        points_kw=((-300.0, 270.0),),
    )
    nodes = (Node(node_id=hall, carrier=Carrier.HEAT),)

    limits = plausible_kw(replace(park, resources=(saw, exchanger), nodes=nodes))

    assert limits == {
        saw.resource_id: (-250.0, 4.0),
        exchanger.resource_id: (-375.0, 6.0),
        ResourceId("meter-1"): (-250.0, 4.0),
    }
