"""What a day or a month came to, and why."""

from __future__ import annotations

from vpp.service.api.accounts import Period
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.plant import Plant
from vpp.service.results.report import report_of
from vpp.wire import WireModel
from vpp.wireresult import PeriodResultView


class ResultQuery(WireModel):
    period: Period
    """A local day, `2025-12-03`, or a month, `2025-12`."""


async def show_result(plant: Plant, call: Call[ResultQuery, Nothing]) -> PeriodResultView:
    return await report_of(plant, call.query.period)


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/accounts/result",
        "What a day or month came to: the planned result and five effects that add up to it",
        show_result,
        gives=PeriodResultView,
        query=ResultQuery,
        codes=("invalid_data",),
    ),
)
