"""Positions: trades made outside, and what is owed, planned and metered by interval."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, StringConstraints

from vpp.errors import DataError
from vpp.model.ids import UnitId
from vpp.model.outside import OutsideTrade
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import Answer, AnyRoute, Call, Nothing, reading, writing
from vpp.service.csvtext import csv_of
from vpp.service.plant import Plant
from vpp.service.trading import outside, positions
from vpp.service.trading.positions import plain_mw
from vpp.service.trading.retrade import retrade
from vpp.trade.delta import DeltaLine
from vpp.trade.netposition import NetLine
from vpp.wire import Id, Moment, WireModel
from vpp.wirecontrol import WithdrawQuery
from vpp.wireposition import (
    ContractView,
    DeltaCurveView,
    DeltaLineView,
    NetLineView,
    NetPositionView,
    OutsideTradeRequest,
    OutsideTradesView,
    OutsideTradeView,
)

MOST_LINES = 3000
"""A month of quarter-hours."""


class SpanQuery(WireModel):
    from_: Annotated[Moment | None, Field(alias="from")] = None
    """A day ago, where left out."""
    to: Moment | None = None
    """Three days after `from`, where left out; at most 3000 quarter-hours after it."""
    unit: Id | None = None
    """Of one bidding unit; left out: of the park."""
    format: Literal["json", "csv"] = "json"


class DeltaQuery(SpanQuery):
    since: Annotated[str, StringConstraints(pattern=r"^plan-[0-9]{1,12}$")] | None = None
    """The older plan; left out: the one before the newest."""


async def show_delta_curve(plant: Plant, call: Call[DeltaQuery, Nothing]) -> Answer:
    query = call.query
    asked = None if query.from_ is None and query.to is None else span_of(query, call.now)
    try:
        found = retrade(plant, asked, query.since, call.now)
    except DataError as error:
        raise HttpRefusal(
            error.what, code="invalid_query", where=error.where, fix=error.fix
        ) from error
    if found is None:
        raise HttpRefusal(
            "there is no plan yet", code="no_plan", where="delta curve", fix="Ask again later"
        )
    lines = [
        _delta(line, until) for line, until in zip(found.lines, found.tradable_until, strict=True)
    ]
    if query.format == "csv":
        name = f"delta-{found.since or 'none'}-to-{found.plan_id}"
        return csv_response(name, csv_of(DeltaLineView, lines))
    return DeltaCurveView(
        from_plan=found.since,
        to_plan=found.plan_id,
        issued_at=found.issued_at,
        dead_band_mw=found.dead_band_mw,
        currency=plant.file.park.currency,
        lines=lines,
    )


def _delta(line: DeltaLine, until: datetime | None) -> DeltaLineView:
    point, moved = line.point, line.moved_mw
    return DeltaLineView(
        start=point.interval.start,
        end=point.interval.end,
        before_mw=None if point.before_mw is None else plain_mw(point.before_mw),
        planned_mw=plain_mw(point.planned_mw),
        moved_mw=None if moved is None else plain_mw(moved),
        owed_mw=plain_mw(point.owed_mw),
        delta_mw=plain_mw(line.delta_mw),
        side=None if line.side is None else line.side.value,
        price_per_mwh=line.price_per_mwh,
        tradable_until=until,
    )


async def take_outside_trade(
    plant: Plant, call: Call[Nothing, OutsideTradeRequest]
) -> OutsideTradeView:
    trade = await outside.take(plant, call.body, now=call.now)
    return _view(plant, trade)


async def list_outside_trades(plant: Plant, call: Call[Nothing, Nothing]) -> OutsideTradesView:
    return OutsideTradesView(
        trades=[_view(plant, one) for one in plant.book.outside.standing()],
        contracts=[_contract(plant, one.id) for one in plant.file.contracts],
    )


async def withdraw_outside_trade(
    plant: Plant, call: Call[WithdrawQuery, Nothing]
) -> OutsideTradeView:
    name, query = call.path["trade_id"], call.query
    gone = await outside.withdraw(plant, name, reason=query.reason, by=query.by, now=call.now)
    if gone is None:
        raise HttpRefusal(
            "there is no such trade",
            code="unknown_trade",
            where=f"outside trade {name[:80]}",
            fix="Look at GET /v1/positions/trades; a contract of the park file ends by its series",
        )
    return _view(plant, gone)


async def show_position(plant: Plant, call: Call[SpanQuery, Nothing]) -> Answer:
    span = span_of(call.query, call.now)
    unit_id = None if call.query.unit is None else UnitId(call.query.unit)
    lines = [_line(one) for one in positions.net_lines(plant, span, unit_id)]
    if call.query.format == "csv":
        return csv_response("positions", csv_of(NetLineView, lines))
    return NetPositionView(
        unit=call.query.unit,
        plan_id=None if plant.schedule is None else plant.schedule.plan_id,
        lines=lines,
    )


def span_of(query: SpanQuery, now: datetime) -> Interval:
    """The whole quarter-hours that a query asks for."""
    start = latest_boundary(query.from_ or now - timedelta(days=1), QUARTER)
    end = query.to or start + timedelta(days=3)
    if not start < end <= start + MOST_LINES * QUARTER or latest_boundary(end, QUARTER) != end:
        raise HttpRefusal(
            f"from {start} to {end}",
            code="invalid_query",
            where="query.to",
            fix=f"Let it lie after `from`, by at most {MOST_LINES} whole quarter-hours",
        )
    return Interval(start, end)


def csv_response(name: str, text: str) -> web.Response:
    """A table to be saved under a name."""
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, content_type="text/csv", headers=headers)


def _line(line: NetLine) -> NetLineView:
    return NetLineView(
        start=line.interval.start,
        end=line.interval.end,
        contracts_mw=plain_mw(line.contracts_mw),
        financial_mw=plain_mw(line.financial_mw),
        day_ahead_mw=plain_mw(line.day_ahead_mw),
        intraday_mw=plain_mw(line.intraday_mw),
        reserve_up_mw=plain_mw(line.reserve_up_mw),
        reserve_down_mw=plain_mw(line.reserve_down_mw),
        activated_mw=plain_mw(line.activated_mw),
        unlisted_mw=plain_mw(line.unlisted_mw),
        owed_mw=plain_mw(line.owed_mw),
        planned_mw=None if line.planned_mw is None else plain_mw(line.planned_mw),
        metered_mw=None if line.metered_mw is None else plain_mw(line.metered_mw),
        open_mw=None if line.open_mw is None else plain_mw(line.open_mw),
    )


def _view(plant: Plant, one: OutsideTrade) -> OutsideTradeView:
    standing = plant.book.outside.newest(one.trade_id)
    status = "booked" if one.quantity_mw else "withdrawn"
    return OutsideTradeView.model_validate(
        {
            "trade_id": one.trade_id,
            "revision": one.revision,
            "status": status
            if standing is not None and standing.revision == one.revision
            else "superseded",
            "product": one.name,
            "counts_as": one.product_id,
            "unit": one.unit_id,
            "start": one.interval.start,
            "end": one.interval.end,
            "side": one.side.value,
            "quantity_mw": one.quantity_mw,
            "price_per_mwh": one.price_per_mwh,
            "obligation": one.obligation.value,
            "reference_series": one.reference_series_id,
            "counterparty": one.counterparty,
            "reason": one.reason,
            "by": one.by,
            "received_at": one.received_at,
        }
    )


def _contract(plant: Plant, contract_id: str) -> ContractView:
    section = next(one for one in plant.file.contracts if one.id == contract_id)
    curve = plant.book.outside.curve(contract_id)
    return ContractView(
        contract=section.id,
        obligation=section.obligation,
        unit=section.unit or plant.file.park.bidding_units[0].unit_id,
        side=section.side,
        quantity_series=section.quantity_series,
        counterparty=section.counterparty,
        first=curve[0].interval.start if curve else None,
        until=curve[-1].interval.end if curve else None,
    )


_TRADES = "/v1/positions/trades"

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/positions",
        "The net position by quarter-hour: contracts, markets, reserve, calls, plan, meters, what is open",
        show_position,
        gives=NetPositionView,
        media="text/csv",
        query=SpanQuery,
    ),
    reading(
        "/v1/positions/delta",
        "What is to be traded again since an older plan, at which price, until when",
        show_delta_curve,
        gives=DeltaCurveView,
        media="text/csv",
        query=DeltaQuery,
        codes=("no_plan",),
    ),
    reading(
        _TRADES,
        "Trades made outside, those taken back too, and the contracts of the park file",
        list_outside_trades,
        gives=OutsideTradesView,
    ),
    writing(
        "POST",
        _TRADES,
        "Enter a trade that no bid of ours led to; acknowledged when it is on disk",
        take_outside_trade,
        takes=OutsideTradeRequest,
        gives=OutsideTradeView,
        codes=("unknown_unit", "off_grid", "conflict", "invalid_data", "unavailable"),
    ),
    reading(
        f"{_TRADES}/{{trade_id}}",
        "Take a trade made outside back: a revision of 0 MW",
        withdraw_outside_trade,
        method="DELETE",
        gives=OutsideTradeView,
        query=WithdrawQuery,
        codes=("unknown_trade", "unavailable"),
    ),
)
