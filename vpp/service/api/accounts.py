"""Accounts: which periods there are, statements of one, settlement by interval; each as a table too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from vpp.model.ids import EnterpriseId
from vpp.service.accounts import books, periods
from vpp.service.accounts.views import (
    PeriodStatementsView,
    PeriodsView,
    SettlementRow,
    SettlementView,
    StatementRow,
)
from vpp.service.api.positions import csv_response
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import Answer, AnyRoute, Call, Nothing, reading
from vpp.service.csvtext import csv_of
from vpp.service.plant import Plant
from vpp.wire import Id, WireModel

Period = Annotated[str, StringConstraints(pattern=periods.PERIOD)]


class StatementsQuery(WireModel):
    period: Period
    """A local day, `2025-12-03`, or a month, `2025-12`."""
    enterprise: Id | None = None
    """Of one alone; left out: of all."""
    format: Literal["json", "csv"] = "json"


class SettlementQuery(WireModel):
    period: Period
    format: Literal["json", "csv"] = "json"


async def list_periods(plant: Plant, call: Call[Nothing, Nothing]) -> PeriodsView:
    return periods.periods(plant)


async def show_statements(plant: Plant, call: Call[StatementsQuery, Nothing]) -> Answer:
    query = call.query
    owner = None if query.enterprise is None else enterprise_of(plant, query.enterprise)
    view = books.statements_of(plant, query.period, owner, call.now)
    if query.format == "csv":
        name = "-".join(["statements", query.period, *([owner] if owner else [])])
        return csv_response(name, csv_of(StatementRow, books.statement_rows(view)))
    return view


async def show_settlement(plant: Plant, call: Call[SettlementQuery, Nothing]) -> Answer:
    view = books.settlement_of(plant, call.query.period, call.now)
    if call.query.format == "csv":
        rows = books.settlement_rows(view)
        return csv_response(f"settlement-{call.query.period}", csv_of(SettlementRow, rows))
    return view


def enterprise_of(plant: Plant, name: str) -> EnterpriseId:
    """The enterprise of that id.

    Raises:
        HttpRefusal: `unknown_enterprise`; it names no other one.
    """
    known = EnterpriseId(name)
    if known in plant.file.park.enterprise_by_id:
        return known
    raise HttpRefusal(
        "this park has no such enterprise",
        code="unknown_enterprise",
        where=f"enterprise {name[:80]}",
        fix="Use an id of the park file",
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/accounts/periods",
        "Days and months of which something is settled",
        list_periods,
        gives=PeriodsView,
    ),
    reading(
        "/v1/accounts/statements",
        "The statements of a day or month, what they wait for; `format=csv` for a table",
        show_statements,
        gives=PeriodStatementsView,
        query=StatementsQuery,
        codes=("invalid_data", "unknown_enterprise"),
    ),
    reading(
        "/v1/accounts/settlement",
        "A day or month by interval, with the venue's lines; `format=csv` for a table",
        show_settlement,
        gives=SettlementView,
        query=SettlementQuery,
        codes=("invalid_data",),
    ),
)
