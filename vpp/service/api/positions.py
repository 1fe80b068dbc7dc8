"""Positions: trades made outside, and what is owed, planned and metered by interval."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from vpp.model.ids import UnitId
from vpp.model.outside import OutsideTrade
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service import outside, positions
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import Answer, AnyRoute, Call, Nothing, reading, writing
from vpp.service.csvtext import csv_of
from vpp.service.plant import Plant
from vpp.trade.netposition import NetLine
from vpp.wire import Id, Moment, WireModel
from vpp.wireposition import (
    ContractView,
    NetLineView,
    NetPositionView,
    OutsideTradeRequest,
    OutsideTradesView,
    OutsideTradeView,
    Person,
    Why,
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


class WithdrawQuery(WireModel):
    """Who takes a trade back, and why."""

    by: Person
    reason: Why


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
    span = span_of(call)
    unit_id = None if call.query.unit is None else UnitId(call.query.unit)
    lines = [_line(one) for one in positions.net_lines(plant, span, unit_id)]
    if call.query.format == "csv":
        return csv_response("positions", csv_of(NetLineView, lines))
    return NetPositionView(
        unit=call.query.unit,
        plan_id=None if plant.schedule is None else plant.schedule.plan_id,
        lines=lines,
    )


def span_of(call: Call[SpanQuery, Nothing]) -> Interval:
    """The whole quarter-hours that a query asks for."""
    query = call.query
    start = latest_boundary(query.from_ or call.now - timedelta(days=1), QUARTER)
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
        contracts_mw=_plain(line.contracts_mw),
        financial_mw=_plain(line.financial_mw),
        day_ahead_mw=_plain(line.day_ahead_mw),
        intraday_mw=_plain(line.intraday_mw),
        reserve_up_mw=_plain(line.reserve_up_mw),
        reserve_down_mw=_plain(line.reserve_down_mw),
        activated_mw=_plain(line.activated_mw),
        unlisted_mw=_plain(line.unlisted_mw),
        owed_mw=_plain(line.owed_mw),
        planned_mw=None if line.planned_mw is None else _plain(line.planned_mw),
        metered_mw=None if line.metered_mw is None else _plain(line.metered_mw),
        open_mw=None if line.open_mw is None else _plain(line.open_mw),
    )


def _plain(number: Decimal) -> Decimal:
    """To the watt, without trailing zeros."""
    shown = round(number, positions.WATT).normalize()
    return Decimal(format(shown, "f")) if shown else Decimal(0)


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
