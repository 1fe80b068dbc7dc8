"""What the owner of an interrupted load is paid: 100 kW, calls of an hour, of two at the longest."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.resource import InterruptibleLoad
from vpp.service.accounting import call_of

NOON = datetime(2025, 12, 2, 12, tzinfo=UTC)
SAW = InterruptibleLoad(
    resource_id=ResourceId("saw"),
    enterprise_id=EnterpriseId("mill"),
    connection_point_id=ConnectionPointId("cp"),
    rated_draw_kw=100,
    operating_from=time(6),
    operating_to=time(22),
    call_length=timedelta(hours=1),
    longest_call=timedelta(hours=2),
    callable_hours=(13,),
    call_cost_per_kwh=0.1,
)


@pytest.mark.parametrize(
    ("seen_after_s", "paid_kwh"),
    [
        pytest.param(0, 100, id="its shortest length from the beginning"),
        pytest.param(3600, 100, id="an hour"),
        pytest.param(5390, 150, id="ten seconds before it ended"),
        pytest.param(5402, 150, id="a moment after it was to end"),
        pytest.param(9000, 200, id="never more than its longest"),
    ],
)
def test_a_call_is_paid_for_as_long_as_it_lasts(seen_after_s: int, paid_kwh: float) -> None:
    call = call_of(SAW, NOON, NOON + timedelta(seconds=seen_after_s))

    assert float(call.energy_kwh) == paid_kwh
